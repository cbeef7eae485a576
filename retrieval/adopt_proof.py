"""The proof of an adoption: source and copy give the same nearest rows by exact search, for a sample of the rows."""

from dataclasses import dataclass
from typing import Any

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Literal

from howdah.retrieval import adopt_sql
from howdah.retrieval.adopt_report import Check
from howdah.retrieval.adopt_sources import Source
from howdah.retrieval.collection import Collection, Storage
from howdah.retrieval.errors import AdoptionDiffers
from howdah.retrieval.query import Query

K = 10
Nearest = list[tuple[str, float]]


@dataclass(frozen=True, kw_only=True)
class Copied:
    """What an adoption has copied, to be compared. `undirected`: vectors without a direction were left out.

    `shared`: the collection has rows that are not the source's.
    """

    source: Source
    collection: Collection
    latest: bool
    undirected: bool
    shared: bool

    def vectors(self, storage: Storage) -> Query:
        """id and embedding, in `storage`, of the source's rows that were copied."""
        found = adopt_sql.select(
            self.source, adopt_sql.vector(self.source, storage), adopt_sql.EVERYWHERE, latest=self.latest
        )
        if not self.undirected:
            return found
        return Query(
            SQL("SELECT * FROM ({}) AS found WHERE {}").format(found.sql, adopt_sql.directed(self.collection)),
            found.params,
        )


def _sample_ids(copied: Copied, limit: int) -> Query:
    """Ids of rows to ask with, the same ones each time."""
    found = copied.vectors(copied.collection.spec.storage)
    return Query(
        SQL("SELECT id FROM ({}) AS found ORDER BY md5(id), id LIMIT {}").format(found.sql, Literal(limit)),
        found.params,
    )


def _both_nearest(copied: Copied, row_id: str, k: int, storage: Storage) -> Query:
    """The k nearest to the source's row `row_id`, in the source and among its rows in Howdah, each by an exact scan.

    Rows (side, id, distance); equal distances in the order of the ids' bytes, so that both sides break ties alike. The
    source's distances are computed in `storage`: its own type, or the one that it was copied to.
    """
    found, collection = copied.vectors(storage), copied.collection
    theirs = SQL("AND c.id IN (SELECT id FROM theirs)") if copied.shared else SQL("")
    return Query(
        SQL("""
            WITH theirs AS NOT MATERIALIZED ({found}),
            query AS MATERIALIZED (SELECT embedding FROM theirs WHERE id = %(id)s)
            (SELECT 'source' AS side, id COLLATE "C" AS id,
                    (embedding {operator} (SELECT embedding FROM query)) + 0 AS distance
             FROM theirs ORDER BY 3, 2 LIMIT {k})
            UNION ALL
            (SELECT 'howdah', c.id COLLATE "C", (c.embedding {operator} (SELECT embedding::{type} FROM query)) + 0
             FROM {chunks} AS c WHERE c.tenant = %(tenant)s {theirs} ORDER BY 3, 2 LIMIT {k})
        """).format(
            found=found.sql, k=Literal(k), chunks=collection.chunks, type=collection.embedding_type, theirs=theirs,
            operator=SQL("OPERATOR({}.{})").format(Identifier(collection.vector_schema), collection.spec.metric.operator),
        ),
        {**found.params, "id": row_id, "tenant": collection.tenant},
    )  # fmt: skip


def prove(conn: Connection[Any], copied: Copied, *, to_copy: int) -> Check:
    """Search for some of the rows on both sides. Raises AdoptionDiffers unless every answer is the same, in its order."""
    stored, own = copied.collection.spec.storage, copied.source.storage
    cursor = conn.cursor(row_factory=dict_row)
    queries = [row["id"] for row in cursor.execute(*_sample_ids(copied, _queries(to_copy))).fetchall()]
    wrong = [row_id for row_id in queries if _differs(*_nearest(conn, copied, row_id, stored))]
    if wrong:
        raise AdoptionDiffers(source=copied.source.shown, collection=copied.collection.name, ids=wrong, of=len(queries))
    shares = [1.0]
    if stored is not own:
        shares = [_shared(*_nearest(conn, copied, row_id, own)) for row_id in queries]
    return Check(queries=len(queries), k=K, same=len(queries), agreement=sum(shares) / len(shares))


def _queries(rows: int) -> int:
    """How many rows to ask with: each is two scans of all rows, so fewer where there are many."""
    return max(3, min(20, 2_000_000 // max(rows, 1)))


def _nearest(conn: Connection[Any], copied: Copied, row_id: str, storage: Storage) -> tuple[Nearest, Nearest]:
    """The source's and Howdah's k nearest to a row, as (id, distance)."""
    found = conn.cursor(row_factory=dict_row).execute(*_both_nearest(copied, row_id, K, storage)).fetchall()
    source, howdah = (
        [(row["id"], row["distance"]) for row in found if row["side"] == side] for side in ("source", "howdah")
    )
    return source, howdah


def _differs(theirs: Nearest, ours: Nearest) -> bool:
    return theirs != ours


def _shared(theirs: Nearest, ours: Nearest) -> float:
    return len({row_id for row_id, _ in theirs} & {row_id for row_id, _ in ours}) / len(theirs)
