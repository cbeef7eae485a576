"""The small local model made useful: what it is shown, and which of its sentences are let through. Pure.

Measured on XQuAD (benchmarks/answers.py). Of a few hundred characters it copies well; of more it takes the wrong number,
and seconds. So the sentence to quote is found first, the model sees that one and its neighbours, and what it writes stands
before the quote, never in its place.
"""

from collections.abc import Sequence

from howdah.chains.draft import Draft, Judging
from howdah.chains.extractive import Candidate
from howdah.chains.markers import without_markers
from howdah.chains.sentences import sentences
from howdah.chains.turn import Turn
from howdah.chains.types import AnswerChunk, Check
from howdah.chains.verify import STRICT
from howdah.chains.wanted import Kind, offers, wanted
from howdah.chains.words import content_words

ROOM = 300  # characters that it sees; 1,000 took three times as long to the first token, and were copied worse


class SmallDraft(Draft):
    """A draft by a model that was shown `excerpt` alone: a sentence is held by that passage, or is dropped."""

    def __init__(self, turn: Turn) -> None:
        super().__init__(turn, STRICT, policy="drop")
        self._query = turn.query
        self._kind: Kind | None = wanted(turn.query)
        best = chosen(turn)
        self._place, self._best = (best[0].place, content_words(best[0].text)) if best else (0, [])

    def judge(self, gap: str, sentence: str) -> Judging:
        said = without_markers(sentence)
        if self._kind is not None and not offers(self._kind, said, self._query):
            self._judged += 1
            return AnswerChunk(checks=(Check(status="dropped", reason="not what was asked for"),))
        if not _shortens(content_words(said), self._best):
            self._judged += 1
            return AnswerChunk(checks=(Check(status="dropped", reason="order"),))
        return (yield from super().judge(gap, f"{said} [{self._place + 1}]"))


def _shortens(said: Sequence[str], whole: Sequence[str]) -> bool:
    """Whether `whole` becomes `said` by leaving words out: in another order they may say something else."""
    left = iter(whole)
    return bool(said) and all(word in left for word in said)


def chosen(turn: Turn) -> Sequence[Candidate]:
    """The sentences that would be quoted, the best first."""
    scores = dict(zip(turn.quotable, turn.quote_scores, strict=True))
    return sorted(turn.to_quote(), key=lambda each: -scores.get(each, 0.0))


def excerpt(turn: Turn, room: int) -> str:
    """The best sentence and as many of those around it as there is room for, unable to open or close anything."""
    best = chosen(turn)
    if not best:
        return ""
    text, span = turn.hits[best[0].place].content, best[0].span
    spans = sentences(text)
    first = last = next((n for n, each in enumerate(spans) if each.end > span.start), 0)
    grown = True
    while grown:
        grown = False
        if first > 0 and spans[last].end - spans[first - 1].start <= room:
            first, grown = first - 1, True
        if last + 1 < len(spans) and spans[last + 1].end - spans[first].start <= room:
            last, grown = last + 1, True
    piece = text[spans[first].start : spans[last].end] if spans else text
    return " ".join(piece.split())[: 2 * room].replace("<", "&lt;")
