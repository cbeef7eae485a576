"""Quoted phrases and -words in lexical and hybrid search, by hand-made texts whose matches anyone can tell."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.runnables import RunnableConfig
from psycopg.sql import SQL

from howdah import PGVector
from howdah.chains.retrieve import retrieving
from howdah.chains.turn import Turn
from howdah.retrieval.query import Query

TEXTS = {
    "red": "The red planet has two small moons.",
    "planet": "A planet that turns red at dusk, with moons.",
    "mars": "Mars is called the red planet; its moons are Phobos and Deimos.",
    "jupiter": "Jupiter, a giant planet, has many moons and a red spot.",
    "well": "A well-known planet.",
    "hamlet": "To be or not to be, said Hamlet on no planet.",
    "empty": "",
}
SEARCHES = ["lexical", "hybrid"]


@pytest.fixture(scope="module")
def store(module_url: str) -> Iterator[PGVector]:
    with PGVector(
        DeterministicFakeEmbedding(size=16), connection=module_url, collection_name="sky", config="english"
    ) as store:
        store.add_texts(TEXTS.values(), [{"long": len(text) > 40} for text in TEXTS.values()], ids=list(TEXTS))
        yield store
        store.database.close()


def ids(store: PGVector, query: str, how: Any, **settings: Any) -> set[str]:
    return {hit.id for hit in store.hits(query, k=50, search_type=how, **settings)}


EVERY = set(TEXTS)
# What matches, as a hybrid search finds it; a lexical one finds those that hold a word besides.
CASES = [
    ('"red planet"', {"red", "mars"}),
    ('"red planets"', {"red", "mars"}),  # by stems, like the words
    ('"red planet" "two small"', {"red"}),
    ('"red planet" giant', {"red", "mars"}),
    ('"well-known planet"', {"well"}),
    ("planet moons -jupiter", EVERY - {"jupiter"}),
    ("planet -moon -hamlet", {"well", "empty"}),
    ('planet -"red planet"', EVERY - {"red", "mars"}),
    ('planet -"planet red"', EVERY),
    ("planet -well-known", EVERY - {"well"}),
    ("planet -the", EVERY),  # a stop word stands in no row
    ('planet -"to be"', EVERY),
    ('"moons" -"red planet" -giant', {"planet"}),
    ('"to be or not to be" planet', EVERY),
    ('"to be" "red planet"', {"red", "mars"}),
]
case = pytest.mark.parametrize(("query", "want"), CASES, ids=[query for query, _ in CASES])


@case
def test_rows_of_a_lexical_search(store, query, want):
    assert ids(store, query, "lexical") == want - {"empty"}


@case
@pytest.mark.parametrize("settings", [{}, {"exact": True}, {"weight": 1.0}, {"weight": 0.0}], ids=str)
def test_rows_of_a_hybrid_search(store, query, want, settings):
    """Both arms obey; what only the vectors find is there as well."""
    assert ids(store, query, "hybrid", **settings) == want


@pytest.mark.parametrize("how", SEARCHES)
async def test_sync_and_async_agree(store, how):
    for query, _ in CASES:
        there = [(hit.id, hit.scores) for hit in await store.ahits(query, k=50, search_type=how)]
        assert there == [(hit.id, hit.scores) for hit in store.hits(query, k=50, search_type=how)]
    await store.database.aclose()


@pytest.mark.parametrize("how", SEARCHES)
@pytest.mark.parametrize("exclusion", ["", " -jupiter"])
def test_a_phrase_that_stands_nowhere_is_looked_for_by_its_words(store, how, exclusion):
    """Nothing would be found otherwise, and prose quotes for emphasis; what is excluded stays so."""
    for phrase in ("planet red", "red two"):
        assert ids(store, f'"{phrase}"{exclusion}', how) == ids(store, phrase + exclusion, how) != set()


@pytest.mark.parametrize("how", SEARCHES)
def test_a_filter_holds_as_well(store, how):
    assert ids(store, '"red planet"', how, filter={"long": True}) == {"mars"}
    assert ids(store, "planet -jupiter", how, filter={"long": True}) == {"planet", "mars", "hamlet"}


def test_scores_are_those_of_the_words_that_are_left(store):
    def scores(query: str) -> dict[str, float]:
        return {hit.id: hit.score for hit in store.hits(query, k=50, search_type="lexical")}

    all_of_them = scores("red planet")
    assert scores('"red planet"') == {key: all_of_them[key] for key in ("red", "mars")}
    moons = scores("moons planet")
    assert scores("moons planet -jupiter") == {key: score for key, score in moons.items() if key != "jupiter"}


def test_what_is_excluded_is_not_embedded(store):
    """The vector of the text that is left: "not Jupiter" has no place to be nearest to."""
    with_it = {hit.id: hit.scores["dense"] for hit in store.hits("planet -jupiter", k=50)}
    without = {hit.id: hit.scores["dense"] for hit in store.hits("planet", k=50)}
    assert with_it == {key: score for key, score in without.items() if key != "jupiter"}


def test_another_tenants_rows_are_neither_asked_for_nor_excluded(store, module_url):
    with PGVector(
        DeterministicFakeEmbedding(size=16), connection=module_url, collection_name="sky", config="english", tenant="b"
    ) as other:
        other.add_texts(["a red planet", "planet jupiter"], ids=["x", "y"])
        for how in SEARCHES:
            assert ids(other, '"red planet"', how) == {"x"}
            assert ids(other, "planet -jupiter", how) == {"x"}
            assert ids(store, '"red planet"', how) == {"red", "mars"}
        other.database.close()


def test_the_retriever_reads_operators_and_the_chain_does_not(store):
    retriever = store.as_retriever(search_type="lexical", k=50)
    assert {doc.id for doc in retriever.invoke('Is it a "red planet"')} == {"red", "mars"}
    turn = retrieving(retriever).invoke(Turn(question="", query='Is it a "red planet"', k=50), RunnableConfig())
    assert {hit.id for hit in turn.hits} >= {"red", "planet", "mars", "jupiter"}


# -- a book as one Document

LONG, SHORTER = 60_000, 8_000
"""Sentences of a book of 2.9 MB and of one of 350 KB: a tsvector is cut at 100,000 characters."""


def sentences(count: int) -> str:
    return " ".join(f"the elephant w{i % 3000} of number {i} walks on." for i in range(count))


@pytest.fixture(scope="module")
def books(module_url: str) -> Iterator[PGVector]:
    """The phrase stands at the end of one book; its two words stand far apart in the other."""
    texts = {
        "phrase": f"{sentences(LONG)} Here stands a violet monsoon at last, zanzibar.",
        "words": f"violet {sentences(SHORTER)} monsoon",
        "short": "a violet monsoon",
        "other": "nothing violet",
    }
    with PGVector(
        DeterministicFakeEmbedding(size=16), connection=module_url, collection_name="books", config="english"
    ) as store:
        store.add_texts(texts.values(), ids=list(texts))
        yield store
        store.database.close()


def test_a_book_is_indexed_and_counted_exactly(books, module_url):
    want = Counter({"eleph": LONG, "number": LONG, "walk": LONG})
    want.update(str(i) for i in range(LONG))
    want.update(f"w{i % 3000}" for i in range(LONG))
    want.update(["stand", "violet", "monsoon", "last", "zanzibar"])
    found = books.store.find("books")
    assert found is not None
    rows = books.store.rows(
        Query(
            SQL("SELECT lexeme, tf, dl FROM {} AS o JOIN {} AS c USING (tenant, n) WHERE c.id = 'phrase'").format(
                found.postings, found.chunks
            ),
            {},
        )
    )
    assert {row["lexeme"]: row["tf"] for row in rows} == want
    assert {row["dl"] for row in rows} == {want.total()}


@pytest.mark.parametrize("how", SEARCHES)
def test_no_book_vanishes_for_a_phrase_that_its_tsvector_does_not_reach(books, how):
    assert ids(books, '"violet monsoon"', how) == {"phrase", "words", "short"}
    assert ids(books, '"violet zanzibar"', how) == {"phrase"}


@pytest.mark.parametrize("how", SEARCHES)
def test_a_word_excludes_a_book_wherever_it_stands(books, how):
    assert ids(books, "violet -zanzibar", how) == {"words", "short", "other"}
    assert ids(books, 'violet -"violet monsoon"', how) == {"phrase", "words", "other"}


@pytest.mark.parametrize("how", SEARCHES)
def test_a_book_as_a_query_takes_no_longer_for_its_length(books, how):
    """2.9 MB, some 63,000 different words: read in part, cut to the rarest, and never as operators."""
    text = books.get_by_ids(["phrase"])[0].page_content + ' -violet "w1 w2"'
    began = time.perf_counter()
    hits = books.hits(text, k=4, search_type=how)
    assert time.perf_counter() - began < 5
    assert {"phrase", "words"} <= {hit.id for hit in hits}
