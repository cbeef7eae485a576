"""Every statement of a collection's upkeep, as pure functions: lease, statistics, vacuum and the HNSW index."""

from psycopg.sql import SQL, Composed, Identifier, Literal

from howdah.retrieval.collection import SCHEMA, Collection
from howdah.retrieval.query import Query

M, EF_CONSTRUCTION = 16, 128
SAMPLE = 400
"""Chunks whose pairs c0 is measured on."""


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
            summed AS (
                SELECT count(*) AS m, {schema}.avg(embedding) AS mean FROM chosen
            )
            SELECT m, CASE WHEN m > 1 THEN
                (m * -(mean OPERATOR({schema}.<#>) mean) - 1) / (m - 1) END::float8 AS c0
            FROM summed
        """).format(chunks=collection.chunks, schema=schema, sample=Literal(SAMPLE)),
        {"tenant": collection.tenant},
    )


def vacuum(collection: Collection) -> list[Composed]:
    """Statistics for the planner, and the visibility map, which index-only scans of the postings live on."""
    tables = [collection.chunks, collection.passages, Identifier(SCHEMA, "corpus_stats")]
    if collection.spec.lexical:
        tables.append(collection.postings)
    return [SQL("VACUUM (ANALYZE) {}").format(table) for table in tables]


def server_memory() -> Query:
    """What the server gives a build, and its buffers: bytes."""
    return Query(
        SQL("""
            SELECT pg_size_bytes(current_setting('maintenance_work_mem')) AS memory,
                   pg_size_bytes(current_setting('shared_buffers')) AS buffers
        """),
        {},
    )


# -- the index


def indexes(collection: Collection) -> Query:
    """The HNSW indexes of the collection's embeddings: schema, name, and whether searches may use them."""
    return Query(
        SQL("""
            SELECT n.nspname AS schema, i.relname AS name, x.indisvalid AND x.indisready AND x.indislive AS valid,
                   pg_relation_size(i.oid) AS bytes
            FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_namespace AS n ON n.oid = i.relnamespace
            JOIN pg_am AS a ON a.oid = i.relam
            WHERE x.indrelid = %(table)s::regclass AND a.amname = 'hnsw' ORDER BY i.relname
        """),
        {"table": f"{SCHEMA}.chunks_{collection.id}"},
    )


def building(collection: Collection) -> Query:
    """The server process that is building an index on the chunks now, and how far it is."""
    return Query(
        SQL("""
            SELECT pid, phase, (100.0 * tuples_done / nullif(tuples_total, 0))::float8 AS percent
            FROM pg_stat_progress_create_index
            WHERE datname = current_database() AND relid = %(table)s::regclass
        """),
        {"table": f"{SCHEMA}.chunks_{collection.id}"},
    )


def create_index(collection: Collection) -> Composed:
    """Beside readers and writers, never inside a transaction. Interrupted, it leaves an index that is not valid."""
    return SQL(
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {chunks} USING hnsw (embedding {opclass})"
        " WITH (m = {m}, ef_construction = {ef})"
    ).format(
        name=Identifier(collection.index_name),
        chunks=collection.chunks,
        opclass=collection.opclass,
        m=Literal(M),
        ef=Literal(EF_CONSTRUCTION),
    )


def metadata_index(collection: Collection) -> Query:
    """The GIN index that serves filters by equality, where there is one: its name, and whether searches may use it."""
    return Query(
        SQL("""
            SELECT i.relname AS name, x.indisvalid AND x.indisready AND x.indislive AS valid
            FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
            WHERE x.indrelid = %(table)s::regclass AND i.relname = %(name)s
        """),
        {"table": f"{SCHEMA}.chunks_{collection.id}", "name": collection.metadata_index_name},
    )


def create_metadata_index(collection: Collection) -> Composed:
    return SQL("CREATE INDEX CONCURRENTLY IF NOT EXISTS {} ON {} USING gin (metadata jsonb_path_ops)").format(
        Identifier(collection.metadata_index_name), collection.chunks
    )


def drop_index_now(schema: str, name: str) -> Composed:
    """Inside a transaction."""
    return SQL("DROP INDEX IF EXISTS {}").format(Identifier(schema, name))


def drop_index(schema: str, name: str) -> Composed:
    return SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(Identifier(schema, name))


def build_memory(collection: Collection, rows: int) -> int:
    """Bytes that the whole graph takes while it is built: vector, neighbours of two levels and pgvector's own record.

    Beyond maintenance_work_mem a build goes on, on disk and several times slower.
    """
    vector = collection.spec.storage.row_bytes(collection.spec.dimensions)
    return int(1.2 * rows * (vector + 16 * 3 * M + 200))


def session_settings(settings: dict[str, str]) -> Query:
    """Settings of the session that builds; it is ours alone."""
    calls = [
        SQL("set_config({}, {}, false)").format(Literal(name), Literal(value))
        for name, value in sorted(settings.items())
    ]
    return Query(SQL("SELECT {}").format(SQL(", ").join(calls)), {})


# -- the policy, which the collection remembers


def policy(collection: Collection) -> Query:
    return Query(
        SQL("SELECT settings->>'index' AS policy FROM howdah.collections WHERE tenant = %(tenant)s AND id = %(id)s"),
        {"tenant": collection.tenant, "id": collection.id},
    )


def set_policy(collection: Collection, name: str) -> Query:
    return Query(
        SQL("""
            UPDATE howdah.collections SET settings = settings || jsonb_build_object('index', %(policy)s::text)
            WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {"tenant": collection.tenant, "id": collection.id, "policy": name},
    )
