"""`howdah collections reembed`: another embedding model for a collection that stays in use."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.reembed_report import Overlap, ReembedReport
    from howdah.retrieval.vectorstore import PGVector


def command(
    name: Annotated[str, typer.Argument(help="The collection's name.", show_default=False)],
    model: Annotated[
        str | None, typer.Option(help="The other model, provider:model; left out, a run goes on.", show_default=False)
    ] = None,
    storage: Annotated[str | None, typer.Option(help="halfvec or vector; else as it is.", show_default=False)] = None,
    queries: Annotated[
        Path | None, typer.Option(help="Compare both models on these queries, one a line.", show_default=False)
    ] = None,
    switch: Annotated[bool, typer.Option(help="Switch to the other model once its vectors are complete.")] = True,
    rollback: Annotated[bool, typer.Option("--rollback", help="Go back to the former model.")] = False,
    finish: Annotated[bool, typer.Option("--finish", help="Drop the vectors that are not in use.")] = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Embed a collection with another model while it is searched and written to, and switch to it.

    Killed or begun with --no-switch, it goes on by itself where it was. Until --finish, --rollback takes it back.
    """
    from howdah.retrieval import reembed
    from howdah.retrieval.embeddings import load_embeddings

    _check(model, storage, queries, switch=switch, rollback=rollback, finish=finish)
    asked = _lines(queries)
    session = Session(collection_flag=name, as_json=as_json, yes=yes)
    session.store.get(name)
    session.prepare()
    if finish or rollback:
        _confirm(session, name, finish=finish)
        act = reembed.finish if finish else reembed.rollback
        report = act(_vectors(session, name), progress=output.note)
    else:
        embeddings = load_embeddings(model) if model else None
        report = reembed.reembed(
            _vectors(session, name), embeddings, storage=storage, queries=asked, switch=switch, progress=output.note
        )
    return _done(session, report, as_json=as_json)


def _check(
    model: str | None, storage: str | None, queries: Path | None, *, switch: bool, rollback: bool, finish: bool
) -> None:
    """Raise InvalidInput for options that say two things."""
    from howdah.retrieval.errors import InvalidInput

    if rollback and finish:
        raise InvalidInput("--rollback and --finish exclude each other", hint="--finish keeps the vectors in use")
    if (rollback or finish) and (model or storage or queries or not switch):
        flag = "--rollback" if rollback else "--finish"
        raise InvalidInput(f"{flag} takes no --model, --storage, --queries or --no-switch", hint="leave them out")


def _lines(path: Path | None) -> list[str]:
    from howdah.retrieval.errors import InvalidInput

    if path is None:
        return []
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput(
            f"--queries {path} cannot be read ({exc})", hint="give a UTF-8 file, one query a line"
        ) from exc
    found = [line.strip() for line in lines if line.strip()]
    if not found:
        raise InvalidInput(f"--queries {path} has no queries", hint="write one query a line")
    return found


def _confirm(session: Session, name: str, *, finish: bool) -> None:
    """What cannot be taken back is asked about."""
    from howdah.retrieval.reembed_state import SWITCHED
    from howdah.scripts.collections_cmd import confirm

    found = session.store.get(name).reembedding
    if found is not None and (finish or found.stage != SWITCHED):
        confirm(f"Drop the vectors of {found.other.model!r} from {name!r}", yes=session.yes)


def _vectors(session: Session, name: str) -> "PGVector":
    """The collection without its model, which may be the one that cannot be loaded any more."""
    from howdah.retrieval.unknown_model import UnknownModel
    from howdah.retrieval.vectorstore import PGVector

    return PGVector(
        UnknownModel(name), connection=session.conninfo, home=session.home, collection_name=name, cache=session.cache
    )  # fmt: skip


def _done(session: Session, report: "ReembedReport", *, as_json: bool) -> int:
    named = session.settings.embeddings
    if as_json:
        output.put_json(_json(report))
    else:
        _tell(report)
    if named and report.held_by is None and report.stage in ("switched", "returned"):
        output.note(f"HOWDAH_EMBEDDINGS is {named}; the collection's model is {report.model} now")
    return 1 if report.held_by else 0


def _json(report: "ReembedReport") -> dict[str, Any]:
    return asdict(report)


def _tell(report: "ReembedReport") -> None:
    name, show = repr(report.collection), output.OUT.print
    if report.held_by:
        show(output.escape(f"Nothing was done: {report.held_by} is at work on {name}"))
        return
    if report.embedded or report.cached:
        show(f"Embedded {output.plural(report.embedded, 'chunk')}, and took {report.cached:,} from the cache")
    if report.overlap is not None:
        _tell_overlap(report.overlap)
    show(output.escape(_STAGES[report.stage].format(name=name, model=report.model, other=report.other)))


_STAGES = {
    "filling": "{name} uses {model}; the vectors of {other} are ready: run this again to switch",
    "switched": "{name} uses {model} now; --rollback goes back to {other}, --finish drops its vectors",
    "returned": "{name} uses {model} again; the vectors of {other} are kept: run this again to switch, or --finish",
    "none": "{name} uses {model}, and no other vectors are kept",
}


def _tell_overlap(overlap: "Overlap") -> None:
    show = output.OUT.print
    show(
        f"Of the {overlap.k} chunks found before, {overlap.mean:.0%} are found by the other model too"
        f" (mean of {'1 query' if overlap.queries == 1 else f'{overlap.queries:,} queries'}, lowest {overlap.lowest:.0%})"
    )
    for item in overlap.examples:
        show(output.escape(f"  {item.overlap:.0%}  {item.query}"))
