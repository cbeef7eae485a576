"""Checks of work that was left undone, of the models, and of what leaves the machine."""

from collections.abc import Iterator

from psycopg.sql import SQL

from howdah.retrieval import failures
from howdah.retrieval.collection import UNKNOWN_MODEL, Collection
from howdah.retrieval.embeddings import ModelIdentity, identity, load_embeddings
from howdah.retrieval.errors import HowdahError
from howdah.retrieval.health.check import About, Check
from howdah.retrieval.health.holdings import ours
from howdah.retrieval.health.mending import collection_command
from howdah.retrieval.health.patient import Client, Patient
from howdah.retrieval.query import Query
from howdah.retrieval.reembed_state import FILLING, Reembedding


def failed_sources(patient: Patient) -> Iterator[Check]:
    for table, collection in ours(patient):
        rows = patient.plain.rows(failures.stored(collection))
        yield judge_failures(table.subject, collection, [(row["source"], row["error"]) for row in rows])


def judge_failures(subject: str, collection: Collection, found: list[tuple[str, str]]) -> Check:
    about = About("failed-sources", subject)
    if not found:
        return about.ok("every source was loaded")
    source, error = found[0]
    more = f" and {len(found) - 1:,} more" if len(found) > 1 else ""
    return about.warn(
        f"{source}{more} could not be loaded ({error}), so no search finds what is in it",
        collection_command("howdah ingest --retry", collection),
    )


def unfinished_work(patient: Patient) -> Iterator[Check]:
    for table, collection in ours(patient):
        rows = patient.plain.rows(leases(collection))
        yield judge_leases(table.subject, collection, [row["name"].partition(":")[0] for row in rows])


def leases(collection: Collection) -> Query:
    """Those whose holder died: it neither gave them back nor went on renewing them."""
    return Query(
        SQL("""
            SELECT name FROM howdah.leases WHERE tenant = %(tenant)s AND split_part(name, ':', 2) = %(id)s::text
                AND expires_at < clock_timestamp() ORDER BY name
        """),
        {"tenant": collection.tenant, "id": collection.id},
    )


def judge_leases(subject: str, collection: Collection, works: list[str]) -> Check:
    about = About("unfinished-work", subject)
    if not works:
        return about.ok("nothing was broken off")
    command = {
        "maintain": collection_command("howdah db maintain", collection),
        "reembed": f"howdah collections reembed {collection.name}",
    }
    return about.warn(
        f"{' and '.join(works)} was broken off: its process died before it was done",
        "\n".join(command.get(work, command["maintain"]) for work in works),
    )


def reembedding(patient: Patient) -> Iterator[Check]:
    for table, collection in ours(patient):
        yield judge_reembedding(table.subject, collection, collection.reembedding)


def judge_reembedding(subject: str, collection: Collection, found: Reembedding | None) -> Check:
    about = About("reembedding", subject)
    if found is None:
        return about.ok("no change of the model is under way")
    if found.stage != FILLING:
        return about.ok(
            f"the vectors of {found.other.model} are kept beside those in use, until --finish or --rollback"
        )
    return about.warn(
        f"a change to the model {found.other.model} was begun and is not finished: its vectors take room and serve no search",
        f"howdah collections reembed {collection.name} --model {found.other.model}",
    )


# -- models


def embedding_model(patient: Patient) -> Iterator[Check]:
    named = _identity(patient.client.model) if patient.client.model else None
    for table, collection in ours(patient):
        known = named or _identity(collection.spec.model)
        yield judge_model(table.subject, collection, patient.client.model, known)


def _identity(name: str) -> ModelIdentity | HowdahError | None:
    """What a model of that name is; the error that says why it cannot be had; None for what only a program can make."""
    if name == UNKNOWN_MODEL or (":" not in name and name.strip() != "local"):
        return None
    try:
        return identity(load_embeddings(name))
    except HowdahError as exc:
        return exc


def judge_model(
    subject: str, collection: Collection, named: str | None, found: ModelIdentity | HowdahError | None
) -> Check:
    """A question has to be embedded by the model that embedded the rows; another one's vectors mean something else."""
    about, has = About("embedding-model", subject), collection.spec.model
    again = f"howdah collections reembed {collection.name} --model {named or 'local'}"
    if isinstance(found, HowdahError):
        return about.fail(f"its model cannot be used: {found.message}", found.hint or again)
    if has == UNKNOWN_MODEL and named is None:
        return about.warn(
            "nobody has said which model embedded its rows, so no question can be embedded",
            "export HOWDAH_EMBEDDINGS=provider:model",
        )
    if found is None:
        return about.ok(f"{has}, an object of a program")
    if has not in (found.name, UNKNOWN_MODEL) and found.strong and ":" in has:
        return about.fail(
            f"its rows are of {has} and HOWDAH_EMBEDDINGS names {named}: every search is refused",
            f"unset HOWDAH_EMBEDDINGS # or: {again}",
        )
    return about.ok(found.name)


def langsmith(patient: Patient) -> Iterator[Check]:
    yield judge_langsmith(patient.client)


def judge_langsmith(client: Client) -> Check:
    about = About("langsmith")
    if not client.langsmith_tracing:
        return about.ok("LangChain's tracing is off")
    if not client.langsmith_key or client.offline:
        return about.ok(
            "LangChain's tracing is on, and " + ("HOWDAH_OFFLINE keeps it here" if client.offline else "has no key")
        )
    return about.warn(
        "LANGSMITH_TRACING is on and there is a key: questions, passages and answers are sent to LangSmith",
        "unset LANGSMITH_TRACING LANGCHAIN_TRACING_V2 LANGCHAIN_TRACING",
    )
