"""Does a passage hold what a sentence says? By numbers, names, links, negation and the share of its words. Pure.

It errs towards no: a paraphrase may be thrown out, and the chain then quotes; a number or a name that the passage does
not hold never passes. Meaning that the surface does not show (who did what to whom) is beyond it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import or_
from typing import Literal

from howdah.chains.citations import locate
from howdah.chains.markers import Clause
from howdah.chains.sentences import Span, sentences
from howdah.chains.words import Facts, denies, facts, miscounts, reverses
from howdah.retrieval.types import Hit

Reason = Literal["", "empty", "number", "name", "link", "negation", "words", "order", "uncited"]

NOWHERE = Span(0, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """How much of a sentence a passage must hold.

    `share` of its content words, and `order` of their neighbourhoods, in at most `widest` sentences. `sentences` is
    how many a model may write.
    """

    share: float
    order: float
    widest: int
    sentences: int | None


# 0.7 is above 2/3 and below 3/4: of three content words none may be foreign, of four to six one.
USUAL = Bar(share=0.7, order=0.0, widest=3, sentences=None)
# For a model that shuffles a passage's words into falsehoods (SmolLM2 does): next to a quotation, or it is quoted.
STRICT = Bar(share=0.9, order=0.6, widest=1, sentences=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Support:
    """What a passage says to a sentence: nothing (`reason` is what it lacks), or `span`, the shortest part that holds it."""

    span: Span = NOWHERE
    reason: Reason = ""
    share: float = 0.0

    @property
    def holds(self) -> bool:
        return not self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Passage:
    """A retrieved passage made ready for checking. Title and section may lend names and words, but never numbers."""

    hit: Hit
    spans: tuple[Span, ...]
    heading: Facts = field(default_factory=Facts)

    @classmethod
    def of(cls, hit: Hit) -> "Passage":
        heading = facts(" ".join(filter(None, (hit.title, hit.section))).replace("_", " "))
        lent = Facts(words=heading.words, content=heading.content)
        return cls(hit=hit, spans=tuple(sentences(hit.content)), heading=lent)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruling:
    """What is to become of a sentence: the quotes, by place of their passage, that hold it; none where nothing does."""

    quotes: tuple[tuple[int, Span], ...] = ()
    repaired: bool = False
    reason: Reason = ""


def rule(clauses: Sequence[Clause], passages: Sequence[Passage], *, bar: Bar = USUAL) -> Ruling:
    """On a sentence cut at its markers: by the passages that it cites, else by any other that holds all of it."""
    whole = "".join(clause.text for clause in clauses).strip()
    cited = [n for clause in clauses for n in clause.numbers if 0 < n <= len(passages)]
    reason: Reason = "uncited"
    if cited:
        quotes, reason = _by_citation(whole, clauses, cited, passages, bar)
        if not reason:
            return Ruling(quotes=quotes)
    for place, passage in enumerate(passages):
        found = support(whole, passage, bar=bar)
        if found.holds:
            return Ruling(quotes=((place, found.span),), repaired=True, reason=reason)
        reason = found.reason if reason == "uncited" else reason
    return Ruling(reason=reason)


def support(sentence: str, passage: Passage, *, bar: Bar = USUAL) -> Support:
    """The shortest part of `passage` that holds `sentence`: its own words where they stand there, else whole sentences."""
    claim = facts(sentence)
    if not claim.content and not claim.numbers:
        return Support(reason="empty")
    if (verbatim := locate(sentence, passage.hit.content)) and _verbatim_holds(claim, verbatim, passage, bar):
        return Support(span=verbatim, share=1.0)
    best = Support(reason="words")
    for size in range(1, bar.widest + 1):
        fitting = [found for found in _windows(claim, passage, size, bar) if found.holds or found.share > best.share]
        holding = [found for found in fitting if found.holds]
        if holding:
            return max(holding, key=lambda found: (found.share, found.span.start - found.span.end))
        best = max([best, *fitting], key=lambda found: found.share)
    return best


def judge(claim: Facts, evidence: Facts, bar: Bar) -> tuple[Reason, float]:
    """What `evidence` lacks of `claim` ("" where nothing), and the share of content words that it holds."""
    share = len(claim.content & evidence.content) / len(claim.content) if claim.content else 1.0
    lacks: list[tuple[Reason, bool]] = [
        ("number", miscounts(claim, evidence)),
        ("name", bool(claim.names - evidence.content - evidence.names)),
        ("link", bool(claim.links - evidence.links)),
        ("negation", denies(claim, evidence) or reverses(claim, evidence)),
        ("words", share < bar.share),
        ("order", len(claim.pairs & evidence.pairs) < bar.order * len(claim.pairs)),
    ]
    missing: list[Reason] = [reason for reason, lacking in lacks if lacking]
    return (missing[0] if missing else ""), share


def _by_citation(
    whole: str, clauses: Sequence[Clause], cited: Sequence[int], passages: Sequence[Passage], bar: Bar
) -> tuple[tuple[tuple[int, Span], ...], Reason]:
    """Held by one cited passage whole, else each clause by a passage of its own."""
    tried = [(n - 1, support(whole, passages[n - 1], bar=bar)) for n in dict.fromkeys(cited)]
    if held := [(place, found.span) for place, found in tried if found.holds]:
        return tuple(held), ""
    parts = [_clause_quote(clause, passages, bar) for clause in clauses]
    if len(parts) > 1 and None not in parts:
        return tuple(part for part in parts if part is not None), ""
    return (), tried[0][1].reason


def _clause_quote(clause: Clause, passages: Sequence[Passage], bar: Bar) -> tuple[int, Span] | None:
    if len(facts(clause.text).content) < 2:
        return None  # too little to stand alone: "and Pydantic"
    for n in clause.numbers:
        if 0 < n <= len(passages) and (found := support(clause.text, passages[n - 1], bar=bar)).holds:
            return n - 1, found.span
    return None


def _verbatim_holds(claim: Facts, span: Span, passage: Passage, bar: Bar) -> bool:
    """A sentence's own words may stand inside one that denies them: the whole of it must not."""
    around = [each for each in passage.spans if each.start < span.end and each.end > span.start]
    return not judge(claim, _facts_of(around, passage), bar)[0]


def _windows(claim: Facts, passage: Passage, size: int, bar: Bar) -> Iterator[Support]:
    for first in range(len(passage.spans) - size + 1):
        window = passage.spans[first : first + size]
        reason, share = judge(claim, _facts_of(window, passage), bar)
        yield Support(span=Span(window[0].start, window[-1].end), reason=reason, share=share)


def _facts_of(spans: Sequence[Span], passage: Passage) -> Facts:
    return reduce(or_, (facts(passage.hit.content[start:end]) for start, end in spans), passage.heading)
