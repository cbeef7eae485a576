"""Tables loaded from files: a row is a chunk that can be found by its columns."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from howdah import PGVector, sync

ROWS = """\
title,source,year,note
Dune,shelf,1965,"sand, worms"
Emma,attic,1815,matchmaking
Solaris,shelf,1961,an ocean
"""


@pytest.fixture
def store(url: str) -> Iterator[PGVector]:
    embeddings = DeterministicFakeEmbedding(size=16)
    with PGVector(embeddings, connection=url, collection_name="docs") as store:
        yield store
        store.database.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "books.csv").write_text(ROWS)
    return folder


def test_rows_are_found_by_their_columns(store: PGVector, folder: Path) -> None:
    report = sync(store, [folder])
    assert (report.chunks.added, report.failures) == (3, [])
    found = store.similarity_search("x", k=9, filter={"year": {"$gte": 1900}, "note": {"$like": "%o%"}})
    assert {(doc.metadata["year"], doc.page_content) for doc in found} == {
        (1965, "title: Dune\nsource: shelf\nyear: 1965\nnote: sand, worms"),
        (1961, "title: Solaris\nsource: shelf\nyear: 1961\nnote: an ocean"),
    }


def test_a_documents_own_source_and_title_stand_above_columns_of_that_name(store: PGVector, folder: Path) -> None:
    sync(store, [folder])
    (found,) = store.similarity_search("x", k=9, filter={"year": 1815})
    assert found.metadata == {"source": "corpus/books.csv", "title": "books", "year": 1815, "note": "matchmaking"}
    assert store.similarity_search("x", k=9, filter={"source": "shelf"}) == []


def test_of_a_changed_table_only_the_changed_rows_are_embedded(store: PGVector, folder: Path) -> None:
    sync(store, [folder])
    (folder / "books.csv").write_text(ROWS.replace("1815", "1816") + "Ubik,attic,1969,spray\n")
    report = sync(store, [folder])
    assert (report.chunks.added, report.chunks.reused, report.chunks.deleted) == (2, 2, 1)


def test_json_values_are_found_by_their_path(store: PGVector, folder: Path) -> None:
    (folder / "a.json").write_text('[{"author": {"name": "Lem"}, "tags": ["sf", "sea"]}, {"author": {"name": "Dick"}}]')
    sync(store, [folder])
    (by_path,) = store.similarity_search("x", k=9, filter={"author.name": "Lem"})
    (by_tag,) = store.similarity_search("x", k=9, filter={"tags": {"$contains": ["sea"]}})
    assert by_path.page_content == by_tag.page_content == "author.name: Lem\ntags: sf, sea"
