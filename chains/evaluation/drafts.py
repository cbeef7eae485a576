"""A question for a test set on its way: what was asked of which text, by whom it was made, and what was decided of it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal, Self

Decision = Literal["", "accepted", "edited", "dropped"]
Who = Literal["", "person", "--yes"]


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a question is from. `start` and `end` are the quote's code points in the document, whose text has `sha256`.

    `by` is "rule", "model" or "list"; `form` names the rule. `model` and `prompt` (its version) are of a model's question.
    """

    by: str
    form: str
    document: str | None = None
    sha256: str | None = None
    start: int | None = None
    end: int | None = None
    passage: str | None = None
    model: str | None = None
    prompt: str | None = None


@dataclass(frozen=True, kw_only=True)
class Draft:
    """`quote` answers the question; `context` is the passage around it, for whoever decides. Both are "" of unanswerable ones.

    `made` is the question as it was made, where a person changed it, or what a swapped one was made of. `stale`: its quote no
    longer stands in the document once.
    """

    id: str
    question: str
    answers: tuple[str, ...] = ()
    quote: str = ""
    context: str = ""
    unanswerable: bool = False
    origin: Origin
    decision: Decision = ""
    who: Who = ""
    at: str = ""
    made: Mapping[str, Any] = field(default_factory=dict)
    stale: bool = False

    @property
    def source(self) -> str | None:
        """`document#start-end`, which stays true however the document is cut."""
        its = self.origin
        return None if its.start is None or self.unanswerable else f"{its.document}#{its.start}-{its.end}"

    @property
    def kept(self) -> bool:
        return self.decision in ("accepted", "edited") and not self.stale

    def decided(self, decision: Decision, who: Who = "person") -> "Draft":
        return replace(self, decision=decision, who=who if decision else "", at=_now() if decision else "")

    def changed(self, question: str, answers: tuple[str, ...]) -> "Draft":
        """As a person has written it, and accepted by that."""
        if (question, answers) == (self.question, self.answers):
            return self.decided("accepted")
        made = self.made or {"question": self.question, "answers": list(self.answers)}
        return replace(self, question=question, answers=answers, made=made).decided("edited")

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "answers": list(self.answers)}

    @classmethod
    def of(cls, saved: Mapping[str, Any]) -> Self:
        return cls(**{**saved, "answers": tuple(saved["answers"]), "origin": Origin(**saved["origin"])})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
