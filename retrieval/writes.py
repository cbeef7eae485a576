"""Every statement that changes chunks, as pure functions.

The order is what keeps concurrent writers right: first the chunk rows, in id order, which locks them; then, in a
statement of its own with a fresh snapshot, passages and postings, whose old words only a holder of that lock may change.
So a delete is two statements as well: one that waits for a writer would go on with the words from before that writer.
"""

from collections.abc import Sequence

from psycopg.sql import SQL, Composable, Composed, Literal

from howdah.retrieval import wire
from howdah.retrieval.batches import Batch
from howdah.retrieval.collection import Collection
from howdah.retrieval.postings import INDEXED, add_stats, add_terms, words
from howdah.retrieval.query import Condition, Query

SMALL = 256
"""Rows up to which one statement with array parameters is used; beyond, COPY."""


# -- small batches: array parameters


def upsert_chunks(collection: Collection, batch: Batch, array_oid: int) -> Query:
    """Insert or replace the chunk rows, in id order; `fresh` in each returned row says which were new."""
    encoded = wire.encode(batch.embeddings, collection.spec.storage)
    return Query(
        _upsert_chunks(collection, SQL("unnest(%(ids)s::text[], %(metadata)s::text[], %(embeddings)s)")),
        {
            "tenant": collection.tenant,
            "document": batch.document,
            "ids": [chunk.id for chunk in batch.chunks],
            "metadata": list(batch.metadata),
            "embeddings": wire.vector_array(encoded, collection.spec.storage, array_oid),
        },
    )


def upsert_passages(collection: Collection, batch: Batch) -> Query:
    """Write the passages, postings and statistics of chunks that this transaction has just upserted."""
    columns = {
        "ids": [c.id for c in batch.chunks],
        "contents": [c.content for c in batch.chunks],
        "titles": [c.title for c in batch.chunks],
        "sections": [c.section for c in batch.chunks],
        "pages": [c.page for c in batch.chunks],
        "ordinals": [c.ordinal for c in batch.chunks],
        "starts": [c.start for c in batch.chunks],
        "ends": [c.end for c in batch.chunks],
    }
    source = SQL(
        "unnest(%(ids)s::text[], %(contents)s::text[], %(titles)s::text[], %(sections)s::text[], %(pages)s::int[],"
        " %(ordinals)s::int[], %(starts)s::int[], %(ends)s::int[])"
    )
    return Query(
        _upsert_passages(collection, source),
        {"tenant": collection.tenant, "collection": collection.id, **columns},
    )


# -- large batches: COPY


def create_staging(collection: Collection) -> list[Query]:
    """Two temporary tables to COPY into where ids may exist already; they go with the transaction."""
    return [
        Query(
            SQL("CREATE TEMP TABLE howdah_chunks (id text, metadata text, embedding {}({})) ON COMMIT DROP").format(
                collection.embedding_type, Literal(collection.spec.dimensions)
            ),
            {},
        ),
        Query(
            SQL(
                "CREATE TEMP TABLE howdah_passages (id text, content text, title text, section text, page int,"
                " ordinal int, start_at int, end_at int) ON COMMIT DROP"
            ),
            {},
        ),
    ]


def drop_staging() -> Query:
    return Query(SQL("DROP TABLE pg_temp.howdah_chunks, pg_temp.howdah_passages"), {})


COPY_STAGED_CHUNKS = SQL("COPY pg_temp.howdah_chunks FROM STDIN (FORMAT binary)")
COPY_STAGED_PASSAGES = SQL("COPY pg_temp.howdah_passages FROM STDIN (FORMAT binary)")


def upsert_staged(collection: Collection, document: int | None) -> list[Query]:
    params = {"tenant": collection.tenant, "collection": collection.id, "document": document}
    return [
        Query(_upsert_chunks(collection, SQL("pg_temp.howdah_chunks")), params),
        Query(_upsert_passages(collection, SQL("pg_temp.howdah_passages")), params),
    ]


# -- ids that we made: straight into the tables


def next_numbers(collection: Collection, count: int) -> Query:
    """`count` fresh values of the chunks' identity, ascending."""
    name = f"howdah.{collection.chunks_name}"
    return Query(
        SQL("SELECT nextval(pg_get_serial_sequence({}, 'n')) AS n FROM generate_series(1, %(count)s)").format(
            Literal(name)
        ),
        {"count": count},
    )


