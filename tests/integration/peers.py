"""The other libraries' tables, made by the libraries themselves where they are installed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
import pytest
from langchain_core.embeddings import Embeddings
from psycopg.sql import SQL, Identifier


def langchain_engine(url: str) -> Any:
    sqlalchemy = pytest.importorskip("sqlalchemy")
    return sqlalchemy.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(url))


def langchain_store(url: str, embeddings: Embeddings, name: str, **more: Any) -> Any:
    """langchain-postgres' PGVector."""
    theirs = pytest.importorskip("langchain_postgres", reason="the extra 'langchain-postgres' is not installed")
    return theirs.PGVector(embeddings, connection=langchain_engine(url), collection_name=name, **more)


async def langchain_table(
    url: str, embeddings: Embeddings, table: str, *, size: int, columns: Mapping[str, str] | None = None, **more: Any
) -> Any:
    """langchain-postgres' PGVectorStore on a new table; `columns` are its metadata columns, name: type."""
    theirs = pytest.importorskip("langchain_postgres", reason="the extra 'langchain-postgres' is not installed")
    aio = pytest.importorskip("sqlalchemy.ext.asyncio")

    async def connect() -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(url)

    engine = theirs.PGEngine.from_engine(aio.create_async_engine("postgresql+psycopg://", async_creator=connect))
    given = [theirs.Column(name, kind) for name, kind in (columns or {}).items()]
    await engine._ainit_vectorstore_table(table, size, metadata_columns=given, **more)
    names = {k: v for k, v in more.items() if k not in ("overwrite_existing", "hybrid_search_config")}
    if not isinstance(names.get("id_column", ""), str):
        names["id_column"] = names["id_column"].name
    from langchain_postgres.v2.async_vectorstore import AsyncPGVectorStore

    return await AsyncPGVectorStore.create(engine, embeddings, table, metadata_columns=list(columns or {}), **names)


# As sqlalchemy makes it from the model of llama-index-vector-stores-postgres, with hybrid_search=True.
LLAMAINDEX = """
    CREATE TABLE {table} (
        id bigserial NOT NULL PRIMARY KEY,
        text varchar NOT NULL,
        metadata_ {json},
        node_id varchar,
        embedding {type},
        text_search_tsv tsvector GENERATED ALWAYS AS (to_tsvector('english', text)) STORED
    );
    CREATE INDEX ON {table} USING gin (text_search_tsv);
    CREATE INDEX ON {table} ((metadata_ ->> 'ref_doc_id'));
"""


def llamaindex_table(
    url: str, name: str, nodes: Sequence[Any], embeddings: Sequence[Sequence[float]], *, schema: str = "public",
    json_type: str = "json", vector_type: str = "vector(16)",
) -> None:  # fmt: skip
    """A `data_…` table with these nodes, their metadata as LlamaIndex writes it."""
    utils = pytest.importorskip(
        "llama_index.core.vector_stores.utils", reason="the extra 'llamaindex' is not installed"
    )
    table = Identifier(schema, f"data_{name}")
    with psycopg.connect(url) as conn:
        ddl = SQL(LLAMAINDEX).format(table=table, json=SQL(json_type), type=SQL(vector_type))
        conn.execute(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(schema)))
        conn.execute(ddl)
        for node, embedding in zip(nodes, embeddings, strict=True):
            metadata = utils.node_to_metadata_dict(node, remove_text=True, flat_metadata=False)
            conn.execute(
                SQL("INSERT INTO {} (text, metadata_, node_id, embedding) VALUES (%s, %s, %s, %s)").format(table),
                [node.get_content(), json.dumps(metadata), node.node_id, str([float(x) for x in embedding])],
            )


def checksum(url: str, *tables: str) -> dict[str, Any]:
    """Everything that a table is: its rows with their places and versions, its columns and indexes."""
    found = {}
    with psycopg.connect(url) as conn:
        for table in tables:
            rows = SQL(
                "SELECT md5(string_agg(t.ctid::text || t.xmin || t.xmax || t::text, '|' ORDER BY t.ctid)), count(*)"
                " FROM {} AS t"
            )
            row = conn.execute(rows.format(SQL(table))).fetchone()
            made = conn.execute(
                """
                SELECT (SELECT json_agg((a.attname, a.atttypid, a.atttypmod, a.attnotnull)::text ORDER BY a.attnum)::text
                        FROM pg_attribute AS a WHERE a.attrelid = %(table)s::regclass),
                       (SELECT json_agg(pg_get_indexdef(indexrelid) ORDER BY indexrelid)::text
                        FROM pg_index WHERE indrelid = %(table)s::regclass),
                       (SELECT reltuples || '/' || relfilenode FROM pg_class WHERE oid = %(table)s::regclass)
                """,
                {"table": table},
            ).fetchone()
            found[table] = (row, made)
    return found
