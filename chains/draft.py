"""An answer being written: a model's tokens in, verified sentences out. No I/O; sync and async share it."""

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from howdah.chains.calls import calls_tool, is_data
from howdah.chains.citations import citation, locate, place
from howdah.chains.clean import clean, unnumbered, visible, without_item
from howdah.chains.extractive import Candidate
from howdah.chains.markers import Clause, clauses
from howdah.chains.quotations import requoted
from howdah.chains.ruling import Question, Ruling, rule, second
from howdah.chains.sentences import SentenceStream, Span
from howdah.chains.showable import inert, quotable
from howdah.chains.turn import Turn
from howdah.chains.types import AnswerChunk, Check, Citation, Evidence, Status
from howdah.chains.verify import USUAL, Bar, Passage
from howdah.chains.words import facts, miscounts

Policy = Literal["repair", "drop", "mark"]
Judging = Generator[Question, list[float] | None, AnswerChunk]

UNANSWERABLE = "UNANSWERABLE"
UNSUPPORTED = "[unsupported]"
LONGEST = 12_000  # characters that a model may write; more is no answer
_REPEATS = 3  # repeated sentences after which a model is going in circles
_LOST = 40  # sentences without a held one among them, after which there will be none
_ENDLESS = 1_500  # characters without the end of a sentence after which a repetition is looked for
_PERIOD, _TIMES = 150, 8  # characters that repeat, and how often
_SHOWABLE = frozenset({"words", "order", "name", "negation", "uncited"})  # what may be shown as unsupported
_ECHO = 0.6  # of a sentence's words in the instructions: it repeats these
_ASKS_FOR = re.compile(  # something, rather than yes or no
    r"\W*(?:\w+\W+){0,2}(?:what|who|whom|whose|which|when|where|why|how|wer|wen|wem|was|wann|wo|warum|wie|welche[mnrs]?"
    r"|qué|quién|cuál|cuándo|dónde|cuánt[oa]s?|qui|quels?|quelles?|quand|où|pourquoi|combien)\b",
    re.IGNORECASE,
)
_SAYS_NO = re.compile(rf"\W*{UNANSWERABLE}\b", re.IGNORECASE)


