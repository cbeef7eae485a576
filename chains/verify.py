"""Does a passage hold what a sentence says? By numbers, names, links, negation and the share of its words. Pure.

It errs towards no: a paraphrase may be thrown out, and the chain then quotes; a number or a name that the passage does
not hold never passes. Meaning that the surface does not show (who did what to whom) is beyond it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Literal

from howdah.chains.citations import locate
from howdah.chains.folding import undivided
from howdah.chains.fuzzy import misspells, nearest
from howdah.chains.sentences import Span, sentences
from howdah.chains.words import Facts, denies, facts, miscounts, reverses
from howdah.retrieval.types import Hit

Reason = Literal["", "empty", "number", "name", "link", "negation", "words", "order", "uncited", "doubt"]
DOUBTFUL: frozenset[Reason] = frozenset({"words", "order"})  # what a second opinion may overrule

NOWHERE = Span(0, 0)
_HALF = 0.5  # of the content words, below which no second opinion is asked
_FEWEST = 2  # content words of a sentence that is not a passage's own


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """How much of a sentence a passage must hold.

    `share` of its content words, and `order` of their neighbourhoods, in at most `widest` sentences. `sentences` is
    how many a model may write. `paraphrases`: whether a second opinion may let one pass that lacks words.
    """

    share: float
    order: float
    widest: int
    sentences: int | None
    paraphrases: bool


# 0.7 is above 2/3 and below 3/4: of three content words none may be foreign, of four to six one.
USUAL = Bar(share=0.7, order=0.0, widest=3, sentences=None, paraphrases=True)
# For a model that shuffles a passage's words into falsehoods (SmolLM2 does): next to a quotation, or it is quoted.
STRICT = Bar(share=0.9, order=0.6, widest=1, sentences=1, paraphrases=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Support:
    """What a passage says to a sentence: nothing (`reason` is what it lacks), or `span`, the shortest part that holds it.

    `corrects`: the sentence is a near copy of `span`, which is to be shown in its place. `near` is the one sentence that
    lacks nothing but words, for a second opinion.
    """

    span: Span = NOWHERE
    reason: Reason = ""
    share: float = 0.0
    corrects: bool = False
    near: Span = NOWHERE

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


def support(sentence: str, passage: Passage, *, bar: Bar = USUAL) -> Support:
    """The shortest part of `passage` that holds `sentence`: its own words where they stand there, else whole sentences."""
    claim = facts(sentence)
    if not claim.content and not claim.numbers:
        return Support(reason="empty")
    if (verbatim := locate(sentence, passage.hit.content)) and _held_around(claim, verbatim, passage, bar):
        return Support(span=verbatim, share=1.0)
    if len(claim.content) < _FEWEST and not claim.numbers:
        return Support(reason="words")  # "These are instructions.": any passage has a word
    found = _by_sentences(claim, passage, bar)
    if found.holds:
        return replace(found, span=_narrowed(sentence, claim, found.span, passage, bar))
    return _corrected(sentence, claim, found, passage) or found


def _by_sentences(claim: Facts, passage: Passage, bar: Bar) -> Support:
    """The fewest sentences that hold `claim`; else what the best of them lack."""
    best, near = Support(reason="words"), Support()
    for size in range(1, bar.widest + 1):
        found = list(_windows(claim, passage, size, bar))
        if holding := [each for each in found if each.holds]:
            return max(holding, key=lambda each: (each.share, each.span.start - each.span.end))
        best = max([best, *found], key=lambda each: each.share)
        if size == 1 and bar.paraphrases:
            near = max((each for each in found if each.reason in DOUBTFUL), key=lambda each: each.share, default=near)
    return replace(best, span=NOWHERE, near=near.span if near.share >= _HALF else NOWHERE)


def _narrowed(sentence: str, claim: Facts, span: Span, passage: Passage, bar: Bar) -> Span:
    """The part of `span` that `sentence` is nearly, where that alone holds it."""
    within = nearest(sentence, passage.hit.content[span.start : span.end])
    if within is None:
        return span
    part = Span(span.start + within.start, span.start + within.end)
    return part if not judge(claim, _facts_of([part], passage), bar)[0] else span


def _corrected(sentence: str, claim: Facts, found: Support, passage: Passage) -> Support | None:
    """The whole sentences that `sentence` is a near copy of: it may be misspelt, but not say another number or name."""
    if found.reason not in ("words", "order", "name") or (part := nearest(sentence, passage.hit.content)) is None:
        return None
    around = _around(part, passage)
    evidence = _facts_of(around, passage)
    missing = claim.names - evidence.content - evidence.names
    if any(lacking for reason, lacking in _lacks(claim, evidence) if reason != "name") or not all(
        misspells(name, evidence.content | evidence.names) for name in missing
    ):
        return None
    span = Span(around[0].start, around[-1].end)
    return Support(span=span, share=share_of(claim, evidence), corrects=True) if len(around) == 1 else None


def judge(claim: Facts, evidence: Facts, bar: Bar) -> tuple[Reason, float]:
    """What `evidence` lacks of `claim` ("" where nothing), and the share of content words that it holds."""
    share = share_of(claim, evidence)
    lacks: list[tuple[Reason, bool]] = [
        *_lacks(claim, evidence),
        ("words", share < bar.share),
        ("order", len(claim.pairs & evidence.pairs) < bar.order * len(claim.pairs)),
    ]
    missing: list[Reason] = [reason for reason, lacking in lacks if lacking]
    return (missing[0] if missing else ""), share


def share_of(claim: Facts, evidence: Facts) -> float:
    return len(claim.content & evidence.content) / len(claim.content) if claim.content else 1.0


def _lacks(claim: Facts, evidence: Facts) -> list[tuple[Reason, bool]]:
    """The findings that no second opinion overrules."""
    return [
        ("number", miscounts(claim, evidence)),
        ("name", bool(claim.names - evidence.content - evidence.names)),
        ("link", bool(claim.links - evidence.links)),
        ("negation", denies(claim, evidence) or reverses(claim, evidence)),
    ]


def _held_around(claim: Facts, span: Span, passage: Passage, bar: Bar) -> bool:
    """A sentence's own words may stand inside one that denies them: the whole of it must not."""
    return not judge(claim, _facts_of(_around(span, passage), passage), bar)[0]


def _around(span: Span, passage: Passage) -> list[Span]:
    return [each for each in passage.spans if each.start < span.end and each.end > span.start]


def _windows(claim: Facts, passage: Passage, size: int, bar: Bar) -> Iterator[Support]:
    """What each run of `size` sentences says; those without a word of the claim are stepped over."""
    single = [_facts_of_one(passage.hit.content[start:end]) for start, end in passage.spans]
    common = [not claim.content or not claim.content.isdisjoint(each.content) for each in single]
    for first in range(len(single) - size + 1):
        if any(common[first : first + size]):
            reason, share = judge(claim, reduce(or_, single[first : first + size], passage.heading), bar)
            yield Support(
                span=Span(passage.spans[first].start, passage.spans[first + size - 1].end), reason=reason, share=share
            )


def _facts_of(spans: Sequence[Span], passage: Passage) -> Facts:
    return reduce(or_, (_facts_of_one(passage.hit.content[start:end]) for start, end in spans), passage.heading)


def _facts_of_one(text: str) -> Facts:
    """Words that a line end divides count in halves and whole."""
    whole = undivided(text)
    return facts(text) if whole == text else facts(text) | facts(whole)
