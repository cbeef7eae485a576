"""Every statement of a collection's upkeep, as pure functions: lease, statistics, vacuum and the vector index."""

import json
from collections.abc import Mapping

from psycopg.sql import SQL, Composed, Identifier, Literal

from howdah.retrieval.catalog import INDEX_CATALOGS, INDEX_COLUMNS
from howdah.retrieval.collection import SCHEMA, Collection
from howdah.retrieval.kinds import Index
from howdah.retrieval.query import Query

SAMPLE = 1_200
"""Chunks whose pairs c0 is measured on: of 400, two samples of one collection can differ by more than C0_DRIFT."""


# -- the lease: who is at work; it ends by itself


def take_lease(collection: Collection, name: str, holder: str, seconds: float) -> Query:
    """Take or renew the lease; returns no row where another holds it."""
    return Query(
        SQL("""
            INSERT INTO howdah.leases AS l (tenant, name, holder, expires_at)
            VALUES (%(tenant)s, %(name)s, %(holder)s, clock_timestamp() + make_interval(secs => %(seconds)s))
            ON CONFLICT (tenant, name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
            WHERE l.holder = excluded.holder OR l.expires_at < clock_timestamp()
            RETURNING holder
        """),
        {"tenant": collection.tenant, "name": name, "holder": holder, "seconds": seconds},
    )


def lease(collection: Collection, name: str) -> Query:
    """The holder, and for how many seconds more unless it renews."""
    return Query(
        SQL("""
            SELECT holder, extract(epoch FROM expires_at - clock_timestamp())::float8 AS seconds
            FROM howdah.leases WHERE tenant = %(tenant)s AND name = %(name)s
        """),
        {"tenant": collection.tenant, "name": name},
    )


def release_lease(collection: Collection, name: str, holder: str) -> Query:
    return Query(
        SQL("DELETE FROM howdah.leases WHERE tenant = %(tenant)s AND name = %(name)s AND holder = %(holder)s"),
        {"tenant": collection.tenant, "name": name, "holder": holder},
    )


# -- statistics


def mean_cosine(collection: Collection) -> Query:
    """The mean cosine of the pairs of some random chunks, and how many chunks these were.

    Of m unit vectors with the sum s the pairs' mean is (|s|² - m) / (m (m - 1)): no pair is looked at. Each chunk is
    found by a random number through the primary key, so that the time does not depend on the table's size.
    """
    schema = Identifier(collection.vector_schema)
    return Query(
        SQL("""
            WITH bounds AS (
                SELECT (SELECT n FROM {chunks} WHERE tenant = %(tenant)s ORDER BY n LIMIT 1) AS low,
                       (SELECT n FROM {chunks} WHERE tenant = %(tenant)s ORDER BY n DESC LIMIT 1) AS high
            ),
            wanted AS MATERIALIZED (
                SELECT low + floor(random() * (high - low + 1))::bigint AS n
                FROM bounds, generate_series(1, {sample}) WHERE high - low >= 2 * {sample}
                UNION ALL SELECT n FROM bounds, generate_series(low, high) AS n WHERE high - low < 2 * {sample}
            ),
            chosen AS MATERIALIZED (
                SELECT DISTINCT ON (found.n) found.embedding FROM wanted AS w CROSS JOIN LATERAL (
                    SELECT c.n, {schema}.l2_normalize(c.embedding::{schema}.vector) AS embedding FROM {chunks} AS c
                    WHERE c.tenant = %(tenant)s AND c.n >= w.n ORDER BY c.n LIMIT 1
                ) AS found
            ),
            {mean}
        """).format(chunks=collection.chunks, schema=schema, sample=Literal(SAMPLE), mean=_mean_of_pairs(schema)),
        {"tenant": collection.tenant},
    )


