"""Both arms in one statement: the words and the vectors of each candidate, weighed on scales that do not move."""

from dataclasses import dataclass

from psycopg.sql import SQL, Composed, Literal

from howdah.retrieval import dense, lexical
from howdah.retrieval.asked import Asked
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.fusion import Fusion
from howdah.retrieval.lexical import K1, B
from howdah.retrieval.queries import PASSAGE, check_k, check_number
from howdah.retrieval.query import EVERY_ROW, Condition, Query, both
from howdah.retrieval.reach import Reach
from howdah.retrieval.types import Array
from howdah.retrieval.wire import vector

WEIGHT, RRF_K = 0.5, 60
THRESHOLD = 0.28
"""The score_threshold "default": 95 % of XQuAD's questions find a passage that scores as much in the collection that answers
them, and questions about other subjects find none (docs/search.md has the figures)."""


@dataclass(frozen=True, kw_only=True)
class Hybrid:
    """How the two arms are weighed. weight: 0 = words only, 1 = vectors only; depth: rows that each arm contributes.

    dense_depth and lexical_depth set it for one arm. fusion: scaled, minmax, dbsf or rrf (with rrf_k); see fusion.Fusion.
    """

    weight: float = WEIGHT
    depth: int | None = None
    dense_depth: int | None = None
    lexical_depth: int | None = None
    k1: float = K1
    b: float = B
    fusion: str = Fusion.SCALED.label
    rrf_k: float = RRF_K

    def __post_init__(self) -> None:
        limits = (
            ("weight", self.weight, 0, 1),
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

    @property
    def fused(self) -> Fusion:
        found = Fusion.of(self.fusion)
        assert found is not None
        return found

    def rows(self, k: int) -> int:
        """Rows of the arm of vectors; at least k, so that k come back."""
        return max(self.dense_depth or self.depth or max(100, 4 * k), k)

    def words(self, k: int) -> int:
        """Rows of the arm of words."""
        return self.lexical_depth or self.depth or max(100, 4 * k)


HYBRID_OPTIONS = frozenset(Hybrid.__dataclass_fields__)


def hybrid(
    collection: Collection, asked: Asked, embedding: Array, *, k: int, how: Hybrid, c0: float,
    where: Condition = EVERY_ROW, exact: bool = False, oversample: int | None = None,
) -> Query:  # fmt: skip
    """The k best by weight · dense + (1 - weight) · lexical over both arms' candidates, each scored exactly in both.

    dense = clip((cosine - c0) / (1 - c0)), with c0 the mean cosine of the collection's random pairs; lexical = BM25 over
    its attainable maximum (k1 + 1) · Σ idf. Both scales belong to the collection and the query, not to the candidates.
    Other fusions take an arm's shares from its own list; a candidate that is not in it has none.
    """
    near = both(where, lexical.condition(collection, asked))
    return Query(
        SQL("""
            WITH {bm25}, {nearest},
            by_words AS MATERIALIZED ({by_words}),
            by_meaning AS MATERIALIZED (SELECT n, 1 - distance AS score FROM nearest),
            candidates AS (SELECT n FROM by_words UNION SELECT n FROM by_meaning),
            {best}
            SELECT best.id, best.metadata, best.score, best.dense, best.lexical, {passage}
            FROM best
            JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = best.n
            LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = best.document
            ORDER BY best.score DESC, best.id
        """).format(
            bm25=lexical.bm25(collection),
            nearest=dense.arm(collection.chunks, Reach.of(collection, oversample), near, k=how.rows(k), exact=exact),
            by_words=lexical.arm(
                collection, how.words(k), where, asked, routed=near is not EVERY_ROW and not exact
            ),
            best=_best(collection, how, k=k),
            passages=collection.passages,
            passage=PASSAGE,
        ),
        {
            **lexical.parameters(collection, asked.words, how.k1, how.b),
            "embedding": vector(embedding, collection.spec.storage),
            "weight": float(how.weight),
            **({"c0": c0} if how.fused is Fusion.SCALED else {"rrf_k": float(how.rrf_k)} if how.fused is Fusion.RRF else {}),
            **near.params,
        },
    )  # fmt: skip


def _best(collection: Collection, how: Hybrid, *, k: int) -> Composed:
    """CTEs scored, with every candidate's dense and lexical score, and best, the k rows of the highest fused one."""
    scored = SQL("""
        scored AS MATERIALIZED (
            SELECT c.n, c.id, c.document, c.metadata, 1 - ({distance}) AS dense,
                   coalesce(b.score / nullif(attainable.score, 0), 0) AS lexical
            FROM candidates CROSS JOIN attainable
            JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = candidates.n
            LEFT JOIN bm25 AS b ON b.n = candidates.n
        )
    """).format(distance=Reach.of(collection).distance, chunks=collection.chunks)
    if how.fused is Fusion.SCALED:
        return SQL("""
            {scored},
            best AS MATERIALIZED (
                SELECT *, %(weight)s::float8 * least(greatest((dense - %(c0)s) / (1 - %(c0)s), 0), 1)
                          + (1 - %(weight)s::float8) * least(lexical, 1) AS score
                FROM scored ORDER BY score DESC, id LIMIT {k}
            )
        """).format(scored=scored, k=Literal(k))
    return SQL("""
        {scored}, {arms},
        best AS MATERIALIZED (
            SELECT scored.*, %(weight)s::float8 * coalesce(meaning.share, 0)
                             + (1 - %(weight)s::float8) * coalesce(words.share, 0) AS score
            FROM scored LEFT JOIN words USING (n) LEFT JOIN meaning USING (n) ORDER BY score DESC, id LIMIT {k}
        )
    """).format(scored=scored, arms=how.fused.arms(), k=Literal(k))
