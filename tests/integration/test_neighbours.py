"""What stands around a hit: its neighbours and its section, always exactly the document's text."""

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_text_splitters import RecursiveCharacterTextSplitter
from psycopg.sql import SQL

from howdah import Hit, PGVector, PGVectorRetriever, sync
from howdah.retrieval import documents
from howdah.retrieval.query import Query
from tests.integration.checks import rows

SECTIONS = ("Arrival", "Bridge", "Cargo", "Deck")
STONES = ["amber", "basalt", "copper", "dolomite", "emerald", "feldspar", "granite"]
SPLITTER = RecursiveCharacterTextSplitter(chunk_size=200, chunk_overlap=40, separators=["\n\n", " "])
ALL = 1_000_000


def notes(book: str, section: str, count: int = 14) -> str:
    """Sentences, each with a word of its own, such as oneBridge7."""
    return " ".join(
        f"The {STONES[n % 7]} of päge {n} 𝔘 lies beside the {STONES[n * 3 % 7]}: {book}{section}{n}."
        for n in range(count)
    )


def book(name: str) -> str:
    return f"# {name.title()}\n\n" + "\n\n\n".join(f"## {each}\n\n{notes(name, each)}" for each in SECTIONS)


@pytest.fixture(scope="module")
def store(module_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PGVector]:
    folder = tmp_path_factory.mktemp("books")
    for name in ("one", "two", "untold"):
        (folder / f"{name}.md").write_text(book(name), encoding="utf-8")
    (folder / "plain.txt").write_text("\n\n".join(notes("plain", each) for each in SECTIONS), encoding="utf-8")
    store = PGVector(DeterministicFakeEmbedding(size=16), connection=module_url, collection_name="books")
    sync(store, [folder], splitter=SPLITTER, root="books")
    store.add_texts(["A row of the API: zircon."], ids=["api"])
    forget = "UPDATE howdah.documents SET text = NULL WHERE source = 'books/untold.md'"
    store.store.execute(Query(SQL(forget), {}))
    yield store
    store.database.close()


def parts(store: PGVector, name: str) -> list[dict[str, Any]]:
    """The document's chunks in order."""
    found = rows(
        store.store,
        """
        SELECT c.id, d.source, p.section, p.start_at AS start, p.end_at AS end, p.content FROM {chunks} AS c
        JOIN {passages} AS p USING (n) JOIN howdah.documents AS d ON d.id = c.document ORDER BY p.ordinal
        """,
        store.store.get("books"),
    )
    return [row for row in found if row["source"] == f"books/{name}"]


def whole(store: PGVector, name: str) -> str:
    return str(store.store.rows(documents.text_of(store.store.get("books"), f"books/{name}"))[0]["text"])


def words_of(chunks: list[dict[str, Any]]) -> dict[int, str]:
    """A word that no other chunk has, by the chunk's place; a remnant of a chunk may have none."""
    words = [set(re.findall(r"[a-z]+[A-Z][a-z]+\d+", chunk["content"])) for chunk in chunks]
    counts = Counter(word for some in words for word in some)
    own = [sorted(word for word in some if counts[word] == 1) for some in words]
    return {place: some[0] for place, some in enumerate(own) if some}


def word_of(chunks: list[dict[str, Any]], place: int) -> str:
    return words_of(chunks)[place]


def found(store: PGVector, *words: str, **how: Any) -> list[Hit]:
    return store.hits(" ".join(words), search_type="lexical", **how)


@pytest.mark.parametrize("name", ["one.md", "plain.txt"])
@pytest.mark.parametrize("window", [1, 2, 50])
def test_a_window_is_the_documents_text_from_neighbour_to_neighbour(store, name, window):
    chunks, text = parts(store, name), whole(store, name)
    assert len(chunks) > 15
    assert any(b["start"] < a["end"] for a, b in pairwise(chunks))  # chunks overlap
    places = words_of(chunks)
    for place in (min(places), 8, max(places)):
        word = places[place]
        (plain,) = found(store, word)
        (hit,) = found(store, word, window=window, max_characters=ALL)
        near = chunks[max(place - window, 0) : place + window + 1]
        assert (hit.start, hit.end) == (near[0]["start"], near[-1]["end"])
        assert hit.content == text[hit.start : hit.end]
        assert plain.content in hit.content
        same = ("id", "score", "scores", "metadata", "source", "title", "section", "page")
        assert [getattr(hit, key) for key in same] == [getattr(plain, key) for key in same]


@pytest.mark.parametrize("name", ["one.md", "two.md"])
def test_a_section_is_whole_and_ends_where_it_ends(store, name):
    chunks, text = parts(store, name), whole(store, name)
    places = words_of(chunks)
    for place in (min(places), 6, 11, max(places)):
        (hit,) = found(store, places[place], parent="section", max_characters=ALL)
        section = [chunk for chunk in chunks if chunk["section"] == chunks[place]["section"]]
        assert (hit.start, hit.end) == (section[0]["start"], section[-1]["end"])
        assert hit.content == text[hit.start : hit.end]
        assert len(section) > 2


