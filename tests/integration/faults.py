# ruff: noqa: E501 - a fault reads best when its SQL stands in one line
"""What is planted for the doctor to find: each fault as SQL, which check names it, and what its fix has to hold.

`{table}` and `{index}` stand for the table of vectors and its index, `{db}` for the database, `{opclass}` for the type's
operator classes without their distance.
"""

from dataclasses import dataclass, field

from howdah.retrieval import schema

OURS = {
    "table": "howdah.chunks_1", "schema": "howdah", "index": "chunks_1_embedding_hnsw", "type": "halfvec", "id": "id",
}  # fmt: skip
THEIRS = {
    "table": "public.langchain_pg_embedding", "schema": "public", "index": "vectors", "type": "vector", "id": "id",
}  # fmt: skip
BOTH = ("ours", "theirs")
CATALOG = "SET allow_system_table_mods = on; "
NEVER = "ALTER EXTENSION vector UPDATE;"


@dataclass(frozen=True)
class Fault:
    """`plant` is run by a superuser, statement by statement. `fix`: what the doctor's has to contain.

    `runs`: the fix is SQL that mends it; else `undo` takes the fault away. `reset`: SQL that the fix leaves to be done so that
    the database is as before. `also`: checks that have to say something, too. `restart`: it needs one, before and after.
    """

    name: str
    check: str
    plant: str
    fix: str
    status: str = "warn"
    on: tuple[str, ...] = BOTH
    runs: bool = True
    undo: str = ""
    reset: str = ""
    also: frozenset[str] = frozenset()
    restart: bool = False
    arguments: tuple[str, ...] = field(default=())


def database(name: str, check: str, setting: str, value: str, fix: str, **more: object) -> Fault:
    """A setting of the database."""
    return Fault(name, check, f"ALTER DATABASE {{db}} SET {setting} = {value};", fix, **more)  # type: ignore[arg-type]


def system(name: str, check: str, setting: str, value: str, **more: object) -> Fault:
    """A setting of the server."""
    plant = f"ALTER SYSTEM SET {setting} = {value}; SELECT pg_reload_conf();"
    reset = f"ALTER SYSTEM RESET {setting}; SELECT pg_reload_conf();"
    return Fault(name, check, plant, f"ALTER SYSTEM SET {setting} =", reset=reset, **more)  # type: ignore[arg-type]


SERVER = [
    Fault("pgvector 0.8.3", "pgvector-version", CATALOG + "UPDATE pg_extension SET extversion = '0.8.3' WHERE extname = 'vector';",
          "REINDEX INDEX CONCURRENTLY {schema}.{index};"),
    Fault("pgvector 0.8.1", "pgvector-version", CATALOG + "UPDATE pg_extension SET extversion = '0.8.1' WHERE extname = 'vector';",
          NEVER, status="fail"),
    Fault("pgvector not updated", "pgvector-version",
          CATALOG + "UPDATE pg_extension SET extversion = '0.8.5' WHERE extname = 'vector';", NEVER),
    database("few connections", "connections", "search_path", "DEFAULT", "ALTER DATABASE"),
    Fault("slot", "replication-slots", "SELECT pg_create_physical_replication_slot('left_behind', true);",
          "SELECT pg_drop_replication_slot('left_behind');"),
    database("no index scans", "planner-switches", "enable_indexscan", "off", "RESET enable_indexscan;"),
    Fault("no sequential scans", "planner-switches", "ALTER ROLE app IN DATABASE {db} SET enable_seqscan = off;",
          "ALTER ROLE app IN DATABASE {db} RESET enable_seqscan;"),
    Fault("short timeout", "statement-timeout", "ALTER ROLE app SET statement_timeout = '1s';",
          "ALTER ROLE app RESET statement_timeout;"),
    database("read only", "transaction-defaults", "default_transaction_read_only", "on",
             "SET default_transaction_read_only = off; ALTER DATABASE {db} RESET", status="fail"),
    database("serializable", "transaction-defaults", "default_transaction_isolation", "serializable",
             "RESET default_transaction_isolation;"),
    database("small work_mem", "work-mem", "work_mem", "'256kB'", "RESET work_mem;"),
    database("no counts", "autovacuum", "track_counts", "off", "RESET track_counts;", status="fail"),
    system("no autovacuum", "autovacuum", "autovacuum", "off", status="fail"),
    system("no fsync", "crash-safety", "fsync", "off", status="fail"),
    system("no full pages", "crash-safety", "full_page_writes", "off", status="fail"),
    system("small buffers", "shared-buffers", "shared_buffers", "'1MB'", restart=True),
    database("small builds", "maintenance-work-mem", "maintenance_work_mem", "'1MB'", "SET maintenance_work_mem =",
             on=("theirs",), reset="ALTER DATABASE {db} RESET maintenance_work_mem;"),
]  # fmt: skip
SERVER[3] = Fault("few connections", "connections", "ALTER DATABASE {db} CONNECTION LIMIT 3;",
                  'ALTER DATABASE {db} CONNECTION LIMIT -1;')  # fmt: skip

