"""What is to become of a sentence: which passages hold it, by its own citations or another's, and who said so. Pure."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace

from howdah.chains.markers import Clause
from howdah.chains.sentences import Span
from howdah.chains.verify import NOWHERE, USUAL, Bar, Passage, Reason, Support, support
from howdah.chains.words import facts

# Measured on true and false claims made of XQuAD's questions (docs/answers.md): below this the local cross-encoder says yes
# to false claims about the same thing as readily as to true ones, so that it is no witness against a claim either.
CONFIRMS = 0.999
_ASKED = 3  # parts of passages that it is asked about

Question = tuple[str, list[str]]
"""A sentence, and the texts that may hold it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ruling:
    """On a sentence: the quotes, by place of their passage, that hold it; none where nothing does.

    `reason` is what its own citation lacks. `corrects`: the quote is to be shown in its place. `near` is what a second
    opinion can be asked about, `opinion` its score. `cited`: the places that the sentence itself names.
    """

    quotes: tuple[tuple[int, Span], ...] = ()
    repaired: bool = False
    reason: Reason = ""
    share: float = 0.0
    corrects: bool = False
    cited: frozenset[int] = frozenset()
    near: tuple[tuple[int, Support], ...] = ()
    opinion: float | None = None


def rule(clauses: Sequence[Clause], passages: Sequence[Passage], *, bar: Bar = USUAL, repair: bool = True) -> Ruling:
    """On a sentence cut at its markers: by the passages that it cites, else by any other that holds all of it."""
    whole = "".join(clause.text for clause in clauses).strip()
    cited = dict.fromkeys(n - 1 for clause in clauses for n in clause.numbers if 0 < n <= len(passages))
    tried = [(place, support(whole, passages[place], bar=bar)) for place in cited]
    if held := _holding(tried):
        return held
    if parts := _by_clauses(clauses, passages, bar):
        return Ruling(quotes=parts, share=1.0)
    reason: Reason = tried[0][1].reason if tried else "uncited"
    others = [place for place in range(len(passages)) if place not in cited] if repair else []
    for place in others:
        tried.append((place, support(whole, passages[place], bar=bar)))
        if held := _holding(tried[-1:]):
            return replace(held, repaired=True, reason=reason)
    share = max((found.share for _, found in tried), default=0.0)
    unheld: Reason = tried[0][1].reason if tried else "uncited"
    return Ruling(reason=unheld, share=share, cited=frozenset(cited), near=_nearly(tried))


def second(
    sentence: str, ruling: Ruling, passages: Sequence[Passage]
) -> Generator[Question, list[float] | None, Ruling]:
    """The ruling after a second opinion, which is asked only about words and their order; it is sent the scores."""
    if ruling.quotes or not ruling.near:
        return ruling
    texts = [passages[place].hit.content[slice(*found.near)] for place, found in ruling.near]
    scores = yield sentence, texts
    if not scores:
        return ruling
    score, best = max(zip(scores, range(len(texts)), strict=True), key=lambda pair: (pair[0], -pair[1]))
    if score < CONFIRMS:
        return replace(ruling, opinion=score)
    place, found = ruling.near[best]
    return replace(ruling, quotes=((place, found.near),), repaired=place not in ruling.cited, opinion=score)


def _holding(tried: Iterable[tuple[int, Support]]) -> Ruling | None:
    """By all that hold it as it stands; else by the first that it is a near copy of."""
    holding = [(place, found) for place, found in tried if found.holds]
    plain = [(place, found) for place, found in holding if not found.corrects] or holding[:1]
    if not plain:
        return None
    quotes = tuple((place, found.span) for place, found in plain)
    return Ruling(quotes=quotes, share=max(found.share for _, found in plain), corrects=plain[0][1].corrects)


def _nearly(tried: Iterable[tuple[int, Support]]) -> tuple[tuple[int, Support], ...]:
    nearly = [(place, found) for place, found in tried if found.near != NOWHERE]
    return tuple(sorted(nearly, key=lambda each: -each[1].share)[:_ASKED])


def _by_clauses(clauses: Sequence[Clause], passages: Sequence[Passage], bar: Bar) -> tuple[tuple[int, Span], ...]:
    """Each clause by a passage of its own; none where one is not held."""
    if len(clauses) < 2:
        return ()
    parts = [_clause_quote(clause, passages, bar) for clause in clauses]
    return () if None in parts else tuple(part for part in parts if part is not None)


def _clause_quote(clause: Clause, passages: Sequence[Passage], bar: Bar) -> tuple[int, Span] | None:
    if len(facts(clause.text).content) < 2:
        return None  # too little to stand alone: "and Pydantic"
    for n in clause.numbers:
        if 0 < n <= len(passages):
            found = support(clause.text, passages[n - 1], bar=bar)
            if found.holds and not found.corrects:
                return n - 1, found.span
    return None
