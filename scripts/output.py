"""What people and programs see: JSON on stdout, or text; progress and notes on stderr, without colour when piped."""

import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from rich import markup
from rich.console import Console
from rich.text import Text

__all__ = [
    "ERR",
    "GATE_FAILED",
    "OUT",
    "Text",
    "also_in",
    "closed_pipe",
    "escape",
    "failed",
    "link",
    "note",
    "place",
    "plural",
    "put_json",
    "put_text",
    "size",
    "tell_report",
    "warn",
]

_UNSEEN = re.compile(r"[\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]")
"""What JSON leaves as it is and a terminal obeys, or hides."""

GATE_FAILED = 4
"""The exit code of a gate that failed; the others are in main.py."""

OUT = Console(highlight=False, soft_wrap=True)
ERR = Console(stderr=True, highlight=False, soft_wrap=True)


def put_json(value: Mapping[str, Any]) -> None:
    """One object on stdout."""
    shown = json.dumps(value, ensure_ascii=False, indent=2, default=str, allow_nan=False)
    sys.stdout.write(_UNSEEN.sub(lambda char: json.dumps(char[0])[1:-1], shown) + "\n")
    sys.stdout.flush()


def put_text(text: str) -> None:
    """A text on stdout, as it is."""
    sys.stdout.write(text)
    sys.stdout.flush()


def escape(text: str) -> str:
    """`text` of a document, or of a file's name, inside markup: no markup of its own, and no commands to the terminal."""
    return markup.escape(_visible(text))


def _visible(text: str) -> str:
    if text.isascii() and text.isprintable():
        return text
    from howdah.chains.clean import visible

    return visible(text)


def note(text: str) -> None:
    """A remark on stderr."""
    ERR.print(Text(_visible(text), style="dim"))


def warn(text: str) -> None:
    ERR.print(Text.assemble(("Warning: ", "yellow"), _visible(text)))


def failed(kind: str, message: str, hint: str, *, as_json: bool) -> None:
    """An error as a person or a program wants it."""
    if as_json:
        put_json({"error": {"kind": kind, "message": message, "hint": hint}})
        return
    ERR.print(Text.assemble(("Error: ", "bold red"), _visible(message)))
    if hint:
        ERR.print(Text.assemble(("  → ", "cyan"), hint))


def closed_pipe() -> NoReturn:
    """End quietly where the reader of our output has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(0)


def plural(count: int, noun: str) -> str:
    """The count with its noun: 1 query, 2 queries, 3 rows."""
    several = f"{noun[:-1]}ies" if noun.endswith("y") and noun[-2] not in "aeiou" else f"{noun}s"
    return f"{count:,} {noun if count == 1 else several}"


def size(count: float) -> str:
    """Bytes in a unit that people read."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1_000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1_000
    return f"{count:.1f} TB"


def tell_report(path: Path | None) -> None:
    """Where a report is, where one was written."""
    if path is not None:
        note(f"The report is {path}: open it in a browser")


def place(source: str | None, section: str | None, page: int | None) -> str:
    """Where a passage is from, in one line."""
    parts = [source or "(added through the API)"]
    if page:
        parts.append(f"page {page}")
    if section:
        parts.append(section.rsplit(" › ", 1)[-1])
    return " · ".join(parts)


def also_in(sources: Sequence[str], most: int = 3) -> None:
    """A line with the other documents that hold the same passage; nothing where there is none."""
    if not sources:
        return
    rest = f" and {len(sources) - most:,} more" if len(sources) > most else ""
    OUT.print(Text(_visible(f"   also in: {', '.join(sources[:most])}{rest}"), style="dim"))


def link(text: str, path: Path | None) -> str:
    """Markup for a terminal hyperlink, where there is a file to open."""
    if path is None or not OUT.is_terminal:
        return escape(text)
    return f"[link=file://{quote(str(path))}]{escape(text)}[/link]"
