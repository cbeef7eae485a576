"""Jupyter notebooks, of format 3 and 4: Markdown, code and the text that it put out."""

import json
import re
from collections.abc import Iterator
from typing import Any

from howdah.retrieval.loaders.blocks import Assembly, Block
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.markdown import read_markdown
from howdah.retrieval.loaders.package import parsing
from howdah.retrieval.loaders.text import storable
from howdah.retrieval.types import Extract

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_SHOWN = ("text/markdown", "text/latex", "text/plain")  # of one output, the first that there is


def read_notebook(file: RawFile, text: str) -> Extract:
    """The cells in order; headings are those of Markdown cells. Raises LoadError if it is damaged or has no text."""
    assembly = Assembly()
    with parsing(file, "Jupyter notebook"):
        book = json.loads(text)
        language = _language(book)
        for cell in _cells(book):
            _add(assembly, file, cell, language)
        named = book.get("metadata", {}).get("title")
    found = assembly.joined()
    if not found.text.strip():
        raise file.error("has no text in its cells")
    top = next((heading.title for heading in found.headings if heading.level == 1), None)
    title = storable(named).strip() if isinstance(named, str) else None
    return Extract(text=found.text, media_type=Kind.NOTEBOOK.value, title=title or top, headings=found.headings)


def _cells(book: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from book.get("cells") or []
    for sheet in book.get("worksheets") or []:  # format 3
        yield from sheet.get("cells") or []


def _add(assembly: Assembly, file: RawFile, cell: dict[str, Any], language: str) -> None:
    source = _joined(cell.get("source", cell.get("input"))).strip("\n")  # "input": code in format 3
    kind = cell.get("cell_type")
    if kind == "code":
        if source.strip():
            assembly.add(Block(f"```{language}\n{source}\n```"))
        for output in filter(None, map(_output, cell.get("outputs") or [])):
            assembly.add(Block(f"```\n{output}\n```"))
    elif kind == "heading" and source.strip():  # format 3
        assembly.add(Block(" ".join(source.split()), int(cell.get("level") or 1)))
    elif source.strip():
        part = storable(source)
        if kind == "markdown":
            assembly.include(read_markdown(file, part))
        else:
            assembly.include(Extract(text=part, media_type=Kind.TEXT.value))


def _output(output: dict[str, Any]) -> str:
    data = output.get("data") or {}
    shown = next((data[kind] for kind in _SHOWN if data.get(kind)), None) or output.get("text") or ""
    if output.get("output_type") in {"error", "pyerr"}:
        shown = f"{output.get('ename', '')}: {output.get('evalue', '')}"
    return _COLOUR.sub("", _joined(shown)).strip("\n")


def _joined(source: Any) -> str:
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")


def _language(book: dict[str, Any]) -> str:
    metadata = book.get("metadata") or {}
    named = (metadata.get("language_info") or {}).get("name") or (metadata.get("kernelspec") or {}).get("language")
    return named if isinstance(named, str) and named.isalnum() else ""
