"""What the database itself knows of its collections, as statements that cost little. Pure.

None reads a collection's rows: numbers of chunks are the sums that writers keep, sizes and uses are PostgreSQL's own
statistics. Answers are counted in the traces of the last day, by an index.
"""

from psycopg.sql import SQL

from howdah.retrieval.query import Query

MOST = 200
"""Collections that have labels of their own, the oldest; howdah_collections tells how many there are."""
WINDOWS = ("1h", "24h")

_SHOWN = SQL("""
    shown AS (
        SELECT c.tenant, c.id, c.name, coalesce('_' || nullif(c.settings ->> 'generation', '0'), '') AS generation
        FROM howdah.collections AS c WHERE c.tenant = %(tenant)s AND NOT c.hidden ORDER BY c.id LIMIT %(most)s
    )
""")
_TABLES = SQL("""
    tables AS (
        SELECT s.name AS collection, part AS "table", to_regclass(format(
                   'howdah.%%I', part || '_' || s.id || CASE part WHEN 'chunks' THEN s.generation ELSE '' END)) AS oid
        FROM shown AS s, unnest(ARRAY['chunks', 'passages', 'postings', 'terms']) AS part
    )
""")


def server() -> Query:
    """Versions, connections to this database by state, and how many the server takes."""
    return Query(
        SQL("""
            SELECT current_setting('server_version') AS postgresql,
                   (SELECT extversion FROM pg_extension WHERE extname = 'vector') AS pgvector,
                   current_setting('max_connections')::int AS most,
                   pg_is_in_recovery() AS replica,
                   (SELECT coalesce(json_object_agg(state, number), '{}') FROM (
                        SELECT state, count(*) AS number FROM pg_stat_activity
                        WHERE datname = current_database() AND state IS NOT NULL GROUP BY state
                    ) AS s) AS connections,
                   (SELECT n_live_tup FROM pg_stat_all_tables
                    WHERE relid = to_regclass('howdah.embedding_cache')) AS cached,
                   pg_total_relation_size(to_regclass('howdah.embedding_cache')) AS cache_bytes
        """),
        {},
    )


def schema() -> Query:
    """The version of Howdah's tables; the statement fails where there are none."""
    return Query(SQL("SELECT max(version) AS version FROM howdah.migrations"), {})


def collections(tenant: str) -> Query:
    """Each collection's numbers of chunks, documents and failed sources, and when a document was last written."""
    return Query(
        SQL("""
            WITH {shown}
            SELECT s.name AS collection,
                   (SELECT count(*) FROM howdah.collections WHERE tenant = %(tenant)s AND NOT hidden) AS collections,
                   coalesce((SELECT sum(chunks) FROM howdah.corpus_stats AS t
                             WHERE t.tenant = s.tenant AND t.collection = s.id), 0)::bigint AS chunks,
                   coalesce(d.number, 0) AS documents, extract(epoch FROM d.synced)::float8 AS synced,
                   coalesce(f.number, 0) AS failed, extract(epoch FROM f.oldest)::float8 AS failed_since
            FROM shown AS s
            LEFT JOIN (SELECT collection, count(*) AS number, max(synced_at) AS synced FROM howdah.documents
                       WHERE tenant = %(tenant)s GROUP BY collection) AS d ON d.collection = s.id
            LEFT JOIN (SELECT collection, count(*) AS number, min(failed_at) AS oldest FROM howdah.failures
                       WHERE tenant = %(tenant)s GROUP BY collection) AS f ON f.collection = s.id
            ORDER BY s.name
        """).format(shown=_SHOWN),
        {"tenant": tenant, "most": MOST},
    )


def tables(tenant: str) -> Query:
    """Each table's bytes without its indexes, its rows that are alive and dead as PostgreSQL counts them, the last vacuum."""
    return Query(
        SQL("""
            WITH {shown}, {tables}
            SELECT t.collection, t."table", pg_table_size(t.oid) AS bytes, s.n_live_tup AS live, s.n_dead_tup AS dead,
                   extract(epoch FROM greatest(s.last_vacuum, s.last_autovacuum))::float8 AS vacuumed
            FROM tables AS t JOIN pg_stat_all_tables AS s ON s.relid = t.oid ORDER BY t.collection, t."table"
        """).format(shown=_SHOWN, tables=_TABLES),
        {"tenant": tenant, "most": MOST},
    )


def indexes(tenant: str) -> Query:
    """Each index' bytes, how often it was used, and how many of its blocks were found in the server's memory and how many not.

    An index is named without its table: embedding_hnsw.
    """
    return Query(
        SQL("""
            WITH {shown}, {tables}
            SELECT t.collection, t."table",
                   regexp_replace(x.indexrelname, '^' || regexp_replace(x.relname, '([^[:alnum:]_])', '\\\1', 'g') || '_', '')
                       AS "index",
                   pg_relation_size(x.indexrelid) AS bytes, x.idx_scan AS scans, x.idx_blks_hit AS hit, x.idx_blks_read AS read
            FROM tables AS t JOIN (
                SELECT s.*, io.idx_blks_hit, io.idx_blks_read
                FROM pg_stat_all_indexes AS s JOIN pg_statio_all_indexes AS io USING (indexrelid)
            ) AS x ON x.relid = t.oid
            ORDER BY t.collection, t."table", x.indexrelname
        """).format(shown=_SHOWN, tables=_TABLES),
        {"tenant": tenant, "most": MOST},
    )


def answers(tenant: str) -> Query:
    """How many answers of the last hour and the last day have a trace, by outcome; 0 where there are none."""
    return Query(
        SQL("""
            WITH {shown}
            SELECT s.name AS collection, o AS outcome, count(*) FILTER (WHERE t.at > now() - interval '1 hour') AS "1h",
                   count(t.id) AS "24h"
            FROM shown AS s CROSS JOIN unnest(ARRAY['answered', 'refused', 'cancelled', 'failed']) AS o
            LEFT JOIN howdah.traces AS t ON t.tenant = s.tenant AND t.collection = s.id AND t.outcome = o
                  AND t.at > now() - interval '24 hours' AND t.expires_at > now()
            GROUP BY s.name, o ORDER BY s.name, o
        """).format(shown=_SHOWN),
        {"tenant": tenant, "most": MOST},
    )


def sentences(tenant: str) -> Query:
    """The same of these answers' sentences, by what became of them (see chains.types.Check)."""
    return Query(
        SQL("""
            WITH {shown}, checked AS (
                SELECT t.collection, t.at, one ->> 'status' AS status
                FROM howdah.traces AS t CROSS JOIN LATERAL jsonb_array_elements(t.checks) AS one
                WHERE t.tenant = %(tenant)s AND t.at > now() - interval '24 hours' AND t.expires_at > now()
            )
            SELECT s.name AS collection, w AS status,
                   count(*) FILTER (WHERE c.at > now() - interval '1 hour') AS "1h", count(c.at) AS "24h"
            FROM shown AS s
            CROSS JOIN unnest(ARRAY['supported', 'repaired', 'corrected', 'quoted', 'marked', 'dropped']) AS w
            LEFT JOIN checked AS c ON c.collection = s.id AND c.status = w
            GROUP BY s.name, w ORDER BY s.name, w
        """).format(shown=_SHOWN),
        {"tenant": tenant, "most": MOST},
    )
