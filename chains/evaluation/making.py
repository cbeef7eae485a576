"""Questions of a collection: passages drawn over all its documents, one question of each that can be asked of it."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from howdah.chains.evaluation.drafts import Draft, Origin
from howdah.chains.evaluation.rules import Made, plain
from howdah.chains.evaluation.writing import Writer
from howdah.retrieval import drawn
from howdah.retrieval.rows import hit
from howdah.retrieval.types import Hit

if TYPE_CHECKING:
    from howdah.retrieval.collection import Collection
    from howdah.retrieval.store import Store

TRIED = 4  # questions of a passage that are looked at
_LOOKED = 200  # passages that are counted for a question
_FORMS = 0.3  # of the questions that one form may make
_KNOWN_BY_NAME = frozenset({"definition", "model"})  # that ask for one thing, however often it is spoken of
_VAGUE, _VAGUE_PART = 3, 0.1  # documents, and the share of them, that may speak of all that a question speaks of
_ASKING = re.compile(
    r"^(?:what (?:happens|happened|should I do|can I use to|lets me|is|are|was|were|does|do)|how (?:do|can|does) (?:I)?"
    r"|where|when|why|which)\b|\b(?:used for|called|mean)\?$",
    re.IGNORECASE,
)


@dataclass
class Making:
    """What came of the passages that were read: `drafts`, and how many questions were left for a reason."""

    drafts: list[Draft] = field(default_factory=list)
    passages: int = 0
    left: Counter[str] = field(default_factory=Counter)


@dataclass
class Maker:
    """Reads at most `passages` passages, in an order that the seed decides. Constructing it does no I/O."""

    store: "Store"
    found: "Collection"
    writer: Writer
    count: int
    seed: int
    passages: int
    note: Callable[[int, int], None] = lambda _read, _made: None

    def make(self) -> Making:
        """Up to `count` drafts, each of another passage; first none of a form that has made its share, then any."""
        made, waiting = Making(), list[tuple[Hit, Made]]()
        forms, asked, most = Counter[str](), set[str](), max(math.ceil(_FORMS * self.count), 2)
        for passage in self._drawn():
            if len(made.drafts) >= self.count:
                break
            made.passages += 1
            for one in self._good(passage, asked, made.left):
                if self.writer.by == "rule" and forms[one.form] >= most:
                    waiting.append((passage, one))
                    continue
                self._take(made, passage, one, asked)
                forms[one.form] += 1
                break
            self.note(made.passages, len(made.drafts))
        for passage, one in waiting:
            if len(made.drafts) < self.count and _key(one) not in asked:
                self._take(made, passage, one, asked)
        made.drafts = self._with_hashes(made.drafts)
        return made

    def _drawn(self) -> Iterator[Hit]:
        yield from map(hit, self.store.rows(drawn.drawn(self.found, seed=self.seed, limit=self.passages)))

    def _good(self, passage: Hit, asked: set[str], left: Counter[str]) -> list[Made]:
        """Those that nobody has asked, that speak of few documents, and whose answer stands in one document alone."""
        found = [one for one in self.writer.write(passage)[:TRIED] if _key(one) not in asked]
        if not found or not self.found.spec.lexical:
            return found
        texts = [*(spoken_of(one.question) for one in found), *(plain(one.quote) for one in found)]
        rows = self.store.rows(drawn.together(self.found, texts, most=_LOOKED))
        counts = [row["documents"] for row in rows]
        good = []
        for one, speak, state in zip(found, counts[: len(found)], counts[len(found) :], strict=True):
            if state > 1:
                left["said by several documents"] += 1
            elif speak > self._vague and one.form not in _KNOWN_BY_NAME:
                left["vague"] += 1
            else:
                good.append(one)
        return good

    @property
    def _vague(self) -> float:
        return max(_VAGUE, _VAGUE_PART * self._documents)

    @cached_property
    def _documents(self) -> int:
        return int(self.store.rows(drawn.documents(self.found))[0]["documents"])

    def _take(self, made: Making, passage: Hit, one: Made, asked: set[str]) -> None:
        asked.add(_key(one))
        origin = Origin(
            by=self.writer.by,
            form=one.form,
            document=passage.source,
            start=one.start,
            end=one.end,
            passage=passage.id,
            model=self.writer.model,
            prompt=self.writer.prompt,
        )
        made.drafts.append(
            Draft(
                id=f"q{len(made.drafts) + 1:04}",
                question=one.question,
                answers=one.answers,
                quote=one.quote,
                context=passage.content,
                origin=origin,
            )
        )

    def _with_hashes(self, drafts: Sequence[Draft]) -> list[Draft]:
        sources = sorted({draft.origin.document for draft in drafts if draft.origin.document})
        hashes = {row["source"]: row["hash"] for row in self.store.rows(drawn.hashes(self.found, sources))}
        return [
            replace(draft, origin=replace(draft.origin, sha256=hashes.get(draft.origin.document or "")))
            for draft in drafts
        ]


def spoken_of(question: str) -> str:
    """The words of a question without those that only ask."""
    return _ASKING.sub(" ", question)


def _key(one: Made) -> str:
    return " ".join(one.question.casefold().split())
