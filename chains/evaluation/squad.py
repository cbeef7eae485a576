"""Whether a text gives a gold answer: SQuAD's normalisation, its F1 of words, and containment. Pure.

None of it is the chain's own code: what checks an answer must not share the mistakes of what made it.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_UNSPACED = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
)  # no spaces between words
_MARKER = re.compile(r"\s*\[\d+\]")


def normalised(text: str) -> str:
    """As SQuAD's evaluation script (Rajpurkar et al., 2016): lower case, no ASCII punctuation, articles or extra space."""
    plain = "".join(char for char in text.lower() if char not in string.punctuation)
    return " ".join(_ARTICLES.sub(" ", plain).split())


def contains(text: str, golds: Sequence[str]) -> bool:
    """Whether a gold answer stands in `text` as whole words: as both are, or as SQuAD normalises them.

    Gold answers are spans of a document. Normalised alone, "Six" would not stand in "Six-time winner", nor "Rollo" in
    "Rollo's men".
    """
    padded, plain = f" {normalised(text)} ", " ".join(text.casefold().split())
    return any(
        f" {normalised(gold)} " in padded or _stands(" ".join(gold.casefold().split()), plain)
        for gold in golds
        if normalised(gold)
    )


def token_f1(text: str, golds: Sequence[str]) -> float:
    """SQuAD's F1 of the normalised words, by the gold answer that gives the most; in [0, 1]."""
    return max((_f1(normalised(text).split(), normalised(gold).split()) for gold in golds), default=0.0)


def unmarked(text: str) -> str:
    """An answer without its citation markers."""
    return _MARKER.sub("", text).strip()


def _stands(wanted: str, text: str) -> bool:
    before = "" if _UNSPACED.match(wanted[0]) else r"(?<!\w)"
    after = "" if _UNSPACED.match(wanted[-1]) else r"(?!\w)"
    return re.search(before + re.escape(wanted) + after, text) is not None


def _f1(said: list[str], gold: list[str]) -> float:
    common = sum((Counter(said) & Counter(gold)).values())
    if not common:
        return float(said == gold)
    precision, recall = common / len(said), common / len(gold)
    return 2 * precision * recall / (precision + recall)
