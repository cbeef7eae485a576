"""More like stored chunks: nearest to their mean, in one statement, by the index."""

from collections.abc import Iterator

import numpy as np
import pytest

from howdah import PGVector
from howdah.retrieval.errors import InvalidInput, NotFound
from tests.integration.test_hits import IDS, TEXTS, VECTORS, N, Words, ids


@pytest.fixture(scope="module")
def store(module_url: str) -> Iterator[PGVector]:
    store = PGVector(Words(), connection=module_url, collection_name="words")
    store.add_texts(TEXTS, [{"even": i % 2 == 0} for i in range(N)], ids=IDS)
    yield store
    store.database.close()


def cosines(point: np.ndarray) -> np.ndarray:
    return np.asarray(VECTORS @ point / (np.linalg.norm(VECTORS, axis=1) * np.linalg.norm(point)))


UNITS = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("like", "unlike"),
    [(["r01"], []), (["r01", "r07", "r30"], []), (["r03"], ["r04"]), (["r05", "r06"], ["r10", "r20"])],
)
async def test_similar_is_nearest_to_the_mean_of_directions_less_the_negatives(store, like, unlike):
    numbers, away = [int(i[1:]) for i in like], [int(i[1:]) for i in unlike]
    point = UNITS[numbers].mean(axis=0)
    if away:
        point = 2 * point - UNITS[away].mean(axis=0)
    want = [i for i in np.argsort(-cosines(point), kind="stable") if i not in {*numbers, *away}][:7]
    for exact in (False, True):
        found = store.similar_to(like, k=7, negative=unlike, exact=exact)
        assert ids(found) == [IDS[i] for i in want]
        assert [hit.score for hit in found] == pytest.approx(cosines(point)[want], abs=2e-3)  # the point is a halfvec
        assert all(hit.scores == {"dense": hit.score} for hit in found)
        assert await store.asimilar_to(like, k=7, negative=unlike, exact=exact) == found
    even = [i for i in np.argsort(-cosines(point), kind="stable") if i not in {*numbers, *away} and i % 2 == 0][:7]
    assert ids(store.similar_to(like, k=7, negative=unlike, filter={"even": True})) == [IDS[i] for i in even]


@pytest.mark.parametrize("metric", ["l2", "inner_product"])
def test_similar_by_other_metrics_is_by_the_vectors_as_they_are(module_url, metric):
    store = PGVector(Words(), connection=module_url, collection_name=metric, distance_strategy=metric, storage="vector")
    store.add_texts(TEXTS, ids=IDS)
    point = 2 * VECTORS[[2, 3]].mean(axis=0) - VECTORS[4]
    distances = np.linalg.norm(VECTORS - point, axis=1) if metric == "l2" else -(VECTORS @ point)
    want = [IDS[i] for i in np.argsort(distances, kind="stable") if i not in {2, 3, 4}][:9]
    assert ids(store.similar_to(["r02", "r03"], k=9, negative=["r04"])) == want


async def test_similar_to_what_is_not_there_is_an_error(store, module_url):
    for call in (
        lambda: store.similar_to(["r01", "nope", "gone"]),
        lambda: store.similar_to(["r01"], negative=["nope", "gone"]),
    ):
        with pytest.raises(NotFound, match="collection 'words' has no chunk 'gone', 'nope'"):
            call()
    with pytest.raises(NotFound, match="'gone', 'nope'"):
        await store.asimilar_to(["r01", "nope", "gone"])
    empty = PGVector(Words(), connection=module_url, collection_name="no such")
    with pytest.raises(NotFound, match="collection 'no such' has no chunk 'r01'"):
        empty.similar_to(["r01"])
    with pytest.raises(NotFound, match="'r01'"):
        await empty.asimilar_to(["r01"])
    for wrong, said in (([], "no ids"), ("r01", "r01"), ([None], "not a non-empty string")):
        with pytest.raises(InvalidInput, match=said):
            store.similar_to(wrong)
    with pytest.raises(InvalidInput, match="unknown search arguments: weight"):
        store.similar_to(["r01"], weight=0.5)


def test_directions_that_cancel_each_other_out_are_an_error(module_url):
    store = PGVector(Words(), connection=module_url, collection_name="opposite")
    store.add_embeddings(["a", "b", "c"], [[1.0, 2.0], [-2.0, -4.0], [1.0, 0.0]], ids=["a", "b", "c"])
    assert ids(store.similar_to(["a"])) == ["c", "b"]
    with pytest.raises(InvalidInput, match="cancel each other out"):
        store.similar_to(["a", "b"])


def test_similar_when_there_is_nothing_else_is_nothing(module_url):
    store = PGVector(Words(), connection=module_url, collection_name="two")
    store.add_texts(TEXTS[:2], ids=IDS[:2])
    assert ids(store.similar_to(["r00"], k=5)) == ["r01"]
    assert store.similar_to(["r00", "r01"]) == []
