"""Run a test set's queries by one configuration: what is found, how far down, and how long a search takes."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from howdah.retrieval.evaluation.configuration import Configuration
from howdah.retrieval.evaluation.measures import Cutoffs, Scored, ranked
from howdah.retrieval.evaluation.ranking import Named, firsts
from howdah.retrieval.queries import MAX_K
from howdah.retrieval.search import Search
from howdah.retrieval.types import Array, Hit

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

FURTHER = 4
"""How many times as many chunks are read where those so far belong to too few documents."""
WARM = 5
"""Searches before the first that is timed: a connection's first statements are planned and its pages read."""
SHOWN, SNIPPET = 5, 300
"""Hits of a query that are kept for people to read, and characters of each."""

Progress = Callable[[str, int, int], None]
"""Told what is under way, how much of it is done, and of how much."""


class Shown(NamedTuple):
    """A hit as a report shows it."""

    id: str
    title: str | None
    text: str
    score: float


class Latency(NamedTuple):
    """Milliseconds of one search for k, one at a time; the query's embedding is there already."""

    p50: float
    p95: float
    p99: float


@dataclass
class Searched:
    """Rankings by query id, and of each query the milliseconds and the first hits."""

    rankings: dict[str, list[Scored]] = field(default_factory=dict)
    milliseconds: dict[str, float] = field(default_factory=dict)
    shown: dict[str, list[Shown]] = field(default_factory=dict)

    @property
    def latency(self) -> Latency:
        return Latency(*(float(value) for value in np.percentile(list(self.milliseconds.values()), [50, 95, 99])))


Vectors = Mapping[str, Array]
"""The embedding of each text that is embedded as a query."""


def embedded(store: "PGVector", queries: Mapping[str, str], configurations: Sequence[Configuration]) -> Vectors:
    """What the configurations' searches embed, each text once, through the store's cache."""
    wanted = [each.search(words, k=1) for each in configurations for words in queries.values()]
    texts = list(dict.fromkeys(search.embedded for search in wanted if search.to_embed))
    searches = [Search.of(text, k=1, search_type="similarity", filter=None, given={}) for text in texts]
    vectors = store._embedded(searches, store.store.get(store.collection_name))
    store._flush()
    return {text: vector for text, vector in zip(texts, vectors, strict=True) if vector is not None}


def search_all(
    store: "PGVector", queries: Mapping[str, str], how: Configuration, cutoffs: Cutoffs,
    *, named: Named, vectors: Vectors, progress: Progress | None = None,
) -> Searched:  # fmt: skip
    """The rankings of all queries: the first documents are those of a search for k, as users make it; those that follow, down
    to `depth` documents, are what searches for more add in their own order.

    So an index, a reranker or a choice for variety acts on the first k as it does in use, and is timed so.
    """
    found = Searched()
    for words in list(queries.values())[:WARM]:
        _hits(store, words, how, cutoffs.k, vectors)
    for done, (id_, words) in enumerate(queries.items(), start=1):
        began = time.perf_counter()
        hits = _hits(store, words, how, cutoffs.k, vectors)
        found.milliseconds[id_] = (time.perf_counter() - began) * 1_000
        found.shown[id_] = _shown(id_, hits, named)
        found.rankings[id_] = ranked(
            _deeper(store, id_, words, hits, how=how, cutoffs=cutoffs, named=named, vectors=vectors)
        )
        if progress is not None:
            progress(how.label, done, len(queries))
    return found


def _deeper(
    store: "PGVector", id_: str, words: str, hits: Sequence[Hit],
    *, how: Configuration, cutoffs: Cutoffs, named: Named, vectors: Vectors,
) -> list[tuple[str, float]]:  # fmt: skip
    """`depth` documents: those of `hits`, then those of searches for more chunks until there are enough, or no more."""
    plain = replace(how, settings=how.plain)
    documents, rows = firsts(named(id_, hits)), cutoffs.depth
    while len(documents) < cutoffs.depth:
        more = _hits(store, words, plain, min(rows, MAX_K), vectors)
        documents = firsts([*named(id_, hits), *named(id_, more)])
        if len(more) < rows:
            break
        rows *= FURTHER
    return documents[: cutoffs.depth]


def _hits(store: "PGVector", words: str, how: Configuration, k: int, vectors: Vectors) -> list[Hit]:
    search = how.search(words, k=k)
    given: dict[str, Any] = {"embedding": vectors[search.embedded]} if search.to_embed else {}
    return store.hits(words, k=k, search_type=how.search_type, filter=how.filter, **given, **how.settings)


def _shown(id_: str, hits: Sequence[Hit], named: Named) -> list[Shown]:
    shown: list[Shown] = []
    for hit in hits[:SHOWN]:
        name, _ = next(named(id_, [hit]))
        shown.append(Shown(name, hit.title, " ".join(hit.content.split())[:SNIPPET], hit.score))
    return shown
