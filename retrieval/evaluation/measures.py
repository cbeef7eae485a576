"""Measures of rankings by ir-measures, which computes them as trec_eval does; and scores that say a ranking without ties."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from howdah.retrieval.errors import InvalidInput, PackageMissing
from howdah.retrieval.evaluation.beir import Qrels
from howdah.retrieval.evaluation.intervals import Interval, intervals

if TYPE_CHECKING:
    from types import ModuleType

INSTALL = "pip install 'howdah[eval]'"
GATE = "ndcg@10"
STEP = np.float32(1e-9)
"""The least difference of two scores: around 0 the next smaller numbers are too small for some programs to tell from 0."""


class Scored(NamedTuple):
    """One ranked document. Within a ranking the scores fall strictly, in single precision too (see `ranked`)."""

    id: str
    score: float


Rankings = Mapping[str, Sequence[Scored]]
"""Query id: its documents, best first. A query that found nothing has none, or is not there."""


@dataclass(frozen=True, kw_only=True)
class Cutoffs:
    """`k` is how many documents a search is for; `depth` how many are looked at for recall and average precision."""

    k: int = 10
    depth: int = 100

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.depth:
            raise InvalidInput(f"depth is {self.depth} and k is {self.k}", hint="give a depth of at least k")

    @property
    def names(self) -> tuple[str, ...]:
        """What is measured, in the order in which it is shown."""
        k, depth = self.k, self.depth
        recalls = dict.fromkeys([f"recall@{depth}", f"recall@{k}"])
        return f"ndcg@{k}", *recalls, "map", f"mrr@{k}", f"precision@{k}", *dict.fromkeys(["success@1", f"success@{k}"])


def ranked(scored: Sequence[tuple[str, float]]) -> list[Scored]:
    """The documents in the order given, with scores that say this order to every program.

    trec_eval orders equal scores by document id, descending, whatever stood first; and it reads scores in single
    precision. So a score that is not below the one before it becomes the next smaller number of that precision.
    """
    found: list[Scored] = []
    below = np.float32(np.inf)
    for id_, score in scored:
        now = min(np.float32(score), below)
        below = now - max(np.spacing(abs(now)), STEP)
        found.append(Scored(id_, float(now)))
    return found


def per_query(rankings: Rankings, qrels: Qrels, cutoffs: Cutoffs) -> dict[str, dict[str, float]]:
    """Each judged query's value of each measure. One that found nothing has 0; a ranking that nothing judges is left out."""
    package = irmeasures()
    wanted = {_measure(package, name): name for name in cutoffs.names}
    judged = [package.Qrel(query, id_, gain) for query, row in qrels.items() for id_, gain in row.items()]
    found = [package.ScoredDoc(query, *item) for query in qrels for item in rankings.get(query, ())]
    values: dict[str, dict[str, float]] = {query: dict.fromkeys(cutoffs.names, 0.0) for query in qrels}
    for each in _calculated(package, list(wanted), judged, found):
        values[each.query_id][wanted[each.measure]] = float(each.value)
    return values


def means(values: Mapping[str, Mapping[str, float]]) -> dict[str, Interval]:
    """The mean of each measure over the queries, with its bootstrap interval; the same queries are drawn for all."""
    names = list(next(iter(values.values())))
    found = intervals([[row[name] for name in names] for row in values.values()])
    return dict(zip(names, found, strict=True))


def irmeasures() -> "ModuleType":
    try:
        import ir_measures
    except ImportError as exc:
        raise PackageMissing("ir-measures", needed_for="measuring retrieval", install=INSTALL) from exc
    return ir_measures


def _calculated(package: Any, wanted: list[Any], judged: list[Any], found: list[Any]) -> Iterator[Any]:
    # Without a document pytrec_eval has nothing to begin with; every value is 0 then.
    return iter(package.iter_calc(wanted, judged, found)) if found else iter(())


def _measure(package: Any, name: str) -> Any:
    kind, _, cutoff = name.partition("@")
    made = getattr(package, _NAMES[kind])
    return made @ int(cutoff) if cutoff else made


_NAMES = {
    "ndcg": "nDCG",
    "recall": "R",
    "map": "AP",
    "mrr": "RR",
    "precision": "P",
    "success": "Success",
}
