"""PGVector.from_table: tables of others, searched where they are, without Howdah's schema and without a write."""

import asyncio
import json
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.sql import SQL, Identifier

from howdah import PGVector, PGVectorRetriever, sync
from howdah.retrieval import foreign
from howdah.retrieval.errors import DimensionMismatch, InvalidInput, NotFound
from tests.integration import peers

SIZE, ROWS = 8, 300
RNG = np.random.default_rng(11)
GIVEN = RNG.normal(size=(ROWS, SIZE)).astype(np.float32)
MODEL = DeterministicFakeEmbedding(size=SIZE)
QUERY = np.asarray(MODEL.embed_query("question"), dtype=np.float32)

# table, the columns id, content, embedding, year, topic and extra
ITEMS = ("items", "id", "content", "embedding", "year", "topic", "extra")
ODD = ('"my ""Schema"" 5%"."Order"', "Select", "from", 'the "vector"', "GROUP", "100%s", "{}")
TABLES = [(ITEMS, "vector(8)", "json"), (ODD, "halfvec(8)", "jsonb")]


def quoted(*names: str) -> list[str]:
    return [Identifier(name).as_string(None) for name in names]


def make(conn: psycopg.Connection, names: tuple[str, ...], kind: str, json_type: str, *, index: str = "") -> None:
    table, *columns = names
    id_, content, embedding, year, topic, extra = quoted(*columns)
    if "." in table:
        conn.execute(SQL("CREATE SCHEMA {}").format(Identifier('my "Schema" 5%')))
    ddl = (
        f"CREATE TABLE {table} ({id_} bigint PRIMARY KEY, {content} text, {embedding} {kind}, {year} int, {topic} text,"
        f" {extra} {json_type}, made_at timestamptz)"
    )
    conn.execute(ddl.encode())
    with conn.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
        for n, vector in enumerate(GIVEN):
            extra_json = json.dumps({"n": n, "tags": ["even"] if n % 2 == 0 else []})
            topic_text = "a" if n % 3 else None
            copy.write_row([n, f"Text {n}.", str(vector.tolist()), 2000 + n % 10, topic_text, extra_json, None])
    conn.execute(f"INSERT INTO {table} ({id_}, {content}) VALUES (1000, 'without a vector')".encode())
    if index:
        conn.execute(f"CREATE INDEX theirs ON {table} USING hnsw ({embedding} {index})".encode())
    conn.execute(f"ANALYZE {table}".encode())


@pytest.fixture(scope="module", params=TABLES, ids=["plain", "odd"])
def opened(
    request: pytest.FixtureRequest, server: str, admin: psycopg.Connection
) -> Iterator[tuple[PGVector, str, str]]:
    """A store on a table in a database that has pgvector and nothing of ours; the table's name and a URL."""
    names, kind, json_type = request.param
    name = f"foreign_{kind[:4]}"
    admin.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
    url = psycopg.conninfo.make_conninfo(server, dbname=name)
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION vector")
        make(conn, names, kind, json_type)
    with open_(url, names) as store:
        yield store, names[0], url
        store.database.close()
    admin.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))


def open_(url: str, names: tuple[str, ...] = ITEMS, **more: Any) -> PGVector:
    table, id_, content, embedding, year, topic, extra = names
    return PGVector.from_table(
        table, MODEL, id=id_, content=content, embedding=embedding, metadata=[year, topic], metadata_json=extra,
        connection=url, **more,
    )  # fmt: skip


def nearest(keep: Callable[[int], bool] = lambda n: True, k: int = 10) -> list[str]:
    """By NumPy: the ids of the k rows of the highest cosine among those to keep."""
    cosine = GIVEN @ QUERY / np.linalg.norm(GIVEN, axis=1)
    return [str(n) for n in np.argsort(-cosine, kind="stable") if keep(n)][:k]


Opened = tuple[PGVector, str, str]


def test_the_nearest_rows_are_numpy_s(opened: Opened) -> None:
    store, *_ = opened
    found = store.similarity_search_with_score("question", k=10)
    assert [doc.id for doc, _ in found] == nearest()
    cosine = GIVEN @ QUERY / np.linalg.norm(GIVEN, axis=1) / np.linalg.norm(QUERY)
    assert [distance for _, distance in found] == pytest.approx([1 - cosine[int(i)] for i in nearest()], abs=2e-3)
    assert found[0][0].page_content == f"Text {nearest()[0]}."
    assert [doc.id for doc in store.similarity_search_by_vector(QUERY.tolist(), k=3)] == nearest(k=3)
    assert len(store.similarity_search("question", k=1_000)) == ROWS


def test_metadata_is_the_named_columns_and_the_json(opened: Opened) -> None:
    store, *_ = opened
    names = ITEMS if store.collection_name == "items" else ODD
    (document,) = store.get_by_ids(["14"])
    assert document.metadata == {names[4]: 2004, names[5]: "a", "n": 14, "tags": ["even"]}
    assert [doc.id for doc in store.get_by_ids(["7", "999999", "x", "99999999999999999999", "3"])] == ["3", "7"]


