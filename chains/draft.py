"""An answer being written: a model's tokens in, verified sentences out. No I/O; sync and async share it."""

import re
from collections.abc import Iterator, Sequence

from howdah.chains.citations import citation
from howdah.chains.clean import clean, unnumbered, without_item
from howdah.chains.extractive import Candidate
from howdah.chains.markers import Clause, clauses
from howdah.chains.sentences import SentenceStream, Span
from howdah.chains.turn import Turn
from howdah.chains.types import AnswerChunk, Check, Citation, Status
from howdah.chains.verify import USUAL, Bar, Passage, rule
from howdah.chains.words import facts

UNANSWERABLE = "UNANSWERABLE"
_REPEATS = 3  # repeated sentences after which a model is going in circles
_ASKS_FOR = re.compile(  # something, rather than yes or no
    r"\W*(?:\w+\W+){0,2}(?:what|who|whom|whose|which|when|where|why|how|wer|wen|wem|was|wann|wo|warum|wie|welche[mnrs]?"
    r"|qué|quién|cuál|cuándo|dónde|cuánt[oa]s?|qui|quels?|quelles?|quand|où|pourquoi|combien)\b",
    re.IGNORECASE,
)
_SAYS_NO = re.compile(rf"\W*{UNANSWERABLE}\b", re.IGNORECASE)


class Draft:
    """One answer. `enough` says that no more tokens are wanted; `declined` that the model found no answer."""

    def __init__(self, turn: Turn, bar: Bar = USUAL) -> None:
        self._bar, self._judged = bar, 0
        self._asked = facts(turn.query).content if _ASKS_FOR.match(turn.query) else frozenset()
        self._passages = [Passage.of(hit) for hit in turn.hits]
        self._stream = SentenceStream()
        self._cited: dict[tuple[int, Span], int] = {}
        self._said: set[str] = set()
        self._gap = ""
        self._repeats = 0
        self.wrote = self.declined = False

    @property
    def enough(self) -> bool:
        return self.declined or self._repeats >= _REPEATS or self._judged == self._bar.sentences

    def feed(self, token: str) -> Iterator[AnswerChunk]:
        yield from self._take(self._stream.feed(token))

    def finish(self) -> Iterator[AnswerChunk]:
        yield from self._take(self._stream.finish())

    def quote(self, candidates: Sequence[Candidate]) -> Iterator[AnswerChunk]:
        """Passages' own sentences, as they stand there."""
        for candidate in candidates:
            yield self._chunk(clean(candidate.text), [(candidate.place, candidate.span)], "quoted", "")

    def _take(self, found: Sequence[tuple[str, str]]) -> Iterator[AnswerChunk]:
        for gap, sentence in found:
            self._gap = max(self._gap, gap, key=lambda each: each.count("\n"))
            if self.enough:
                return
            if not self.wrote and _SAYS_NO.match(sentence):
                self.declined = True
                return
            yield self._sentence(sentence)

    def _sentence(self, sentence: str) -> AnswerChunk:
        # Links and pictures go first: one may hide a marker, or be one.
        parts = clauses(unnumbered(clean(sentence)))
        text = "".join(part.text for part in parts).strip()
        if text.casefold() in self._said:
            self._repeats += 1
            return AnswerChunk(checks=(Check(status="dropped", reason="repeated"),))
        self._judged += 1
        if (content := facts(text).content) and content <= self._asked:
            return AnswerChunk(checks=(Check(status="dropped", reason="restates the question"),))
        bare = [Clause(without_item(part.text), part.numbers) for part in parts]
        ruling = rule(bare, self._passages, bar=self._bar)
        if not ruling.quotes:
            return AnswerChunk(checks=(Check(status="dropped", reason=ruling.reason),))
        self._said.add(text.casefold())
        status: Status = "repaired" if ruling.repaired else "supported"
        return self._chunk(text, ruling.quotes, status, ruling.reason)

    def _chunk(self, text: str, quotes: Sequence[tuple[int, Span]], status: Status, reason: str) -> AnswerChunk:
        new: list[Citation] = []
        numbers: list[int] = []
        for place, span in dict.fromkeys(quotes):
            if (place, span) not in self._cited:
                self._cited[place, span] = len(self._cited) + 1
                new.append(citation(self._passages[place].hit, span, n=self._cited[place, span]))
            numbers.append(self._cited[place, span])
        marks = "".join(f"[{n}]" for n in numbers)
        shown = f"{self._separator()}{text} {marks}"
        self.wrote, self._gap = True, ""
        check = Check(status=status, reason=reason, n=tuple(numbers))
        return AnswerChunk(text=shown, citations=tuple(new), checks=(check,))

    def _separator(self) -> str:
        if not self.wrote:
            return ""
        return "\n" * min(self._gap.count("\n"), 2) or " "