def copy_chunks(collection: Collection) -> Composed:
    return SQL("COPY {} (n, document, tenant, id, embedding, metadata) FROM STDIN (FORMAT binary)").format(
        collection.chunks
    )


def copy_passages(collection: Collection) -> Composed:
    return SQL(
        "COPY {} (n, ordinal, page, start_at, end_at, tenant, title, section, content) FROM STDIN (FORMAT binary)"
    ).format(collection.passages)


def index_fresh(collection: Collection, numbers: Sequence[int]) -> Query:
    """Postings and statistics of passages that this transaction has copied in."""
    params = {"tenant": collection.tenant, "collection": collection.id, "numbers": list(numbers), "count": len(numbers)}
    if not collection.spec.lexical:
        return Query(add_stats(SQL("%(count)s::bigint"), SQL("0")), params)
    return Query(
        SQL("""
            WITH fresh AS (
                SELECT n, {text} AS content, tsv FROM {passages} WHERE tenant = %(tenant)s AND n = ANY(%(numbers)s)
            ),
            words AS MATERIALIZED ({words}),
            posted AS (
                INSERT INTO {postings} (tenant, lexeme, n, tf, dl)
                SELECT %(tenant)s, lexeme, n, tf, dl FROM words ORDER BY lexeme COLLATE "C", n
            ),
            counted AS ({terms})
            {stats}
        """).format(
            text=INDEXED,
            terms=add_terms(collection, SQL("SELECT lexeme, count(*) AS df FROM words GROUP BY lexeme")),
            passages=collection.passages,
            postings=collection.postings,
            words=words(collection, SQL("fresh")),
            stats=add_stats(SQL("%(count)s::bigint"), SQL("(SELECT coalesce(sum(tf), 0) FROM words)")),
        ),
        params,
    )


# -- deleting


def delete(collection: Collection, where: Condition) -> Query:
    """Delete the rows of the chunks that match, in id order; returns their numbers, for `delete_words`."""
    return Query(
        SQL("""
            WITH doomed AS MATERIALIZED (
                SELECT c.n FROM {chunks} AS c WHERE c.tenant = %(tenant)s AND {where} ORDER BY c.id FOR UPDATE
            )
            DELETE FROM {chunks} AS c USING doomed WHERE c.tenant = %(tenant)s AND c.n = doomed.n RETURNING c.n
        """).format(chunks=collection.chunks, where=where.sql),
        {"tenant": collection.tenant, **where.params},
    )


def delete_words(collection: Collection, numbers: Sequence[int]) -> Query:
    """Delete passages and postings of chunks that this transaction has just deleted, and their share of the statistics."""
    return Query(
        SQL("""
            WITH gone AS MATERIALIZED (SELECT n FROM unnest(%(numbers)s::bigint[]) AS numbers (n)),
            {words}
            passages_gone AS (DELETE FROM {passages} AS p USING gone WHERE p.tenant = %(tenant)s AND p.n = gone.n)
            {stats}
        """).format(
            passages=collection.passages,
            words=_unpost(collection),
            stats=add_stats(SQL("-(SELECT count(*) FROM gone)"), _old_length(collection, SQL("-"))),
        ),
        {"tenant": collection.tenant, "collection": collection.id, "numbers": list(numbers)},
    )


def _unpost(collection: Collection) -> Composable:
    if not collection.spec.lexical:
        return SQL("")
    return SQL("""
        old AS (SELECT p.n, {text} AS content, p.tsv FROM {passages} AS p JOIN gone ON p.tenant = %(tenant)s AND p.n = gone.n),
        old_words AS MATERIALIZED ({words}),
        unposted AS (
            DELETE FROM {postings} AS o USING old_words AS w
            WHERE o.tenant = %(tenant)s AND o.lexeme = w.lexeme AND o.n = w.n
        ),
        counted AS ({terms}),
    """).format(
        text=INDEXED, passages=collection.passages, postings=collection.postings, words=words(collection, SQL("old")),
        terms=add_terms(collection, SQL("SELECT lexeme, -1 AS df FROM old_words")),
    )  # fmt: skip


def _old_length(collection: Collection, sign: SQL) -> Composable:
    return SQL("{}(SELECT coalesce(sum(tf), 0) FROM old_words)").format(sign) if collection.spec.lexical else SQL("0")


