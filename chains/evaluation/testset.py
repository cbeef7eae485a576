"""A folder of test questions: the drafts with what was decided of them, and from those that were kept a test set.

drafts.jsonl is the work; queries.jsonl and qrels/test.tsv are BEIR's layout without a corpus, for `howdah eval retrieval`;
questions.jsonl is for `howdah eval answers` and `howdah tune --refusal`; provenance.jsonl says where each is from.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from howdah.chains.evaluation.drafts import Draft
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation import beir

DRAFTS, QUESTIONS, PROVENANCE = "drafts.jsonl", "questions.jsonl", "provenance.jsonl"
FORMAT = "howdah eval make 1"


@dataclass(frozen=True, kw_only=True)
class Folder:
    """`about` says of which collection the drafts are, and how they were made."""

    path: Path
    about: Mapping[str, Any]
    drafts: list[Draft]

    def save(self) -> None:
        """Write the drafts; whoever stops in between finds them as they were before or after."""
        self.path.mkdir(parents=True, exist_ok=True)
        head = json.dumps({"format": FORMAT, **self.about}, ensure_ascii=False)
        _replace(self.path / DRAFTS, [head, *(_line(draft.to_json()) for draft in self.drafts)])

    def publish(self) -> None:
        """Write the test set of the drafts that were kept; nothing while none is."""
        kept = [draft for draft in self.drafts if draft.kept]
        if not kept:
            return
        judged = [draft for draft in kept if draft.source]
        qrels = {draft.id: {draft.source or "": 1} for draft in judged}
        beir.write(self.path, ({"_id": draft.id, "text": draft.question} for draft in judged), qrels)
        _replace(self.path / QUESTIONS, map(_line, map(_question, kept)))
        _replace(self.path / PROVENANCE, map(_line, map(_provenance, kept)))


def read(path: Path) -> Folder | None:
    """The folder's drafts; None where there are none yet. Raises InvalidInput for a folder that is something else."""
    file = path / DRAFTS
    if not file.exists():
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InvalidInput(f"{path} is there, and holds no drafts", hint="give a new folder, or an empty one")
        return None
    try:
        head, *rows = [json.loads(line) for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
        if head.pop("format", None) != FORMAT:
            raise ValueError("another format")
        return Folder(path=path, about=head, drafts=[Draft.of(row) for row in rows])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{file} cannot be read ({error})", hint="give a new folder") from error


def _question(draft: Draft) -> dict[str, Any]:
    row: dict[str, Any] = {"id": draft.id, "question": draft.question}
    if draft.unanswerable:
        return {**row, "unanswerable": True}
    placed = {"source": draft.source, "quote": draft.quote} if draft.source else {}
    return {**row, "answers": list(draft.answers), **placed}


def _provenance(draft: Draft) -> dict[str, Any]:
    its = draft.origin
    known = {name: value for name, value in vars(its).items() if value is not None}
    decided = {"decision": draft.decision, "who": draft.who, "at": draft.at}
    return {"id": draft.id, **known, **decided, **({"made": dict(draft.made)} if draft.made else {})}


def _line(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _replace(path: Path, lines: Iterable[str]) -> None:
    rest: Sequence[str] = list(lines)
    new = path.with_name(f"{path.name}.new")
    new.write_text("\n".join([*rest, ""]) if rest else "", encoding="utf-8")
    new.replace(path)
