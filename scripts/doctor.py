"""`howdah doctor`: what is wrong with the database, and what mends it."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.diagnosis import show
from howdah.scripts.session import Session
from howdah.scripts.settings import origins

if TYPE_CHECKING:
    from howdah.retrieval.health.check import Check
    from howdah.retrieval.health.examination import Probe
    from howdah.retrieval.health.patient import Client, Patient

DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", help="The server to look at; else as every command.", show_default=False),
]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", help="Make this check alone; can be given several times.", show_default=False),
]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 4 for a warning, too.")]
Listing = Annotated[bool, typer.Option("--list", help="List the checks, and make none.")]


def command(
    only: Only = None,
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Of Howdah's, this collection alone.", show_default=False)
    ] = None,
    database_url: DatabaseUrl = None,
    strict: Strict = False,
    listing: Listing = False,
    as_json: flags.Json = False,
) -> int:
    """Look at the server, its indexes and every table of vectors, and say what mends what is wrong. Writes nothing."""
    from howdah.retrieval.health.examination import PROBES, chosen

    probes = chosen(only or [])
    if listing:
        return _list(probes if only else PROBES, as_json)
    known = origins()  # before the session reads ./.env
    session = Session(collection_flag=collection, as_json=as_json)
    if database_url is not None:
        known = known.with_flag("--database-url")
        session.settings = replace(session.settings, database_url=database_url, database_source="--database-url")
    checks, about, reached = _examined(session, probes, collection)
    about |= {"models": _models(session), "settings": known.of(session.settings)}
    if as_json:
        output.put_json({"checks": [_row(check) for check in checks], **about})
    else:
        show(checks, probes, about)
    return _exit_code(checks, reached=reached, strict=strict)


def _list(probes: "list[Probe]", as_json: bool) -> int:
    if as_json:
        output.put_json({"checks": [{"name": p.name, "family": p.family, "sees": p.sees} for p in probes]})
        return 0
    for probe in probes:
        output.OUT.print(f"[bold]{probe.name:22}[/][dim]{probe.family:13}[/]{output.escape(probe.sees)}")
    return 0


def _examined(
    session: Session, probes: "list[Probe]", collection: str | None
) -> "tuple[list[Check], dict[str, Any], bool]":
    """The verdicts, what the server is, and whether it was reached."""
    from howdah.retrieval.errors import DependencyMissing
    from howdah.retrieval.health.examination import examine, patient_at, without_server

    client = _client(session)
    try:
        if (absent := _absent(session)) is not None:
            return list(without_server(absent, client, probes)), _nothing(session), False
        session.database.wake()
        with patient_at(session.database.conninfo, client, embedded=session.conninfo is None) as patient:
            if collection is not None:
                patient.only(collection)
            return list(examine(patient, probes)), _about(session, patient), True
    except DependencyMissing as exc:
        return list(without_server(exc, client, probes)), _nothing(session), False


def _absent(session: Session) -> "Any":
    """Why there is nothing to look at yet: the embedded server has never been started, and looking makes nothing."""
    from howdah.retrieval.embedded import EmbeddedServer
    from howdah.retrieval.errors import DatabaseUnavailable

    if session.conninfo is not None or EmbeddedServer(session.home).status().state != "absent":
        return None
    return DatabaseUnavailable(
        f"there is no embedded server in {session.home} yet: nothing was loaded", hint="howdah ingest PATH"
    )


def _client(session: Session) -> "Client":
    from howdah.retrieval.health.patient import Client

    settings = session.settings
    return Client(
        model=settings.embeddings, offline=settings.offline, langsmith_tracing=settings.langsmith_tracing,
        langsmith_key=settings.langsmith_key,
    )  # fmt: skip


def _about(session: Session, patient: "Patient") -> dict[str, Any]:
    facts = patient.facts
    return {
        **_nothing(session),
        "data_folder": facts.data_directory,
        "size_bytes": facts.bytes,
        "server": {
            "version": f"{facts.version // 10_000}.{facts.version % 10_000}",
            "pgvector": facts.vector_version,
            "database": facts.database,
            "user": facts.user,
            "schema_version": patient.schema_version,
            "read_only": facts.read_only,
        },
    }


def _nothing(session: Session) -> dict[str, Any]:
    embedded = session.conninfo is None
    return {
        "url": "embedded" if session.conninfo is None else session.conninfo.shown,
        "data_folder": str(session.home) if embedded else None,
        "size_bytes": None,
        "server": None,
    }


def _models(session: Session) -> dict[str, str | None]:
    settings = session.settings
    chat = settings.chat_model or ("openai:gpt-5-mini" if settings.openai_key and not settings.offline else None)
    if chat is None:
        from howdah.chains.models import local_model_available

        chat = "local" if local_model_available() else "extractive"
    return {
        "embeddings": settings.embeddings or "local",
        "chat": chat,
        "reranker": "local" if session.reranker else None,
    }


def _row(check: "Check") -> dict[str, Any]:
    return {**asdict(check), "status": check.status.label}


def _exit_code(checks: "list[Check]", *, reached: bool, strict: bool) -> int:
    from howdah.retrieval.health.check import Status, worst

    if not reached:
        return 3
    return output.GATE_FAILED if worst(checks) is Status.FAIL or (strict and worst(checks) is Status.WARN) else 0


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("doctor")
