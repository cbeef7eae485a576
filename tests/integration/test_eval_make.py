"""Test sets of a collection's own documents: made, resumed, judged after another cut and another text, and asked."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_text_splitters import RecursiveCharacterTextSplitter

from howdah import PGVector, sync
from howdah.chains.evaluation import testset
from howdah.chains.evaluation.cases import read_cases
from howdah.chains.evaluation.freshness import refreshed
from howdah.chains.evaluation.making import Maker
from howdah.chains.evaluation.unanswerable import unanswerable
from howdah.chains.evaluation.writing import Rules
from howdah.retrieval import documents, drawn
from howdah.retrieval.evaluation.ranking import BySource, Gold
from howdah.retrieval.local_models import MS_MARCO, model_installed
from howdah.retrieval.rows import hit
from howdah.scripts.eval_gold import tell_moved
from howdah.scripts.main import _run
from howdah.scripts.session import Session

LOCAL = pytest.mark.skipif(not model_installed(MS_MARCO), reason="the local reranker is not installed")
SHIPS = {"Fram": "Larvik", "Gauss": "Kiel", "Terra": "Dundee", "Scotia": "Bergen", "Quest": "Risor", "Nimrod": "Dundee"}


def text(name: str, number: int) -> str:
    return (
        f"# The ship {name}\n\nEvery page of the yard's book speaks of one ship, and there is more on the next.\n\n"
        f"The hull of the {name} is covered with greenheart {number} inches thick, so that ice {number} does not cut it. "
        f"If the rudder of the {name} breaks in heavy ice, the spare wheel number {number} is taken from the after hold. "
        f"To raise the mast of the {name}, turn the {number} iron winches on the foredeck.\n"
    )


def pages(names: "dict[str, str] | None" = None) -> list[Document]:
    chosen = names or SHIPS
    return [
        Document(page_content=text(name, number), metadata={"source": f"ships/{name}.md"})
        for number, name in enumerate(chosen, start=11)
    ]


@pytest.fixture
def ships(vectors: PGVector) -> PGVector:
    sync(vectors, pages())
    return vectors


def maker(store: PGVector, **more: int) -> Maker:
    given = {"count": 6, "seed": 7, "passages": 100, **more}
    return Maker(store=store.store, found=store.store.get("docs"), writer=Rules(), **given)


def everything(store: PGVector) -> list:
    return [hit(row) for row in store.store.rows(drawn.drawn(store.store.get("docs"), seed=1, limit=10_000))]


def stored(store: PGVector, source: str) -> str:
    return store.store.rows(documents.text_of(store.store.get("docs"), source))[0]["text"]


def folder(store: PGVector, path: Path) -> testset.Folder:
    drafts = [draft.decided("accepted") for draft in maker(store).make().drafts]
    made = testset.Folder(path=path, about={"collection": "docs"}, drafts=drafts)
    made.save()
    made.publish()
    return made


def test_one_question_a_document_is_drawn_before_a_second_of_any(ships: PGVector) -> None:
    made = maker(ships).make()
    assert [draft.id for draft in made.drafts] == [f"q000{n}" for n in range(1, 7)]
    assert {draft.origin.document for draft in made.drafts} == {f"ships/{name}.md" for name in SHIPS}
    assert made.drafts == maker(ships).make().drafts
    assert [d.question for d in made.drafts] != [d.question for d in maker(ships, seed=8).make().drafts]
    for draft in made.drafts:
        whole = stored(ships, draft.origin.document or "")
        assert whole[draft.origin.start : draft.origin.end] == draft.quote
        assert len(draft.origin.sha256 or "") == 64


def test_what_several_documents_say_is_not_asked(ships: PGVector) -> None:
    said = "If the anchor of a ship freezes in, a charge of powder number nine is put under the iron ring."
    sync(ships, [*pages(), *(Document(page_content=said, metadata={"source": f"notes/{n}.md"}) for n in range(2))])
    made = maker(ships, count=20).make()
    assert not any("anchor" in draft.question for draft in made.drafts)
    assert made.left["said by several documents"] >= 2


def test_unanswerable_ones_hold_words_that_no_passage_holds_together(ships: PGVector) -> None:
    made = maker(ships).make().drafts
    found = ships.store.get("docs")
    without = unanswerable(ships.store, found, made, 8, 7)
    forms = [draft.origin.form for draft in without]
    assert len(forms) == 8
    assert 1 <= forms.count("swapped") <= 4
    assert without == unanswerable(ships.store, found, made, 8, 7)
    passages = [words(each.content) for each in everything(ships)]
    for draft in without:
        if draft.origin.form == "swapped":
            assert draft.made["question"] in {each.question for each in made}
            assert draft.question != draft.made["question"]
        spoken_of = words(draft.question) - words("what happens if how do i why when is are does")
        assert not any(spoken_of <= passage for passage in passages)


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.casefold()))


@pytest.mark.parametrize("size", [90, 180, 2000])
def test_gold_survives_another_cut(ships: PGVector, tmp_path: Path, size: int) -> None:
    folder(ships, tmp_path / "set")
    before = {each.id for each in everything(ships)}
    sync(ships, pages(), splitter=RecursiveCharacterTextSplitter(chunk_size=size, chunk_overlap=0))
    after = everything(ships)
    assert size == 2000 or before.isdisjoint(each.id for each in after)
    cases = read_cases(tmp_path / "set")
    now = refreshed(ships.store, ships.store.get("docs"), cases)
    assert (now.cases, now.moved, now.stale) == (cases, 0, [])
    golds = {case.id: [case.gold] for case in cases if case.gold}
    for case in cases:
        by_source = BySource(golds)  # as `eval retrieval` reads hits
        found = [each for each in after if case.gold.id in dict(by_source(case.id, [each]))]  # type: ignore[union-attr]
        assert found
        assert all(each.source == case.gold.source for each in found)  # type: ignore[union-attr]
        joined = "".join(each.content for each in sorted(found, key=lambda each: each.start or 0))
        assert "".join((case.quote or "").split()) in "".join(joined.split())


def test_gold_moves_with_its_text_and_is_stale_without(ships: PGVector, tmp_path: Path) -> None:
    work = folder(ships, tmp_path / "set")
    first, second = work.drafts[0], work.drafts[1]
    changed = {doc.metadata["source"]: doc for doc in pages()}
    changed[first.origin.document].page_content = "A new line.\n\n" + changed[first.origin.document].page_content
    changed[second.origin.document].page_content = "Nothing of the old text is left."
    sync(ships, changed.values())
    now = testset.anew(work, ships.store, ships.store.get("docs"))
    assert (now.moved, now.stale) == ([first.id], [second.id])
    moved = now.folder.drafts[0]
    assert moved.origin.start == (first.origin.start or 0) + len("A new line.\n\n")
    assert moved.origin.sha256 != first.origin.sha256
    now.folder.publish()
    assert second.id not in {case.id for case in read_cases(tmp_path / "set")}
    sync(ships, pages())
    back = testset.anew(now.folder, ships.store, ships.store.get("docs"))
    assert (back.moved, back.stale) == ([first.id], [])
    assert Gold.of(back.folder.drafts[0].source or "", ()).span == (first.origin.start, first.origin.end)


# -- the commands


@pytest.fixture
def loaded(howdah: Callable[..., tuple[int, dict]], tmp_path: Path) -> Callable[..., tuple[int, dict]]:
    (tmp_path / "ships").mkdir()
    for page in pages():
        (tmp_path / page.metadata["source"]).write_text(page.page_content, encoding="utf-8")
    assert howdah("ingest", tmp_path / "ships")[0] == 0
    return howdah


def test_nobody_is_asked_without_a_terminal(
    loaded: Callable[..., tuple[int, dict]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = loaded("eval", "make", tmp_path / "set")
    assert (code, found["error"]["kind"]) == (2, "InvalidInput")
    assert _run(["eval", "make", str(tmp_path / "set")]) == 2
    assert "--yes" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_work_is_resumed_and_yes_accepts_what_is_undecided(
    loaded: Callable[..., tuple[int, dict]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = tmp_path / "set"
    code, found = loaded("eval", "make", target, "--yes", "-n", "6", "--unanswerable", "2")
    assert code == 0
    assert (found["accepted"], found["answerable"], found["unanswerable"], found["by"]) == (8, 6, 2, "rule")
    work = testset.read(target)
    assert work is not None
    work.drafts[0] = work.drafts[0].decided("")
    work.drafts[1] = work.drafts[1].decided("dropped")
    work.save()
    code, found = loaded("eval", "make", target, "--yes")
    assert (code, found["accepted"], found["dropped"], found["answerable"]) == (0, 7, 1, 5)
    lines = (target / "qrels" / "test.tsv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1 + 5
    (tmp_path / "ships" / "Fram.md").write_text("Gone.", encoding="utf-8")
    assert loaded("ingest", tmp_path / "ships")[0] == 0
    stale = {draft.id for draft in work.drafts if draft.origin.document == "ships/Fram.md"}
    tell_moved(Session(), target)
    warned = capsys.readouterr().err
    assert ("--refresh" in warned) is bool(stale & {draft.id for draft in work.drafts if draft.decision != "dropped"})
    code, found = loaded("eval", "make", target, "--refresh")
    assert (code, set(found["stale"])) == (0, stale)


def test_refresh_and_make_say_what_they_cannot_use(loaded: Callable[..., tuple[int, dict]], tmp_path: Path) -> None:
    assert loaded("eval", "make", tmp_path / "none", "--refresh")[0] == 2
    assert loaded("eval", "make", tmp_path / "ships", "--yes")[0] == 2
    assert loaded("eval", "make", tmp_path / "set", "--yes", "-c", "none")[0] == 2


@LOCAL
def test_answers_are_counted_saved_and_compared(loaded: Callable[..., tuple[int, dict]], tmp_path: Path) -> None:
    target, base = tmp_path / "set", tmp_path / "base.json"
    assert loaded("eval", "make", target, "--yes", "-n", "6", "--unanswerable", "3")[0] == 0
    code, found = loaded("eval", "answers", target, "--save", base, "--out", tmp_path / "curve.svg")
    assert code == 0
    assert (found["queries"], found["answerable"], found["unanswerable"], found["stale"]) == (9, 6, 3, [])
    assert found["verdict"] is None
    for name, its in found["metrics"].items():
        assert 0 <= its["low"] <= its["mean"] <= its["high"] <= 1, name
    assert found["metrics"]["unsupported_quoted"]["mean"] == 0
    assert set(found["latency_ms"]) == {"p50", "p95", "p99"}
    assert found["refusals"]["curve"][-1]["coverage"] <= 1
    assert (tmp_path / "curve.svg").read_text(encoding="utf-8").startswith("<svg")
    rows = json.loads(base.read_text(encoding="utf-8"))["rows"]
    mean = sum(row["values"]["right"] for row in rows) / len(rows)
    assert found["metrics"]["right"]["mean"] == pytest.approx(mean)
    code, again = loaded("eval", "answers", target, "--baseline", base)
    assert (code, again["verdict"]["delta"], again["verdict"]["n"]) == (0, 0, 9)


@LOCAL
def test_a_collection_that_answers_worse_fails_the_gate(
    loaded: Callable[..., tuple[int, dict]], tmp_path: Path
) -> None:
    target, base = tmp_path / "set", tmp_path / "base.json"
    assert loaded("eval", "make", target, "--yes", "-n", "12", "--unanswerable", "0")[0] == 0
    before = loaded("eval", "answers", target, "--save", base)[1]
    assert before["metrics"]["citation_recall"]["mean"] > 0.8
    nothing = ["--filter", '{"source": {"$like": "ships/none%"}}']
    code, found = loaded("eval", "answers", target, "--baseline", base, *nothing)
    assert (code, found["verdict"]["result"], found["verdict"]["metric"]) == (4, "regressed", "right")
    code, found = loaded("eval", "answers", target, "--baseline", base, "--metric", "false_refusals", *nothing)
    assert (code, found["verdict"]["result"]) == (4, "regressed")


@LOCAL
def test_what_cannot_be_asked_is_told(loaded: Callable[..., tuple[int, dict]], tmp_path: Path) -> None:
    asked = tmp_path / "q.jsonl"
    asked.write_text('{"question": "How thick is the hull of the Fram?", "answers": ["11 inches"]}\n', encoding="utf-8")
    assert loaded("eval", "answers", asked, "--metric", "speed")[0] == 2
    assert loaded("eval", "answers", asked, "--sample", "1")[0] == 2
    assert loaded("eval", "answers", asked, "--baseline", tmp_path / "none.json")[0] == 2
    assert loaded("eval", "answers", tmp_path / "none.jsonl")[0] == 2
    assert loaded("eval", "answers", asked, "--save", tmp_path / "none" / "run.json")[0] == 2
    assert loaded("eval", "answers", asked, "--save", asked, "--baseline", asked)[0] == 2
    assert loaded("eval", "answers", asked, "-c", "none")[0] == 2
    code, found = loaded("eval", "answers", asked)
    assert (code, found["metrics"]["contains_answer"]["mean"]) == (0, 1)