def test_without_headings_the_document_is_the_section(store):
    (hit,) = found(store, word_of(parts(store, "plain.txt"), 5), parent="section", max_characters=ALL)
    assert hit.content == whole(store, "plain.txt")


@pytest.mark.parametrize("limit", [1, 150, 300, 500, 900])
@pytest.mark.parametrize("how", [{"window": 9}, {"parent": "section"}])
def test_the_bound_is_kept_by_leaving_out_whole_chunks_from_the_outside(store, limit, how):
    chunks, text = parts(store, "one.md"), whole(store, "one.md")
    place = 8
    (hit,) = found(store, word_of(chunks, place), max_characters=limit, **how)
    assert hit.content == text[hit.start : hit.end]
    assert hit.start in {chunk["start"] for chunk in chunks}
    assert hit.end in {chunk["end"] for chunk in chunks}
    assert hit.start <= chunks[place]["start"] < chunks[place]["end"] <= hit.end
    own = chunks[place]["end"] - chunks[place]["start"]
    assert len(hit.content) <= max(limit, own)
    inside = [chunk for chunk in chunks if hit.start <= chunk["start"] and chunk["end"] <= hit.end]
    if limit == 900:
        assert len(inside) >= 4
    if limit == 1:
        assert len(hit.content) == own


def test_hits_whose_texts_would_overlap_become_one_in_the_place_of_the_best(store):
    chunks, text = parts(store, "one.md"), whole(store, "one.md")
    near = [word_of(chunks, place) for place in (6, 8)]
    far = word_of(chunks, 16)
    plain = found(store, *near, far)
    assert len(plain) == 3
    hits = found(store, *near, far, window=1)
    assert len(hits) == 2
    first = min(plain.index(hit) for hit in plain if hit.id in {chunks[6]["id"], chunks[8]["id"]})
    joined = next(hit for hit in hits if hit.id == plain[first].id)
    assert (joined.start, joined.end) == (chunks[5]["start"], chunks[9]["end"])
    assert all(hit.content == text[hit.start : hit.end] for hit in hits)
    assert [hit.id for hit in hits] == [hit.id for hit in plain if hit.id in {joined.id, chunks[16]["id"]}]
    # Of two documents nothing is joined, though the offsets are the same.
    other = word_of(parts(store, "two.md"), 6)
    assert len(found(store, near[0], other, window=1)) == 2


def test_without_the_stored_text_the_chunks_are_put_together_and_blanks_fill_the_gaps(store):
    chunks, text = parts(store, "untold.md"), book("untold")
    for place, how in ((6, {"window": 2}), (12, {"parent": "section", "max_characters": ALL})):
        (hit,) = found(store, word_of(chunks, place), **how)
        assert len(hit.content) == hit.end - hit.start > 400
        assert hit.content.split() == text[hit.start : hit.end].split()


def test_rows_without_a_document_and_documents_that_are_gone_stay_as_they_are(store):
    assert found(store, "zircon", window=3) == found(store, "zircon", parent="section") == found(store, "zircon")
    assert found(store, "zircon", window=0) == found(store, "zircon", window=None) == found(store, "zircon")
    assert found(store, "nothing", window=3) == []


@pytest.mark.parametrize(
    "how", [{"window": 1}, {"parent": "section"}, {"window": 2, "rerank": None, "lambda_mult": 0.5}]
)
async def test_every_search_in_both_colours_and_for_many_queries(store, how):
    queries = [word_of(parts(store, "one.md"), place) for place in (3, 9)]
    for search_type in ("hybrid", "lexical", "similarity") if "lambda_mult" not in how else ("hybrid", "mmr"):
        given = {"k": 6, "search_type": search_type, **how}
        want = [store.hits(query, **given) for query in queries]
        assert [await store.ahits(query, **given) for query in queries] == want
        assert store.hits_many(queries, **given) == await store.ahits_many(queries, **given) == want
        assert any(hit.end - hit.start > 250 for hits in want for hit in hits if hit.id != "api")


def test_the_retriever_takes_it_and_says_the_wider_place(store):
    chunks, text = parts(store, "one.md"), whole(store, "one.md")
    retriever = PGVectorRetriever(vectorstore=store, search_type="lexical", k=1, search_kwargs={"window": 1})
    (document,) = retriever.invoke(word_of(chunks, 8))
    place = document.metadata["_howdah"]
    assert (place["start"], place["end"]) == (chunks[7]["start"], chunks[9]["end"])
    assert document.page_content == text[place["start"] : place["end"]]
