"""A folder of test questions: the drafts with what was decided of them, and from those that were kept a test set.

drafts.jsonl is the work; queries.jsonl and qrels/test.tsv are BEIR's layout without a corpus, for `howdah eval retrieval`;
questions.jsonl is for `howdah eval answers` and `howdah tune --refusal`; provenance.jsonl says where each is from.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from howdah.chains.evaluation.cases import Case
from howdah.chains.evaluation.drafts import Draft
from howdah.chains.evaluation.freshness import refreshed
from howdah.retrieval import drawn
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation import beir
from howdah.retrieval.evaluation.ranking import Gold

if TYPE_CHECKING:
    from howdah.retrieval.collection import Collection
    from howdah.retrieval.store import Store

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


class Anew(NamedTuple):
    """The folder with each gold place where its text stands now; which questions moved, and which are stale."""

    folder: Folder
    moved: list[str]
    stale: list[str]


def anew(folder: Folder, store: "Store", found: "Collection") -> Anew:
    """Look for every quote in the documents as they are stored now; a stale question comes back when its text does."""
    cases = [
        Case(id=draft.id, question=draft.question, gold=Gold.of(draft.source, ()), quote=draft.quote)
        for draft in folder.drafts
        if draft.source
    ]
    now = {case.id: case for case in refreshed(store, found, cases).cases}
    sources = sorted({case.gold.source for case in cases if case.gold})
    hashes = {row["source"]: row["hash"] for row in store.rows(drawn.hashes(found, sources))}
    drafts = [_anew(draft, now.get(draft.id), hashes) for draft in folder.drafts]
    moved = [new.id for old, new in zip(folder.drafts, drafts, strict=True) if old.source != new.source]
    return Anew(replace(folder, drafts=drafts), moved, [draft.id for draft in drafts if draft.stale])


def _anew(draft: Draft, case: Case | None, hashes: Mapping[str, str]) -> Draft:
    if not draft.source:
        return draft
    if case is None or case.gold is None or case.gold.span is None:
        return replace(draft, stale=True)
    start, end = case.gold.span
    sha256 = hashes.get(case.gold.source, draft.origin.sha256)
    return replace(draft, stale=False, origin=replace(draft.origin, start=start, end=end, sha256=sha256))


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
