"""BM25 and hybrid search against the formulas written out in Python, over lexemes that the server's parser gives."""

import math
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from howdah import PGVector
from howdah.retrieval import catalog
from howdah.retrieval.types import Hit
from tests.integration import bm25, recount

_WORDS = (
    "elephant elephants howdah seat back river forest king walk walked walking tusk trunk ivory herd dust monsoon "
    "well-known the of and in a not e-mail 42 3.14 grass water mahout banyan temple drum night moon"
)
VOCABULARY = _WORDS.split()
QUERIES = [
    "elephant",
    "the walking elephants of the king",
    "well-known mahout",
    "monsoon monsoon monsoon drum",
    "unknownword elephant",
    "42 3.14 temple",
]
EMBEDDINGS = DeterministicFakeEmbedding(size=24)


class Corpus:
    """A collection after a random series of adds, updates and deletes, and what ought to be in it."""

    def __init__(self, url: str, store: PGVector) -> None:
        self.url, self.store = url, store
        self.texts: dict[str, str] = {}
        rng = random.Random(4)
        for step in range(30):
            ids = [f"d{rng.randint(0, 150):03}" for _ in range(rng.randint(1, 40))]
            if step % 5 == 4:
                store.delete(ids)
                self.texts = {key: text for key, text in self.texts.items() if key not in ids}
            else:
                # Skewed, so that some words are rare; some texts are long and some are empty.
                texts = [
                    " ".join(rng.choices(VOCABULARY, range(len(VOCABULARY), 0, -1), k=rng.choice([0, 3, 12, 60])))
                    for _ in ids
                ]
                store.add_texts(texts, [{"even": int(i[1:]) % 2 == 0} for i in ids], ids=ids)
                self.texts.update(zip(ids, texts, strict=True))
        with psycopg.connect(url) as conn:
            self.words = {key: recount.lexemes(conn, text) for key, text in self.texts.items()}

    def query(self, words: str) -> list[str]:
        """The query's lexemes, each once."""
        with psycopg.connect(self.url) as conn:
            return sorted(recount.lexemes(conn, words))

    def idf(self, lexeme: str) -> float:
        df = sum(lexeme in words for words in self.words.values())
        return math.log(1 + (len(self.words) - df + 0.5) / (df + 0.5))

    def bm25(self, words: str, *, k1: float = 1.2, b: float = 0.75) -> dict[str, float]:
        """Robertson's BM25 of every document with one of the words, over its attainable maximum (k1 + 1) · Σ idf."""
        terms = self.query(words)
        mean = sum(counter.total() for counter in self.words.values()) / len(self.words)
        attainable = (k1 + 1) * sum(self.idf(term) for term in terms)
        scores: dict[str, float] = {}
        for key, counter in self.words.items():
            for term in terms:
                if tf := counter[term]:
                    norm = tf + k1 * (1 - b + b * counter.total() / mean)
                    scores[key] = scores.get(key, 0) + self.idf(term) * tf * (k1 + 1) / norm / attainable
        return scores


@pytest.fixture(scope="module")
def corpus(module_url: str) -> Iterator[Corpus]:
    store = PGVector(EMBEDDINGS, connection=module_url, collection_name="docs", config="english")
    yield Corpus(module_url, store)
    store.database.close()


def same_but_for_ties(hits: list[Hit], want: dict[str, float], k: int) -> None:
    best = sorted(want.items(), key=lambda item: (-item[1], item[0]))[:k]
    assert [hit.score for hit in hits] == pytest.approx([score for _, score in best], abs=1e-4)
    for hit in hits:
        assert hit.score == pytest.approx(want[hit.id], abs=1e-4)
    assert len({hit.id for hit in hits}) == len(hits)


def test_the_series_left_the_counts_of_a_recount(corpus, module_url):
    found = corpus.store.store.find("docs")
    assert found is not None
    recount.check(found, module_url)
    assert len(corpus.texts) > 80