def steady_mean_cosine(collection: Collection, count: int) -> Query:
    """As `mean_cosine`, of `count` chunks that the same documents always give: those whose ids' digests come first.

    Reads every row.
    """
    schema = Identifier(collection.vector_schema)
    return Query(
        SQL("""
            WITH chosen AS MATERIALIZED (
                SELECT {schema}.l2_normalize(embedding::{schema}.vector) AS embedding FROM {chunks}
                WHERE tenant = %(tenant)s ORDER BY md5(id), id LIMIT {count}
            ),
            {mean}
        """).format(chunks=collection.chunks, schema=schema, count=Literal(count), mean=_mean_of_pairs(schema)),
        {"tenant": collection.tenant},
    )


def _mean_of_pairs(schema: Identifier) -> Composed:
    """The rest of a statement whose last CTE, chosen, has unit vectors."""
    return SQL("""
        summed AS (SELECT count(*) AS m, {schema}.avg(embedding) AS mean FROM chosen)
        SELECT m, CASE WHEN m > 1 THEN (m * -(mean OPERATOR({schema}.<#>) mean) - 1) / (m - 1) END::float8 AS c0
        FROM summed
    """).format(schema=schema)


def c0_of(mean: float) -> float:
    """Where the dense scale begins, of a mean cosine: within [0, 0.99], for the scale divides by what is left of 1."""
    return min(max(float(mean), 0.0), 0.99)


def sample(collection: Collection, count: int) -> Query:
    """At most so many chunks, spread over the collection: id and embedding (vector_send)."""
    schema = Identifier(collection.vector_schema)
    return Query(
        SQL("""
            WITH bounds AS (
                SELECT (SELECT n FROM {chunks} WHERE tenant = %(tenant)s ORDER BY n LIMIT 1) AS low,
                       (SELECT n FROM {chunks} WHERE tenant = %(tenant)s ORDER BY n DESC LIMIT 1) AS high
            )
            SELECT DISTINCT found.id, found.embedding
            FROM bounds, generate_series(0, {count} - 1) AS place CROSS JOIN LATERAL (
                SELECT c.id, {schema}.vector_send(c.embedding::{schema}.vector) AS embedding FROM {chunks} AS c
                WHERE c.tenant = %(tenant)s AND c.n >= low + place * (high - low) / {count} ORDER BY c.n LIMIT 1
            ) AS found
        """).format(chunks=collection.chunks, schema=schema, count=Literal(count)),
        {"tenant": collection.tenant},
    )


def vacuum(collection: Collection) -> list[Composed]:
    """Statistics for the planner, and the visibility map, which index-only scans of the postings live on."""
    tables = [collection.chunks, collection.passages, Identifier(SCHEMA, "corpus_stats")]
    if collection.spec.lexical:
        tables += [collection.postings, collection.terms]
    return [SQL("VACUUM (ANALYZE) {}").format(table) for table in tables]


def server_memory() -> Query:
    """What the server gives a build, its buffers (bytes), the workers of a build, and those that all queries share."""
    return Query(
        SQL("""
            SELECT pg_size_bytes(current_setting('maintenance_work_mem')) AS memory,
                   pg_size_bytes(current_setting('shared_buffers')) AS buffers,
                   current_setting('max_parallel_maintenance_workers')::int AS workers,
                   current_setting('max_parallel_workers')::int AS shared_workers
        """),
        {},
    )


# -- the index


def indexes(collection: Collection) -> Query:
    """The vector indexes of the collection: schema, name, whether searches may use them, bytes, and what they are.

    What an interrupted build or REINDEX CONCURRENTLY left (…_ccnew, …_ccold) is among them, and is not valid.
    """
    return Query(
        SQL("""
            SELECT n.nspname AS schema, i.relname AS name, x.indisvalid AND x.indisready AND x.indislive AS valid,
                   pg_relation_size(i.oid) AS bytes, {columns}
            FROM {catalogs} JOIN pg_namespace AS n ON n.oid = i.relnamespace
            WHERE x.indrelid = %(table)s::regclass AND a.amname IN ('hnsw', 'ivfflat') ORDER BY i.oid DESC
        """).format(columns=INDEX_COLUMNS, catalogs=INDEX_CATALOGS),
        {"table": f"{SCHEMA}.{collection.chunks_name}"},
    )


