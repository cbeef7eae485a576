"""Where a sentence can be cut so that each part says a thing, and whether a question and its answer are whole. Pure."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from howdah.chains.evaluation.english import THIRD

_THIRDS = "|".join(sorted(THIRD))
_CUT = re.compile(
    r"(?:\b(?:i can|that|neither|either|and|or|the|an?|of|to|even|only|but|as|is|are|,))\?$|[:;,]\?$| even (?:if|when)\?"
)
_AND_DOES = re.compile(rf"\b(?:and|or|but) (?:then |so )?(?:is|are|was|were|can|goes|does|has|{_THIRDS})\b")
_EMPTY = re.compile(
    r"(?:one|it|them|this|that|so|yes|no|the \w+|the same.*|all of (?:these|them)|an? \w+ one|.*'s|.*\b(?:and|or|the|of))"
)
_LOOSE = re.compile(
    r"(?:and|or|nor|but|as|like|such as|including|even|also|then|one|another|more|using|with \w+ing|for example|read|see|go|check"
    r"|(?:have|take) a look|,)\b"
)
_LISTED = re.compile(r"`[^`]+`,? (?:and|or|`)")  # the rest of a list that was cut
_PRONOUN = re.compile(r"(?:it|them|they|this|these|those|there|nothing but)\b")
# Where a clause ends that says a thing of its own.
_CLAUSE = re.compile(
    rf"(?:[;:]\s|\s[–—-]\s|,? (?:and|but) (?:is|are|was|were|can|goes|does|has|{_THIRDS})\b)(?=(?:[^`]*`[^`]*`)*[^`]*$)"
)


class Pair(NamedTuple):
    """A question, its answer in the sentence's words, and the form that it is of."""

    question: str
    answer: str
    form: str


def whole(pair: Pair) -> bool:
    """Whether nothing of either was cut where its sense goes on."""
    question, answer = pair.question.casefold(), pair.answer.casefold()
    if (
        _CUT.search(question)
        or _AND_DOES.search(question)
        or re.search(r"\b(\w+) by \1\b", f"{question[:-1]} {answer}")
    ):
        return False
    if pair.form in ("what", "where", "with", "by") and _PRONOUN.match(answer):
        return False
    if _LISTED.match(answer) or re.search(rf", (?:{_THIRDS})\b", answer):
        return False
    if ", but " in question or re.search(r"[a-z)]\. \S", answer):
        return False
    if pair.form == "when" and len(answer.split()) < 5:
        return False
    return not _EMPTY.fullmatch(answer) and not _LOOSE.match(answer) and not answer.endswith((":", ","))


def clauses(text: str) -> Iterator[str]:
    """The parts of a sentence that say something by themselves; one that a colon opens ends there and says too little."""
    begin = 0
    for match in _CLAUSE.finditer(text):
        if match[0][0] != ":":
            yield text[begin : match.start()]
        if match[0].strip()[0] not in ";–—-":
            return
        begin = match.end()
    yield text[begin:]
