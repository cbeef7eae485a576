"""Refusals by a bound that a collection remembers: learned, saved, used, kept from other models, and forgotten."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from langchain_core.documents import Document

from howdah import PGVector, PGVectorRetriever, rag_chain, sync
from howdah.chains.agent import rag_agent
from howdah.chains.models import EXTRACTIVE
from howdah.chains.questions import make_questions
from howdah.chains.refusal import STANDARD, Bound, fingerprint
from howdah.chains.tuning import save
from howdah.retrieval.local_models import MS_MARCO, model_installed
from howdah.retrieval.rerank import LocalReranker
from howdah.scripts.main import _run
from tests.scripted import Scripted, ToolCalling, WordReranker

LOCAL = pytest.mark.skipif(not model_installed(MS_MARCO), reason="the local reranker is not installed")
SHIP_NAMES = (
    "Endurance Discovery Terra Aurora Nimrod Gauss Belgica Scotia Antarctic Quest Fram Deutschland Southern Erebus"
)
PORT_NAMES = "Poplar Sandefjord Dundee Bergen Kiel Larvik Govan Hull Genoa Cadiz Malta Riga Turku Gdansk"
SHIPS, PORTS = SHIP_NAMES.split(), PORT_NAMES.split()
WORDS = WordReranker()


def ship(number: int) -> Document:
    name, port = SHIPS[number], PORTS[number]
    text = (
        f"The {name} was a ship with a mast of {20 + number} metres. She was launched at {port} in {1850 + 3 * number}. "
        f"Her crew of {30 + 2 * number} sailors feared the captain."
    )
    return Document(page_content=text, metadata={"source": f"ships/{name}"})


@pytest.fixture
def ships(vectors: PGVector) -> PGVector:
    sync(vectors, [ship(number) for number in range(len(SHIPS))])
    return vectors


def bound(threshold: float, reranker: object = WORDS, **more: Any) -> Bound:
    return Bound(weights={"passage": 1.0}, bias=0.0, threshold=threshold, reranker=fingerprint(reranker) or "", **more)


def chain(store: PGVector, model: Any = EXTRACTIVE, reranker: Any = WORDS, **more: Any) -> Any:
    return rag_chain(PGVectorRetriever(vectorstore=store, k=4), model, reranker=reranker, **more)


QUESTION = "How tall was the mast of the Endurance?"


async def test_the_collections_bound_decides_until_it_is_forgotten(ships: PGVector) -> None:
    assert not chain(ships).invoke(QUESTION).refused
    save(ships, bound(1.1))
    assert chain(ships).invoke(QUESTION).refused
    assert (await chain(ships).ainvoke(QUESTION)).refused
    save(ships, None)
    assert not chain(ships).invoke(QUESTION).refused


async def test_the_agent_goes_by_the_collections_bound_too(ships: PGVector) -> None:
    def agent() -> Any:
        model = ToolCalling(replies=[[QUESTION], "The mast of the Endurance was 20 metres [1]."])
        return rag_agent(PGVectorRetriever(vectorstore=ships, k=4), model, reranker=WORDS)

    assert not agent().invoke(QUESTION).refused
    save(ships, bound(1.1))
    answer = agent().invoke(QUESTION)
    assert answer.refused
    assert answer.searched["documents"] == len(SHIPS)
    assert (await agent().ainvoke(QUESTION)).searched == answer.searched
    save(ships, None)
    assert not agent().invoke(QUESTION).refused


def test_a_bound_of_another_reranker_or_embedding_model_is_not_used(ships: PGVector) -> None:
    class Other(WordReranker):
        pass

    save(ships, bound(1.1, Other()))
    assert not chain(ships).invoke(QUESTION).refused
    save(ships, bound(1.1, embeddings="another model"))
    assert not chain(ships).invoke(QUESTION).refused
    save(ships, bound(1.1, embeddings=ships.store.get("docs").spec.model))
    assert chain(ships).invoke(QUESTION).refused


def test_min_score_comes_before_the_bound(ships: PGVector) -> None:
    save(ships, bound(1.1))
    assert not chain(ships, min_score=0.0).invoke(QUESTION).refused


def test_the_bound_stays_when_other_settings_of_the_collection_change(ships: PGVector) -> None:
    save(ships, bound(0.4))
    found = ships.store.get("docs")
    assert Bound.of(found.refusal) == bound(0.4)
    save(ships, bound(0.6))
    assert Bound.of(ships.store.get("docs").refusal) == bound(0.6)


async def test_a_refusal_says_what_was_searched(ships: PGVector) -> None:
    save(ships, bound(1.1))
    given = {"question": QUESTION, "filter": {"source": {"$ne": "ships/Fram"}}}
    answer = chain(ships).invoke(given)
    assert answer.searched == {
        "collection": "docs",
        "mode": "hybrid",
        "filter": {"source": {"$ne": "ships/Fram"}},
        "passages": len(SHIPS),
        "documents": len(SHIPS),
    }
    assert answer.to_dict()["searched"] == answer.searched
    assert (await chain(ships).ainvoke(given)).searched == answer.searched
    assert len(answer.hits) == 4
    save(ships, None)
    assert chain(ships).invoke(given).searched == {}
    assert chain(ships, Scripted(text="UNANSWERABLE")).invoke(given).searched == answer.searched


def test_questions_are_made_of_the_collection_and_are_the_same_each_time(ships: PGVector) -> None:
    made = make_questions(ships, 10)
    assert made == make_questions(ships, 10)
    kinds = [question.kind for question in made]
    assert kinds.count("answerable") == kinds.count("left out") == 10
    assert kinds.count("foreign") > 50
    for question in made[:20:2]:
        assert question.text.endswith("?")
        twin = next(each for each in made if each.group == question.group and each.kind == "left out")
        passages = {hit.source: hit.content for hit in ships.matching(None)}
        own = twin.filter["source"]["$ne"]
        assert twin.held[0] in passages[own]
        assert sum(twin.held[0] in text for text in passages.values()) == 1


# -- the command


@pytest.fixture
def loaded(howdah: Callable[..., tuple[int, dict]], tmp_path: Path) -> Callable[..., tuple[int, dict]]:
    folder = tmp_path / "ships"
    folder.mkdir()
    for number, name in enumerate(SHIPS):
        (folder / f"{name}.txt").write_text(ship(number).page_content, encoding="utf-8")
    assert howdah("ingest", folder)[0] == 0
    return howdah


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    rows = []
    for number, name in enumerate(SHIPS):
        source = f"ships/{name}.txt"
        rows += [
            {
                "question": f"How tall was the mast of the {name}?",
                "answers": [f"{20 + number} metres"],
                "source": source,
            },
            {"question": f"Where was the {name} launched?", "answers": [PORTS[number]], "source": source},
        ]
    rows += [{"question": f"How do I repair a bicycle tyre of {n} inches?", "unanswerable": True} for n in range(5)]
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


@LOCAL
def test_tune_learns_saves_draws_and_takes_back(
    loaded: Callable[..., tuple[int, dict]], asked: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "curve.svg"
    code, found = loaded("tune", "--refusal", "--questions", asked, "--out", picture, "--false-refusals", "0")
    assert code == 0
    assert found["before"]["threshold"] == STANDARD.threshold
    assert found["questions"] == {"answerable": 28, "left out": 28, "unanswerable": 5}
    assert set(found["after"]) == set(found["before"]) == {"threshold", "false_refusals", "refused"}
    assert found["after"]["refused"]["unanswerable"]["mean"] == 1
    low, mean, high = (found["after"]["false_refusals"][key] for key in ("low", "mean", "high"))
    assert low <= mean <= high
    assert ElementTree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
    assert found["saved"] is True
    again = loaded("tune", "--refusal", "--questions", asked, "--dry-run")[1]
    assert again["before"]["threshold"] == found["threshold"]
    assert again["before"]["false_refusals"]["mean"] == 0  # of the questions that it was learned from
    assert again["saved"] is False
    assert loaded("ask", "How tall was the mast of the Fram?")[1]["refused"] is False
    refused = loaded("ask", "How do I repair a bicycle tyre?")[1]
    assert refused["refused"] is True
    assert refused["searched"]["documents"] == len(SHIPS)
    assert loaded("tune", "--refusal", "--reset")[1] == {"collection": "docs", "reset": True}
    assert (
        loaded("tune", "--refusal", "--questions", asked, "--dry-run")[1]["before"]["threshold"] == STANDARD.threshold
    )


@LOCAL
def test_tune_refuses_what_it_cannot_learn_from(loaded: Callable[..., tuple[int, dict]], tmp_path: Path) -> None:
    few = tmp_path / "few.jsonl"
    few.write_text('{"question": "How tall was the Fram?"}\n', encoding="utf-8")
    code, found = loaded("tune", "--refusal", "--questions", few)
    assert (code, found["error"]["kind"]) == (2, "InvalidInput")
    assert "1 answerable" in found["error"]["message"]
    assert loaded("tune", "--refusal", "-c", "none")[0] == 2
    assert loaded("tune")[0] == 2


@LOCAL
def test_a_reader_sees_what_was_searched(
    loaded: Callable[..., tuple[int, dict]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(["ask", "How do I repair a bicycle tyre?", "--filter", '{"source": {"$ne": "ships/Fram.txt"}}']) == 0
    said = capsys.readouterr()
    assert f"in collection 'docs': {len(SHIPS)} passages of {len(SHIPS)} documents (hybrid search)" in said.err
    assert "$ne" in said.err
    assert "The nearest passages:" in said.err
    assert LocalReranker.fingerprint == MS_MARCO.fingerprint
