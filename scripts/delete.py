"""`howdah delete`: documents by source, chunks by id or filter, or all of a collection."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.collections_cmd import confirm
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.collection import Collection
    from howdah.retrieval.erasure import Removed
    from howdah.retrieval.query import Condition

BACKUPS = "Backups that were made before still hold it."


def command(
    source: Annotated[str | None, typer.Argument(help="A source, or a folder of sources.", show_default=False)] = None,
    collection: flags.Collection = None,
    ids: Annotated[list[str] | None, typer.Option("--id", help="A chunk's id.", show_default=False)] = None,
    filter_json: flags.FilterJson = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything in the collection.")] = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Delete from a collection; shows the count first."""
    from howdah.retrieval import removal
    from howdah.retrieval.errors import InvalidInput

    given = [item for item in (source, ids, filter_json, everything or None) if item is not None]
    if len(given) != 1:
        raise InvalidInput(
            f"give one of SOURCE, --id, --filter and --all, got {len(given)}", hint="howdah delete --help"
        )
    session = Session(collection_flag=collection, as_json=as_json, yes=yes)
    found = session.store.get(session.collection)
    sources = _sources(session, found, source) if source else []
    where = _where(found, ids, flags.read_filter(filter_json), everything=everything)
    count = removal.count(session.store, found, sources=sources, where=where)
    what = ", ".join(sources[:5]) + (f" and {len(sources) - 5:,} more" if len(sources) > 5 else "")
    confirm(
        f"Delete {output.plural(count, 'chunk')}{' of ' + what if what else ''} from {session.collection!r}", yes=yes
    )
    session.prepare()
    removed = removal.remove(session.store, found, sources=sources, where=where)
    if as_json:
        output.put_json({"collection": session.collection, "deleted": asdict(removed), "note": BACKUPS})
    else:
        documents, chunks = output.plural(removed.documents, "document"), output.plural(removed.chunks, "chunk")
        output.OUT.print(f"Deleted {documents} with {chunks} from {session.collection!r}")
        show_erased(removed)
        output.note(BACKUPS)
    return 0


def show_erased(removed: "Removed") -> None:
    """What went with the passages, where anything did."""
    parts = [
        f"the text of {output.plural(removed.traces, 'trace')}" * bool(removed.traces),
        f"the text of {output.plural(removed.messages, 'chat message')}" * bool(removed.messages),
        output.plural(removed.cached, "kept embedding") * bool(removed.cached),
        f"{output.plural(removed.failures, 'note')} of a failed load" * bool(removed.failures),
    ]
    if any(parts):
        output.OUT.print(f"Removed with them: {', '.join(part for part in parts if part)}")


def _sources(session: Session, collection: "Collection", name: str) -> list[str]:
    from howdah.retrieval import documents, failures
    from howdah.retrieval.errors import NotFound

    looked = (documents.sources_like(collection, name), failures.sources_like(collection, name))
    sources = list(dict.fromkeys(row["source"] for query in looked for row in session.store.rows(query)))
    if not sources:
        raise NotFound(
            f"collection {collection.name!r} has no source {name!r}", hint="howdah search shows each passage's source"
        )
    return sources


def _where(
    collection: "Collection", ids: list[str] | None, given: dict[str, Any] | None, *, everything: bool
) -> "Condition | None":
    from howdah.retrieval.errors import InvalidInput
    from howdah.retrieval.filters import compile_filter
    from howdah.retrieval.query import EVERY_ROW
    from howdah.retrieval.writes import where_ids

    if everything:
        return EVERY_ROW
    if ids:
        return where_ids(ids)
    if given == {}:
        raise InvalidInput("--filter {} matches everything", hint="use --all for that")
    return compile_filter(given, collection=collection) if given else None


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("delete")
