"""More like these: the chunks nearest to stored ones, in one statement. No embedding leaves the server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from psycopg.sql import SQL, Identifier, Literal

from howdah.retrieval import dense
from howdah.retrieval.collection import Collection, Metric
from howdah.retrieval.errors import InvalidInput, NotFound
from howdah.retrieval.filters import Filter, compile_filter
from howdah.retrieval.plans import SearchOptions, check_k
from howdah.retrieval.query import EVERY_ROW, Condition, Query
from howdah.retrieval.rows import hit
from howdah.retrieval.search import split_options
from howdah.retrieval.types import Hit
from howdah.retrieval.values import check_id, id_list


@dataclass(frozen=True, kw_only=True)
class Like:
    """What `similar_to` looks for."""

    ids: list[str]
    negative: list[str]
    k: int
    filter: Filter | None
    options: SearchOptions

    @classmethod
    def of(
        cls, ids: Sequence[str], negative: Sequence[str], *, k: int, filter: Filter | None, given: dict[str, Any]
    ) -> Self:
        """Raises InvalidInput for no ids and for unknown settings."""
        toward, away = ([check_id(each) for each in id_list(some)] for some in (ids, negative))
        if not toward:
            raise InvalidInput("similar_to was given no ids", hint="give the ids of stored chunks")
        return cls(ids=toward, negative=away, k=check_k(k), filter=filter, options=split_options(given))

    @property
    def given(self) -> list[str]:
        return [*self.ids, *self.negative]

    def settings(self, collection: Collection) -> dict[str, str]:
        return self.options.settings(rows(self.k, self.given), collection, filtered=bool(self.filter))

    def statement(self, collection: Collection) -> Query:
        where = compile_filter(self.filter, collection=collection)
        return similar(
            collection, self.ids, self.negative, k=self.k, where=where, exact=self.options.exact,
            oversample=self.options.oversample,
        )  # fmt: skip


def similar(
    collection: Collection, ids: Sequence[str], negative: Sequence[str] = (), *, k: int, where: Condition = EVERY_ROW,
    exact: bool = False, oversample: int | None = None,
) -> Query:  # fmt: skip
    """The k chunks nearest to the mean of `ids` and away from that of `negative`, best first, these left out.

    The point searched for is  mean(ids), or with negatives  2 · mean(ids) - mean(negative):  Rocchio's feedback (1971),
    with the weights of Qdrant's recommendation by average vector. For the metric cosine each vector counts as a direction,
    whatever its length. Each row has `missing`, the given ids that are not there, and `nowhere`, whether the point is zero
    and so has no direction; there is one row, without an id, where nothing else is found.
    """
    given = [*ids, *negative]
    # As many rows more as are left out afterwards: a condition on the ids would cost the plan of a search without one.
    nearest = dense.nearest(
        collection,
        np.zeros(collection.spec.dimensions, dtype=np.float32),
        k=rows(k, given),
        where=where,
        exact=exact,
        oversample=oversample,
    )
    vectors = Identifier(collection.vector_schema)
    direction = collection.spec.metric is Metric.COSINE
    return Query(
        SQL("""
            WITH given AS MATERIALIZED (
                SELECT c.id, {unit}(c.embedding::{vectors}.vector) AS embedding FROM {chunks} AS c
                WHERE c.tenant = %(tenant)s AND c.id = ANY(%(given)s::text[])
            ),
            means AS (
                SELECT {vectors}.avg(embedding) FILTER (WHERE id = ANY(%(ids)s::text[])) AS toward,
                       {vectors}.avg(embedding) FILTER (WHERE id = ANY(%(negative)s::text[])) AS away
                FROM given
            ),
            point AS MATERIALIZED (
                SELECT CASE WHEN away IS NULL THEN toward
                       ELSE toward OPERATOR({vectors}.+) toward OPERATOR({vectors}.-) away END AS embedding
                FROM means
            ),
            wanted AS MATERIALIZED (
                SELECT embedding::{type} AS embedding, {vectors}.vector_norm(embedding) < 1e-6 AS nowhere,
                       ARRAY(SELECT unnest(%(given)s::text[]) EXCEPT SELECT id FROM given ORDER BY 1) AS missing
                FROM point
            )
            SELECT found.*, wanted.missing, wanted.nowhere
            FROM wanted LEFT JOIN (
                SELECT * FROM ({nearest}) AS near WHERE near.id <> ALL(%(given)s::text[])
                ORDER BY near.distance + 0, near.id LIMIT {k}
            ) AS found ON true
            ORDER BY found.distance + 0, found.id
        """).format(
            unit=SQL("{}.l2_normalize").format(vectors) if direction else SQL(""),
            vectors=vectors,
            chunks=collection.chunks,
            type=collection.embedding_type,
            nearest=_of_the_point(nearest),
            k=Literal(k),
        ),
        {
            **{name: value for name, value in nearest.params.items() if name != "embedding"},
            "ids": list(ids),
            "negative": list(negative),
            "given": given,
        },
    )


def rows(k: int, given: Sequence[str]) -> int:
    """How many nearest rows it takes for k others."""
    return k + len(set(given))


def _of_the_point(nearest: Query) -> SQL:
    """The statement with the point in the place of its parameter. All else in its text is ours: values are bound."""
    text: Any = nearest.sql.as_string(None).replace("%(embedding)s", "(SELECT wanted.embedding FROM wanted)")
    return SQL(text)


def similar_hits(found: Sequence[Mapping[str, Any]], collection: Collection) -> list[Hit]:
    """The hits of the rows of `similar`. Raises NotFound for ids that are not there, InvalidInput for a point of zero."""
    missing = found[0]["missing"]
    if missing:
        raise no_such(missing, collection.name)
    if found[0]["nowhere"] and collection.spec.metric is Metric.COSINE:
        raise InvalidInput(
            "the chunks cancel each other out: their mean has no direction",
            hint="give fewer of them, or other negatives",
        )
    return [hit(dict(row)) for row in found if row["id"] is not None]


def no_such(ids: Sequence[str], collection: str) -> NotFound:
    named = ", ".join(map(repr, ids[:3])) + (f" and {len(ids) - 3} more" if len(ids) > 3 else "")
    return NotFound(f"collection {collection!r} has no chunk {named}", hint="ids are those of a Hit or a Document")
