"""Test sets on disk: what is read, and what each mistake in them is told as."""

from pathlib import Path

import pytest

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation import beir

CORPUS = (
    '{"_id": "d1", "title": "Moons", "text": "Mars has two."}\n{"_id": "d2", "title": "", "text": "Jupiter has 95."}\n'
)
QUERIES = (
    '{"_id": "q1", "text": "moons of Mars"}\n{"_id": 2, "text": "moons of Jupiter"}\n{"_id": "q3", "text": "none"}\n'
)
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\n2\td2\t1\n"


def folder(
    path: Path, *, corpus: str | None = CORPUS, queries: str | None = QUERIES, qrels: str | None = QRELS
) -> Path:
    (path / "qrels").mkdir()
    for name, text in (("corpus.jsonl", corpus), ("queries.jsonl", queries), ("qrels/test.tsv", qrels)):
        if text is not None:
            (path / name).write_text(text, encoding="utf-8")
    return path


def test_what_can_be_judged_is_read(tmp_path: Path) -> None:
    found = beir.read(folder(tmp_path))
    assert found.queries == {"q1": "moons of Mars", "2": "moons of Jupiter"}
    assert found.qrels == {"q1": {"d1": 2, "d2": 0}, "2": {"d2": 1}}
    assert (found.unjudged, found.hopeless, found.relevant) == (1, (), {"d1", "d2"})


def test_queries_without_a_relevant_document_are_left_out(tmp_path: Path) -> None:
    found = beir.read(folder(tmp_path, qrels=QRELS + "q3\td1\t0\n"))
    assert (found.hopeless, list(found.queries)) == (("q3",), ["q1", "2"])


def test_without_documents_there_is_no_corpus(tmp_path: Path) -> None:
    assert beir.read(folder(tmp_path, corpus=None)).corpus is None


def test_a_byte_order_mark_windows_lines_and_blank_lines_do_no_harm(tmp_path: Path) -> None:
    bom = "\ufeff" + QUERIES.replace("\n", "\r\n\r\n")
    path = folder(tmp_path, queries=bom, qrels="\ufeff" + QRELS.replace("\n", "\r\n"))
    assert beir.read(path).queries["q1"] == "moons of Mars"


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    beir.write(tmp_path / "made", [{"_id": "1", "text": "wo?", "metadata": {"a": "ä"}}], {"1": {"docs/a.md#0-12": 1}})
    found = beir.read(tmp_path / "made")
    assert (found.queries, found.qrels, found.corpus) == ({"1": "wo?"}, {"1": {"docs/a.md#0-12": 1}}, None)


def test_hashes_tell_content_and_not_order(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir(), (tmp_path / "c").mkdir()
    turned = "".join(reversed(QUERIES.splitlines(keepends=True)))
    first, second = beir.read(folder(tmp_path / "a")), beir.read(folder(tmp_path / "b", queries=turned))
    other = beir.read(folder(tmp_path / "c", qrels=QRELS.replace("d1\t2", "d1\t1")))
    assert (first.queries_hash, first.qrels_hash) == (second.queries_hash, second.qrels_hash)
    assert first.qrels_hash != other.qrels_hash


MISTAKES = {
    "no queries": ({"queries": None}, "there is no file .*queries.jsonl"),
    "no qrels": ({"qrels": None}, "there is no file .*test.tsv"),
    "empty queries": ({"queries": "\n"}, "queries.jsonl holds no query"),
    "empty qrels": ({"qrels": ""}, "test.tsv is empty"),
    "header alone": ({"qrels": "query-id\tcorpus-id\tscore\n"}, "holds no judgement"),
    "no header": ({"qrels": "q1\td1\t1\n"}, r"test.tsv, line 1: .* is not the header"),
    "blanks for tabs": ({"qrels": QRELS + "q1 d9 1\n"}, r"test.tsv, line 5: 'q1 d9 1' is no judgement"),
    "no number": ({"qrels": QRELS + "q1\td9\tyes\n"}, r"test.tsv, line 5: the score is 'yes'"),
    "unknown query": ({"qrels": QRELS + "q9\td1\t1\n"}, r"test.tsv, line 5: query 'q9' is not in queries.jsonl"),
    "judged twice": ({"qrels": QRELS + "q1\td1\t1\n"}, r"test.tsv, line 5: 'd1' has another score"),
    "nothing relevant": ({"qrels": "query-id\tcorpus-id\tscore\nq1\td1\t0\n"}, "names no relevant document"),
    "no JSON": ({"queries": QUERIES + "{broken\n"}, r"queries.jsonl, line 4: is not JSON"),
    "no object": ({"queries": QUERIES + "[1]\n"}, r"queries.jsonl, line 4: is not a JSON object"),
    "no id": ({"queries": '{"text": "a"}\n'}, r"queries.jsonl, line 1: '_id' is None"),
    "no text": ({"queries": '{"_id": "q1", "text": " "}\n'}, r"line 1: query 'q1' has no text"),
    "query twice": ({"queries": QUERIES + QUERIES}, r"queries.jsonl, line 4: query 'q1' is there twice"),
}


@pytest.mark.parametrize(("given", "told"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_file_and_line(given: dict, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=told):
        beir.read(folder(tmp_path, **given))


CORPORA = {
    "twice": (CORPUS + CORPUS, "corpus.jsonl, line 3: document 'd1' is there already, in line 1"),
    "empty": ("", "holds no document"),
    "no text": ('{"_id": "d1", "title": "a"}\n', "line 1: 'text' is None"),
    "metadata": ('{"_id": "d1", "text": "a", "metadata": 3}\n', "line 1: the metadata of 'd1' is no object"),
}


@pytest.mark.parametrize(("corpus", "told"), CORPORA.values(), ids=CORPORA)
def test_a_mistake_in_the_documents_too(corpus: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=told):
        beir.facts(folder(tmp_path, corpus=corpus) / "corpus.jsonl")


def test_bytes_that_are_not_utf8_are_told_with_their_line(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "queries.jsonl").write_bytes(QUERIES.encode() + b'{"_id": "q4", "text": "\xff"}\n')
    with pytest.raises(InvalidInput, match=r"queries.jsonl, line 4: is not UTF-8"):
        beir.read(path)


def test_another_split_is_another_file(tmp_path: Path) -> None:
    path = folder(tmp_path)
    (path / "qrels/train.tsv").write_text("query-id\tcorpus-id\tscore\nq3\td1\t1\n", encoding="utf-8")
    assert list(beir.read(path, "train").queries) == ["q3"]


def test_facts_change_with_a_document_and_not_with_its_json(tmp_path: Path) -> None:
    path = folder(tmp_path) / "corpus.jsonl"
    before = beir.facts(path)
    path.write_text(
        CORPUS.replace('"title": "Moons", "text": "Mars has two."', '"text":"Mars has two.","title":"Moons"')
    )
    assert beir.facts(path) == before
    path.write_text(CORPUS.replace("two", "2"))
    assert beir.facts(path) != before