@pytest.mark.parametrize("words", QUERIES)
@pytest.mark.parametrize("settings", [{}, {"k1": 2.0, "b": 0.0}, {"k1": 0.5, "b": 1.0}])
def test_bm25_is_the_formulas(corpus, words, settings):
    want = corpus.bm25(words, **settings)
    for k in (5, 200):
        same_but_for_ties(corpus.store.hits(words, k=k, search_type="lexical", **settings), want, k)
    assert max(want.values()) <= 1


def test_a_filtered_search_gives_the_matching_ones_with_unchanged_scores(corpus):
    want = {key: score for key, score in corpus.bm25(QUERIES[1]).items() if int(key[1:]) % 2 == 0}
    hits = corpus.store.hits(QUERIES[1], k=200, search_type="lexical", filter={"even": True})
    same_but_for_ties(hits, want, 200)
    assert len(hits) == len(want)


QUIET = ["", " ", "the of and", "!!! & | <-> :* ( )", "😀🐘", "\x00", "-", "'", "%s {}", "\\", "a" * 5_000]


@pytest.mark.parametrize("words", QUIET)
@pytest.mark.parametrize("how", ["lexical", "hybrid"])
def test_a_query_without_words_is_no_error(corpus, words, how):
    hits = corpus.store.hits(words, k=3, search_type=how)
    assert len(hits) == (0 if how == "lexical" else 3)
    assert all(hit.scores["lexical"] == 0 for hit in hits)


LOUD = [
    "elephant & !king | (howdah <-> seat):*",
    "elephant " * 12_000,
    " ".join(f"w{i}" for i in range(15_000)) + " elephant",
    "\x00elephant\ud800",
    "'elephant' -- ;",
    "🐘 elephant %s",
]


@pytest.mark.parametrize("words", LOUD, ids=[words[:20].encode("ascii", "replace").decode() for words in LOUD])
@pytest.mark.parametrize("how", ["lexical", "hybrid"])
async def test_operators_and_length_are_no_error(corpus, words, how):
    hits = corpus.store.hits(words, k=5, search_type=how)
    assert len(hits) == 5
    assert any("elephant" in hit.content for hit in hits)
    assert [hit.id for hit in await corpus.store.ahits(words, k=5, search_type=how)] == [hit.id for hit in hits]
    await corpus.store.database.aclose()


def hybrid(corpus: Corpus, words: str, *, weight: float = 0.5, c0: float = 0.0, **settings: float) -> dict[str, float]:
    """weight · clip((cosine - c0) / (1 - c0)) + (1 - weight) · lexical, of every document."""
    ids = sorted(corpus.texts)
    rows = np.array(EMBEDDINGS.embed_documents([corpus.texts[i] for i in ids])).astype(np.float16).astype(np.float64)
    query = np.array(EMBEDDINGS.embed_query(words)).astype(np.float16).astype(np.float64)
    cosine = rows @ query / (np.linalg.norm(rows, axis=1) * np.linalg.norm(query))
    dense = np.clip((cosine - c0) / (1 - c0), 0, 1)
    lexical = corpus.bm25(words, **settings)
    return {i: weight * dense[n] + (1 - weight) * lexical.get(i, 0) for n, i in enumerate(ids)}


