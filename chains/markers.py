"""The citation markers in a model's text: `[2]`, `[1, 3]`, `[1][2]`, `[passage 2]`, `【2】`. Pure."""

import re
from typing import NamedTuple

_NUMBERS = r"\d{1,4}(?:\s*[,;–-]\s*\d{1,4})*"
_MARKER = rf"[\[【]\s*(?:\^|(?:passages?|sources?|documents?)\s+)?({_NUMBERS})\s*(?:†[^\]】]*)?[\]】]"
MARKER = re.compile(_MARKER, re.IGNORECASE)
MARKERS = re.compile(rf"(?:\s*{_MARKER})+", re.IGNORECASE)
_CODE = re.compile(r"`[^`\n]*`")


class Clause(NamedTuple):
    """A piece of a sentence, and the passages that the model says it rests on."""

    text: str
    numbers: tuple[int, ...]


def clauses(sentence: str) -> list[Clause]:
    """`sentence` cut after each group of markers; a last piece of punctuation alone joins the one before."""
    found: list[Clause] = []
    begin = 0
    for group in MARKERS.finditer(sentence):
        if _in_code(sentence, group.start()):
            continue
        found.append(Clause(sentence[begin : group.start()], _numbers(group[0])))
        begin = group.end()
    rest = sentence[begin:]
    if found and not re.search(r"\w", rest):
        last = found.pop()
        found.append(Clause(last.text + rest.rstrip(), last.numbers))
    elif rest:
        found.append(Clause(rest, ()))
    return found


def without_markers(sentence: str) -> str:
    return "".join(clause.text for clause in clauses(sentence)).strip()


def _numbers(group: str) -> tuple[int, ...]:
    found: list[int] = []
    for marker in MARKER.finditer(group):
        for part in re.split(r"\s*[,;]\s*", marker[1]):
            first, *last = (int(number) for number in re.split(r"\s*[–-]\s*", part))
            found += range(first, min(last[-1], first + 9) + 1) if last else [first]
    return tuple(dict.fromkeys(found))


def _in_code(sentence: str, position: int) -> bool:
    return any(code.start() <= position < code.end() for code in _CODE.finditer(sentence))
