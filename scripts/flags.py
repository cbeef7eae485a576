"""The options that commands share, read and checked once."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Collection = Annotated[
    str | None,
    typer.Option(
        "--collection", "-c", help="Which collection; else HOWDAH_COLLECTION, else 'docs'.", show_default=False
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Go on without asking.")]
NoTrace = Annotated[
    bool, typer.Option("--no-trace", help="Keep no trace of how the answers came about; see howdah trace.")
]
K = Annotated[int, typer.Option("-k", help="How many passages.", min=1, max=1_000)]
Report = Annotated[
    Path | None, typer.Option(help="Write a page with charts here (HTML, one file).", show_default=False)
]
FilterJson = Annotated[
    str | None,
    typer.Option("--filter", help='Metadata filter as JSON, e.g. \'{"year": {"$gte": 2024}}\'.', show_default=False),
]


def read_filter(text: str | None) -> dict[str, Any] | None:
    """The --filter option as a dict; the filter itself is checked where it is compiled."""
    from howdah.retrieval.errors import InvalidFilter

    if text is None:
        return None
    try:
        given = json.loads(text)
    except json.JSONDecodeError as exc:
        raise InvalidFilter(
            f"--filter is not JSON ({exc.msg} at character {exc.pos})", hint="""write --filter '{"topic": "planets"}'"""
        ) from None
    if not isinstance(given, dict):
        raise InvalidFilter("--filter is not a JSON object", hint="""write --filter '{"topic": "planets"}'""")
    return given
