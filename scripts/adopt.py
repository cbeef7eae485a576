"""`howdah adopt`: take over rows from langchain-postgres' and LlamaIndex's tables, without embedding them again."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import adopt_output, flags, output, progress
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.adopt import Options
    from howdah.retrieval.adopt_report import Adoption
    from howdah.retrieval.adopt_sources import Named, Source


def _option(help: str) -> Any:
    return typer.Option(help=help, show_default=False)


Text = str | None


def command(
    collection: Annotated[
        Text, typer.Option("--collection", "-c", help="Which collection to adopt, by its name in the list.")
    ] = None,
    table: Annotated[Text, _option("Which table: schema.table; any table with a vector column.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Adopt all that the list shows.")] = False,
    into: Annotated[Text, _option("Name of Howdah's collection; default the one that it has now.")] = None,
    model: Annotated[Text, _option("Who embedded the rows, provider:model; else HOWDAH_EMBEDDINGS.")] = None,
    metric: Annotated[Text, _option("cosine, l2 or inner_product; default what an index is for, else cosine.")] = None,
    storage: Annotated[Text, _option("vector or halfvec; default what the source has.")] = None,
    config: Annotated[Text, _option("Text-search configuration; detected unless given.")] = None,
    id_column: Annotated[Text, typer.Option("--id", help="Column of the ids.")] = None,
    content: Annotated[Text, _option("Column of the texts.")] = None,
    embedding: Annotated[Text, _option("Column of the vectors.")] = None,
    metadata_json: Annotated[Text, _option("JSON column of the metadata.")] = None,
    skip_column: Annotated[list[str] | None, _option("Column to leave out of the metadata.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Take over the rows of langchain-postgres and LlamaIndex, without embedding them again.

    Without arguments it lists what there is to adopt. The rows are copied; their tables stay as they are.
    """
    from howdah.retrieval import options
    from howdah.retrieval.adopt import Options
    from howdah.retrieval.adopt_sources import Named

    session = Session(as_json=as_json, yes=yes)
    named = Named(
        id=id_column,
        content=content,
        embedding=embedding,
        metadata_json=metadata_json,
        skip=tuple(skip_column or ()),
    )
    _check_flags(collection, table, into, named, everything=everything)
    if not (collection or table or everything):
        return _list(session)
    wanted = Options(
        into=into,
        model=model or session.settings.embeddings,
        metric=options.metric_of(metric),
        storage=options.storage_of(storage),
        config=config,
    )
    sources = _chosen(session, collection, table, named)
    if not sources:
        output.note("There is nothing to adopt.")
    if dry_run:
        return _plan(session, sources, wanted)
    return _adopt(session, sources, wanted, everything=everything)


def _check_flags(collection: Text, table: Text, into: Text, named: "Named", *, everything: bool) -> None:
    from howdah.retrieval.adopt_sources import Named
    from howdah.retrieval.errors import InvalidInput

    if everything and (collection or table or into):
        raise InvalidInput("--all goes with neither --collection, --table nor --into", hint="leave one of them out")
    if named != Named() and not table:
        raise InvalidInput("columns are named for one table", hint="add --table schema.table")
    if into and not (collection or table):
        raise InvalidInput("--into needs to know what to adopt", hint="add --collection NAME or --table schema.table")


def _list(session: Session) -> int:
    from howdah.retrieval.adopt_find import adoptable, count

    store = session.store
    found = [(source, count(store, source)) for source in adoptable(store)]
    present = {row["name"]: row["chunks"] for row in store.listing()}
    place = store.database.conninfo.place
    if session.as_json:
        sources = [source for source, _ in found]
        output.put_json({"adoptable": [adopt_output.listed(s, n, sources, present) for s, n in found]})
    else:
        adopt_output.show_list(found, present, place, embedded=session.conninfo is None)
    return 0


def _chosen(session: Session, collection: Text, table: Text, named: "Named") -> "list[Source]":
    """The sources that were asked for: one, or with --all every one."""
    from howdah.retrieval.adopt_find import adoptable, may_not_read, table_sources
    from howdah.retrieval.errors import InvalidInput, NotFound

    found = table_sources(session.store, table, named) if table else adoptable(session.store)
    if not (collection or table):
        return found
    chosen = [source for source in found if collection in (None, source.collection)]
    if len(chosen) == 1:
        return chosen
    closed = [source for source in found if not source.relation.readable]
    if not chosen and closed:
        raise may_not_read(closed[0])
    if not chosen:
        raise NotFound(
            f"there is no {collection!r} to adopt in {session.store.database.conninfo.place}",
            hint="see what there is: howdah adopt",
        )
    names = sorted({source.relation.shown for source in chosen} if collection else {s.collection for s in chosen})
    raise InvalidInput(
        f"{collection or table!r} could be any of {', '.join(names)}",
        hint=f"add {'--table' if collection else '--collection'} with one of them",
    )


def _plan(session: Session, sources: "list[Source]", wanted: "Options") -> int:
    from howdah.retrieval.adopt import plan

    plans = [plan(session.store, source, wanted) for source in sources]
    if session.as_json:
        output.put_json({"would_adopt": [adopt_output.to_json(found) for found in plans]})
    else:
        for found in plans:
            adopt_output.show_plan(found)
    return 0


def _adopt(session: Session, sources: "list[Source]", wanted: "Options", *, everything: bool) -> int:
    from howdah.retrieval.errors import HowdahError

    session.prepare()
    done: list[Adoption] = []
    failures: list[dict[str, str]] = []
    for source in sources:
        try:
            done.append(_adopt_one(session, source, wanted))
        except HowdahError as exc:
            if not everything:
                raise
            failures.append({"source": source.shown, "error": exc.message, "hint": exc.hint})
    if session.as_json:
        output.put_json({"adopted": [adopt_output.to_json(found) for found in done], "failures": failures})
    else:
        for found in done:
            adopt_output.show_done(found)
        for failure in failures:
            adopt_output.show_failure(failure)
        if done:
            adopt_output.show_next(done)
    return 1 if failures else 0


def _adopt_one(session: Session, source: "Source", wanted: "Options") -> "Adoption":
    from howdah.retrieval.adopt import adopt
    from howdah.retrieval.maintenance import maintain
    from howdah.retrieval.unknown_model import UnknownModel
    from howdah.retrieval.vectorstore import PGVector
    from howdah.scripts import ingest

    with progress.bar() as bar:
        task = bar.add_task(f"Copying {source.collection}", total=None)
        report = adopt(
            session.store,
            source,
            wanted,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
        bar.update(task, description="Indexing")
        vectors = PGVector(
            UnknownModel(report.collection),
            connection=session.conninfo,
            home=session.home,
            collection_name=report.collection,
        )
        upkeep = maintain(vectors) if report.added + report.updated else None
    if upkeep is not None:
        ingest.tell(upkeep)
    return report


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("adopt")