class TestHybrid:
    @pytest.mark.parametrize("words", QUERIES[:3])
    @pytest.mark.parametrize("settings", [{}, {"weight": 0.8}, {"weight": 0.0}, {"weight": 1.0}, {"k1": 2.0, "b": 0.3}])
    def test_scores_are_numpys(self, corpus, words, settings):
        want = hybrid(corpus, words, **settings)
        same_but_for_ties(corpus.store.hits(words, k=20, depth=1_000, exact=True, **settings), want, 20)

    def test_the_scale_is_the_collections_own(self, corpus):
        found = corpus.store.store.find("docs")
        assert found is not None
        corpus.store.store.execute(catalog.set_scales(found, {"c0": 0.25}))
        other = PGVector(EMBEDDINGS, connection=corpus.url, collection_name="docs")
        try:
            want = hybrid(corpus, QUERIES[1], c0=0.25)
            same_but_for_ties(other.hits(QUERIES[1], k=10, depth=1_000), want, 10)
        finally:
            corpus.store.store.execute(catalog.set_scales(found, {}))

    def test_a_documents_score_depends_neither_on_k_nor_on_depth(self, corpus):
        def scores(**how: Any) -> dict[str, float]:
            return {hit.id: hit.score for hit in corpus.store.hits(QUERIES[1], **how)}

        few, many, deep = scores(k=5), scores(k=50), scores(k=5, depth=1_000)
        assert {key: many[key] for key in few} == pytest.approx(few, abs=1e-12)
        assert {key: deep[key] for key in few} == pytest.approx(few, abs=1e-12)

    def test_both_arms_scores_are_there_for_every_row(self, corpus):
        lexical = corpus.bm25(QUERIES[1])
        for hit in corpus.store.hits(QUERIES[1], k=50):
            assert hit.scores.keys() == {"dense", "lexical"}
            assert hit.scores["lexical"] == pytest.approx(lexical.get(hit.id, 0), abs=1e-4)

    @pytest.mark.parametrize("depth", [None, 3, 1_000])
    def test_a_filter_holds_in_both_arms(self, corpus, depth):
        want = {key: score for key, score in hybrid(corpus, QUERIES[1]).items() if int(key[1:]) % 2 == 0}
        hits = corpus.store.hits(QUERIES[1], k=12, filter={"even": True}, depth=depth)
        assert len(hits) == 12
        for hit in hits:
            assert hit.metadata == {"even": True}
            assert hit.score == pytest.approx(want[hit.id], abs=1e-4)
        if depth == 1_000:
            same_but_for_ties(hits, want, 12)

    def test_k_rows_come_back_even_from_a_shallow_search(self, corpus):
        assert len(corpus.store.hits("elephant", k=30, depth=1)) == 30


def test_an_empty_collection_and_one_of_empty_texts(module_url):
    store = PGVector(EMBEDDINGS, connection=module_url, collection_name="empty")
    assert store.hits("elephant") == store.hits("elephant", search_type="lexical") == []
    ids = store.add_texts(["", " ", "the"])
    assert store.hits("elephant", search_type="lexical") == []
    assert [hit.scores["lexical"] for hit in store.hits("elephant")] == [0, 0, 0]
    store.delete(ids)
    assert store.hits("elephant") == store.hits("elephant", search_type="lexical") == []


def test_the_language_is_the_collections(module_url):
    store = PGVector(EMBEDDINGS, connection=module_url, collection_name="german", config="german")
    store.add_texts(["die Häuser am Fluss", "ein Elefant"], ids=["h", "e"])
    assert [hit.id for hit in store.hits("Haus", search_type="lexical")] == ["h"]
    plain = PGVector(EMBEDDINGS, connection=module_url, collection_name="simple", config="simple")
    plain.add_texts(["die Häuser am Fluss", "the Haus"], ids=["h", "e"])
    assert [hit.id for hit in plain.hits("haus the", search_type="lexical")] == ["e"]
    assert Counter(hit.id for hit in plain.hits("die", search_type="lexical")) == {"h": 1}


def test_of_a_very_long_query_the_256_rarest_words_score(module_url):
    """Word i stands in texts 0 to i, so its df is i + 1; what stands in none of them counts for nothing."""
    words = [f"w{i:03}" for i in range(300)]
    store = PGVector(EMBEDDINGS, connection=module_url, collection_name="long", config="simple")
    store.add_texts([" ".join(words[first:]) for first in range(300)], ids=[f"{i:03}" for i in range(300)])
    book = " ".join([*reversed(words), *(f"nowhere{i}" for i in range(3_000))])
    rarest = " ".join(words[:256])
    bm25.check(store, [rarest])
    assert bm25.scores(store, book) == pytest.approx(bm25.scores(store, rarest))
    assert len(bm25.scores(store, book)) == 256
    store.database.close()