def filters_of(names: tuple[str, ...]) -> list[tuple[dict[str, Any], Callable[[int], bool]]]:
    year, topic = names[4:6]
    return [
        ({year: 2003}, lambda n: n % 10 == 3),
        ({year: {"$gte": 2005, "$lt": 2008}}, lambda n: 5 <= n % 10 < 8),
        ({topic: None}, lambda n: n % 3 == 0),
        ({topic: {"$ne": "a"}}, lambda n: n % 3 == 0),
        ({"$or": [{year: 2001}, {"n": 7}]}, lambda n: n % 10 == 1 or n == 7),
        ({"tags": {"$contains": "even"}, year: {"$in": [2002, 2003]}}, lambda n: n % 10 == 2),
        ({"$not": {topic: {"$like": "a%"}}}, lambda n: n % 3 == 0),
        ({"n": {"$gt": 295}}, lambda n: n > 295),
    ]


@pytest.mark.parametrize("number", range(8))
def test_filters_on_columns_and_json(opened: Opened, number: int) -> None:
    store, *_ = opened
    given, keep = filters_of(ITEMS if store.collection_name == "items" else ODD)[number]
    assert [doc.id for doc in store.similarity_search("question", k=10, filter=given)] == nearest(keep)


def test_the_async_half_says_the_same(opened: Opened) -> None:
    store, *_ = opened

    async def both() -> list[Any]:
        found = [
            [doc.id for doc in await store.asimilarity_search("question", k=5, filter={"n": {"$gt": 100}})],
            [doc.id for doc, _ in await store.asimilarity_search_with_score("question", k=5)],
            [doc.id for doc in await store.amax_marginal_relevance_search("question", k=5)],
            [doc.id for doc in await store.aget_by_ids(["1", "2"])],
            [hit.id for hit in await store.ahits("question", k=5, search_type="similarity")],
        ]
        await store.database.aclose()
        return found

    assert asyncio.run(both()) == [
        nearest(lambda n: n > 100, 5), nearest(k=5),
        [doc.id for doc in store.max_marginal_relevance_search("question", k=5)], ["1", "2"], nearest(k=5),
    ]  # fmt: skip


def test_mmr_of_closeness_alone_is_the_nearest(opened: Opened) -> None:
    store, *_ = opened
    assert [doc.id for doc in store.max_marginal_relevance_search("question", k=5, lambda_mult=1)] == nearest(k=5)
    spread = [doc.id for doc in store.max_marginal_relevance_search("question", k=5, lambda_mult=0.1)]
    assert spread[0] == nearest()[0]
    assert set(spread) <= set(nearest(k=20))


@pytest.mark.parametrize("search_type", ["similarity", "mmr", "similarity_score_threshold"])
def test_retrievers(opened: Opened, search_type: str) -> None:
    store, *_ = opened
    more = {"score_threshold": 0.6} if search_type == "similarity_score_threshold" else {}
    for retriever in (
        store.as_retriever(search_type=search_type, search_kwargs={"k": 4, **more}),
        PGVectorRetriever(vectorstore=store, search_type=search_type, k=4, search_kwargs=more),
    ):
        found = retriever.invoke("question")
        assert found[0].id == nearest()[0]
        assert found[0].metadata["_howdah"]["source"] is None


