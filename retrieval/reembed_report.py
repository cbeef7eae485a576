"""What a change of the embedding model found and did, and how two models' answers compare."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from howdah.retrieval import dense
from howdah.retrieval.collection import Collection, Metric, Storage
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.store import Store
from howdah.retrieval.types import Array
from howdah.retrieval.values import query_embedding

K, EXAMPLES = 10, 5


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One query: the share of the `before` in use that the other model finds too, and the ids of both, best first."""

    query: str
    overlap: float
    before: list[str]
    after: list[str]


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """overlap@10 of the two models over the queries; the examples are those that differ most.

    It says how much changes, not which model is better: that takes judgements.
    """

    k: int
    queries: int
    mean: float
    lowest: float
    examples: list[Compared]


@dataclass(kw_only=True)
class ReembedReport:
    """`stage` tells how it stands now: filling, switched, returned (rolled back), or none (nothing is kept beside).

    `model` is the one in use at the end, `other` the one whose vectors are kept beside it. `pending` counts the chunks
    that lacked a vector at the beginning, `embedded` and `cached` where they came from, `in_the_switch` those of them that
    were written while writers waited. `held_by` is who else is at work: then nothing was done.
    """

    collection: str
    stage: str = "none"
    model: str = ""
    dimensions: int = 0
    storage: str = ""
    other: str | None = None
    chunks: int = 0
    pending: int = 0
    embedded: int = 0
    cached: int = 0
    in_the_switch: int = 0
    index: str | None = None
    overlap: Overlap | None = None
    held_by: str | None = None
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0


Embed = Callable[[str], Array]


def compare(
    store: Store, before: tuple[Collection, Embed], after: tuple[Collection, Embed], queries: Sequence[str]
) -> Overlap:
    """What both models find for each query, by meaning alone."""
    found = [_compared(query, _ids(store, *before, query), _ids(store, *after, query)) for query in queries]
    found.sort(key=lambda item: item.overlap)
    shares = [item.overlap for item in found]
    return Overlap(
        k=K, queries=len(found), mean=sum(shares) / len(shares), lowest=shares[0], examples=found[:EXAMPLES]
    )  # fmt: skip


def _compared(query: str, before: list[str], after: list[str]) -> Compared:
    share = len(set(before) & set(after)) / len(before) if before else 1.0
    return Compared(query=query, overlap=share, before=before, after=after)


def _ids(store: Store, collection: Collection, embed: Embed, query: str) -> list[str]:
    spec = collection.spec
    vector = query_embedding(
        embed(query), dimensions=spec.dimensions, collection=collection.name,
        cosine=spec.metric is Metric.COSINE, half=spec.storage is Storage.HALFVEC,
    )  # fmt: skip
    rows = store.fetch(dense.nearest(collection, vector, k=K), SearchOptions().settings(K, collection))
    return [row["id"] for row in rows]
