"""The idea that postings were chosen over: BM25 weights as a `sparsevec` a row, over candidates from the GIN index.

A row's vector holds, for each of its words, tf · (k1 + 1) / (tf + k1 · (1 - b + b · dl / avgdl)); the query's holds their
idf; the inner product is BM25. Weights, document frequencies and average length are made once, after the load, which is
the best that can be done for it: in use they would go stale.
"""

from typing import Any

import psycopg
from psycopg.sql import SQL, Composed

from howdah.retrieval.collection import Collection
from howdah.retrieval.lexical import K1, B

BUILD = (
    """CREATE TABLE words AS SELECT row_number() OVER (ORDER BY lexeme)::int AS id, lexeme, count(*)::float8 AS df
       FROM {postings} GROUP BY lexeme""",
    "ALTER TABLE words ADD PRIMARY KEY (lexeme)",
    """CREATE TABLE sparse AS
       SELECT o.n, ('{{' || string_agg(w.id || ':' ||
              (o.tf * ({k1} + 1) / (o.tf + {k1} * (1 - {b} + {b} * o.dl / mean.length)))::float4, ',' ORDER BY w.id)
              || '}}/' || (SELECT max(id) FROM words))::sparsevec AS weights
       FROM {postings} AS o JOIN words AS w USING (lexeme)
       CROSS JOIN (SELECT avg(dl) AS length FROM (SELECT DISTINCT n, dl FROM {postings}) AS each) AS mean
       GROUP BY o.n""",
    "ALTER TABLE sparse ADD COLUMN tsv tsvector",
    "UPDATE sparse SET tsv = p.tsv FROM {passages} AS p WHERE p.n = sparse.n",
    "CREATE INDEX ON sparse USING gin (tsv) WITH (fastupdate = off)",
    "VACUUM (FULL, ANALYZE) sparse",
    "VACUUM ANALYZE words",
)
SEARCH = """
    WITH asked AS MATERIALIZED (
        SELECT string_agg(w.id || ':' || ln(1 + (total.n - df + 0.5) / (df + 0.5)), ',' ORDER BY w.id) AS weights,
               string_agg(quote_literal(w.lexeme), ' | ')::tsquery AS any_of
        FROM unnest(tsvector_to_array(to_tsvector('english', %(words)s))) AS t (lexeme) JOIN words AS w USING (lexeme)
        CROSS JOIN (SELECT {rows}::float8 AS n) AS total
    ), query AS MATERIALIZED (SELECT any_of, ('{{' || weights || '}}/' || {dimensions})::sparsevec AS vector FROM asked)
    SELECT c.id FROM (
        SELECT n, weights <#> vector AS distance FROM query, sparse WHERE tsv @@ any_of ORDER BY distance LIMIT {k}
    ) AS best JOIN {chunks} AS c USING (n) ORDER BY distance, c.id
"""


class Rival:
    """The rival's tables beside a collection, on a connection of its own."""

    def __init__(self, url: str, collection: Collection, *, rows: int, k: int) -> None:
        self.conn = psycopg.connect(url, autocommit=True)
        self.collection, self.rows, self.k = collection, rows, k
        for statement in BUILD:
            self.conn.execute(self._sql(statement))
        dimensions = self.conn.execute("SELECT max(id) FROM words").fetchone()
        self.search_sql = self._sql(SEARCH, dimensions=SQL(str(dimensions[0] if dimensions else 0)))

    def _sql(self, statement: str, **more: Any) -> Composed:
        return SQL(statement).format(
            postings=self.collection.postings, passages=self.collection.passages, chunks=self.collection.chunks,
            k1=SQL(str(K1)), b=SQL(str(B)), rows=SQL(str(self.rows)), k=SQL(str(self.k)), **more,
        )  # fmt: skip

    def search(self, words: str) -> list[str]:
        """Ids, best first."""
        return [row[0] for row in self.conn.execute(self.search_sql, {"words": words}, prepare=True)]

    def size(self) -> int:
        row = self.conn.execute("SELECT pg_total_relation_size('sparse') + pg_total_relation_size('words')").fetchone()
        return int(row[0]) if row else 0
