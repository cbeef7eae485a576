"""What stands at the places that the judgements name: the beginning of each text that should have been found."""

from collections.abc import Collection as Several
from collections.abc import Mapping
from typing import TYPE_CHECKING

from howdah.retrieval.evaluation.beir import TestSet, read_corpus
from howdah.retrieval.evaluation.ranking import Gold

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

SHOWN = 300
"""Characters of a text: a page holds enough to recognise it by."""


def texts(tests: TestSet, store: "PGVector", wanted: Several[str]) -> Mapping[str, str]:
    """By corpus id, those of `wanted` that are there: in the test set's own documents, else in the collection."""
    if tests.corpus is not None:
        return {
            each.id: short(f"{each.title}: {each.text}" if each.title else each.text)
            for each in read_corpus(tests.corpus)
            if each.id in wanted
        }
    found = {id_: _in_collection(store, id_) for id_ in wanted}
    return {id_: text for id_, text in found.items() if text}


def short(text: str, most: int = SHOWN) -> str:
    """On one line, and not too much of it."""
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most].rstrip()}…"


def _in_collection(store: "PGVector", id_: str) -> str:
    from howdah.retrieval import documents

    collection = store.store.get(store.collection_name)
    for gold in (Gold(id_, id_), Gold.of(id_, ())):
        rows = store.store.rows(documents.text_of(collection, gold.source))
        if rows and rows[0]["text"]:
            start, end = gold.span or (0, SHOWN + 1)
            return short(str(rows[0]["text"])[start:end])
    return ""
