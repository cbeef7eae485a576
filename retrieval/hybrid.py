"""Both arms in one statement: the words and the vectors of each candidate, weighed on scales that do not move."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composed, Identifier, Literal

from howdah.retrieval import dense, lexical
from howdah.retrieval.asked import Asked
from howdah.retrieval.collection import Collection, table
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.fusion import Fusion
from howdah.retrieval.lexical import K1, B
from howdah.retrieval.queries import PASSAGE, check_k, check_number
from howdah.retrieval.query import EVERY_ROW, Condition, Query, both
from howdah.retrieval.reach import Reach
from howdah.retrieval.types import Array
from howdah.retrieval.wire import vector

WEIGHT, RRF_K = 0.5, 60
LEAST_DEPTH = 50
"""Rows an arm for a small k. On SciFact's claims 25, 50, 100 and 200 give the same ranking, deeper ones later
(benchmarks/depth.py)."""
THRESHOLD = 0.28
"""The score_threshold "default": 95 % of XQuAD's questions find a passage that scores as much in the collection that answers
them, and questions about other subjects find none (docs/search.md has the figures)."""


@dataclass(frozen=True, kw_only=True)
class Hybrid:
    """How the two arms are weighed. depth: rows that each arm contributes.

    weight: 0 = words only, 1 = vectors only; None is what `howdah tune` has saved with the collection, else 0.5.

    dense_depth and lexical_depth set it for one arm. fusion: scaled, minmax, dbsf or rrf (with rrf_k); see fusion.Fusion.
    """

    weight: float | None = None
    depth: int | None = None
    dense_depth: int | None = None
    lexical_depth: int | None = None
    k1: float = K1
    b: float = B
    fusion: str = Fusion.SCALED.label
    rrf_k: float = RRF_K

    def __post_init__(self) -> None:
        limits = (
            ("weight", WEIGHT if self.weight is None else self.weight, 0, 1),
            ("k1", self.k1, 0, 1_000),
            ("b", self.b, 0, 1),
            ("rrf_k", self.rrf_k, 0, 1_000),
        )
        for name, value, low, high in limits:
            check_number(name, value, low, high)
        for name in ("depth", "dense_depth", "lexical_depth"):
            if getattr(self, name) is not None:
                check_k(getattr(self, name), name)
        if Fusion.of(self.fusion) is None:
            known = ", ".join(member.label for member in Fusion)
            raise InvalidInput(f"fusion {self.fusion!r} is not known", hint=f"use one of {known}")

    def weight_on(self, collection: Collection) -> float:
        """A weight that was learned is one of the scaled fusion's scores, and says nothing of others."""
        if self.weight is not None:
            return float(self.weight)
        learned = collection.weight if self.fused is Fusion.SCALED else None
        return WEIGHT if learned is None else learned

    @property
    def fused(self) -> Fusion:
        found = Fusion.of(self.fusion)
        assert found is not None
        return found

    def rows(self, k: int) -> int:
        """Rows of the arm of vectors; at least k, so that k come back."""
        return max(self.dense_depth or self.depth or max(LEAST_DEPTH, 4 * k), k)

    def words(self, k: int) -> int:
        """Rows of the arm of words."""
        return self.lexical_depth or self.depth or max(LEAST_DEPTH, 4 * k)


HYBRID_OPTIONS = frozenset(Hybrid.__dataclass_fields__)


def hybrid(
    collection: Collection, asked: Asked, embedding: Array, *, k: int, how: Hybrid, c0: float,
    where: Condition = EVERY_ROW, exact: bool = False, oversample: int | None = None,
) -> Query:  # fmt: skip
    """The k best by weight · dense + (1 - weight) · lexical over both arms' candidates, each scored exactly in both.

    dense = clip((cosine - c0) / (1 - c0)), with c0 the mean cosine of the collection's random pairs; lexical = BM25 over
    its attainable maximum (k1 + 1) · Σ idf. Both scales belong to the collection and the query, not to the candidates.
    Other fusions take an arm's shares from its own list; a candidate that is not in it has none. Equal scores, such as those
    that a scale has cut to 0, go by the cosine, then by id.
    """
    near = both(where, lexical.condition(collection, asked))
    shape = Shape(
        collection.id,
        collection.generation,
        collection.spec.config,
        Reach.of(collection, how.rows(k), oversample),
        how.fused,
        k,
        how.rows(k),
        how.words(k),
        exact,
    )
    if near is EVERY_ROW:
        statement: SQL | Composed = _plain(shape)
    else:
        depth = shape.rows + shape.words
        worded = lexical.arm(collection, depth, where, asked, routed=not exact, beside=True)
        statement = _statement(shape, worded, near)
    scales = {Fusion.SCALED: {"c0": c0}, Fusion.RRF: {"rrf_k": float(how.rrf_k)}}
    return Query(
        statement,
        {
            **lexical.parameters(collection, asked.words, how.k1, how.b),
            "embedding": vector(embedding, collection.spec.storage),
            "weight": how.weight_on(collection),
            **scales.get(how.fused, {}),
            **near.params,
        },
    )  # fmt: skip


