"""`howdah eval corpora`: the documents of test sets that are kept loaded, and dropping them."""

from typing import Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.session import Session


def command(
    drop: Annotated[
        list[str] | None, typer.Option(help="Drop the collection of this name; it is made again when it is needed.")
    ] = None,
    drop_all: Annotated[bool, typer.Option("--drop-all", help="Drop all of them.")] = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """List the collections that evaluations keep, or drop them."""
    from howdah.retrieval.evaluation import scratch
    from howdah.scripts.collections_cmd import confirm

    session = Session(as_json=as_json, yes=yes)
    rows = scratch.listing(session.store)
    names = [row["name"] for row in rows] if drop_all else drop or []
    if names:
        chunks = sum(row["chunks"] for row in rows if row["name"] in names)
        what = f"{output.plural(len(names), 'collection')} of evaluations with {output.plural(chunks, 'chunk')}"
        confirm(f"Drop {what}", yes=yes)
        session.prepare()
        scratch.drop(session.store, names)
    if as_json:
        output.put_json({"dropped": names} if names or drop_all else {"corpora": rows})
    elif names or drop_all:
        output.OUT.print(f"Dropped {output.plural(len(names), 'collection')}")
    else:
        _table(rows)
    return 0


def _table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        output.note("No test set is loaded. Load one by evaluating it: howdah eval retrieval DIR")
    for row in rows:
        unfinished = "" if row["whole"] else ", not whole: the next evaluation goes on with it"
        output.OUT.print(f"[bold]{output.escape(row['name'])}[/]")
        facts = f"{output.plural(row['chunks'], 'chunk')}, {output.size(row['bytes'])}, {row['created_at']:%Y-%m-%d}"
        output.OUT.print(f"   {facts}{unfinished}")
        output.OUT.print(output.escape(f"   {row['folder']}, {row['model']}"))
