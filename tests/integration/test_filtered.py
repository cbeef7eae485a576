"""Filtered search: k rows whenever k exist, the nearest ones, by the steps that suit the filter."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from howdah import PGVector
from howdah.retrieval import advice, batches, dense, filtered, promotion
from howdah.retrieval.collection import Collection, Spec
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.database import Database
from howdah.retrieval.errors import CollectionMismatch, InvalidFilter, InvalidInput
from howdah.retrieval.filters import compile_filter
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.promoted import promoted_keys
from howdah.retrieval.store import Store
from howdah.retrieval.types import Chunk
from tests.integration.explaining import explain, ran
from tests.scripted import NoEmbeddings

D, N = 24, 8_000
rng = np.random.default_rng(7)
CENTRES = rng.normal(size=(60, D))
ROWS = (CENTRES[rng.integers(0, 60, N)] + 0.6 * rng.normal(size=(N, D))).astype(np.float32)
ROWS = (ROWS / np.linalg.norm(ROWS, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
ROWS /= np.linalg.norm(ROWS, axis=1, keepdims=True)
ANCHOR = ROWS[0]
RANK = np.argsort(np.argsort(-(ROWS @ ANCHOR)))
QUERIES = [(ANCHOR + 0.05 * rng.normal(size=D)).astype(np.float32) for _ in range(6)]
METADATA: list[dict[str, Any]] = [
    {
        "half": i % 2,
        "tenth": i % 10,
        "one": i % 100,
        "rare": i % 1_000,
        "rank": int(RANK[i]),
        "year": int(RANK[i]),
        "far": bool(RANK[i] >= N * 0.9),
        "near": bool(RANK[i] < N * 0.01),
        "tags": [f"t{i % 7}", f"u{i % 300}"],
    }
    for i in range(N)
]
WORDS = ["amber", "birch", "cedar"]


@pytest.fixture(scope="module")
def database(module_url: str) -> Iterator[Database]:
    database = Database(Conninfo(module_url))
    yield database
    database.close()


@pytest.fixture(scope="module")
def collection(module_url: str, database: Database) -> Collection:
    """With HNSW, the metadata's GIN and a B-tree on `year`."""
    store = Store(database)
    found = store.create("docs", Spec(model="m", dimensions=D, promoted=promoted_keys({"year": "number"})))
    chunks = [Chunk(id=f"{i:05}", content=WORDS[i % 3]) for i in range(N)]
    store.add(found, batches.Batch(chunks, [json.dumps(item) for item in METADATA], ROWS, True))
    maintain(PGVector(NoEmbeddings(), connection=module_url, collection_name="docs"), index="hnsw")
    return store.get("docs")


