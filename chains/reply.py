"""One answer on its way to the reader: what sync and async share of making it. No I/O."""

import time
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any, Literal

from langchain_core.messages import SystemMessage
from langchain_core.prompt_values import PromptValue

from howdah.chains.clean import visible
from howdah.chains.draft import Draft, Policy
from howdah.chains.phrases import REFUSALS, refusal
from howdah.chains.ruling import Question
from howdah.chains.small import SmallDraft, chosen
from howdah.chains.turn import Turn, milliseconds
from howdah.chains.types import AnswerChunk
from howdah.chains.verify import Bar

REFUSAL = REFUSALS["en"]
EXTRACTIVE_NAME = "extractive"

Verify = Literal["before", "after"]
Steps = Generator[AnswerChunk | Question, list[float] | None, None]
"""Chunks for the reader, and questions for the reranker, which are answered with its scores, or with none."""


class Reply:
    """`model` is the name of who writes, if anyone does."""

    def __init__(
        self, turn: Turn, model: str | None, bar: Bar, *, policy: Policy, verify: Verify, small: bool = False
    ) -> None:
        self._turn, self._model, self._small = turn, model, small
        self._draft = SmallDraft(turn) if small else Draft(turn, bar, policy=policy)
        self._timings: dict[str, float] = {}
        self._since = 0.0
        self._wrote = False  # that the model did, rather than a quote
        self._held: list[AnswerChunk] | None = [] if verify == "after" else None
        self._shown = ""  # of a text that is not verified yet
        self.error: Exception | None = None

    @property
    def enough(self) -> bool:
        return self._draft.enough

    @property
    def needs_quotes(self) -> bool:
        return not (self._turn.refused or self._draft.declined or (self._draft.held and not self._small))

    def opening(self) -> AnswerChunk:
        self._since = time.perf_counter()
        return AnswerChunk(hits=self._turn.hits, timings=self._turn.timings)

    def told(self, prompt: PromptValue) -> None:
        """What the model is asked; its instructions are not to be repeated."""
        system = [message.text for message in prompt.to_messages() if isinstance(message, SystemMessage)]
        self._draft.instruct("\n".join(system))

    def feed(self, token: str) -> Steps:
        if self._held is not None and (text := visible(token)):
            self._shown += text
            yield self._seen(AnswerChunk(text=text))
        for gap, sentence in self._draft.feed(token):
            yield from self._judged(gap, sentence)

    def finish(self) -> Steps:
        for gap, sentence in self._draft.finish():
            yield from self._judged(gap, sentence)

    def end(self) -> None:
        """The model writes no more."""
        self._wrote, self._timings["model"] = self._draft.held, milliseconds(self._since)

    def quote(self) -> Steps:
        """The best sentences of the best passages."""
        if self._draft.wrote:  # a small model's sentence goes before the quote that it rests on
            best = [each for each in chosen(self._turn)[:1] if not self._draft.has_said(each.text)]
        else:
            best = self._turn.to_quote()
        for chunk in self._draft.quote(best):
            yield from self._released(chunk)

    @property
    def refused(self) -> bool:
        return self._turn.refused or not self._draft.wrote

    def closing(self, searched: Mapping[str, Any]) -> Iterator[AnswerChunk]:
        """The end; `searched` says of a refusal what was looked through."""
        last = AnswerChunk(
            text=refusal(self._turn.question) if self.refused else "",
            refused=self.refused,
            searched=searched,
            model=self._author(),
            note=self._note(),
            timings={**self._timings, "total": milliseconds(self._turn.began)},
        )
        if self._held is None:
            yield last
            return
        final = reduce(add, [*self._held, last])
        taken_back = self._shown not in ("", final.text)
        text = final.text if taken_back or not self._shown else ""
        yield replace(final, text=text, retracts=taken_back)

    def _judged(self, gap: str, sentence: str) -> Steps:
        judging = self._draft.judge(gap, sentence)
        chunk = yield from judging
        yield from self._released(chunk)

    def _released(self, chunk: AnswerChunk) -> Iterator[AnswerChunk]:
        if self._held is not None:
            self._held.append(chunk)
        elif chunk != AnswerChunk():
            yield self._seen(chunk)

    def _seen(self, chunk: AnswerChunk) -> AnswerChunk:
        if chunk.text and "first" not in self._timings:
            self._timings["first"] = milliseconds(self._turn.began)
        return chunk

    def _author(self) -> str | None:
        if self._turn.refused:
            return None
        return self._model if self._wrote or self._draft.declined else EXTRACTIVE_NAME

    def _note(self) -> str | None:
        """The error's class alone: its text may hold keys, or the documents."""
        if self._model is None or self._turn.refused or self._draft.declined:
            return None
        if self.error is not None:
            failed = f"{self._model} failed ({type(self.error).__name__})"
            return f"{failed}; the answer may be incomplete" if self._wrote else f"{failed}; these are quotes"
        if self._wrote or self._small:  # of a small model quotes are the rule
            return None
        return f"no passage held what {self._model} wrote; these are quotes"
