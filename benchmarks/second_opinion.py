"""Can a cross-encoder tell true claims from false ones? What the bound of chains/ruling.py rests on.

Each XQuAD question becomes a claim with its own answer in place of its question word, and another with the answer to another
question about the same paragraph: both have only words that stand there. The check of words judges both, and the local
cross-encoder scores each beside what the check went by. Data: ../shared/data/xquad.

    python benchmarks/second_opinion.py
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from beir import folder, read_jsonl, read_qrels

from howdah.chains.verify import DOUBTFUL, Passage, support
from howdah.retrieval.rerank import LocalReranker
from howdah.retrieval.types import Hit

CONFIRMING, DOUBTING = (0.5, 0.9, 0.99, 0.995, 0.998, 0.999, 0.9995), (0.01, 0.1, 0.5)
ASKS = re.compile(
    r"\b(?:what|which|who|whom|whose|where|when|why|how many|how much|how long|how)\b"
    r"(?:\s+(?:did|does|do|was|were|is|are|has|have|had|will|would|can|could))?",
    re.IGNORECASE,
)


class Judged(NamedTuple):
    true: bool
    reason: str
    opinion: float | None


def claim(question: str, answer: str) -> str:
    """Not always good English, as a small model's is not."""
    said, asked = ASKS.subn(lambda _: answer, question.strip().rstrip("?"), count=1)
    text = " ".join(said.split()) if asked else f"{said}: {answer}"
    return f"{text[0].upper()}{text[1:]}."


def claims() -> Iterator[tuple[bool, str, str]]:
    """Whether it is true, the claim, the paragraph's id."""
    rng, qrels = random.Random(1), read_qrels("xquad")
    about: dict[str, list[Any]] = defaultdict(list)
    for row in read_jsonl(folder("xquad") / "queries.jsonl"):
        about[next(iter(qrels[row["_id"]]))].append(row)
    for paragraph, rows in about.items():
        for row in rows:
            own = row["metadata"]["answers"][0]
            yield True, claim(row["text"], own), paragraph
            others = [answer for other in rows if like(answer := other["metadata"]["answers"][0], own)]
            if others:
                yield False, claim(row["text"], rng.choice(others)), paragraph


def like(one: str, other: str) -> bool:
    """Whether two answers are of one kind, with a number or without, and neither is part of the other."""
    apart = one.lower() not in other.lower() and other.lower() not in one.lower()
    return apart and bool(re.search(r"\d", one)) == bool(re.search(r"\d", other))


def judged(reranker: LocalReranker) -> Iterator[Judged]:
    texts = {row["_id"]: row["text"] for row in read_jsonl(folder("xquad") / "corpus.jsonl")}
    for true, said, paragraph in claims():
        found = support(said, Passage.of(Hit(id=paragraph, content=texts[paragraph], metadata={}, score=0.0)))
        start, end = found.span if found.holds else found.near
        yield Judged(true, found.reason, reranker.scores(said, [texts[paragraph][start:end]])[0] if end else None)


def line(name: str, found: Sequence[Judged], of: Sequence[Judged]) -> None:
    """How many of the true and of the false claims."""
    cells = (f"{sum(e.true is true for e in found)} of {sum(e.true is true for e in of)}" for true in (True, False))
    print(f"{name:40}" + "".join(f"{cell:>12}" for cell in cells), flush=True)


def main() -> None:
    every = list(judged(LocalReranker()))
    held = [each for each in every if not each.reason]
    asked = [each for each in every if each.reason in DOUBTFUL and each.opinion is not None]
    print(f"{'':40}{'true':>12}{'false':>12}")
    line("held by the check of words", held, every)
    line("lacking words alone, and asked about", asked, every)
    for bound in CONFIRMING:
        line(f"  of these with {bound} or more", [each for each in asked if (each.opinion or 0.0) >= bound], asked)
    for bound in DOUBTING:
        line(f"held, and below {bound}", [each for each in held if (each.opinion or 0.0) < bound], held)


if __name__ == "__main__":
    main()