# -- shared parts


def _upsert_chunks(collection: Collection, source: SQL) -> Composed:
    return SQL("""
        INSERT INTO {chunks} AS c (tenant, document, id, metadata, embedding)
        SELECT %(tenant)s, %(document)s::bigint, s.id, s.metadata::jsonb, s.embedding
        FROM {source} AS s (id, metadata, embedding) ORDER BY s.id
        ON CONFLICT (tenant, id) DO UPDATE
        SET document = excluded.document, metadata = excluded.metadata, embedding = excluded.embedding
    """).format(chunks=collection.chunks, source=source)


def _upsert_passages(collection: Collection, source: SQL) -> Composed:
    return SQL("""
        WITH given AS MATERIALIZED (
            SELECT c.n, s.* FROM {source} AS s (id, content, title, section, page, ordinal, start_at, end_at)
            JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.id = s.id
        ),
        {old}
        written AS (
            INSERT INTO {passages} AS p (tenant, n, content, title, section, page, ordinal, start_at, end_at)
            SELECT %(tenant)s, n, content, title, section, page, ordinal, start_at, end_at FROM given
            ON CONFLICT (tenant, n) DO UPDATE SET (content, title, section, page, ordinal, start_at, end_at) =
                (excluded.content, excluded.title, excluded.section, excluded.page, excluded.ordinal,
                 excluded.start_at, excluded.end_at)
            RETURNING n, {text} AS content {tsv}
        )
        {new}
    """).format(
        chunks=collection.chunks,
        passages=collection.passages,
        source=source,
        text=INDEXED,
        tsv=SQL(", tsv") if collection.spec.lexical else SQL(""),
        old=_old_words(collection),
        new=_new_words(collection),
    )


def _old_words(collection: Collection) -> Composed:
    """The replaced passages, as the statement's snapshot still shows them."""
    tsv = SQL(", p.tsv") if collection.spec.lexical else SQL("")
    old = SQL("""
        old AS MATERIALIZED (
            SELECT p.n, howdah.indexed_text(p.title, p.section, p.content) AS content {tsv}
            FROM {passages} AS p JOIN given ON p.tenant = %(tenant)s AND p.n = given.n
        ),
    """).format(tsv=tsv, passages=collection.passages)
    if not collection.spec.lexical:
        return old
    return old + SQL("old_words AS MATERIALIZED ({}),").format(words(collection, SQL("old")))


def _new_words(collection: Collection) -> Composed:
    """Postings change by difference, so that no row is both deleted and inserted in one statement."""
    fresh = SQL("(SELECT count(*) FROM given) - (SELECT count(*) FROM old)")
    if not collection.spec.lexical:
        return add_stats(fresh, SQL("0"))
    return SQL("""
        , words AS MATERIALIZED ({words}),
        unposted AS (
            DELETE FROM {postings} AS o USING old_words AS w
            WHERE o.tenant = %(tenant)s AND o.lexeme = w.lexeme AND o.n = w.n
              AND NOT EXISTS (SELECT FROM words WHERE words.n = w.n AND words.lexeme = w.lexeme)
        ),
        posted AS (
            INSERT INTO {postings} (tenant, lexeme, n, tf, dl)
            SELECT %(tenant)s, lexeme, n, tf, dl FROM words ORDER BY lexeme COLLATE "C", n
            ON CONFLICT (tenant, lexeme, n) DO UPDATE SET tf = excluded.tf, dl = excluded.dl
        ),
        counted AS ({terms})
        {stats}
    """).format(
        terms=add_terms(
            collection, SQL("SELECT lexeme, 1 AS df FROM words UNION ALL SELECT lexeme, -1 FROM old_words")
        ),
        words=words(collection, SQL("written")),
        postings=collection.postings,
        stats=add_stats(
            fresh,
            SQL("(SELECT coalesce(sum(tf), 0) FROM words) - (SELECT coalesce(sum(tf), 0) FROM old_words)"),
        ),
    )


def where_ids(ids: Sequence[str]) -> Condition:
    return Condition(SQL("c.id = ANY(%(ids)s::text[])"), {"ids": list(ids)})


def where_documents(documents: Sequence[int]) -> Condition:
    return Condition(SQL("c.document = ANY(%(documents)s)"), {"documents": list(documents)})