class Shape(NamedTuple):
    """All that the text of a hybrid statement depends on, but for its conditions. `rows` and `words`: an arm's depth."""

    id: int
    generation: int
    config: str
    reach: Reach
    fusion: Fusion
    k: int
    rows: int
    words: int
    exact: bool

    @property
    def chunks(self) -> Identifier:
        return table("chunks", self.id, self.generation)


@lru_cache(maxsize=1_024)
def _plain(shape: Shape) -> SQL:
    """The statement without conditions as text: putting it together anew takes longer than sending it."""
    rendered: Any = _statement(
        shape, lexical.plain_arm(shape.chunks, shape.rows + shape.words, beside=True), EVERY_ROW
    ).as_string(None)
    return SQL(rendered)


def _statement(shape: Shape, worded: Composed, near: Condition) -> Composed:
    """`worded`: the arm of words, with the rows of the other arm first, so that each has its score and bm25 is read once."""
    return SQL("""
        WITH {bm25}, {nearest},
        by_meaning AS MATERIALIZED (SELECT n, 1 - distance AS score FROM nearest),
        worded AS MATERIALIZED ({worded}),
        by_words AS MATERIALIZED (SELECT n, score FROM worded ORDER BY score DESC, n LIMIT {words}),
        {scored},
        best AS MATERIALIZED ({fused} ORDER BY score DESC, dense DESC, n LIMIT {k})
        SELECT c.id, c.metadata, best.score, best.dense, best.lexical, {passage}
        FROM best
        JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = best.n
        JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = best.n
        LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
        ORDER BY best.score DESC, best.dense DESC, c.id
    """).format(
        bm25=lexical.bm25(shape.id, shape.config),
        nearest=dense.arm(shape.chunks, shape.reach, near, k=shape.rows, exact=shape.exact),
        worded=worded,
        words=Literal(shape.words),
        scored=_scored(shape),
        fused=_fused(shape.fusion),
        chunks=shape.chunks,
        passages=table("passages", shape.id),
        passage=PASSAGE,
        k=Literal(shape.k),
    )


def _scored(shape: Shape) -> Composed:
    """CTE scored (n, dense, lexical): the rows of both arms, each with its exact score in the other as well."""
    return SQL("""
        scored AS MATERIALIZED (
            SELECT found.n, found.dense, coalesce(found.words / nullif(attainable.score, 0), 0) AS lexical
            FROM attainable CROSS JOIN (
                SELECT m.n, m.score AS dense, b.score AS words FROM by_meaning AS m LEFT JOIN worded AS b ON b.n = m.n
                UNION ALL
                SELECT w.n, 1 - ({distance}), w.score FROM by_words AS w
                JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = w.n
                WHERE NOT EXISTS (SELECT FROM by_meaning AS m WHERE m.n = w.n)
            ) AS found
        )
    """).format(distance=shape.reach.distance, chunks=shape.chunks)


def _fused(fusion: Fusion) -> Composed:
    """A SELECT of n, dense, lexical and the fused score of every candidate."""
    if fusion is Fusion.SCALED:
        return SQL("""
            SELECT n, dense, lexical, %(weight)s::float8 * least(greatest((dense - %(c0)s) / (1 - %(c0)s), 0), 1)
                                      + (1 - %(weight)s::float8) * least(lexical, 1) AS score
            FROM scored
        """).format()
    return SQL("""
        WITH {arms}
        SELECT scored.n, dense, lexical, %(weight)s::float8 * coalesce(meaning.share, 0)
                                         + (1 - %(weight)s::float8) * coalesce(words.share, 0) AS score
        FROM scored LEFT JOIN words USING (n) LEFT JOIN meaning USING (n)
    """).format(arms=fusion.arms())
