"""Equal texts of documents are one hit, which names the others in `also_in`."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_text_splitters import CharacterTextSplitter

from howdah import Hit, PGVector, sync
from howdah.chains.citations import citation
from howdah.chains.retrieve import as_hit
from howdah.chains.sentences import Span
from howdah.scripts.main import _run

NOTICE = "All elephants must be tied up before the river is crossed."
OTHERS = [f"Elephant number {number} stands beside the river and waits." for number in range(6)]
WAYS: list[dict[str, Any]] = [
    {"search_type": "hybrid"},
    {"search_type": "hybrid", "fusion": "rrf"},
    {"search_type": "hybrid", "lambda_mult": 0.5},
    {"search_type": "lexical"},
    {"search_type": "similarity"},
    {"search_type": "similarity_score_threshold", "score_threshold": 0.0},
    {"search_type": "mmr"},
]


class Nearest(DeterministicFakeEmbedding):
    """Every query has the notice's vector, so that the notice is what any search by meaning finds first."""

    def embed_query(self, text: str) -> list[float]:
        return super().embed_documents([NOTICE])[0]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return super().embed_documents([NOTICE if NOTICE in text else text for text in texts])


class Seen:
    """A reranker that remembers the texts it was given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.texts = list(texts)
        return [1 / (2 + place) for place in range(len(texts))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """40 files that say the same, and 6 that do not."""
    folder = tmp_path / "river"
    folder.mkdir()
    for number in range(40):
        (folder / f"notice{number:02}.txt").write_text(NOTICE)
    for number, text in enumerate(OTHERS):
        (folder / f"other{number}.txt").write_text(text)
    return folder


@pytest.fixture
def store(url: str, folder: Path) -> Iterator[PGVector]:
    with PGVector(Nearest(size=16), connection=url, collection_name="docs") as store:
        sync(store, [folder], processes=1)
        yield store
        store.database.close()


def texts(hits: Sequence[Hit]) -> list[str]:
    return [hit.content for hit in hits]


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_k_different_texts_come_back_though_the_first_forty_rows_are_one(store: PGVector, way: dict[str, Any]) -> None:
    hits = store.hits("elephants river tied", k=5, **way)
    assert len(set(texts(hits))) == len(hits) == 5
    first = next(hit for hit in hits if hit.content == NOTICE)
    named = [first.source, *first.also_in]
    assert set(named) == {f"river/notice{number:02}.txt" for number in range(40)}
    assert len(named) == 40
    assert all(hit.also_in == () for hit in hits if hit.content != NOTICE)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_asynchronous_and_many_searches_give_the_same(store: PGVector, way: dict[str, Any]) -> None:
    asked = ["elephants river tied", "beside waits", '"no such phrase" elephants']
    one_by_one = [store.hits(query, k=4, **way) for query in asked]

    async def ask() -> tuple[list[list[Hit]], list[list[Hit]]]:
        found = [await store.ahits(query, k=4, **way) for query in asked], await store.ahits_many(asked, k=4, **way)
        await store.aclose()
        return found

    alone, together = asyncio.run(ask())
    assert store.hits_many(asked, k=4, **way) == alone == together == one_by_one


def test_it_is_one_round_trip_unless_equal_texts_left_too_few(store: PGVector, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    fetch = store.store.fetch_many
    monkeypatch.setattr(store.store, "fetch_many", lambda found, given: asked.append(len(found)) or fetch(found, given))
    store.hits("beside waits", k=5, search_type="lexical")
    assert asked == [1]
    store.hits_many(["beside waits", "tied elephants"], k=5, search_type="lexical")
    assert asked == [1, 2, 1, 1]  # 5 rows, 40 rows: both full of the notice; the six that hold `beside` differ
    store.hits("tied", k=5, search_type="lexical", filter={"source": "river/notice07.txt"})
    assert asked == [1, 2, 1, 1, 1]


def test_a_reranker_reads_each_text_once(store: PGVector) -> None:
    ranker = Seen()
    hits = store.hits("elephants", k=3, rerank=ranker)
    assert sorted(ranker.texts) == sorted([NOTICE, *OTHERS])
    assert len(hits) == 3
    assert len(next(hit for hit in hits if hit.content == NOTICE).also_in) == 39


def test_a_filter_holds_for_the_copies(store: PGVector) -> None:
    two = {"source": {"$in": ["river/notice03.txt", "river/notice04.txt"]}}
    (hit,) = store.hits("elephants", k=5, filter=two)
    assert {hit.source, *hit.also_in} == {"river/notice03.txt", "river/notice04.txt"}


def test_a_repeated_paragraph_is_one_hit_and_its_document_not_named_again(url: str, tmp_path: Path) -> None:
    (tmp_path / "twice.txt").write_text("\n\n".join([NOTICE, OTHERS[0], NOTICE]))
    with PGVector(Nearest(size=16), connection=url, collection_name="docs") as store:
        sync(store, [tmp_path], root="r", splitter=CharacterTextSplitter(chunk_size=60, chunk_overlap=0), processes=1)
        assert len(store.matching()) == 3
        hits = store.hits("elephants", k=3)
        store.database.close()
    assert sorted(texts(hits)) == sorted([NOTICE, OTHERS[0]])
    assert [hit.also_in for hit in hits] == [(), ()]


def test_rows_added_through_the_api_stay_apart(store: PGVector) -> None:
    store.add_texts([NOTICE, NOTICE], [{"by": "api"}, {"by": "api"}], ids=["a", "b"])
    hits = store.hits("elephants river tied", k=5, search_type="similarity")
    assert texts(hits).count(NOTICE) == 3  # both, and the documents' one
    assert {hit.id: hit.also_in for hit in hits if hit.source is None} == {"a": (), "b": ()}
    assert len(next(hit for hit in hits if hit.source and hit.content == NOTICE).also_in) == 39


def test_another_tenants_copies_are_not_named(url: str, tmp_path: Path) -> None:
    found = {}
    for tenant in ("red", "blue"):
        with PGVector(Nearest(size=16), connection=url, collection_name="docs", tenant=tenant) as store:
            for name in ("one", "two"):
                (tmp_path / f"{tenant}-{name}.txt").write_text(NOTICE)
            sync(store, sorted(tmp_path.glob(f"{tenant}-*")), root=tenant, processes=1)
            found[tenant] = store.hits("elephants", k=4)
            store.database.close()
    for tenant, (hit,) in found.items():
        assert {hit.source, *hit.also_in} == {f"{tenant}/{tenant}-one.txt", f"{tenant}/{tenant}-two.txt"}


def test_langchains_own_methods_return_every_row(store: PGVector) -> None:
    assert [doc.page_content for doc in store.similarity_search("elephants", k=9)] == [NOTICE] * 9
    assert len(store.max_marginal_relevance_search("elephants", k=9, lambda_mult=1)) == 9
    assert len(store.get_by_ids([hit.id for hit in store.matching()])) == 46


def test_the_retriever_and_the_chain_know_the_copies(store: PGVector) -> None:
    documents = store.as_retriever(k=4).invoke("elephants river tied")
    assert len({doc.page_content for doc in documents}) == 4
    ours = {doc.page_content: doc.metadata["_howdah"] for doc in documents}
    assert len(ours.pop(NOTICE)["also_in"]) == 39
    assert not any("also_in" in each for each in ours.values())
    hit = as_hit(next(doc for doc in documents if doc.page_content == NOTICE))
    assert len(hit.also_in) == 39
    assert citation(hit, Span(0, 3), n=1).to_dict()["also_in"] == list(hit.also_in)


def test_the_command_line_names_them(
    url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOWDAH_DATABASE_URL", url)
    monkeypatch.setenv("HOWDAH_CHAT_MODEL", "extractive")
    assert _run(["ingest", str(folder), "--json"]) == 0
    capsys.readouterr()
    assert _run(["search", "tied elephants", "-k", "3", "--json"]) == 0
    hits = json.loads(capsys.readouterr().out)["hits"]
    assert len({hit["content"] for hit in hits}) == 3
    assert [len(hit.get("also_in", [])) for hit in hits if hit["content"] == NOTICE] == [39]
    assert not any("also_in" in hit for hit in hits if hit["content"] != NOTICE)
    for command in (["search", "tied elephants", "-k", "3"], ["ask", "What must be tied before the river is crossed?"]):
        assert _run(command) == 0
        shown = capsys.readouterr().out
        assert "also in: river/notice" in shown
        assert "and 36 more" in shown
