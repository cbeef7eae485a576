"""Labels to learn a weight from: a BEIR folder's training judgements, or one JSON object a line."""

import json
from pathlib import Path
from typing import Any

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation import beir
from howdah.retrieval.evaluation.beir import Qrels, TestSet

SPLIT = "train"
"""What is learned from; the split "test" is for reports."""
TEXTS = ("question", "query", "text")
FORM = 'one JSON object a line: {"question": "…", "relevant": ["source", "source#start-end" or an id]}'


def read(path: Path) -> TestSet:
    """The queries that labels name something relevant for. Raises InvalidInput naming file and line."""
    if path.is_dir():
        if not (path / "qrels" / f"{SPLIT}.tsv").is_file():
            raise InvalidInput(
                f"{path} has no qrels/{SPLIT}.tsv, which a weight is learned from",
                hint="split the judgements: learn from one part of the queries and evaluate with the other",
            )
        return beir.read(path, SPLIT)
    return _of_lines(path)


def _of_lines(path: Path) -> TestSet:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidInput(f"{path} cannot be read ({exc})", hint=f"give a BEIR folder, or {FORM}") from exc
    texts, qrels = dict[str, str](), Qrels()
    for number, line in enumerate(lines, start=1):
        if line.strip():
            texts[str(number)], qrels[str(number)] = _label(line, f"{path}, line {number:,}")
    if not texts:
        raise InvalidInput(f"{path} holds no label", hint=f"write {FORM}")
    return TestSet(folder=path, split=SPLIT, corpus=None, queries=texts, qrels=qrels)


def _label(line: str, where: str) -> tuple[str, dict[str, int]]:
    """The question of a line, and how relevant each of its ids is."""
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as exc:
        raise InvalidInput(f"{where} is not JSON ({exc.msg})", hint=f"write {FORM}") from None
    given = row if isinstance(row, dict) else {}
    text = next((given[key] for key in TEXTS if isinstance(given.get(key), str) and given[key].strip()), None)
    if text is None:
        raise InvalidInput(f"{where} has no question", hint=f"write {FORM}")
    relevant = given.get("relevant", given.get("source"))
    judged = {relevant: 1} if isinstance(relevant, str) else relevant
    if isinstance(judged, list):
        judged = dict.fromkeys(judged, 1)
    if not isinstance(judged, dict) or not any(type(gain) is int and gain > 0 for gain in judged.values()):
        raise InvalidInput(f"{where} names nothing relevant", hint=f"write {FORM}")
    if not all(isinstance(id_, str) and id_ and type(gain) is int for id_, gain in judged.items()):
        raise InvalidInput(f"{where} has labels that are not ids with whole numbers", hint=f"write {FORM}")
    return str(text), judged
