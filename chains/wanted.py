"""What kind of answer a question asks for, and whether a text has one that the question does not say itself. Pure."""

import re
from functools import lru_cache
from typing import Literal

from howdah.chains.words import content_words, facts, proper_names, stem

Kind = Literal["number", "date", "person", "place", "name"]

_KINDS: tuple[tuple[Kind, str], ...] = (
    (
        "date",
        r"when|(?:what|which|in what|in which) (?:year|date|day|month|decade|century|era)|wann|welche[mns]? (?:jahr|tag|datum)"
        r"|cuándo|(?:qué|cuál) (?:año|fecha|día)|quand|quelle (?:année|date)",
    ),
    (
        "number",
        r"how (?:many|much|long|old|often|far|large|big|high|tall|deep|fast|wide|heavy|hot|cold|few)"
        r"|what (?:percentage|percent|number|amount|proportion|fraction|share|age)|wie ?viele?"
        r"|wie (?:alt|lange|hoch|groß|oft|weit)"
        r"|cuánt[oa]s?|qué (?:porcentaje|número)|combien|quel (?:âge|nombre|pourcentage)",
    ),
    (
        "person",
        r"who|whom|whose|which (?:person|man|woman|player|president|king|author|scientist)|wer|wem|wen|quién(?:es)?|qui",
    ),
    (
        "place",
        r"where|(?:what|which|in what|in which) (?:city|country|state|town|place|region|river|continent)|wo|wohin|dónde|où",
    ),
    (
        "name",
        r"(?:what|which) (?:company|team|university|organi[sz]ation|school|college|band|book|newspaper|language|religion)"
        r"|what (?:is|was|are|were) the names? of",
    ),
)
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(rf"\b(?:{words})\b", re.IGNORECASE)) for kind, words in _KINDS
)
_YEAR = re.compile(
    r"\b(?:1\d{3}|20\d{2}|\d{1,2}(?:st|nd|rd|th)|\d{1,2}\.)(?:s|\b)|\b(?:january|february|(?-i:March)|april|(?-i:May)|june|july|august"
    r"|september|october|november|december|monday|tuesday|wednesday|thursday|friday|saturday|sunday|century|centuries"
    r"|januar|februar|märz|mai|juni|juli|oktober|dezember|jahrhundert|enero|febrero|marzo|abril|mayo|junio|julio|agosto"
    r"|septiembre|octubre|noviembre|diciembre|siglo|janvier|février|mars|avril|juin|juillet|août|septembre|octobre"
    r"|novembre|décembre|siècle)\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=1024)
def wanted(question: str) -> Kind | None:
    """The kind of answer that a question asks for; None where its words do not tell. The first of two kinds counts."""
    found: list[tuple[int, Kind]] = [
        (match.start(), kind) for kind, pattern in _PATTERNS if (match := pattern.search(question))
    ]
    return min(found)[1] if found else None


def offers(kind: Kind, text: str, question: str) -> bool:
    """Whether `text` holds something of that kind beyond what the question says."""
    if kind == "number":
        return bool(facts(text).numbers - facts(question).numbers)
    if kind == "date":
        return bool(
            {each.casefold() for each in _YEAR.findall(text)} - {each.casefold() for each in _YEAR.findall(question)}
        )
    asked = set(content_words(question))
    return any(stem(name) not in asked for name in proper_names(text))