INDEXES = [
    Fault("no index", "vector-index", "DROP INDEX {schema}.{index};", "CREATE INDEX CONCURRENTLY ON {table}",
          on=("theirs",), reset="ALTER INDEX langchain_pg_embedding_embedding_idx RENAME TO vectors;"),
    Fault("interrupted rebuild", "index-valid",
          "SET statement_timeout = '100ms'; REINDEX INDEX CONCURRENTLY {schema}.{index};",
          "DROP INDEX CONCURRENTLY {schema}.{index}_ccnew;", status="fail"),
    Fault("invalid index", "index-valid",
          CATALOG + "UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{schema}.{index}'::regclass;",
          "REINDEX INDEX CONCURRENTLY {schema}.{index};", status="fail"),
    Fault("double index", "index-unused",
          "CREATE INDEX zz_twice ON {table} USING hnsw (embedding {type}_cosine_ops) WITH (ef_construction = 32);",
          "DROP INDEX CONCURRENTLY {schema}.zz_twice;"),
    Fault("idle index", "index-unused",
          "SET enable_indexonlyscan = off; SET enable_indexscan = off; SET enable_bitmapscan = off;"
          "DO $$ BEGIN FOR i IN 1..1001 LOOP PERFORM count(*) FROM {table}; END LOOP; END $$;",
          "pg_stat_statements", runs=False, undo="SELECT pg_stat_reset(); ANALYZE;"),
    Fault("other distance", "operator-class",
          "DROP INDEX {schema}.{index}; CREATE INDEX {index} ON {table} USING hnsw (embedding {type}_l2_ops);",
          "DROP INDEX CONCURRENTLY {schema}.{index};", status="fail", on=("theirs",),
          reset="ALTER INDEX langchain_pg_embedding_embedding_idx RENAME TO vectors;"),
    Fault("distance beside", "operator-class",
          "CREATE INDEX beside ON {table} USING hnsw (embedding {type}_l2_ops) WITH (ef_construction = 32);",
          "DROP INDEX CONCURRENTLY {schema}.beside;"),
    database("dear pages", "index-plan", "random_page_cost", "1000000", "RESET random_page_cost;"),
    Fault("too many lists", "ivfflat-lists",
          "DROP INDEX vectors; CREATE INDEX vectors ON {table} USING ivfflat (embedding vector_cosine_ops) WITH (lists = 2000);"
          "ALTER DATABASE {db} SET ivfflat.probes = 50;",
          "ALTER INDEX public.vectors SET (lists = 12); REINDEX INDEX CONCURRENTLY public.vectors;", on=("theirs",),
          reset="DROP INDEX vectors; CREATE INDEX vectors ON {table} USING hnsw (embedding vector_cosine_ops);"
          "ALTER DATABASE {db} RESET ivfflat.probes;"),
    Fault("one probe", "search-settings",
          "DROP INDEX vectors; CREATE INDEX vectors ON {table} USING ivfflat (embedding vector_cosine_ops) WITH (lists = 12);",
          "SET ivfflat.probes = 4;", on=("theirs",),
          reset="DROP INDEX vectors; CREATE INDEX vectors ON {table} USING hnsw (embedding vector_cosine_ops);"
          "ALTER DATABASE {db} RESET ivfflat.probes;"),
    database("narrow beam", "search-settings", "hnsw.ef_search", "5", "SET hnsw.ef_search = 40;", on=("theirs",),
             reset="ALTER DATABASE {db} RESET hnsw.ef_search;"),
    Fault("cold index", "index-in-cache", "CREATE EXTENSION pg_buffercache;", "SELECT pg_prewarm('{schema}.{index}');",
          restart=True, reset="DROP EXTENSION pg_buffercache; DROP EXTENSION pg_prewarm;"),
    Fault("no dimensions", "dimensions",
          "CREATE TABLE loose AS SELECT id, embedding::vector AS embedding FROM {table};"
          "ALTER TABLE loose ALTER COLUMN embedding TYPE vector; ALTER TABLE loose OWNER TO app; ANALYZE loose;",
          "TYPE public.vector(8)", on=("theirs",), reset="DROP TABLE loose;"),
    Fault("many dimensions", "dimensions",
          "CREATE TABLE wide AS SELECT i AS id, array_fill((i % 7) + 1, ARRAY[2100])::vector(2100) AS embedding"
          " FROM generate_series(1, 2100) AS i; ALTER TABLE wide OWNER TO app; ANALYZE wide;",
          "TYPE public.halfvec(2100)", on=("theirs",), reset="DROP TABLE wide;"),
    Fault("two dimensions", "dimensions",
          "CREATE TABLE mixed AS SELECT '[1,2]'::vector AS embedding UNION ALL SELECT '[1,2,3]'::vector;"
          "ALTER TABLE mixed OWNER TO app;", "vector_dims", status="fail", on=("theirs",), runs=False, undo="DROP TABLE mixed;"),
]  # fmt: skip

