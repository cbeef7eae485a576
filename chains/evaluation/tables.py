"""Questions from the rows of a Markdown table: what a column says of the thing in the first one. Pure."""

import re
from collections.abc import Iterator, Sequence

from howdah.chains.clean import clean
from howdah.chains.evaluation.wholeness import Pair

_CELLS = re.compile(r"(?<!\\)\|")
_RULE = re.compile(r"[\s|:-]+")
_ASKED = (
    (re.compile(r"(?:meaning|means|what it means)"), "What does {} mean?"),
    (re.compile(r"(?:default|default value)"), "What is the default of {}?"),
    (re.compile(r"(?:what it does|does|effect|what happens)"), "What does {} do?"),
    (re.compile(r"(?:description|purpose|use|for|what for|what it is for)"), "What is {} for?"),
    (re.compile(r"(?:type|unit|example|requires|needs)"), "What is the {column} of {}?"),
)


def rows(text: str) -> Iterator[tuple[tuple[int, int], Pair]]:
    """For each row and each column that is known how to ask for: where the row stands in `text`, and question and answer."""
    head: Sequence[str] = ()
    before: Sequence[str] = ()
    begin = 0
    for line in text.split("\n"):
        place = (begin, begin + len(line))
        begin += len(line) + 1
        if not line.lstrip().startswith("|"):
            head = before = ()
        elif _RULE.fullmatch(line):
            head = before
        else:
            before = cells(line)
            if head and len(head) == len(before):
                yield from ((place, pair) for pair in _row(head, before))


def cells(line: str) -> list[str]:
    return [" ".join(clean(cell).split()) for cell in _CELLS.split(line.strip().strip("|"))]


def _row(head: Sequence[str], row: Sequence[str]) -> Iterator[Pair]:
    thing = row[0]
    if not thing or len(thing.split()) > 5:
        return
    for column, said in zip(head[1:], row[1:], strict=True):
        asked = next((how for known, how in _ASKED if known.fullmatch(column.casefold())), None)
        if asked and len(said.split()) > 1:
            yield Pair(asked.format(thing, column=column.casefold()), said, "table")
