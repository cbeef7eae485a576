"""`howdah trace`: how an answer came about, for a person or as JSON."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import explained, flags, output
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.store import Row

app: typer.Typer = typer.Typer(help="Show how answers came about.", no_args_is_help=True)


@app.command()
def show(
    id: Annotated[
        str, typer.Argument(help="A trace's id or its beginning; the newest where it is left out.", show_default=False)
    ] = "last",
    as_json: flags.Json = False,
) -> int:
    """Explain one answer: what was searched and found, what was chosen and cited, and where the time went."""
    session = Session(as_json=as_json)
    if as_json:
        output.put_json(_json(_find(session, id)))
    else:
        explain(session, id)
    return 0


@app.command()
def last(as_json: flags.Json = False) -> int:
    """Explain the last answer: trace show last."""
    return show("last", as_json=as_json)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(help="How many, the newest first.", min=1)] = 20, as_json: flags.Json = False
) -> int:
    """List the answers of which there is a trace."""
    from howdah.retrieval.tracing import list_traces

    rows = list_traces(Session(as_json=as_json).store, limit=limit)
    if as_json:
        output.put_json({"traces": [{**row, "at": row["at"].isoformat()} for row in rows]})
    elif rows:
        for row in rows:
            output.OUT.print(explained.line(row))
    else:
        output.note("There is no trace yet. howdah ask and howdah chat keep one of each answer.")
    return 0


def explain(session: Session, id: str) -> None:
    """Print the trace, with the beginnings of its passages as they are stored now."""
    row = _find(session, id)
    explained.show(row, _passages(session, row), place=session.place)


def _find(session: Session, id: str) -> "Row":
    from howdah.retrieval.tracing import find_trace

    return find_trace(session.store, id)


def _passages(session: Session, row: "Row") -> dict[str, dict[str, Any]]:
    """The trace's passages that are still there, by id: a trace has none of their text."""
    from howdah.retrieval import traces

    ids = [hit["id"] for hit in row["hits"] if hit.get("id")]
    found = session.store.find(row["collection"]) if row["collection"] and ids else None
    return {each["id"]: each for each in session.store.rows(traces.passages(found, ids))} if found else {}


def _json(row: "Row") -> dict[str, Any]:
    times = ("at", "expires_at", "erased_at")
    return {name: value.isoformat() if name in times and value else value for name, value in row.items()}


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("trace")