TABLES = [
    Fault("no vectors", "null-vectors", "UPDATE {table} SET embedding = NULL WHERE id IN ('id1', 'id2');",
          "DELETE FROM {table} WHERE embedding IS NULL;", on=("theirs",)),
    Fault("zeros", "zero-vectors", "UPDATE {table} SET embedding = '[0,0,0,0,0,0,0,0]' WHERE id IN ('id3', 'id4');",
          "DELETE FROM {table} WHERE", on=("theirs",)),
    Fault("zeros in a collection", "zero-vectors",
          "UPDATE {table} SET embedding = '[0,0,0,0,0,0,0,0]' WHERE n = (SELECT min(n) FROM {table});", "howdah delete",
          on=("ours",), runs=False, undo="UPDATE {table} SET embedding = '[1,2,3,4,5,6,7,8]' WHERE n = (SELECT min(n) FROM {table});"),
    Fault("deleted rows", "dead-rows", "UPDATE howdah.passages_1 SET page = 1 WHERE n % 2 = 0; SELECT pg_stat_force_next_flush(); ANALYZE howdah.passages_1;",
          "VACUUM (ANALYZE) howdah.passages_1;", on=("ours",)),
    Fault("deleted rows", "dead-rows", "UPDATE {table} SET document = 'new' WHERE right(id, 1) IN ('7', '8', '9'); SELECT pg_stat_force_next_flush(); ANALYZE {table};",
          "VACUUM (ANALYZE) {table};", on=("theirs",)),
    Fault("empty room", "table-bloat",
          "UPDATE howdah.passages_1 SET page = 2; UPDATE howdah.passages_1 SET page = 3; UPDATE howdah.passages_1 SET page = 4;"
          "UPDATE howdah.passages_1 SET page = 5; UPDATE howdah.passages_1 SET page = 6; SELECT pg_stat_force_next_flush(); VACUUM ANALYZE howdah.passages_1;",
          "VACUUM (FULL, ANALYZE) howdah.passages_1;", on=("ours",)),
    Fault("empty room", "table-bloat",
          "INSERT INTO data_notes (text, embedding) SELECT repeat('x', 200), '[1,2,3,4,5,6,7,8]' FROM generate_series(1, 60000);"
          "DELETE FROM data_notes WHERE id > 50 AND id < (SELECT max(id) FROM data_notes); SELECT pg_stat_force_next_flush(); VACUUM ANALYZE data_notes;",
          "VACUUM (FULL, ANALYZE) public.data_notes;", on=("theirs",)),
    Fault("old rows", "freeze-age",
          CATALOG + "UPDATE pg_class SET relfrozenxid = ((txid_current() + 4294967296 - 300000000) % 4294967296)::text::xid"
          " WHERE oid = '{table}'::regclass;", "VACUUM (FREEZE) {table};"),
    Fault("very old rows", "freeze-age",
          CATALOG + "UPDATE pg_class SET relfrozenxid = ((txid_current() + 4294967296 - 1900000000) % 4294967296)::text::xid"
          " WHERE oid = '{table}'::regclass;", "VACUUM (FREEZE) {table};", status="fail"),
    Fault("stale statistics", "statistics", "INSERT INTO howdah.terms_1 (lexeme, df) SELECT 'zz' || i, 0 FROM generate_series(1, 2000) AS i;",
          "ANALYZE howdah.terms_1;", on=("ours",)),
    Fault("stale statistics", "statistics",
          "INSERT INTO {table} SELECT id || '-again', collection_id, embedding FROM {table} WHERE id < 'id4';",
          "ANALYZE {table};", on=("theirs",)),
    Fault("left alone", "table-autovacuum", "ALTER TABLE {table} SET (autovacuum_enabled = off);",
          "ALTER TABLE {table} RESET (autovacuum_enabled);"),
    Fault("unlogged", "unlogged", "ALTER TABLE howdah.terms_1 SET UNLOGGED;", "ALTER TABLE howdah.terms_1 SET LOGGED;",
          status="fail", on=("ours",)),
    Fault("unlogged", "unlogged", "ALTER TABLE data_notes SET UNLOGGED;", "ALTER TABLE public.data_notes SET LOGGED;",
          status="fail", on=("theirs",)),
]  # fmt: skip

