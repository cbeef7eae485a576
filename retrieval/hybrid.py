"""Both arms in one statement: the words and the vectors of each candidate, weighed on scales that do not move."""

from dataclasses import dataclass

from psycopg.sql import SQL, Literal

from howdah.retrieval import lexical
from howdah.retrieval.asked import Asked
from howdah.retrieval.collection import Collection
from howdah.retrieval.dense import exactly
from howdah.retrieval.lexical import K1, B
from howdah.retrieval.queries import PASSAGE, check_k, check_number
from howdah.retrieval.query import EVERY_ROW, Query, both
from howdah.retrieval.types import Array
from howdah.retrieval.wire import vector

WEIGHT = 0.5


@dataclass(frozen=True, kw_only=True)
class Hybrid:
    """How the two arms are weighed. weight: 0 = words only, 1 = vectors only; depth: rows that each arm contributes."""

    weight: float = WEIGHT
    depth: int | None = None
    k1: float = K1
    b: float = B

    def __post_init__(self) -> None:
        for name, value, low, high in (("weight", self.weight, 0, 1), ("k1", self.k1, 0, 1_000), ("b", self.b, 0, 1)):
            check_number(name, value, low, high)
        if self.depth is not None:
            check_k(self.depth, "depth")

    def rows(self, k: int) -> int:
        return max(self.depth or max(100, 4 * k), k)


HYBRID_OPTIONS = frozenset(Hybrid.__dataclass_fields__)


def hybrid(
    collection: Collection, asked: Asked, embedding: Array, *, k: int, how: Hybrid, c0: float, where: Query = EVERY_ROW,
    exact: bool = False,
) -> Query:  # fmt: skip
    """The k best by weight · dense + (1 - weight) · lexical over both arms' candidates, each scored exactly in both.

    dense = clip((cosine - c0) / (1 - c0)), with c0 the mean cosine of the collection's random pairs; lexical = BM25 over
    its attainable maximum (k1 + 1) · Σ idf. Both scales belong to the collection and the query, not to the candidates.
    """
    depth = how.rows(k)
    distance = collection.spec.metric.distance(collection.vector_schema)
    near = both(where, lexical.condition(collection, asked))
    return Query(
        SQL("""
            WITH {bm25},
            by_words AS MATERIALIZED ({arm}),
            by_meaning AS MATERIALIZED (
                SELECT c.n FROM {chunks} AS c WHERE c.tenant = %(tenant)s AND {where}
                ORDER BY {order} LIMIT {depth}
            ),
            candidates AS (SELECT n FROM by_words UNION SELECT n FROM by_meaning),
            scored AS MATERIALIZED (
                SELECT c.n, c.id, c.document, c.metadata, 1 - ({distance}) AS dense,
                       coalesce(b.score / nullif(attainable.score, 0), 0) AS lexical
                FROM candidates CROSS JOIN attainable
                JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = candidates.n
                LEFT JOIN bm25 AS b ON b.n = candidates.n
            ),
            best AS MATERIALIZED (
                SELECT *, %(weight)s * least(greatest((dense - %(c0)s) / (1 - %(c0)s), 0), 1)
                          + (1 - %(weight)s) * least(lexical, 1) AS score
                FROM scored ORDER BY score DESC, id LIMIT {k}
            )
            SELECT best.id, best.metadata, best.score, best.dense, best.lexical, {passage}
            FROM best
            JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = best.n
            LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = best.document
            ORDER BY best.score DESC, best.id
        """).format(
            bm25=lexical.bm25(collection),
            arm=lexical.arm(collection, depth, where, asked),
            chunks=collection.chunks,
            passages=collection.passages,
            passage=PASSAGE,
            where=near.sql,
            distance=distance,
            order=exactly(distance) if exact else distance,
            depth=Literal(depth),
            k=Literal(k),
        ),
        {
            **lexical.parameters(collection, asked.words, how.k1, how.b),
            "embedding": vector(embedding, collection.spec.storage),
            "weight": how.weight,
            "c0": c0,
            **near.params,
        },
    )
