"""When to refuse: the chance that what was found holds an answer, and the bound below which the chain says so. Pure.

`STANDARD` is for the local reranker, whose scores it was learned from. `howdah tune --refusal` learns one for a
collection; it names the reranker and the embedding model, and is not used with others, whose scores mean other things.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from howdah.chains.signs import NAMES, Signs
from howdah.retrieval.local_models import MS_MARCO
from howdah.retrieval.types import Hit

VERSION = 1  # of what the signs mean: a bound of another version is not used


@dataclass(frozen=True, kw_only=True, slots=True)
class Bound:
    """A question is refused where its chance is below `threshold`.

    The chance is 1 / (1 + e^-(bias + sum of weight times sign)). `reranker` is the fingerprint of the one whose
    scores it was learned from, `embeddings` the model's name (None: any). `learned` says from what, for people to read.
    """

    weights: Mapping[str, float]
    bias: float
    threshold: float
    reranker: str
    embeddings: str | None = None
    learned: Mapping[str, Any] = field(default_factory=dict)

    def chance(self, found: Signs) -> float:
        return chance(found, self.weights, self.bias)

    def refuses(self, found: Signs) -> bool:
        return self.chance(found) < self.threshold

    def fits(self, *, reranker: str | None, embeddings: str | None) -> bool:
        """Whether it was learned from scores of these models."""
        return self.reranker == reranker and (self.embeddings is None or self.embeddings == embeddings)

    def to_json(self) -> dict[str, Any]:
        return {"version": VERSION, **asdict(self)}

    @classmethod
    def of(cls, saved: Mapping[str, Any] | None) -> "Bound | None":
        """From what a collection remembers; None for what another version of Howdah has saved."""
        if not saved or saved.get("version") != VERSION or not set(saved.get("weights", ())) <= set(NAMES):
            return None
        return cls(**{name: value for name, value in saved.items() if name != "version"})


def chance(found: Signs, weights: Mapping[str, float], bias: float) -> float:
    """The chance that the passages hold an answer, by a logistic model; in [0, 1]."""
    total = bias + sum(weight * getattr(found, name) for name, weight in weights.items())
    return 1 / (1 + math.exp(-total)) if total >= 0 else math.exp(total) / (1 + math.exp(total))


# Weights from half of XQuAD's questions, each asked with and without its own paragraph, and from twenty questions on FastAPI's
# pages in one's own words, which share few words with them: by XQuAD alone half of these were refused. The threshold refuses
# 4.8 % of XQuAD's 603, and 85 % of them without their paragraph.
STANDARD: Final = Bound(
    weights={
        "passage": 0.2131,
        "sentence": 0.0974,
        "margin": 0.1284,
        "names": 0.3669,
        "shared": 1.6789,
        "held": 1.3063,
    },
    bias=-3.6989,
    threshold=0.4,
    reranker=MS_MARCO.fingerprint,
)


def fingerprint(reranker: object) -> str | None:
    """A reranker's name that changes with its scores: its own `fingerprint`, else its class and model; None of none."""
    if reranker is None:
        return None
    if isinstance(own := getattr(reranker, "fingerprint", None), str) and own:
        return own
    names = (getattr(reranker, attribute, None) for attribute in ("model_name", "model"))
    model = next((name for name in names if isinstance(name, str) and name), "")
    return f"{type(reranker).__module__}.{type(reranker).__qualname__}{':' if model else ''}{model}"


def bound_for(reranker: object, *, saved: Bound | None, embeddings: str | None) -> Bound | None:
    """The collection's own bound where it fits these models, else the standard one where that does, else None."""
    name = fingerprint(reranker)
    known = (bound for bound in (saved, STANDARD) if bound is not None)
    return next((bound for bound in known if bound.fits(reranker=name, embeddings=embeddings)), None)


def best_score(hits: Sequence[Hit]) -> float:
    """The score that `min_score` bounds: the reranker's of the best passage, else the search's."""
    return hits[0].scores.get("rerank", hits[0].score)