_ADDED = "INSERT INTO howdah.documents (collection, root, source, content_hash, made_by) VALUES (1, 'r', 'r/lost.md', '', '');"
COLLECTIONS = [
    Fault("newer schema", "schema-version", f"INSERT INTO howdah.migrations (version, name) VALUES ({schema.VERSION + 1}, 'next');",
          "pip install --upgrade howdah", status="fail", runs=False,
          undo=f"DELETE FROM howdah.migrations WHERE version = {schema.VERSION + 1};"),
    Fault("unknown model", "embedding-model", "UPDATE howdah.collections SET model = 'unknown';",
          "export HOWDAH_EMBEDDINGS=provider:model", runs=False, undo="UPDATE howdah.collections SET model = '{model}';"),
    Fault("other build", "embedding-model", "UPDATE howdah.collections SET model = 'local:bge-small-en-v1.5@0000';", "Howdah",
          status="fail", runs=False, undo="UPDATE howdah.collections SET model = '{model}';"),
    Fault("lost document", "orphans", _ADDED, "DELETE FROM howdah.documents", status="fail"),
    Fault("loose passage", "orphans", "INSERT INTO howdah.passages_1 (n, content) VALUES (999999, 'loose');",
          "DELETE FROM howdah.passages_1", status="fail"),
    Fault("posting of nothing", "orphans", "INSERT INTO howdah.postings_1 (n, tf, dl, lexeme) VALUES (999999, 1, 1, 'zzz');",
          "DELETE FROM howdah.postings_1", status="fail"),
    Fault("chunks of no document", "orphans", "UPDATE howdah.chunks_1 SET document = 999999 WHERE n = (SELECT min(n) FROM howdah.chunks_1);",
          "UPDATE howdah.chunks_1 AS t SET document = NULL", status="fail"),
    Fault("miscounted chunks", "term-statistics",
          "INSERT INTO howdah.corpus_stats (collection, chunks, length) VALUES (1, 5, 0);",
          "INSERT INTO howdah.corpus_stats", status="fail"),
    Fault("miscounted words", "term-statistics", "UPDATE howdah.terms_1 SET df = df + 7;", "INSERT INTO howdah.terms_1",
          status="fail"),
    Fault("failed source", "failed-sources",
          "INSERT INTO howdah.failures (collection, source, error) VALUES (1, 'r/broken.pdf', 'it has no text');",
          "howdah ingest --retry --collection docs", runs=False, undo="DELETE FROM howdah.failures;"),
    Fault("dead maintainer", "unfinished-work",
          "INSERT INTO howdah.leases (name, holder, expires_at) VALUES ('maintain:1', 'gone:1:x', now() - interval '1 hour');",
          "howdah db maintain --collection docs", runs=False, undo="DELETE FROM howdah.leases;"),
    Fault("half a change of model", "reembedding",
          "UPDATE howdah.collections SET settings = settings || '{{\"reembedding\": {{\"stage\": \"filling\", \"other\": {{\"number\": 1,"
          " \"model\": \"openai:text-embedding-3-small\", \"dimensions\": 1536, \"storage\": \"halfvec\"}}}}}}';",
          "howdah collections reembed docs --model openai:text-embedding-3-small", runs=False,
          undo="UPDATE howdah.collections SET settings = settings - 'reembedding';"),
    Fault("no index of words", "own-indexes", "DROP INDEX howdah.passages_1_tsv;", "CREATE INDEX CONCURRENTLY passages_1_tsv",
          status="fail"),
    Fault("no index of documents", "own-indexes", "DROP INDEX howdah.chunks_1_document;", "CREATE INDEX CONCURRENTLY chunks_1_document",
          status="fail"),
    Fault("no key", "own-indexes", "ALTER TABLE howdah.terms_1 DROP CONSTRAINT terms_1_pkey;", "ADD PRIMARY KEY (tenant, lexeme, n)",
          status="fail"),
]  # fmt: skip
FAULTS = [
    (fault, where) for fault in [*SERVER, *INDEXES, *TABLES] for where in fault.on
] + [(fault, "ours") for fault in COLLECTIONS]  # fmt: skip