def building(collection: Collection) -> Query:
    """The server process that is building an index on the chunks now, how far it is, and whose end it waits for.

    IVFFlat counts tuples while it loads them; HNSW has no total of these, but the table's blocks that it has read.
    """
    return Query(
        SQL("""
            SELECT pid, phase, nullif(current_locker_pid, 0) AS waits_for,
                   (100.0 * coalesce(tuples_done::float8 / nullif(tuples_total, 0),
                                     blocks_done::float8 / nullif(blocks_total, 0))) AS percent
            FROM pg_stat_progress_create_index
            WHERE datname = current_database() AND relid = %(table)s::regclass
        """),
        {"table": f"{SCHEMA}.{collection.chunks_name}"},
    )


def create_index(collection: Collection, index: Index, name: str) -> Composed:
    """Beside readers and writers, never inside a transaction. Interrupted, it leaves an index that is not valid."""
    return SQL(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {chunks} USING {method} ({held} {opclass}) WITH ({options})"
    ).format(
        name=Identifier(name),
        chunks=collection.chunks,
        method=Identifier(index.method.label),
        held=index.held(collection.spec, collection.vector_schema, SQL("embedding")),
        opclass=index.opclass(collection.spec, collection.vector_schema),
        options=index.with_options(),
    )


def metadata_index(collection: Collection) -> Query:
    """The GIN index that serves filters by equality, where there is one: its name, and whether searches may use it."""
    return Query(
        SQL("""
            SELECT i.relname AS name, x.indisvalid AND x.indisready AND x.indislive AS valid
            FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
            WHERE x.indrelid = %(table)s::regclass AND i.relname = %(name)s
        """),
        {"table": f"{SCHEMA}.{collection.chunks_name}", "name": collection.metadata_index_name},
    )


def create_metadata_index(collection: Collection) -> Composed:
    return SQL("CREATE INDEX CONCURRENTLY IF NOT EXISTS {} ON {} USING gin (metadata jsonb_path_ops)").format(
        Identifier(collection.metadata_index_name), collection.chunks
    )


def drop_index_now(schema: str, name: str) -> Composed:
    """Inside a transaction."""
    return SQL("DROP INDEX IF EXISTS {}").format(Identifier(schema, name))


def without_statistics(name: str) -> Composed:
    """For an index over an expression: ANALYZE would hold 30,000 of its long values in memory, and nothing asks for them."""
    return SQL("ALTER INDEX {} ALTER COLUMN 1 SET STATISTICS 0").format(Identifier(SCHEMA, name))


def rebuild_index(schema: str, name: str) -> Composed:
    """As `create_index`; the one that is there serves searches until the new one takes its name."""
    return SQL("REINDEX INDEX CONCURRENTLY {}").format(Identifier(schema, name))


def drop_index(schema: str, name: str) -> Composed:
    return SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(Identifier(schema, name))


def session_settings(settings: dict[str, str]) -> Query:
    """Settings of the session that builds; it is ours alone."""
    calls = [
        SQL("set_config({}, {}, false)").format(Literal(name), Literal(value))
        for name, value in sorted(settings.items())
    ]
    return Query(SQL("SELECT {}").format(SQL(", ").join(calls)), {})


# -- what was wished of the index, which the collection remembers


def wish(collection: Collection) -> Query:
    """The policy, its options, and how many rows an IVFFlat index found its lists among."""
    return Query(
        SQL("""
            SELECT coalesce(settings->>'index', 'auto') AS policy, coalesce(settings->'index_options', '{}') AS options,
                   (settings->>'indexed_rows')::bigint AS indexed_rows
            FROM howdah.collections WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {"tenant": collection.tenant, "id": collection.id},
    )


def remember(collection: Collection, settings: Mapping[str, object]) -> Query:
    """Put these into the collection's settings, beside what is there."""
    return Query(
        SQL("""
            UPDATE howdah.collections SET settings = settings || %(settings)s::text::jsonb
            WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {"tenant": collection.tenant, "id": collection.id, "settings": json.dumps(dict(settings))},
    )
