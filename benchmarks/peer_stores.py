"""The stores that `peers` compares, each behind the same four verbs, as its own documentation has it used.

All are told the same: HNSW with m = 16 and ef_construction = 128, built after the load; ef_search = 100; k = 10; cosine;
metadata as JSON. Each keeps its own storage type (Howdah and the floor halfvec, the others vector). With `words` a store
is loaded and searched as its own hybrid search wants it.
"""

import sys
from typing import Any, NamedTuple

import numpy as np
import psycopg
from corpus import CACHE
from known import Known
from pgvector.psycopg import register_vector
from psycopg.types.json import Jsonb

from howdah import PGVector
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.types import Array

# LlamaIndex' store wants an older SQLAlchemy than langchain-postgres has here: see the Makefile and peers.txt.
sys.path.insert(0, str(CACHE / "peers"))

K, EF_SEARCH, M, EF_CONSTRUCTION, DIMENSIONS, DEPTH = 10, 100, 16, 128, 384, 100


class Rows(NamedTuple):
    ids: list[str]
    texts: list[str]
    vectors: Array

    def part(self, number: int, of: int) -> "Rows":
        return Rows(self.ids[number::of], self.texts[number::of], self.vectors[number::of])

    @property
    def metadata(self) -> list[dict[str, Any]]:
        return [{"place": place, "topic": f"t{place % 7}"} for place in range(len(self.ids))]