def test_many_questions_at_once(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a filter is slow: the word about promoting a key is for Howdah's own tables."""
    monkeypatch.setattr("howdah.retrieval.advice.SLOW", 0.0)
    store, *_ = opened
    found = store.hits_many(["question", "question"], k=3, search_type="similarity", filter={"n": {"$gte": 0}})
    assert [[hit.id for hit in hits] for hits in found] == [nearest(k=3)] * 2
    assert store.hits("question", k=1, search_type="mmr")[0].id == nearest()[0]


def test_relevance_is_the_metric_s(opened: Opened) -> None:
    store, *_ = opened
    scored = store.similarity_search_with_relevance_scores("question", k=1)
    best = int(nearest()[0])
    cosine = GIVEN[best] @ QUERY / np.linalg.norm(GIVEN[best]) / np.linalg.norm(QUERY)
    assert scored[0][1] == pytest.approx((1 + cosine) / 2, abs=2e-3)


def test_what_needs_words_or_writes_says_what_to_do(opened: Opened) -> None:
    store, table, url = opened
    before = peers.checksum(url, table)
    for call in (
        lambda: store.hits("question", search_type="hybrid"),
        lambda: store.hits("question", search_type="lexical"),
        lambda: PGVectorRetriever(vectorstore=store).invoke("question"),
        lambda: store.add_texts(["x"]),
        lambda: store.add_embeddings(["x"], [[1.0] * SIZE]),
        lambda: store.delete(["1"]),
        store.delete_collection,
        lambda: asyncio.run(store.aadd_texts(["x"])),
        lambda: asyncio.run(store.adelete(["1"])),
        lambda: store.similarity_search("question", filter={"$match": "words"}),
        lambda: store.hits("question", search_type="similarity", window=1),
        lambda: store.similar_to(["1"]),
        lambda: asyncio.run(store.ahits("question")),
        lambda: sync(store, [Document("x", id="x", metadata={"source": "x"})]),
    ):
        with pytest.raises(InvalidInput) as raised:
            call()
        assert table in str(raised.value) or "$match" in str(raised.value)
    assert peers.checksum(url, table) == before
    with psycopg.connect(url) as conn:
        assert conn.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'howdah'").fetchone() == (0,)


def test_a_store_on_a_table_is_pickled_and_copied(opened: Opened) -> None:
    store, *_ = opened
    again = pickle.loads(pickle.dumps(store))
    assert [doc.id for doc in again.similarity_search("question", k=2)] == nearest(k=2)
    again.database.close()


# -- the table's own index


@pytest.mark.parametrize(
    ("kind", "opclass"),
    [
        ("vector(8)", "vector_l2_ops"),
        ("halfvec(8)", "halfvec_cosine_ops"),
        ("vector(8)", "vector_cosine_ops) WHERE (embedding IS NOT NULL"),
    ],
)
def test_the_table_s_index_is_used_and_says_the_metric(url: str, kind: str, opclass: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        make(conn, ITEMS, kind, "jsonb", index=opclass)
    with open_(url) as store:
        found = store.similarity_search("question", k=10)
        table = store._looked_up()  # type: ignore[attr-defined]
        assert table.metric.label == ("l2" if "l2" in opclass else "cosine")
        assert table.indexed
        if "l2" in opclass:
            want = np.argsort(np.linalg.norm(GIVEN - QUERY, axis=1))[:10]
            assert len({doc.id for doc in found} & {str(n) for n in want}) >= 9
        for given in (None, {"year": 2003}):
            plans = explained(store, foreign.nearest(table, QUERY, k=10, given=given))
            assert "Index Scan using theirs" in plans
            if given:
                assert "One-Time Filter" in plans
        assert "theirs" not in explained(store, foreign.nearest(table, QUERY, k=10, exact=True))
        store.database.close()


def explained(store: PGVector, query: Any) -> str:
    with store.database.connection() as conn, conn.transaction():
        conn.execute("SET LOCAL enable_seqscan = off")
        rows = conn.execute(SQL("EXPLAIN ") + query.sql, query.params).fetchall()
    return "\n".join(row[0] for row in rows)


def test_a_filtered_search_that_the_index_leaves_short_is_made_whole(url: str) -> None:
    """A beam of one and no going on: the index alone would find next to nothing."""
    with psycopg.connect(url, autocommit=True) as conn:
        make(conn, ITEMS, "vector(8)", "jsonb", index="vector_cosine_ops")
    with open_(url) as store:
        found = store.similarity_search(
            "question", k=10, filter={"year": 2003}, ef_search=1, iterative_scan="off", max_scan_tuples=1
        )
        assert [doc.id for doc in found] == nearest(lambda n: n % 10 == 3)
        store.database.close()


def test_an_index_of_another_operator_class_is_not_taken(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        make(conn, ITEMS, "vector(8)", "jsonb", index="vector_l2_ops")
    with open_(url, distance_strategy="cosine") as store:
        assert [doc.id for doc in store.similarity_search("question", k=10)] == nearest()
        assert not store._looked_up().indexed  # type: ignore[attr-defined]
        store.database.close()


# -- mistakes


def test_mistakes_are_named(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        make(conn, ITEMS, "vector", "jsonb")
    cases: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"table": "nope"}, NotFound, "no table nope"),
        ({"table": "Items"}, NotFound, "also their case"),
        ({"content": "nope"}, InvalidInput, "no column 'nope'; its columns are id, content"),
        ({"embedding": "year"}, InvalidInput, "must be vector or halfvec"),
        ({"metadata": ["nope"]}, InvalidInput, "no column 'nope'"),
        ({"metadata": ["embedding"]}, InvalidInput, "JSON has no form for"),
        ({"metadata_json": "topic"}, InvalidInput, "must be json or jsonb"),
    ]
    for given, error, words in cases:
        with PGVector.from_table(**{"table": "items", "embeddings": MODEL, "connection": url, **given}) as store:
            with pytest.raises(error, match=words):
                store.similarity_search("x")
            store.database.close()
    with PGVector.from_table("items", DeterministicFakeEmbedding(size=5), content="content", connection=url) as store:
        with pytest.raises(DimensionMismatch):  # the column declares none: a row tells
            store.similarity_search("x")
        store.database.close()
    with pytest.raises(InvalidInput, match="metadata is one string"):
        PGVector.from_table("items", MODEL, metadata="year", connection=url)
    with pytest.raises(InvalidInput, match="not a table's name"):
        PGVector.from_table("a.b.c", MODEL, connection=url)
    with pytest.raises(TypeError, match="lexical"):
        PGVector.from_table("items", MODEL, connection=url, lexical=False)


def test_a_table_that_is_altered_is_looked_at_again(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        make(conn, ITEMS, "vector(8)", "jsonb")
        with PGVector.from_table("items", MODEL, content="content", embedding=None, connection=url) as store:
            assert len(store.similarity_search("x", k=3)) == 3
            conn.execute("ALTER TABLE items RENAME COLUMN embedding TO moved")
            assert len(store.similarity_search("x", k=3)) == 3
            store.database.close()
