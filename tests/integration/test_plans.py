"""The plans that the search statements get: a slow one is a bug that no check of results shows."""

import json
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from howdah import PGVector
from howdah.retrieval import batches, dense, hybrid, lexical, queries, similar
from howdah.retrieval.asked import Asked
from howdah.retrieval.collection import Collection, Spec
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.database import Database
from howdah.retrieval.filters import compile_filter
from howdah.retrieval.store import Store
from howdah.retrieval.types import Chunk
from tests.integration.explaining import explain, index_of, scans

D, N = 32, 5_500
QUERY = np.random.default_rng(1).normal(size=D).astype(np.float32)
WORDS = [f"word{i}" for i in range(400)]


def filled(database: Database, tenant: str, name: str) -> Collection:
    store = Store(database, tenant=tenant)
    collection = store.create(name, Spec(model="m", dimensions=D))
    rng = np.random.default_rng(2)
    rows = rng.normal(size=(N, D)).astype(np.float32)
    texts = [" ".join(rng.choice(WORDS, size=20)) for _ in range(N)]
    chunks = [Chunk(id=f"{tenant}{i:05}", content=text) for i, text in enumerate(texts)]
    store.add(
        collection, batches.Batch(chunks, [json.dumps({"even": i % 2 == 0, "i": i}) for i in range(N)], rows, True)
    )
    return collection


def build_index(url: str, collection: Collection) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            SQL("CREATE INDEX {} ON {} USING hnsw (embedding {})").format(
                Identifier(collection.index_name), collection.chunks, collection.opclass
            )
        )


@pytest.fixture(scope="module")
def database(module_url: str) -> Iterator[Database]:
    database = Database(Conninfo(module_url))
    yield database
    database.close()


@pytest.fixture(scope="module", params=["", "acme"])
def analyzed(request: pytest.FixtureRequest, module_url: str, database: Database) -> Collection:
    """With an index and the planner's statistics."""
    collection = filled(database, request.param, "analyzed")
    build_index(module_url, collection)
    with psycopg.connect(module_url, autocommit=True) as conn:
        for table in (collection.chunks, collection.passages, collection.postings):
            conn.execute(SQL("VACUUM ANALYZE {}").format(table))
    return collection


@pytest.fixture(scope="module")
def fresh(module_url: str, database: Database) -> Collection:
    """With an index, before autovacuum has looked at it."""
    collection = filled(database, "fresh", "fresh")
    with psycopg.connect(module_url, autocommit=True) as conn:
        conn.execute(SQL("ALTER TABLE {} SET (autovacuum_enabled = off)").format(collection.chunks))
    build_index(module_url, collection)
    return collection


@pytest.mark.parametrize("k", [1, 10, 100])
@pytest.mark.parametrize("vectors", [False, True])
def test_nearest_reads_the_index(database, analyzed, k, vectors):
    plan = explain(database, dense.nearest(analyzed, QUERY, k=k, vectors=vectors))
    assert analyzed.index_name in index_of(plan)
    assert scans(plan, f"chunks_{analyzed.id}") == {"Index Scan"}
    assert scans(plan, f"passages_{analyzed.id}") == {"Index Scan"}


def test_before_the_first_analyze_the_answer_is_exact_and_after_it_the_index_is_read(database, fresh, module_url):
    """Without statistics a tenant is taken for a 200th of the rows: whoever builds the index has to ANALYZE."""
    store = Store(database, tenant=fresh.tenant)
    want = [row["id"] for row in store.fetch(dense.nearest(fresh, QUERY, k=100, exact=True))]
    assert [row["id"] for row in store.fetch(dense.nearest(fresh, QUERY, k=100))] == want
    with psycopg.connect(module_url, autocommit=True) as conn:
        conn.execute(SQL("ANALYZE {}").format(fresh.chunks))
    for k in (10, 100):
        assert fresh.index_name in index_of(explain(database, dense.nearest(fresh, QUERY, k=k)))


@pytest.mark.parametrize("filter_", [{"even": True}, {"i": {"$gte": 100}}, {"i": {"$in": list(range(3_000))}}])
def test_nearest_with_a_filter_reads_the_index(database, analyzed, filter_):
    plan = explain(database, dense.nearest(analyzed, QUERY, k=10, where=compile_filter(filter_)))
    assert analyzed.index_name in index_of(plan)


def test_an_exact_search_does_not(database, analyzed):
    plan = explain(database, dense.nearest(analyzed, QUERY, k=10, exact=True))
    assert analyzed.index_name not in index_of(plan)


def test_words_are_read_from_the_postings_index_alone(database, analyzed):
    plan = explain(database, lexical.lexical(analyzed, Asked(words="word1 word2"), k=10))
    assert scans(plan, f"postings_{analyzed.id}") == {"Index Only Scan"}
    assert scans(plan, f"passages_{analyzed.id}") == {"Index Scan"}


def test_hybrid_reads_both(database, analyzed):
    how = hybrid.Hybrid()
    plan = explain(database, hybrid.hybrid(analyzed, Asked(words="word1 word2"), QUERY, k=10, how=how, c0=0.0))
    assert scans(plan, f"postings_{analyzed.id}") == {"Index Only Scan"}
    assert analyzed.index_name in index_of(plan)
    exact = hybrid.hybrid(analyzed, Asked(words="word1 word2"), QUERY, k=10, how=how, c0=0.0, exact=True)
    assert analyzed.index_name not in index_of(explain(database, exact))


@pytest.mark.parametrize("negative", [[], ["5"]])
def test_more_like_stored_chunks_reads_the_index_of_vectors_and_that_of_ids(database, analyzed, negative):
    tenant = analyzed.tenant
    ids, negative = [f"{tenant}00001", f"{tenant}00002"], [f"{tenant}0000{n}" for n in negative]
    plan = explain(database, similar.similar(analyzed, ids, negative, k=10))
    assert analyzed.index_name in index_of(plan)
    assert scans(plan, f"chunks_{analyzed.id}") == {"Index Scan"}
    assert analyzed.index_name not in index_of(explain(database, similar.similar(analyzed, ids, k=10, exact=True)))


def test_the_vectors_of_what_was_found_are_read_by_id(database, analyzed):
    words = lexical.lexical(analyzed, Asked(words="word1 word2"), k=10)
    plan = explain(database, queries.with_vectors(analyzed, words))
    assert scans(plan, f"chunks_{analyzed.id}") == {"Index Scan"}


class TestAnswers:
    """With the index in use: what comes back is close to what an exact search finds."""

    @pytest.fixture
    def store(self, module_url: str, analyzed: Collection) -> PGVector:
        from langchain_core.embeddings import DeterministicFakeEmbedding

        return PGVector(
            DeterministicFakeEmbedding(size=D),
            connection=module_url,
            collection_name="analyzed",
            tenant=analyzed.tenant,
        )

    @pytest.mark.filterwarnings("ignore:.*vectors of two models")
    @pytest.mark.parametrize(
        ("k", "filter_"), [(10, None), (100, None), (10, {"even": True}), (10, {"i": {"$lt": 50}}), (300, None)]
    )
    def test_k_rows_nearest_first(self, store, k, filter_):
        exact = store.similarity_search_with_score_by_vector(QUERY, k, filter_, exact=True)
        found = store.similarity_search_with_score_by_vector(QUERY, k, filter_)
        assert len(found) == len(exact) == k
        assert [d for _, d in found] == sorted(d for _, d in found)
        same = {doc.id for doc, _ in found} & {doc.id for doc, _ in exact}
        assert len(same) >= 0.9 * k
