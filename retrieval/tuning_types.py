"""What `howdah tune --target-recall` measures and says, as plain values: for programs, for people, and for a page."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.recall import Recall

NOTHING = Recall(mean=1.0, low=1.0, high=1.0, queries=0, neighbours=0)
"""Where there is no neighbour to find, none is missed."""


@dataclass(frozen=True, kw_only=True)
class Workload:
    """The searches that a setting is measured on: all rows, or those that a filter lets through.

    `name` is for people; `share` is the share of the collection's rows that match, in [0, 1].
    """

    name: str
    filter: Mapping[str, Any] | None = None
    share: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One setting on one workload: recall@k, and milliseconds of a search without the embedding of its query.

    `times` are the least of each timed query's, the same queries in the same order for every setting: what else the machine
    does adds to a time and never takes from it, so these compare settings best.
    """

    workload: Workload
    recall: Recall
    p50: float | None = None
    p95: float | None = None
    times: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One setting that was tried. `settings` are what the server is told for it (`hnsw.ef_search` …), defaults included."""

    options: SearchOptions
    k: int
    settings: Mapping[str, str]
    measured: tuple[Measured, ...]

    def meets(self, target: float) -> bool:
        """Whether the low end of recall's interval reaches the target, in each workload."""
        return all(each.recall.low >= target for each in self.measured)

    @property
    def recall(self) -> Recall:
        """Of its worst workload."""
        return min((each.recall for each in self.measured), key=lambda its: its.low)

    @property
    def p50(self) -> float | None:
        """The mean of its workloads' p50s."""
        known = [each.p50 for each in self.measured if each.p50 is not None]
        return sum(known) / len(known) if known else None

    @property
    def p95(self) -> float | None:
        known = [each.p95 for each in self.measured if each.p95 is not None]
        return sum(known) / len(known) if known else None


@dataclass(frozen=True, kw_only=True)
class Build:
    """One index built over a sample of the rows, in a table of its own, at the least effort that met the target on it.

    `kind` is the type that it holds: vector, halfvec or bit. Where nothing met the target (`met`) the figures are those of
    the most that was tried. `bytes` of the index alone; `oversample` where candidates are ranked anew.
    """

    kind: str
    m: int
    ef_construction: int
    bytes: int
    build_seconds: float
    met: bool
    ef_search: int
    oversample: int | None
    recall: Recall
    p50: float
    p95: float


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was built over `rows` rows. The first of `builds` is as the collection's own index is."""

    rows: int
    builds: tuple[Build, ...]


@dataclass(frozen=True, kw_only=True)
class TuningReport:
    """`outcome`: applied, proposed (a dry run, or nobody who may write), unchanged (what is set is the cheapest), unmet (no
    setting meets the target), or exact (there is no index to tune). `before` is what searches did; `after` what they do
    from now on, or would.
    """

    collection: str
    k: int
    target: float
    rows: int
    index: Mapping[str, Any] | None
    queries: int = 0
    origin: str = ""
    outcome: str = "exact"
    before: Point | None = None
    after: Point | None = None
    points: Sequence[Point] = ()
    exact_ms: float | None = None
    sample: Sample | None = None
    advice: Sequence[str] = ()
    notes: Sequence[str] = field(default_factory=tuple)
    seconds: float = 0.0
