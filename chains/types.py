"""The values that leave `chains`: an answer, the pieces that it streams in, and what it cites."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import reduce
from operator import add
from typing import Any, Literal, Self

from howdah.retrieval.types import Hit

Status = Literal["supported", "repaired", "corrected", "quoted", "marked", "dropped"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Citation:
    """`[n]` in an answer. `quote` is the source's own text, `text[start:end]` of the document where offsets are known.

    `also_in`: other documents that hold the same passage.
    """

    n: int
    id: str
    source: str | None = None
    title: str | None = None
    page: int | None = None
    start: int | None = None
    end: int | None = None
    quote: str
    also_in: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything by its name; `also_in` is there only if there is one."""
        shown = {name: getattr(self, name) for name in ("n", "id", "source", "title", "page", "start", "end", "quote")}
        return {**shown, **_also(self.also_in)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    """What a sentence was checked against: the passage's id, and the range of the document where offsets are known."""

    id: str
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What became of one sentence, and how that was found.

    supported: its own citation holds it. repaired: another passage does, and is cited instead. corrected: it was a near
    copy of a passage's sentence, which is shown in its place. quoted: it is the passage's own. marked: nothing holds it,
    and it is shown as unsupported. dropped: nothing holds it, and its text is gone.

    `reason` says what its own citation did not hold. `n` are its citations, `evidence` the passages behind these.
    `share` of its content words is in the best of them, from 0 to 1; `opinion` is the reranker's score of the sentence and
    its evidence, where it was asked.
    """

    status: Status
    reason: str = ""
    n: tuple[int, ...] = ()
    share: float | None = None
    opinion: float | None = None
    evidence: tuple[Evidence, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything by its name; all of it is JSON, and none of it is text of a document."""
        found = [{"id": each.id, "start": each.start, "end": each.end} for each in self.evidence]
        shown = {name: getattr(self, name) for name in ("status", "reason", "share", "opinion")}
        return {**shown, "n": list(self.n), "evidence": found}


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """An answer whose every sentence is held by a passage.

    `hits` are all passages retrieved, best first. `model` wrote the text: a model's name, "extractive" for quotes,
    None for a refusal that no model was asked about. `note` says what went wrong on the way. `searched` says of a
    refusal what was looked through: collection, mode, filter, passages, documents, as far as the retriever tells.
    `timings` are in milliseconds; they and `trace`, the id of the answer's trace where one was kept, don't count when
    answers are compared.
    """

    text: str = ""
    citations: tuple[Citation, ...] = ()
    refused: bool = False
    hits: tuple[Hit, ...] = ()
    timings: Mapping[str, float] = field(default_factory=dict)
    model: str | None = None
    note: str | None = None
    checks: tuple[Check, ...] = ()
    trace: str | None = None
    searched: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_chunks(cls, chunks: Iterable["AnswerChunk"]) -> "Answer":
        """The answer that `chunks` add up to."""
        return reduce(add, chunks, AnswerChunk()).answer()

    def to_dict(self) -> dict[str, Any]:
        """What `howdah ask --json` prints; everything in it is JSON. `note`, `trace`, `searched` are there if there is one."""
        shown: dict[str, Any] = {
            "answer": self.text,
            "citations": [citation.to_dict() for citation in self.citations],
            "refused": self.refused,
            "hits": [hit_to_dict(hit) for hit in self.hits],
            "model": self.model,
            "checks": [check.to_dict() for check in self.checks],
            "timings_ms": {name: round(ms, 1) for name, ms in self.timings.items()},
        }
        rest = {"note": self.note, "trace": self.trace, "searched": _plain(self.searched) or None}
        return {**shown, **{name: value for name, value in rest.items() if value is not None}}

    def __str__(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and self._compared() == other._compared()

    __hash__ = None  # type: ignore[assignment]  # it holds metadata, which can't be hashed

    def _compared(self) -> tuple[object, ...]:
        return tuple(getattr(self, each.name) for each in fields(Answer) if each.name not in ("timings", "trace"))


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswerChunk(Answer):
    """A piece of an answer: a verified sentence, or what is known before the first and after the last.

    Chunks add up with `+`: texts, citations, hits and checks are joined; of model, note and trace the later one holds.
    With `retracts` the text, citations and checks of a chunk take the place of all before it: who shows a stream takes
    back what was shown and shows this instead. Only `verify="after"` sends one, and at most one.
    """

    retracts: bool = False

    def __add__(self, other: "AnswerChunk") -> Self:
        kept = AnswerChunk() if other.retracts else self
        return type(self)(
            text=kept.text + other.text,
            citations=kept.citations + other.citations,
            refused=self.refused or other.refused,
            hits=self.hits + other.hits,
            timings={**self.timings, **other.timings},
            model=self.model if other.model is None else other.model,
            note=self.note if other.note is None else other.note,
            checks=kept.checks + other.checks,
            trace=self.trace if other.trace is None else other.trace,
            retracts=self.retracts or other.retracts,
            searched={**self.searched, **other.searched},
        )

    def answer(self) -> Answer:
        return Answer(**{each.name: getattr(self, each.name) for each in fields(Answer)})


def hit_to_dict(hit: Hit) -> dict[str, Any]:
    """A hit as `howdah search --json` and `ask --json` print it; metadata that is not JSON becomes text.

    `also_in` is there only if there is one.
    """
    return {
        "id": hit.id,
        "score": hit.score,
        "scores": dict(hit.scores),
        "source": hit.source,
        "title": hit.title,
        "page": hit.page,
        "start": hit.start,
        "end": hit.end,
        "content": hit.content,
        "metadata": _plain(hit.metadata),
        **_also(hit.also_in),
    }


def _also(sources: tuple[str, ...]) -> dict[str, list[str]]:
    return {"also_in": list(sources)} if sources else {}


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not abs(value) < float("inf"):
        return None
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
