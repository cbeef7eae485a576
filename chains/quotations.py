"""Quotation marks in an answer: around a passage's exact words, or gone. Pure."""

import re
from collections.abc import Sequence

from howdah.chains.citations import locate
from howdah.chains.clean import clean
from howdah.chains.fuzzy import nearest
from howdah.chains.markers import MARKERS

_QUOTED = re.compile(
    r"“([^“”]{1,1000})”|„([^„“”]{1,1000})[“”]|«([^«»]{1,1000})»|»([^«»]{1,1000})«|‹([^‹›]{1,1000})›|「([^「」]{1,1000})」"
    r"|『([^『』]{1,1000})』|(?<![\w'’])‘([^‘’]{1,1000})’(?!\w)|(?<![\w\"])\"(?=\S)([^\"]{1,1000}?)\"(?!\w)"
    r"|(?<![\w'])'(?=\S)([^'\n]{1,1000}?)'(?!\w)"
)
_CODE = re.compile(r"`[^`\n]*`|```[\s\S]*?```")
_LAST = re.compile(r"[\s.,;:!?…]*$")


def requoted(text: str, contents: Sequence[str], *, correct: bool = True) -> str:
    """`text` with what stands in quotation marks as one of `contents` has it.

    A near copy becomes the exact words (`correct`), and the marks around what none of them holds go.
    """
    code = [match.span() for match in _CODE.finditer(text)]

    def replaced(match: re.Match[str]) -> str:
        if any(start <= match.start() < end for start, end in code):
            return match[0]
        inner = next(group for group in match.groups() if group is not None)
        said = MARKERS.sub("", inner)
        marks = "".join(group[0] for group in MARKERS.finditer(inner))
        exact = _exact(said, contents, correct=correct)
        return (said.strip() if exact is None else f"{match[0][0]}{exact}{match[0][-1]}") + marks

    return _QUOTED.sub(replaced, text)


def _exact(said: str, contents: Sequence[str], *, correct: bool) -> str | None:
    """The words of a passage that `said` is, or nearly is, with its own last punctuation."""
    if not re.search(r"\w", said):
        return said
    for find in (locate, nearest) if correct else (locate,):
        for content in contents:
            if span := find(said, content):
                words = clean(" ".join(content[span.start : span.end].split()))
                last = _LAST.search(said)
                return _LAST.sub("", words) + (last[0].rstrip() if last else "")
    return None