class Peer:
    """One store on a table of its own; `load` may be called by several processes at once after `prepare`."""

    name = ""
    hybrid = True

    def __init__(self, url: str, table: str, known: Known, *, words: bool) -> None:
        self.url, self.table, self.known, self.words = url, table, known, words

    def prepare(self) -> None:
        """Make the table, and be open on it."""
        raise NotImplementedError

    def open(self) -> None:
        """Be open on a table that another process made."""
        raise NotImplementedError

    def load(self, rows: Rows) -> None:
        raise NotImplementedError

    def index(self) -> None:
        """HNSW, and what else its documentation tells to do after a load."""
        raise NotImplementedError

    def search(self, question: str) -> list[str]:
        """Ids, best first: by vector, or hybrid where it was made with words."""
        raise NotImplementedError

    def _sql(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as conn:
            for statement in statements:
                conn.execute(statement.encode())

    def _hnsw(self, table: str, opclass: str) -> None:
        how = f"WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
        self._sql(f"CREATE INDEX ON {table} USING hnsw (embedding {opclass}) {how}", f"VACUUM ANALYZE {table}")


class Howdah(Peer):
    name = "howdah"

    def open(self) -> None:
        self.store = PGVector(
            self.known, connection=self.url, collection_name=self.table, lexical=self.words, config="english"
        )

    def prepare(self) -> None:
        self.open()
        # The first write makes the tables.
        self.store.add_embeddings(["first"], [[1.0] * DIMENSIONS], ids=["first"])
        self.store.delete(["first"])

    def load(self, rows: Rows) -> None:
        self.store.add_embeddings(rows.texts, rows.vectors, rows.metadata, rows.ids)

    def index(self) -> None:
        maintain(self.store, index="hnsw")

    def search(self, question: str) -> list[str]:
        kind = "hybrid" if self.words else "similarity"
        return [hit.id for hit in self.store.hits(question, k=K, search_type=kind, ef_search=EF_SEARCH)]


class Psycopg(Peer):
    """The floor: COPY into a plain table, and the plainest statement, prepared, on one connection."""

    name, hybrid = "raw psycopg", False

    def prepare(self) -> None:
        columns = f"id text PRIMARY KEY, content text, metadata jsonb, embedding halfvec({DIMENSIONS}) STORAGE PLAIN"
        self._sql(f"CREATE TABLE {self.table} ({columns})")

    def load(self, rows: Rows) -> None:
        with psycopg.connect(self.url) as conn:
            register_vector(conn)
            with conn.cursor().copy(f"COPY {self.table} FROM STDIN WITH (FORMAT BINARY)".encode()) as copy:
                copy.set_types(["text", "text", "jsonb", "halfvec"])
                for id_, text, about, vector in zip(rows.ids, rows.texts, rows.metadata, rows.vectors, strict=True):
                    copy.write_row((id_, text, Jsonb(about), half(vector)))

    def index(self) -> None:
        self._hnsw(self.table, "halfvec_cosine_ops")
        self.conn = psycopg.connect(self.url, autocommit=True)
        register_vector(self.conn)
        self.conn.execute(f"SET hnsw.ef_search = {EF_SEARCH}".encode())
        self.statement = f"SELECT id, content, metadata FROM {self.table} ORDER BY embedding <=> %s LIMIT {K}".encode()

    def search(self, question: str) -> list[str]:
        vector = half(np.array(self.known.embed_query(question), dtype=np.float32))
        return [row[0] for row in self.conn.execute(self.statement, [vector], prepare=True)]


def half(vector: Array) -> Any:
    """pgvector-python's own parameter, from where its version has it."""
    try:
        from pgvector import HalfVector
    except ImportError:
        from pgvector.psycopg import HalfVector
    return HalfVector(vector)


class PGVectorStore(Peer):
    """langchain-postgres' class of today; its hybrid search with 100 rows an arm and a fresh configuration a query."""

    name = "langchain-postgres PGVectorStore"

    def prepare(self) -> None:
        from langchain_postgres import Column, PGEngine

        engine = PGEngine.from_connection_string(url=sqlalchemy_url(self.url, "psycopg"))
        id_column = Column("langchain_id", "VARCHAR", nullable=False)
        engine.init_vectorstore_table(self.table, DIMENSIONS, id_column=id_column, hybrid_search_config=self._config())
        self.open()

    def open(self) -> None:
        from langchain_postgres import PGEngine
        from langchain_postgres import PGVectorStore as Theirs
        from langchain_postgres.v2.indexes import DistanceStrategy, HNSWQueryOptions

        self.engine = PGEngine.from_connection_string(url=sqlalchemy_url(self.url, "psycopg"))
        self.store = Theirs.create_sync(
            self.engine, embedding_service=self.known, table_name=self.table, k=K, hybrid_search_config=self._config(),
            distance_strategy=DistanceStrategy.COSINE_DISTANCE, index_query_options=HNSWQueryOptions(ef_search=EF_SEARCH),
        )  # fmt: skip

    def _config(self, question: str = "", **depth: int) -> Any:
        from langchain_postgres.v2.hybrid_search_config import HybridSearchConfig

        # Its index has the same name in every table unless told: a second one could not be made.
        names = {"tsv_column": "content_tsv", "index_name": f"{self.table}_tsv"}
        options = {**names, "tsv_lang": "pg_catalog.english", "fts_query": question}
        return HybridSearchConfig(**options, **depth) if self.words else None

    def load(self, rows: Rows) -> None:
        self.store.add_embeddings(rows.texts, rows.vectors.tolist(), rows.metadata, rows.ids)

    def index(self) -> None:
        from langchain_postgres.v2.indexes import DistanceStrategy, HNSWIndex

        self.store.apply_vector_index(
            HNSWIndex(distance_strategy=DistanceStrategy.COSINE_DISTANCE, m=M, ef_construction=EF_CONSTRUCTION)
        )
        if self.words:
            self.store.apply_hybrid_search_index()
        self._sql(f"VACUUM ANALYZE {self.table}")

    def search(self, question: str) -> list[str]:
        return self._search(question, primary_top_k=DEPTH, secondary_top_k=DEPTH)

    def as_it_comes(self, question: str) -> list[str]:
        """Hybrid with its default of four rows an arm."""
        return self._search(question)

    def _search(self, question: str, **depth: int) -> list[str]:
        how = {"hybrid_search_config": self._config(question, **depth)} if self.words else {}
        return [str(found.id) for found in self.store.similarity_search(question, k=K, **how)]


class OldPGVector(Peer):
    """langchain-postgres' older class, which has neither an index of its own nor hybrid search."""

    name, hybrid = "langchain-postgres PGVector", False

    def prepare(self) -> None:
        from langchain_postgres import PGVector as Theirs

        settings = {"connect_args": {"options": f"-c hnsw.ef_search={EF_SEARCH}"}}
        self.store = Theirs(
            self.known, connection=sqlalchemy_url(self.url, "psycopg"), collection_name=self.table,
            embedding_length=DIMENSIONS, engine_args=settings,
        )  # fmt: skip

    def load(self, rows: Rows) -> None:
        # One statement a call: more than 13,107 rows are more parameters than the protocol has.
        for low in range(0, len(rows.ids), 5_000):
            part = slice(low, low + 5_000)
            vectors = rows.vectors[part].tolist()
            self.store.add_embeddings(rows.texts[part], vectors, rows.metadata[part], rows.ids[part])

    def index(self) -> None:
        self._hnsw("langchain_pg_embedding", "vector_cosine_ops")

    def search(self, question: str) -> list[str]:
        return [str(found.id) for found in self.store.similarity_search(question, k=K)]


class LlamaIndex(Peer):
    name = "LlamaIndex PGVectorStore"

    def prepare(self) -> None:
        self.store = self._store()
        self.store._initialize()

    def _store(self, **more: Any) -> Any:
        from llama_index.vector_stores.postgres import PGVectorStore as Theirs

        return Theirs.from_params(
            connection_string=sqlalchemy_url(self.url, "psycopg2"), table_name=self.table, embed_dim=DIMENSIONS,
            async_connection_string=sqlalchemy_url(self.url, "asyncpg"), hybrid_search=self.words, use_jsonb=True, **more,
        )  # fmt: skip

    def load(self, rows: Rows) -> None:
        from llama_index.core.schema import TextNode

        made = zip(rows.ids, rows.texts, rows.vectors.tolist(), rows.metadata, strict=True)
        self.store.add(
            [TextNode(id_=i, text=text, embedding=vector, metadata=about) for i, text, vector, about in made]
        )

    def index(self) -> None:
        self._hnsw(f"data_{self.table}", "vector_cosine_ops")
        self.store = self._store(perform_setup=False, hnsw_kwargs={"hnsw_ef_search": EF_SEARCH})

    def search(self, question: str) -> list[str]:
        from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode

        query = VectorStoreQuery(
            query_embedding=self.known.embed_query(question), query_str=question, similarity_top_k=K, sparse_top_k=K,
            mode=VectorStoreQueryMode.HYBRID if self.words else VectorStoreQueryMode.DEFAULT,
        )  # fmt: skip
        return list(self.store.query(query).ids)[:K]


def sqlalchemy_url(url: str, driver: str) -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://")


PEERS: list[type[Peer]] = [Howdah, Psycopg, PGVectorStore, OldPGVector, LlamaIndex]
