"""Plain text: bytes to characters, newlines untouched."""

import re

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.kinds import Kind, RawFile, is_wide
from howdah.retrieval.types import Extract

INSTALL = "pip install 'howdah[files]'"
_WESTERN = re.compile(r"[\0-\x7f\xa0àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿœšžßÀ-ÖØ-ÝŒŠŽ“”‘’‚„–—…«»‹›€£¡¿°§·•©®™´ºª¼½¾]*")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def read_text(file: RawFile, text: str) -> Extract:
    """The decoded file as it is; plain text has no headings."""
    return Extract(text=text, media_type=Kind.TEXT.value)


def decode(file: RawFile) -> str:
    """The file's characters: by byte order mark (which is dropped), as UTF-8, or by guess.

    Each NUL and each lone surrogate, which PostgreSQL cannot store, becomes one U+FFFD, so that offsets stay those
    of the decoded file. Bytes that are wrong in otherwise sound UTF-8 become U+FFFD too.

    Raises LoadError if no encoding fits or nothing but white space is there.
    """
    text = storable(_decoded(file))
    if not text.strip():
        raise file.error("has no text, only white space")
    return text


def storable(text: str) -> str:
    """`text` with one U+FFFD for each character that PostgreSQL cannot hold; as long as before."""
    return _UNSTORABLE.sub("\ufffd", text)


def _decoded(file: RawFile) -> str:
    data = file.data
    if wide := is_wide(data):
        return data.decode(wide, errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _damaged_utf8(data) or _guessed(file)


def _damaged_utf8(data: bytes) -> str | None:
    """Sound but for a few bytes (a cut at the end, a stray Latin-1 line): a guess would garble all the rest."""
    text = data.decode("utf-8-sig", errors="replace")
    beyond_ascii = len(text) - len(text.encode("ascii", errors="ignore"))
    wrong = text.count("\ufffd")
    return text if beyond_ascii - wrong >= 10 * wrong else None


def _guessed(file: RawFile) -> str:
    """By what a page declares, where that fits, else by the look of the text; both are charset-normalizer's work."""
    try:
        from charset_normalizer import from_bytes
    except ImportError as exc:
        needed = f"{file.source}: text that is not UTF-8"
        raise PackageMissing("charset-normalizer", needed_for=needed, install=INSTALL) from exc
    best = from_bytes(file.data).best()
    if best is None:
        raise file.error("is text in no encoding that could be recognised, or binary", hint="save it as UTF-8")
    # Of code pages that fit a Western text about equally well, mac_latin2 or iso8859_10 may come first: Windows-1252 is
    # by far the commonest, and its scores tell it from Windows-1250 and 1254, which use the same letters otherwise.
    western = from_bytes(file.data, cp_isolation=["cp1252"]).best()
    if western and western.chaos <= best.chaos + 0.05 and western.coherence >= best.coherence - 0.1:
        return str(western) if _WESTERN.fullmatch(str(western)) else str(best)
    return str(best)
