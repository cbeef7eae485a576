"""What an adoption would do or has done, in numbers and names."""

from dataclasses import dataclass, field

from howdah.retrieval.adopt_sources import Source
from howdah.retrieval.collection import Metric, Storage


@dataclass(frozen=True, kw_only=True)
class Check:
    """Exact searches on both sides, and how many gave the same `k` ids in the same order.

    `agreement`: the mean share of the k nearest in the source's own type that are among Howdah's; 1 where types are equal.
    """

    queries: int
    k: int
    same: int
    agreement: float


@dataclass(kw_only=True)
class Adoption:
    """One source and its collection. The counts of rows that changed are 0 before anything is written.

    `rows` are those of the source. Left out of them: `without_embedding`, `without_direction` (all zeros, where the metric
    is cosine) and `superseded` (the same id comes again in a later row). `without_text` are copied with an empty text.
    `clashes`: merged column -> rows whose JSON has another value under that key; the column's value is taken.
    """

    source: Source
    collection: str
    rows: int
    dimensions: int
    storage: Storage
    metric: Metric
    metric_from: str
    model: str
    language: str
    config: str
    exists: bool = False
    without_embedding: int = 0
    without_direction: int = 0
    superseded: int = 0
    without_text: int = 0
    clashes: dict[str, int] = field(default_factory=dict)
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    check: Check | None = None
    seconds: float = 0.0

    @property
    def to_copy(self) -> int:
        return self.rows - self.without_embedding - self.without_direction - self.superseded
