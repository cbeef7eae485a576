"""RTF by striprtf: its text; RTF has no headings that could be told from large print."""

import re
from typing import Any

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.package import parsing
from howdah.retrieval.loaders.text import INSTALL, storable
from howdah.retrieval.types import Extract

_CODE_PAGE = re.compile(rb"\\ansicpg(\d+)")


def read_rtf(file: RawFile) -> Extract:
    """Raises LoadError if it is damaged or has no text."""
    try:
        from striprtf import striprtf
    except ImportError as exc:
        raise PackageMissing("striprtf", needed_for=f"{file.source}: RTF", install=INSTALL) from exc
    encoding = _encoding(file.data)
    parser: Any = striprtf
    with parsing(file, "RTF document"):
        found = parser.rtf_to_text(file.data.decode(encoding, errors="replace"), encoding=encoding, errors="replace")
    # Characters beyond the basic plane come as two halves.
    whole = found.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="replace")
    lines = [line.rstrip() for line in storable(whole).replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
    if not text.strip():
        raise file.error("has no text", hint="if its pages are pictures, run it through an OCR program first")
    return Extract(text=text, media_type=Kind.RTF.value)


def _encoding(data: bytes) -> str:
    """The code page that the file names for its bytes beyond ASCII, else Western Windows."""
    named = _CODE_PAGE.search(data[:4096])
    encoding = f"cp{int(named[1])}" if named else "cp1252"
    try:
        "".encode(encoding)
    except LookupError:
        return "utf-8" if named and named[1] == b"65001" else "cp1252"
    return encoding
