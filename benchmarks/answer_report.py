"""What benchmarks/answers.py prints of its answers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from answer_checks import contains, digest, percentile, share, supported, token_f1, unmarked, verbatim, words

Row = dict[str, Any]
FILE = Path(__file__).resolve().parent / "answer_labels.jsonl"
LABELS: dict[tuple[str, str], str] = {
    (row["question"], row["sentence"]): row["label"]
    for row in (map(json.loads, FILE.read_text(encoding="utf-8").splitlines()) if FILE.exists() else ())
}


def report(title: str, rows: Sequence[Row], *, answerable: bool) -> None:
    """All of the rows, and those at even places, which no setting was tuned on."""
    apart = [row for row in rows if row["place"] % 2 == 0]
    print(f"\n{title}: {len(rows)} questions ({len(apart)} of them not tuned on)")
    for name, (all_of, held) in _figures(rows, apart, answerable=answerable):
        print(f"  {name:44} {all_of:36} not tuned on: {held}")
    times(rows)


def _figures(rows: Sequence[Row], apart: Sequence[Row], *, answerable: bool) -> list[tuple[str, tuple[str, str]]]:
    measured = (figures if answerable else refusals)(rows), (figures if answerable else refusals)(apart)
    return [(name, (measured[0][name], measured[1].get(name, ""))) for name in measured[0]]


def refusals(rows: Sequence[Row]) -> dict[str, str]:
    return {
        "refused": str(share([row["refused"] for row in rows])),
        "every quote at its offsets": str(share([cited["exact"] for row in rows for cited in row["citations"]])),
    }


def figures(rows: Sequence[Row]) -> dict[str, str]:
    """What is counted of answerable questions. A refused one has no answer and counts against all shares of answers."""
    answered = [row for row in rows if not row["refused"]]
    lengths = [words(row["answer"]) for row in answered]
    cited = [cited for row in rows for cited in row["citations"]]
    said = [(row, sentence) for row in answered for sentence in row["sentences"]]
    quoted = [(row, sentence) for row, sentence in said if sentence["status"] == "quoted"]
    written = [(row, sentence) for row, sentence in said if sentence["status"] != "quoted"]
    return {
        "contains a gold answer": str(
            share([not row["refused"] and contains(row["answer"], row["answers"]) for row in rows])
        ),
        "first citation's passage contains it": str(share([_cites_gold(row) for row in rows])),
        "the same of those answered": str(share([_cites_gold(row) for row in answered])),
        "token-F1 (SQuAD)": f"{sum(_f1(row) for row in rows) / max(len(rows), 1):.3f}",
        "words, median / 95 %": f"{percentile(lengths, 50)} / {percentile(lengths, 95)}",
        "falsely refused": str(share([row["refused"] for row in rows])),
        "every quote at its offsets": str(share([each["exact"] for each in cited])),
        "sentences quoted, of all": str(share([sentence["status"] == "quoted" for _, sentence in said])),
        "quoted sentences not in their document": str(share([not _verbatim(row, each) for row, each in quoted])),
        "sentences written by a model, of all": str(share([sentence["status"] != "quoted" for _, sentence in said])),
        "written sentences unsupported, by rule": str(share([not _by_rule(row, each) for row, each in written])),
        "the same, a person's label first": str(share([not _holds(row, each) for row, each in written])),
        "written sentences with a person's label": str(share([_key(row, each) in LABELS for row, each in written])),
    }


def times(rows: Sequence[Row]) -> None:
    """Seconds; of the answers alone, where a refusal would flatter."""
    answered = [row["seconds"] for row in rows if not row["refused"]] or [row["seconds"] for row in rows]
    series = {
        "first verified sentence": [each["first"] or each["total"] for each in answered],
        "whole answer": [each["total"] for each in answered],
        "everything but the model": [each["total"] - each["model"] for each in answered],
        "processor time of this process": [each["processor"] for each in answered],
    }
    for name, values in series.items():
        shown = f"{percentile(values, 50):.3f} / {percentile(values, 95):.3f} s"
        print(f"  {name + ', median / 95 %':44} {shown}")


def _cites_gold(row: Row) -> bool:
    return bool(row["citations"]) and contains(row["citations"][0]["passage"], row["answers"])


def _f1(row: Row) -> float:
    return 0.0 if row["refused"] else token_f1(unmarked(row["answer"]), row["answers"])


def _verbatim(row: Row, sentence: Row) -> bool:
    """A quoted sentence is its citation's quote, which stands in the document by `exact`."""
    return any(
        cited["exact"] and verbatim(sentence["text"], cited["quote"])
        for cited in row["citations"]
        if cited["n"] in sentence["n"]
    )


def _by_rule(row: Row, sentence: Row) -> bool:
    cited = [cited for cited in row["citations"] if cited["n"] in sentence["n"]]
    return supported(
        sentence["text"],
        [each["quote"] for each in cited],
        question=row["text"],
        golds=row["answers"],
        is_gold=any(each["source"] == row["gold"] for each in cited),
    )


def _key(row: Row, sentence: Row) -> tuple[str, str]:
    return row["id"], digest(sentence["text"])


def _holds(row: Row, sentence: Row) -> bool:
    label = LABELS.get(_key(row, sentence))
    return _by_rule(row, sentence) if label is None else label == "supported"
