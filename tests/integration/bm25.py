"""BM25 by NumPy over all of a collection's texts, and the comparison of a search with it."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg.sql import SQL

from howdah import PGVector
from tests.integration import recount

K1, B = 1.2, 0.75


class Scorer:
    """How often each lexeme stands in each chunk, counted from the passages' texts alone."""

    def __init__(self, store: PGVector) -> None:
        self.url = store.database.conninfo.text
        found = store.store.find(store.collection_name)
        assert found is not None
        self.config = found.spec.config
        statement = SQL("SELECT c.id, p.title, p.section, p.content FROM {} AS c JOIN {} AS p USING (tenant, n)")
        with psycopg.connect(self.url) as conn:
            rows = conn.execute(statement.format(found.chunks, found.passages)).fetchall()
            texts = {key: "\n".join(filter(None, parts)) for key, *parts in rows}
            self.words = _counted(conn, texts, self.config)
        self.ids = list(texts)
        self.length = np.array([self.words[key].total() for key in self.ids])

    def scores(self, query: str, *, k1: float = K1, b: float = B) -> NDArray[np.float64]:
        """Of every chunk, over the attainable maximum (k1 + 1) · Σ idf; 0 without any of the words."""
        with psycopg.connect(self.url) as conn:
            asked = sorted(recount.lexemes(conn, query, self.config))
        tf = np.array([[self.words[key][word] for key in self.ids] for word in asked], dtype=float)
        df = (tf > 0).sum(axis=1)
        idf = np.log(1 + (len(self.ids) - df + 0.5) / (df + 0.5))
        norm = tf + k1 * (1 - b + b * self.length / self.length.mean())
        parts = idf[:, None] * tf * (k1 + 1) / np.where(tf, norm, 1)
        total: NDArray[np.float64] = parts.sum(axis=0) / ((k1 + 1) * idf.sum())
        return total


def _counted(conn: psycopg.Connection, texts: dict[str, str], config: str) -> dict[str, Counter[str]]:
    parts = [(key, piece) for key, text in texts.items() for piece in recount.pieces(text)]
    rows = conn.execute(
        "SELECT key, u.lexeme, sum(cardinality(u.positions))::int FROM unnest(%s::text[], %s::text[]) AS part (key, piece),"
        " unnest(to_tsvector(%s::regconfig, piece)) AS u GROUP BY key, u.lexeme",
        [[key for key, _ in parts], [piece for _, piece in parts], config],
    )
    counted: dict[str, Counter[str]] = defaultdict(Counter)
    for key, lexeme, count in rows:
        counted[key][lexeme] = count
    return counted


def scores(store: PGVector, query: str, k: int = 10_000) -> dict[str, float]:
    return {hit.id: hit.score for hit in store.hits(query, k=k, search_type="lexical")}


def check(store: PGVector, queries: Sequence[str], k: int = 10_000, scorer: Scorer | None = None) -> None:
    """A lexical search gives NumPy's scores to 1e-4, in NumPy's order but for ties."""
    scorer = scorer or Scorer(store)
    places = {key: place for place, key in enumerate(scorer.ids)}
    for query in queries:
        want = scorer.scores(query)
        found = scores(store, query, k)
        assert len(found) == min(k, int((want > 0).sum()))
        best = np.sort(want)[::-1][: len(found)]
        assert np.allclose(list(found.values()), best, rtol=0, atol=1e-4), query
        assert np.allclose([want[places[key]] for key in found], best, rtol=0, atol=1e-4), query