class Draft:
    """One answer. `enough` says that no more tokens are wanted; `declined` that the model found no answer."""

    def __init__(self, turn: Turn, bar: Bar = USUAL, *, policy: Policy = "repair") -> None:
        self._bar, self._policy, self._judged = bar, policy, 0
        self._asked = facts(turn.query).content if _ASKS_FOR.match(turn.query) else frozenset()
        self._passages = [Passage.of(hit) for hit in turn.hits]
        # A passage that has the word may have made the model say it.
        self._baited = any(UNANSWERABLE in hit.content.upper() for hit in turn.hits)
        self._instructions: frozenset[str] = frozenset()
        self._stream = SentenceStream()
        self._cited: dict[tuple[int, Span], int] = {}
        self._met: set[str] = set()  # sentences, as the model wrote them
        self._said: set[str] = set()  # as they were shown
        self._gap = ""
        self._repeats = self._length = self._lost = 0
        self._circling = False
        self.wrote = self.declined = False
        self.held = False  # by a passage, something that was written

    @property
    def enough(self) -> bool:
        stopped = self.declined or self._circling or self._repeats >= _REPEATS or self._lost >= _LOST
        return stopped or self._judged == self._bar.sentences or self._length > LONGEST

    def instruct(self, instructions: str) -> None:
        """What the model is told, which it must not repeat under the policy `mark`."""
        self._instructions = facts(instructions).content

    def feed(self, token: str) -> list[tuple[str, str]]:
        """The sentences that `token` makes whole, each with the white space before it."""
        self._length += len(token)
        found = self._stream.feed(token)
        pending = self._stream.pending
        self._circling = len(pending) > _ENDLESS and _repeats(pending)
        return found

    def finish(self) -> list[tuple[str, str]]:
        return [] if self._circling else self._stream.finish()

    def quote(self, candidates: Sequence[Candidate]) -> Iterator[AnswerChunk]:
        """Passages' own sentences, as they stand there."""
        for candidate in candidates:
            if text := quotable(candidate.text):
                text = " ".join(line.strip() for line in text.splitlines())  # breaks of the source's own width
                yield self._chunk(text, [(candidate.place, candidate.span)], "quoted", Ruling(share=1.0))

    def has_said(self, text: str) -> bool:
        """Whether this sentence was shown already, its full stop aside."""
        return text.strip().rstrip(".").casefold() in {said.rstrip(".") for said in self._said}

    def judge(self, gap: str, sentence: str) -> Judging:
        """The sentence as a chunk, or why it is dropped; asks for a second opinion, and is sent scores, or none."""
        self._gap = max(self._gap, gap, key=lambda each: each.count("\n"))
        if self.enough:
            return AnswerChunk()
        if not self.wrote and _SAYS_NO.match(sentence):
            self.declined = not self._baited
            return AnswerChunk(checks=(Check(status="dropped", reason="declined"),)) if self._baited else AnswerChunk()
        # Links and pictures go first: one may hide a marker, or be one. Passages were shown with `<` escaped.
        shown = unnumbered(clean(sentence.replace("&lt;", "<").replace("&gt;", ">")))
        parts = clauses(requoted(shown, [passage.hit.content for passage in self._passages]))
        text = "".join(part.text for part in parts).strip()
        self._lost += 1
        if reason := self._unfit([visible(sentence), shown, text, *(part.text for part in parts)], text):
            return AnswerChunk(checks=(Check(status="dropped", reason=reason),))
        bare = [Clause(without_item(part.text), part.numbers) for part in parts]
        ruling = rule(bare, self._passages, bar=self._bar, repair=self._policy != "drop")
        ruling = yield from second("".join(part.text for part in bare).strip(), ruling, self._passages)
        return self._ruled(text, ruling)

    def _unfit(self, spellings: Sequence[str], text: str) -> str:
        """Why a sentence is not even looked up; "" where it is."""
        if any(map(calls_tool, spellings)):
            return "call"
        if any(map(is_data, spellings)) and not any(locate(text, passage.hit.content) for passage in self._passages):
            return "markup"
        content = facts(text).content
        if content and text.casefold() in self._met:
            self._repeats += 1
            return "repeated"
        self._met.add(text.casefold())
        self._judged += 1
        return "restates the question" if content and content <= self._asked else ""

    def _ruled(self, text: str, ruling: Ruling) -> AnswerChunk:
        if not ruling.quotes:
            return self._unheld(text, ruling)
        if ruling.corrects:
            where, span = ruling.quotes[0]
            text = quotable(self._passages[where].hit.content[span.start : span.end])
        else:
            text = requoted(text, [self._passages[where].hit.content for where, _ in ruling.quotes], correct=False)
        shown = inert(text)
        if not shown or shown.casefold() in self._said:
            return AnswerChunk(checks=(Check(status="dropped", reason="repeated" if shown else "markup"),))
        self._said.add(shown.casefold())
        status: Status = "corrected" if ruling.corrects else "repaired" if ruling.repaired else "supported"
        return self._chunk(shown, ruling.quotes, status, ruling)

    def _unheld(self, text: str, ruling: Ruling) -> AnswerChunk:
        check = Check(status="dropped", reason=ruling.reason, share=ruling.share, opinion=ruling.opinion)
        shown = inert(requoted(text, ())) if self._policy == "mark" and self._may_mark(text, ruling) else ""
        if not shown:
            return AnswerChunk(checks=(check,))
        return self._written(f"{shown} {UNSUPPORTED}", (), replace(check, status="marked"))

    def _may_mark(self, text: str, ruling: Ruling) -> bool:
        """Whether a sentence that nothing holds may be shown as that: no number or link that one passage lacks."""
        claim = facts(text)
        if ruling.reason not in _SHOWABLE or claim.links:
            return False
        if claim.content and len(claim.content & self._instructions) >= _ECHO * len(claim.content):
            return False
        return not claim.quantities or any(
            not miscounts(claim, facts(passage.hit.content)) for passage in self._passages
        )

    def _chunk(self, text: str, quotes: Sequence[tuple[int, Span]], status: Status, ruling: Ruling) -> AnswerChunk:
        new: list[Citation] = []
        numbers: list[int] = []
        for where, span in dict.fromkeys(quotes):
            if (where, span) not in self._cited:
                self._cited[where, span] = len(self._cited) + 1
                new.append(citation(self._passages[where].hit, span, n=self._cited[where, span]))
            numbers.append(self._cited[where, span])
        check = Check(
            status=status,
            reason=ruling.reason,
            n=tuple(numbers),
            share=ruling.share,
            opinion=ruling.opinion,
            evidence=tuple(self._evidence(where, span) for where, span in dict.fromkeys(quotes)),
        )
        self.held = True
        return self._written(f"{text} {''.join(f'[{n}]' for n in numbers)}", tuple(new), check)

    def _evidence(self, where: int, span: Span) -> Evidence:
        hit = self._passages[where].hit
        start, end = place(hit, span) or (None, None)
        return Evidence(id=hit.id, start=start, end=end)

    def _written(self, text: str, citations: tuple[Citation, ...], check: Check) -> AnswerChunk:
        shown = f"{self._separator()}{text}"
        self.wrote, self._gap, self._lost = True, "", 0
        return AnswerChunk(text=shown, citations=citations, checks=(check,))

    def _separator(self) -> str:
        if not self.wrote:
            return ""
        return "\n" * min(self._gap.count("\n"), 2) or " "


def _repeats(text: str) -> bool:
    """Whether `text` ends in the same few characters again and again."""
    return any(text.endswith(text[-period:] * _TIMES) for period in range(1, _PERIOD + 1))