FILTERS: list[tuple[Any, Any]] = [
    ({"half": 1}, lambda m: m["half"] == 1),
    ({"tenth": 3}, lambda m: m["tenth"] == 3),
    ({"one": 3}, lambda m: m["one"] == 3),
    ({"rare": 3}, lambda m: m["rare"] == 3),
    ({"rare": -1}, lambda m: False),
    ({"far": True}, lambda m: m["far"]),
    ({"near": True}, lambda m: m["near"]),
    ({"far": {"$ne": True}}, lambda m: not m["far"]),
    ({"rank": {"$gte": N // 2}}, lambda m: m["rank"] >= N // 2),
    ({"rank": {"$gte": N - 50}}, lambda m: m["rank"] >= N - 50),
    ({"year": {"$gte": N // 2}}, lambda m: m["year"] >= N // 2),
    ({"year": {"$between": [100, 700]}}, lambda m: 100 <= m["year"] <= 700),
    ({"year": {"$lt": 3}}, lambda m: m["year"] < 3),
    ({"year": {"$in": [5, 7, N - 1]}}, lambda m: m["year"] in (5, 7, N - 1)),
    ({"$or": [{"year": {"$lt": 3}}, {"rare": 3}]}, lambda m: m["year"] < 3 or m["rare"] == 3),
    ({"tags": {"$contains": "u3"}}, lambda m: "u3" in m["tags"]),
    ({"tags": {"$overlap": ["t3", "u3"]}, "half": 0}, lambda m: {"t3", "u3"} & set(m["tags"]) and m["half"] == 0),
    ({"$not": {"tenth": {"$in": [0, 1, 2]}}}, lambda m: m["tenth"] not in (0, 1, 2)),
]


def nearest_of(query: Any, matching: list[int], k: int) -> list[str]:
    cosines = ROWS[matching] @ (query / np.linalg.norm(query)) if matching else np.zeros(0)
    return [f"{matching[place]:05}" for place in np.argsort(-cosines)[:k]]


@pytest.mark.parametrize("k", [1, 10, 60])
@pytest.mark.parametrize(("filter_", "keep"), FILTERS, ids=[str(item) for item, _ in FILTERS])
def test_k_rows_come_back_whenever_k_exist_and_they_are_the_nearest(database, collection, filter_, keep, k):
    matching = [i for i, item in enumerate(METADATA) if keep(item)]
    store, where = Store(database), compile_filter(filter_, collection=collection)
    right = wanted = 0
    for query in QUERIES:
        rows = store.fetch(dense.nearest(collection, query, k=k, where=where))
        distances = [row["distance"] for row in rows]
        assert len(rows) == min(k, len(matching))
        assert distances == sorted(distances)
        assert len({row["id"] for row in rows}) == len(rows)
        want = nearest_of(query, matching, k)
        right, wanted = right + len({row["id"] for row in rows} & set(want)), wanted + len(want)
    assert right >= 0.95 * wanted


def rescued(plan: list[dict[str, Any]]) -> int:
    (rows,) = [node["Actual Rows"] for node in plan if node.get("Subplan Name") == "CTE rescue"]
    return int(rows)


class TestSteps:
    """One-time filters: what is not needed is not run."""

    def plan(self, database: Database, collection: Collection, filter_: Any, query: Any = QUERIES[0]) -> Any:
        where = compile_filter(filter_, collection=collection)
        return explain(database, dense.nearest(collection, query, k=10, where=where), run=True)

    def test_many_matching_rows_are_walked_through_the_index(self, database, collection):
        plan = self.plan(database, collection, {"tenth": 3})
        assert ran(plan, Index_Name=collection.index_name)
        assert not ran(plan, Index_Name=collection.metadata_index_name)

    def test_few_are_collected_by_the_metadatas_index_and_searched_exactly(self, database, collection):
        plan = self.plan(database, collection, {"one": 3})
        assert ran(plan, Index_Name=collection.metadata_index_name)
        assert not ran(plan, Index_Name=collection.index_name)
        assert not ran(plan, Node_Type="Seq Scan")

    @pytest.mark.parametrize("condition", [{"$lt": 80}, {"$between": [5, 90]}, {"$in": [1, 2, 3]}, 7])
    def test_few_are_collected_by_a_promoted_keys_index_alone(self, database, collection, condition):
        plan = self.plan(database, collection, {"year": condition})
        name = collection.promoted["year"].index(collection.chunks_name).as_string(None).strip('"')
        assert ran(plan, Index_Name=name, Node_Type="Index Only Scan")
        assert not ran(plan, Index_Name=collection.index_name)
        assert not ran(plan, Node_Type="Seq Scan")

    def test_a_filter_that_holds_far_away_is_rescued(self, database, collection):
        plan = self.plan(database, collection, {"year": {"$gte": N // 2}})
        assert ran(plan, Index_Name=collection.index_name)
        assert rescued(plan) == 10

    def test_the_rescue_stays_at_home_where_the_index_found_enough(self, database, collection):
        plan = self.plan(database, collection, {"half": 1})
        assert rescued(plan) == 0


def test_a_collection_that_changes_under_the_sample_still_gives_all(url):
    """Numbers with gaps, a few rows, none: the sample has nothing to stand on and the answer is whole all the same."""
    with PGVector(NoEmbeddings(), connection=url, collection_name="small") as store:
        vectors = ROWS[:300].tolist()
        store.add_embeddings(["x"] * 300, vectors, [{"i": i} for i in range(300)], [str(i) for i in range(300)])
        store.delete(filter={"i": {"$between": [1, 280]}})
        for filter_, want in (({"i": {"$gte": 0}}, 20), ({"i": 0}, 1), ({"i": 5}, 0)):
            assert len(store.similarity_search_by_vector(vectors[0], k=50, filter=filter_)) == want
        store.delete(filter={"i": {"$gte": 0}})
        assert store.similarity_search_by_vector(vectors[0], k=5, filter={"i": {"$gte": 0}}) == []
        store.database.close()


class TestMatch:
    @pytest.mark.parametrize(
        ("words", "want"),
        [
            ("amber", {0}),
            ("amber or birch", {0, 1}),
            ("-amber", {1, 2}),
            ("amber birch", set()),
            ('"amber"', {0}),
            ("the", set()),
        ],
    )
    def test_the_words_of_a_passage_are_asked(self, database, collection, words, want):
        rows = Store(database).fetch(
            dense.nearest(collection, QUERIES[0], k=30, where=compile_filter({"$match": words}, collection=collection))
        )
        assert len(rows) == (30 if want else 0)
        assert {int(row["id"]) % 3 for row in rows} <= want

    @pytest.mark.parametrize("words", ["a & b | (", "''", "\\", "x" * 9_000, ":* <->", "\x00 amber", "😀", '"', "- -"])
    def test_any_text_is_no_error(self, database, collection, words):
        where = compile_filter({"$match": words, "one": 3}, collection=collection)
        Store(database).fetch(dense.nearest(collection, QUERIES[0], k=3, where=where))

    @pytest.mark.parametrize("words", ["", "  ", 3, None, ["a"], "x" * 10_001])
    def test_what_is_not_words_is_an_error(self, collection, words):
        with pytest.raises(InvalidFilter, match=r"\$match takes words"):
            compile_filter({"$match": words}, collection=collection)

    def test_it_needs_the_words(self, collection):
        with pytest.raises(InvalidFilter, match="needs a collection's words"):
            compile_filter({"$match": "a"})

    def test_it_deletes_as_well(self, url):
        with PGVector(NoEmbeddings(), connection=url, collection_name="words") as store:
            store.add_embeddings(["an amber lamp", "a birch"], ROWS[:2].tolist(), ids=["a", "b"])
            store.delete(filter={"$match": "lamps"})
            assert [doc.id for doc in store.get_by_ids(["a", "b"])] == ["b"]
            store.database.close()


class TestPromotion:
    @pytest.fixture
    def store(self, url: str) -> Iterator[PGVector]:
        with PGVector(NoEmbeddings(), connection=url, collection_name="docs") as store:
            vectors = ROWS[:40].tolist()
            metadata = [
                {"year": 2000 + i, "lang": "de" if i % 4 else "en", "mixed": i if i % 2 else str(i)} for i in range(40)
            ]
            store.add_embeddings(["x"] * 40, vectors, metadata, [str(i) for i in range(40)])
            yield store
            store.database.close()

    def found(self, store: PGVector, filter_: Any) -> set[int]:
        return {int(doc.id or "") for doc in store.similarity_search_by_vector(ROWS[0].tolist(), k=40, filter=filter_)}

    def test_types_are_read_off_the_values_and_filters_use_the_column(self, store):
        assert promotion.promote(store.store, "docs", {"year": None, "lang": None}) == {
            "year": "number",
            "lang": "text",
        }
        collection = store.store.get("docs")
        where = compile_filter({"year": {"$gte": 2038}, "lang": "de"}, collection=collection)
        assert where.covered
        assert "metadata" not in where.sql.as_string(None)
        assert self.found(store, {"year": {"$gte": 2037}, "lang": "de"}) == {37, 38, 39}
        store.add_embeddings(["new"], [ROWS[50].tolist()], [{"year": 2038, "lang": "de"}], ["100"])
        assert self.found(store, {"year": 2038, "lang": "de"}) == {38, 100}

    def test_an_open_store_goes_on_before_and_after(self, store):
        other = PGVector(NoEmbeddings(), connection=store._conninfo, collection_name="docs")
        assert self.found(other, {"year": {"$lt": 2002}}) == {0, 1}
        promotion.promote(store.store, "docs", {"year": "number"})
        assert self.found(other, {"year": {"$lt": 2002}}) == {0, 1}
        assert self.found(store, {"year": {"$lt": 2002}}) == {0, 1}
        assert promotion.demote(other.store, "docs", ["year"]) == {}
        assert self.found(store, {"year": {"$lt": 2002}}) == {0, 1}  # it still thinks that there is a column

    def test_unclear_types_unknown_keys_and_other_types_are_named(self, store):
        with pytest.raises(InvalidInput, match="20 number, 20 string"):
            promotion.promote(store.store, "docs", {"mixed": None})
        with pytest.raises(InvalidInput, match="no values"):
            promotion.promote(store.store, "docs", {"absent": None})
        with pytest.raises(InvalidInput, match="cannot be promoted as 'date'"):
            promotion.promote(store.store, "docs", {"year": "date"})
        promotion.promote(store.store, "docs", {"mixed": "number"})
        assert self.found(store, {"mixed": {"$lt": 4}}) == {1, 3}
        assert self.found(store, {"mixed": "2"}) == {2}
        with pytest.raises(InvalidInput, match="promoted as number and this says text"):
            promotion.promote(store.store, "docs", {"mixed": "text"})
        with pytest.raises(InvalidInput, match="'year' is not promoted"):
            promotion.demote(store.store, "docs", ["year"])

    def test_a_new_collection_has_them_from_the_start(self, url):
        with PGVector(
            NoEmbeddings(), connection=url, collection_name="p", promoted={"a.b": "text", 'k"%s': "boolean"}
        ) as store:
            store.add_embeddings(
                ["x"] * 3, ROWS[:3].tolist(), [{"a": {"b": "z"}}, {"a.b": "y", 'k"%s': True}, {}], ["0", "1", "2"]
            )
            assert self.found(store, {"a.b": {"$gte": "y"}}) == {0, 1}
            assert self.found(store, {'k"%s': True}) == {1}
            with pytest.raises(CollectionMismatch, match="has not promoted 'c'"):
                PGVector(
                    NoEmbeddings(), connection=url, collection_name="p", promoted={"c": "text"}
                ).similarity_search_by_vector([0.1] * D)
            store.database.close()

    def test_values_beyond_a_b_trees_entry_fail_no_write_and_are_found(self, url):
        long, huge = "é" * 5_000, 10**3_000
        with PGVector(
            NoEmbeddings(), connection=url, collection_name="p", promoted={"t": "text", "n": "number"}
        ) as store:
            store.add_embeddings(
                ["x"] * 3, ROWS[:3].tolist(), [{"t": long, "n": huge}, {"t": "é", "n": 1}, {"t": "f"}], ["0", "1", "2"]
            )
            assert self.found(store, {"t": long}) == {0}
            assert 0 in self.found(store, {"t": {"$gt": "é"}})
            assert self.found(store, {"n": huge}) == {0}
            store.database.close()


def test_a_slow_filter_is_told_once_with_the_key_to_promote(collection, caplog, monkeypatch):
    monkeypatch.setattr(advice, "_said", set())
    with caplog.at_level(logging.WARNING, logger="howdah.retrieval"):
        advice.advise(collection, {"rank": {"$gte": 3}}, 0.2)
        advice.advise(collection, {"rank": {"$gte": 9}}, 0.3)
        advice.advise(collection, {"rank": {"$gte": 3}}, 0.01)
        advice.advise(collection, {"half": 1}, 0.9)
        advice.advise(collection, {"year": {"$gte": 1}}, 0.9)
        advice.advise(collection, {"half": {"$ne": 1}}, 0.9)
        advice.advise(collection, {"a key; x": {"$gt": 1}}, 0.9)
    first, second, third = [record.getMessage() for record in caplog.records]
    assert "200 ms" in first
    assert first.endswith("run: howdah collections promote docs rank")
    assert "promote docs" not in second
    assert third.endswith("run: howdah collections promote docs 'a key; x'")


def test_walk_and_budget():
    assert [filtered.walk(k) for k in (1, 10, 100)] == [21, 30, 150]
    assert filtered.scan_tuples(10) == filtered.SCAN_TUPLES
    assert filtered.scan_tuples(1_000) == 1_500 * 20
