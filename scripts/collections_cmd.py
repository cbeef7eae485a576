"""`howdah collections`: list, show, create, drop, rename, promote and demote; `reembed` is in a file of its own."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from howdah.scripts import flags, output, reembed
from howdah.scripts.session import Session

app: typer.Typer = typer.Typer(help="List, show, create, drop and rename collections.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The collection's name.", show_default=False)]


@app.command("list")
def list_(as_json: flags.Json = False) -> int:
    """List the collections."""
    rows = Session(as_json=as_json).store.listing()
    if as_json:
        output.put_json({"collections": rows})
    elif not rows:
        output.note("There are no collections yet. Load documents: howdah ingest PATH")
    else:
        _table(rows)
    return 0


def _table(rows: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for title, side in (
        ("Collection", "left"),
        ("Documents", "right"),
        ("Chunks", "right"),
        ("Size", "right"),
        ("Model", "left"),
    ):
        table.add_column(title, justify="right" if side == "right" else "left")
    for row in rows:
        cells = [row["name"], f"{row['documents']:,}", f"{row['chunks']:,}", output.size(row["bytes"]), row["model"]]
        table.add_row(*(output.escape(cell) for cell in cells))
    output.OUT.print(table)


@app.command()
def show(name: Name, as_json: flags.Json = False) -> int:
    """Show one collection."""
    session = Session(as_json=as_json)
    session.store.get(name)
    [row] = session.store.listing(name)
    if as_json:
        output.put_json(row)
    else:
        for key, value in {**row, "promoted": _listed(row["promoted"])}.items():
            shown = output.size(value) if key == "bytes" else f"{value:,}" if type(value) is int else str(value)
            output.OUT.print(f"[bold]{key:12}[/] {output.escape(shown)}")
    return 0


@app.command()
def create(
    name: Name,
    storage: Annotated[str, typer.Option(help="halfvec (half the size) or vector.")] = "halfvec",
    metric: Annotated[str, typer.Option(help="cosine, l2 or inner_product.")] = "cosine",
    lexical: Annotated[bool, typer.Option(help="Keep the words for BM25 and hybrid search.")] = True,
    config: Annotated[str, typer.Option(help="PostgreSQL's text-search configuration.")] = "english",
    promote: Annotated[
        list[str] | None, typer.Option(help="A metadata key with a column of its own: year=number.", show_default=False)
    ] = None,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Create an empty collection for the embedding model of HOWDAH_EMBEDDINGS."""
    from howdah.retrieval import options
    from howdah.retrieval.collection import Metric, Spec, Storage
    from howdah.retrieval.embeddings import embed_query_with_retry, identity, load_embeddings
    from howdah.retrieval.errors import InvalidInput
    from howdah.retrieval.promoted import promoted_keys

    session = Session(as_json=as_json, yes=yes)
    spec_storage, spec_metric = options.storage_of(storage), options.metric_of(metric)
    session.prepare()
    if session.store.find(name) is not None:
        raise InvalidInput(f"there is a collection {name!r} already", hint="choose another name, or drop that one")
    embeddings = load_embeddings(session.settings.embeddings or "local")
    spec = Spec(
        model=identity(embeddings).name,
        dimensions=len(embed_query_with_retry(embeddings, "one embedding tells its dimensions")),
        storage=spec_storage or Storage.HALFVEC,
        metric=spec_metric or Metric.COSINE,
        lexical=lexical,
        language=config,
        config=config,
        promoted=promoted_keys(_keys(promote or [])),
    )
    session.store.create(name, spec)
    _done(as_json, "created", name)
    return 0


@app.command()
def drop(name: Name, yes: flags.Yes = False, as_json: flags.Json = False) -> int:
    """Drop a collection and everything in it."""
    from howdah.retrieval.removal import erase_dropped
    from howdah.scripts import delete  # which asks as this module does

    session = Session(as_json=as_json, yes=yes)
    collection = session.store.get(name)
    count = session.store.count(collection)
    confirm(f"Drop collection {name!r} with {output.plural(count, 'chunk')}", yes=yes)
    session.prepare()
    erased = erase_dropped(session.store, collection)
    session.store.drop(name)
    _done(as_json, "dropped", name, chunks=count)
    if not as_json:
        delete.show_erased(erased)
        output.note(delete.BACKUPS)
    return 0


@app.command()
def rename(name: Name, to: Annotated[str, typer.Argument(show_default=False)], as_json: flags.Json = False) -> int:
    """Give a collection another name."""
    session = Session(as_json=as_json)
    session.prepare()
    session.store.rename(name, to)
    _done(as_json, "renamed", name, to=to)
    return 0


Keys = Annotated[list[str], typer.Argument(help="Metadata keys.", show_default=False)]


@app.command()
def promote(
    name: Name,
    keys: Annotated[list[str], typer.Argument(help="KEY or KEY=number|text|boolean.", show_default=False)],
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Give metadata keys a column and an index of their own, so that filters on them are quick."""
    from howdah.retrieval.maintenance import maintain
    from howdah.retrieval.promotion import promote as promote_keys

    session = Session(collection_flag=name, as_json=as_json, yes=yes)
    count = session.store.count(session.store.get(name))
    confirm(
        f"Write {output.plural(count, 'chunk')} of {name!r} anew (searches wait meanwhile)", yes=yes or count < 10_000
    )
    session.prepare()
    found = promote_keys(session.store, name, _keys(keys))
    maintain(session.vectors(), progress=output.note)
    _promoted(as_json, name, found)
    return 0


@app.command()
def demote(name: Name, keys: Keys, as_json: flags.Json = False) -> int:
    """Drop the columns of promoted metadata keys; the metadata keep the values."""
    from howdah.retrieval.promotion import demote as demote_keys

    session = Session(as_json=as_json)
    session.prepare()
    _promoted(as_json, name, demote_keys(session.store, name, keys))
    return 0


def _keys(given: list[str]) -> dict[str, Any]:
    """KEY=TYPE as {key: type}; without a type None."""
    pairs = (
        item.rpartition("=") if item.endswith(("=number", "=text", "=boolean")) else (item, "", None) for item in given
    )
    return {key: kind for key, _, kind in pairs}


def _promoted(as_json: bool, name: str, found: Mapping[str, str]) -> None:
    if as_json:
        output.put_json({"collection": name, "promoted": dict(found)})
    else:
        output.OUT.print(f"Promoted keys of {output.escape(repr(name))}: {output.escape(_listed(found))}")


def _listed(promoted: Mapping[str, str]) -> str:
    return ", ".join(f"{key} ({kind})" for key, kind in promoted.items()) or "none"


app.command("reembed")(reembed.command)


def confirm(what: str, *, yes: bool) -> None:
    """Ask a person; a program says --yes."""
    import sys

    from howdah.retrieval.errors import InvalidInput

    if yes:
        return
    if not sys.stdin.isatty():
        raise InvalidInput(f"{what}: this was not confirmed", hint="add --yes")
    if not typer.confirm(f"{what}?", err=True):
        raise typer.Abort


def _done(as_json: bool, verb: str, name: str, **facts: Any) -> None:
    if as_json:
        output.put_json({verb: name, **facts})
    else:
        output.OUT.print(f"{verb.capitalize()} {name!r}" + (f" → {facts['to']!r}" if "to" in facts else ""))


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("collections")
