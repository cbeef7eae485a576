"""Gold places in documents that may have changed: as they were, found again by their text, or stale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from howdah.chains.evaluation.cases import Case
from howdah.retrieval import documents
from howdah.retrieval.evaluation.ranking import Gold

if TYPE_CHECKING:
    from howdah.retrieval.collection import Collection
    from howdah.retrieval.store import Store


@dataclass(frozen=True, kw_only=True)
class Refreshed:
    """`cases` with their gold where it stands now, without those whose ids are in `stale`; `moved` were found again."""

    cases: list[Case]
    moved: int = 0
    stale: list[str] = field(default_factory=list)


def refreshed(store: "Store", found: "Collection", cases: Sequence[Case]) -> Refreshed:
    """Looks at the stored text of each document that a case quotes. Where no text is stored a place is left as it is."""
    sources = {case.gold.source for case in cases if case.gold and case.quote}
    return placed(cases, {source: _text(store, found, source) for source in sources})


def placed(cases: Sequence[Case], texts: Mapping[str, str | None]) -> Refreshed:
    """By the documents' texts: "" for one that is not there, None for one whose text was not stored."""
    kept: list[Case] = []
    moved, stale = 0, list[str]()
    for case in cases:
        text = texts.get(case.gold.source) if case.gold and case.quote else None
        now = case if text is None else _moved(case, text)
        if now is None:
            stale.append(case.id)
            continue
        kept.append(now)
        moved += now is not case
    return Refreshed(cases=kept, moved=moved, stale=stale)


def _moved(case: Case, text: str) -> Case | None:
    """None where the quote does not stand in `text`, or more than once and not where it stood."""
    gold, quote = case.gold, case.quote or ""
    if gold is None or gold.span is None:
        return case if quote in text else None
    start, end = gold.span
    if text[start:end] == quote:
        return case
    if text.count(quote) != 1:
        return None
    start = text.index(quote)
    return replace(case, gold=Gold.of(place(gold.source, start, start + len(quote)), ()))


def place(source: str, start: int, end: int) -> str:
    """A range of a document as a corpus id."""
    return f"{source}#{start}-{end}"


def _text(store: "Store", found: "Collection", source: str) -> str | None:
    rows = store.rows(documents.text_of(found, source))
    return rows[0]["text"] if rows else ""
