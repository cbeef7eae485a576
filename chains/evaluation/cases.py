"""The questions of a test: one JSON object a line, with what is known of the right answer."""

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from howdah.chains.questions import rows
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.ranking import Gold


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One question. `answers` are gold answers, any of which is right; `gold` is where the answer stands.

    `quote` is the text that stood there when the question was made: it finds the place again where the document changed.
    """

    id: str
    question: str
    answers: tuple[str, ...] = ()
    gold: Gold | None = None
    unanswerable: bool = False
    quote: str | None = None


def read_cases(path: Path) -> list[Case]:
    """The questions of a JSONL file, or of a folder's questions.jsonl, in its order. Raises InvalidInput, naming the line."""
    file = path / "questions.jsonl" if path.is_dir() else path
    found: list[Case] = []
    seen: dict[str, str] = {}
    for where, row in rows(file):
        case = _case(where, row)
        if case.id in seen:
            raise InvalidInput(
                f"{where} has the id {case.id!r} of {seen[case.id]}", hint="give each question an id of its own"
            )
        seen[case.id] = where
        found.append(case)
    if not found:
        raise InvalidInput(f"{file} holds no question")
    return found


def chosen(cases: Sequence[Case], *, limit: int | None, seed: int | None) -> list[Case]:
    """The first `limit`; with a seed as many drawn at random, in the file's order."""
    if limit is None or limit >= len(cases):
        return list(cases)
    if seed is None:
        return list(cases[:limit])
    drawn = random.Random(seed).sample(range(len(cases)), limit)  # noqa: S311  no secret: the same questions every time
    return [cases[place] for place in sorted(drawn)]


def _case(where: str, row: Mapping[str, Any]) -> Case:
    source, quote = row.get("source"), row.get("quote")
    if not isinstance(source, str | None) or not isinstance(quote, str | None):
        raise InvalidInput(f"{where} has a source or quote that is no text", hint="write it between quotation marks")
    text = row["question"].strip()
    answers = tuple(answer for answer in row.get("answers") or () if answer.strip())
    return Case(
        id=str(row.get("id") or _digest(text, source)),
        question=text,
        answers=answers,
        gold=Gold.of(source, ()) if source else None,
        unanswerable=bool(row.get("unanswerable")),
        quote=quote,
    )


def _digest(*parts: str | None) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
