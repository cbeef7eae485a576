"""The questions that refusal is learned from: read from a file, or made from the collection."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from howdah.chains.cloze import ask
from howdah.chains.foreign import FOREIGN
from howdah.retrieval import queries, upkeep
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.ranking import Gold
from howdah.retrieval.rows import hit

if TYPE_CHECKING:
    from howdah.retrieval.types import Hit
    from howdah.retrieval.vectorstore import PGVector

Kind = Literal["answerable", "left out", "foreign", "unanswerable"]
_KEYS = frozenset({"question", "answers", "source", "unanswerable"})
_OF_A_TEST_SET = frozenset({"id", "quote"})  # which `howdah eval make` writes beside them
_FORM = """one JSON object a line: {"question": "…", "answers": ["…"], "source": "…", "unanswerable": false}"""
_SEED = 7


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """One question, and whether the collection answers it: `left out` does but for its own document, which `filter`
    leaves out; `foreign` is about something else. Those of one `group` are the same question. `held` is text that
    answers it: where a passage that was found has it, it is not unanswerable at all.
    """

    text: str
    kind: Kind
    group: str
    filter: Mapping[str, Any] | None = None
    held: tuple[str, ...] = ()

    @property
    def answerable(self) -> bool:
        return self.kind == "answerable"


def read_questions(path: Path) -> list[Question]:
    """The questions of a JSONL file; an answerable one with a source is asked once more without that document.

    Raises InvalidInput, naming the line.
    """
    return [made for where, row in rows(path) for made in _of_row(row, where)]


def rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSONL file of questions, checked, each with the words that name its line. Raises InvalidInput."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read ({error})", hint=f"give a UTF-8 file, {_FORM}") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield where, _row(line, where)


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"{where} is not JSON ({error.msg})", hint=f"write {_FORM}") from None
    if not isinstance(row, dict) or not isinstance(row.get("question"), str) or not row["question"].strip():
        raise InvalidInput(f"{where} has no question", hint=f"write {_FORM}")
    if unknown := sorted(set(row) - _KEYS - _OF_A_TEST_SET):
        raise InvalidInput(f"{where} has an unknown key {unknown[0]!r}", hint=f"write {_FORM}")
    answers = row.get("answers") or []
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise InvalidInput(f"{where} has answers that are not a list of texts", hint=f"write {_FORM}")
    return row


def _of_row(row: dict[str, Any], group: str) -> Iterator[Question]:
    text = row["question"].strip()
    if row.get("unanswerable"):
        yield Question(text=text, kind="unanswerable", group=group)
        return
    yield Question(text=text, kind="answerable", group=group)
    if row.get("source"):
        left_out = {"source": {"$ne": Gold.of(str(row["source"]), ()).source}}
        held = tuple(answer for answer in row.get("answers") or () if len(answer) > 3)
        yield Question(text=text, kind="left out", group=group, filter=left_out, held=held)


def make_questions(store: "PGVector", count: int) -> list[Question]:
    """About `count` questions that passages of the collection answer, each once more without its document, and foreign ones.

    The passages lie evenly over the collection, so that the same collection gives the same questions.
    """
    draw = random.Random(_SEED)  # noqa: S311  no secret: the same questions every time
    made = [
        question
        for passage in _spread(store, count)
        if (asked := ask(passage, draw)) is not None
        for question in _pair(asked.question, asked.sentence, passage)
    ]
    return [*made, *(Question(text=text, kind="foreign", group=text) for text in FOREIGN)]


def _spread(store: "PGVector", count: int) -> "list[Hit]":
    found = store.store.get(store.collection_name)
    ids = [row["id"] for row in store.store.rows(upkeep.sample(found, count))]
    return [hit(row) for row in store.store.rows(queries.by_ids(found, ids))]


def _pair(text: str, sentence: str, passage: "Hit") -> Sequence[Question]:
    own = {"source": {"$ne": passage.source}} if passage.source else {"$id": {"$nin": [passage.id]}}
    return (
        Question(text=text, kind="answerable", group=passage.id),
        Question(text=text, kind="left out", group=passage.id, filter=own, held=(sentence,)),
    )
