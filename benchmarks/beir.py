"""Collections in BEIR's layout (../shared/data), the measures of a ranking, and whether two differ."""

import csv
import json
import math
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from howdah.retrieval.types import Array

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
Qrels = dict[str, dict[str, int]]


def folder(name: str) -> Path:
    """The collection's folder; ends the program with a word where it is not here."""
    found = DATA / name
    if not found.exists():
        sys.exit(f"{found} is not here")
    return found


def read_jsonl(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def read_qrels(name: str, split: str = "test") -> Qrels:
    found: Qrels = defaultdict(dict)
    with (folder(name) / "qrels" / f"{split}.tsv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            found[row["query-id"]][row["corpus-id"]] = int(row["score"])
    return dict(found)


def questions(name: str = "xquad", *, file: str = "queries.jsonl") -> list[str]:
    return [row["text"] for row in read_jsonl(folder(name) / file)]


def scifact() -> tuple[list[dict[str, str]], dict[str, str], Qrels]:
    """Abstracts (title and text together), test claims by id, and which abstracts speak of them."""
    corpus = [
        {"_id": row["_id"], "title": row["title"], "text": f"{row['title']} {row['text']}".strip()}
        for row in read_jsonl(folder("scifact") / "corpus.jsonl")
    ]
    qrels = read_qrels("scifact")
    claims = {row["_id"]: row["text"] for row in read_jsonl(folder("scifact") / "queries.jsonl") if row["_id"] in qrels}
    return corpus, claims, qrels


def ndcg(ranking: Sequence[str], relevant: dict[str, int], k: int) -> float:
    """Normalised discounted cumulative gain (Järvelin and Kekäläinen, 2002), gain = relevance, log2 discount."""
    gains = [relevant.get(item, 0) / math.log2(rank + 1) for rank, item in enumerate(ranking[:k], start=1)]
    best = sorted(relevant.values(), reverse=True)[:k]
    ideal = sum(gain / math.log2(rank + 1) for rank, gain in enumerate(best, start=1))
    return sum(gains) / ideal if ideal else 0.0


def recall(ranking: Sequence[str], relevant: dict[str, int], k: int) -> float:
    wanted = {item for item, gain in relevant.items() if gain > 0}
    return len(wanted & set(ranking[:k])) / len(wanted) if wanted else 0.0


class Difference(NamedTuple):
    """The mean of paired differences, its 95 % bootstrap interval, and the randomisation test's p (two-sided)."""

    mean: float
    low: float
    high: float
    p: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}], p = {self.p:.2f}"


def difference(ours: Sequence[float], theirs: Sequence[float], *, rounds: int = 10_000) -> Difference:
    """Of two systems on the same queries (Smucker, Allan and Carterette, 2007): query by query, seeded."""
    pairs: Array = np.asarray(ours) - np.asarray(theirs)
    random = np.random.default_rng(7)
    means = pairs[random.integers(len(pairs), size=(rounds, len(pairs)))].mean(axis=1)
    signs = random.choice([-1.0, 1.0], size=(rounds, len(pairs)))
    extreme = np.abs((signs * pairs).mean(axis=1)) >= abs(pairs.mean()) - 1e-12
    low, high = np.quantile(means, [0.025, 0.975])
    return Difference(float(pairs.mean()), float(low), float(high), float(extreme.mean()))
