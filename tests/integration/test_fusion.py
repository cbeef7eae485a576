"""Hybrid search by every fusion against NumPy, thresholds, and filters that are few or many in both arms."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest

from howdah import PGVector
from howdah.retrieval import filtered, hybrid
from howdah.retrieval.asked import parse
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filters import compile_filter
from tests.integration import recount
from tests.integration.explaining import explain, ran
from tests.scripted import NoEmbeddings

D, N = 12, 600
rng = np.random.default_rng(3)
VOCABULARY = [f"word{i}" for i in range(60)]
TEXTS = [" ".join(rng.choice(VOCABULARY, size=12)) for _ in range(N)]
ROWS = rng.normal(size=(N, D)).astype(np.float16).astype(np.float64)
QUERY = rng.normal(size=D).astype(np.float16).astype(np.float64)
WORDS = "word1 word2 word3 absent"


class Given(NoEmbeddings):
    def embed_query(self, text: str) -> list[float]:
        return list(QUERY)


@pytest.fixture(scope="module")
def store(module_url: str) -> Iterator[PGVector]:
    store = PGVector(Given(), connection=module_url, collection_name="docs", config="english", promoted={"i": "number"})
    metadata = [{"i": i, "third": i % 3, "rare": i % 60} for i in range(N)]
    store.add_embeddings(TEXTS, ROWS.tolist(), metadata, [f"{i:03}" for i in range(N)])
    yield store
    store.database.close()


@pytest.fixture(scope="module")
def arms(module_url: str) -> tuple[Any, Any]:
    """cosine and BM25 share of each row, computed here."""
    cosine = ROWS @ QUERY / (np.linalg.norm(ROWS, axis=1) * np.linalg.norm(QUERY))
    with psycopg.connect(module_url) as conn:
        counted = [recount.lexemes(conn, text) for text in TEXTS]
        terms = sorted(recount.lexemes(conn, WORDS))
    mean = np.mean([counter.total() for counter in counted])
    idf = {}
    for term in terms:
        df = sum(term in counter for counter in counted)
        idf[term] = np.log(1 + (N - df + 0.5) / (df + 0.5))
    scores = [
        sum(idf[t] * c[t] * 2.2 / (c[t] + 1.2 * (0.25 + 0.75 * c.total() / mean)) for t in terms if c[t])
        for c in counted
    ]
    return cosine, np.array(scores) / (2.2 * sum(idf.values()))


def top(scores: Any, depth: int, keep: Any) -> list[int]:
    """The best rows of one arm, ties in row order (ids and numbers ascend together)."""
    rows = [int(row) for row in np.argsort(-scores, kind="stable") if keep[row]]
    return rows[:depth]


def share(fusion: str, values: Any, rrf_k: float = 60) -> Any:
    if fusion == "minmax":
        spread = values.max() - values.min()
        return (values - values.min()) / spread if spread else np.ones(len(values))
    if fusion == "dbsf":
        deviation = values.std(ddof=1)
        return np.clip((values - (values.mean() - 3 * deviation)) / (6 * deviation), 0, 1)
    return 1 / (rrf_k + 1 + np.arange(len(values)))


def fused(
    arms: Any,
    fusion: str,
    *,
    weight: float = 0.5,
    dense: int = 100,
    words: int = 100,
    keep: Any = None,
    rrf_k: float = 60,
) -> dict[str, float]:
    cosine, lexical = arms
    keep = np.ones(N, bool) if keep is None else keep
    found: dict[int, float] = {}
    by_meaning = top(cosine, dense, keep)
    by_words = top(lexical, words, keep & (lexical > 0))
    for rows, values, part in ((by_meaning, cosine, weight), (by_words, lexical, 1 - weight)):
        for row, value in zip(rows, share(fusion, values[rows], rrf_k) if rows else [], strict=True):
            found[row] = found.get(row, 0) + part * value
    return {f"{row:03}": score for row, score in found.items()}


@pytest.mark.parametrize("fusion", ["minmax", "dbsf", "rrf"])
@pytest.mark.parametrize("how", [{}, {"weight": 0.8}, {"depth": 20}, {"dense_depth": 30, "lexical_depth": 7}], ids=str)
def test_fusions_are_the_formulas(store, arms, fusion, how):
    depths = {
        "dense": how.get("dense_depth", how.get("depth", 4 * 15)),
        "words": how.get("lexical_depth", how.get("depth", 4 * 15)),
    }
    want = fused(arms, fusion, weight=how.get("weight", 0.5), **depths)
    hits = store.hits(WORDS, k=15, fusion=fusion, **how)
    best = sorted(want.items(), key=lambda item: (-item[1], item[0]))[:15]
    assert [hit.score for hit in hits] == pytest.approx([score for _, score in best], abs=1e-6)
    assert [want[hit.id] for hit in hits] == pytest.approx([hit.score for hit in hits], abs=1e-6)


def test_rrf_takes_its_k_and_the_arms_scores_stay_absolute(store, arms):
    want = fused(arms, "rrf", rrf_k=2)
    for hit in store.hits(WORDS, k=10, fusion="rrf", rrf_k=2):
        assert hit.score == pytest.approx(want[hit.id], abs=1e-6)
        assert hit.scores["dense"] == pytest.approx(arms[0][int(hit.id)], abs=1e-3)
        assert hit.scores["lexical"] == pytest.approx(arms[1][int(hit.id)], abs=1e-6)


def test_an_arm_of_one_row_or_of_equal_rows_has_a_share(store):
    for fusion, want in (("minmax", 1.0), ("dbsf", 0.5)):
        (hit,) = store.hits("word1", k=5, filter={"i": 4}, fusion=fusion)
        lexical = want if "word1" in TEXTS[4].split() else 0
        assert hit.score == pytest.approx(0.5 * want + 0.5 * lexical)


async def test_both_colours_agree(store):
    for fusion in ("scaled", "minmax", "dbsf", "rrf"):
        assert await store.ahits(WORDS, k=7, fusion=fusion, score_threshold=None) == store.hits(
            WORDS, k=7, fusion=fusion
        )
    await store.database.aclose()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"fusion": "best"}, "fusion 'best' is not known; use one of scaled, minmax, dbsf, rrf"),
        ({"rrf_k": -1}, "rrf_k is -1"),
        ({"lexical_depth": 0}, "lexical_depth is 0"),
        ({"fusion": "rrf", "score_threshold": 0.3}, "depend on what else was found"),
        ({"score_threshold": 2}, "score_threshold is 2"),
        ({"score_threshold": "high"}, "score_threshold is 'high'"),
        ({"score_threshold": "default", "search_type": "lexical"}, "in a lexical search"),
    ],
)
def test_what_cannot_be_is_named(store, how, said):
    with pytest.raises(InvalidInput, match=said):
        store.hits(WORDS, **how)


class TestThreshold:
    @pytest.mark.parametrize("search_type", ["hybrid", "lexical"])
    @pytest.mark.parametrize("k", [5, 50])
    def test_it_cuts_by_the_score(self, store, search_type, k):
        every = store.hits(WORDS, k=50, search_type=search_type)
        limit = every[9].score
        hits = store.hits(WORDS, k=k, search_type=search_type, score_threshold=limit)
        assert hits == [hit for hit in every if hit.score >= limit][:k]

    def test_a_score_does_not_depend_on_k(self, store):
        few, many = ({hit.id: hit.score for hit in store.hits(WORDS, k=k)} for k in (5, 50))
        assert {key: many[key] for key in few} == pytest.approx(few, abs=1e-12)


KEEP = {
    "few": ({"rare": 7}, lambda i: i % 60 == 7),
    "many": ({"third": 1}, lambda i: i % 3 == 1),
    "covered": ({"i": {"$lt": 12}}, lambda i: i < 12),
    "unindexed": ({"rare": {"$gte": 58}}, lambda i: i % 60 >= 58),
    "none": ({"rare": -1}, lambda i: False),
    "words": ({"$match": "word5"}, lambda i: "word5" in TEXTS[i].split()),
}


@pytest.mark.parametrize("name", KEEP)
@pytest.mark.parametrize("search_type", ["hybrid", "lexical"])
def test_a_filter_holds_in_both_arms(store, arms, name, search_type):
    filter_, keep = KEEP[name]
    kept = np.array([keep(i) for i in range(N)])
    hits = (
        store.hits(WORDS, k=20, search_type=search_type, filter=filter_, depth=N)
        if search_type == "hybrid"
        else store.hits(WORDS, k=20, search_type=search_type, filter=filter_)
    )
    cosine, lexical = arms
    scores = 0.5 * np.clip(cosine, 0, 1) + 0.5 * lexical if search_type == "hybrid" else lexical
    found = kept if search_type == "hybrid" else kept & (lexical > 0)
    want = sorted((-scores[i], f"{i:03}") for i in range(N) if found[i])[:20]
    assert [hit.score for hit in hits] == pytest.approx([-score for score, _ in want], abs=1e-3)
    assert all(keep(int(hit.id)) for hit in hits)


def test_few_matching_rows_are_all_that_the_arms_look_up(store):
    collection = store.store.get("docs")
    how = hybrid.Hybrid()
    query = hybrid.hybrid(
        collection, parse(WORDS), QUERY.astype(np.float32), k=5, how=how, c0=0.0,
        where=compile_filter({"i": {"$lt": 12}}, collection=collection),
    )  # fmt: skip
    plan = explain(store.database, query, run=True)
    name = collection.promoted["i"].index(collection.chunks_name).as_string(None).strip('"')
    assert ran(plan, Index_Name=name) or ran(plan, Node_Type="Seq Scan")
    (few,) = [node["Actual Rows"] for node in plan if node.get("Subplan Name") == "CTE few"]
    assert few == 12
    assert filtered.CAP > N


@pytest.mark.parametrize("search_type", ["hybrid", "lexical"])
async def test_a_phrase_that_nothing_holds_is_looked_for_by_its_words(store, search_type):
    held = '"' + " ".join(TEXTS[5].split()[:2]) + '"'
    assert all(held.strip('"') in TEXTS[int(hit.id)] for hit in store.hits(held, k=20, search_type=search_type))
    absent = '"word1 absent word2"'
    plain = store.hits(absent.strip('"'), k=20, search_type=search_type)
    assert store.hits(absent, k=20, search_type=search_type) == plain
    assert await store.ahits(absent, k=20, search_type=search_type) == plain
    assert store.hits_many([held, absent], k=20, search_type=search_type)[1] == plain
    assert store.hits(absent, k=20, search_type=search_type, filter={"i": {"$lt": 40}}) != []
    await store.database.aclose()
