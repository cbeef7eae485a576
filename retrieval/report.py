"""What a sync or a maintenance found and did, and what a sync may delete."""

from collections.abc import Collection as Group
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from howdah.retrieval.erasure import Removed
from howdah.retrieval.errors import InvalidInput, LoadError
from howdah.retrieval.estimate import Estimate
from howdah.retrieval.known import Known
from howdah.retrieval.sources import Source

if TYPE_CHECKING:
    from howdah.retrieval.cutting import Ready

PRUNE_SHARE = 0.2


@dataclass
class Files:
    """Sources by what became of them."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0


@dataclass
class Chunks:
    """Chunks by what became of them; reused ones kept their row and vector."""

    added: int = 0
    reused: int = 0
    deleted: int = 0

    def __iadd__(self, other: "Chunks") -> "Chunks":
        self.added += other.added
        self.reused += other.reused
        self.deleted += other.deleted
        return self


@dataclass
class SyncReport:
    """What a sync did; `failures` are the sources that could not be read, each with its reason and hint.

    `moved` maps sources of today to those that they had before: their chunks kept their rows. They count as updated.
    `pruned` are the sources deleted, `unpruned` the roots of which nothing was deleted because they are not whole; `erased`
    is what went with the deleted ones.
    `cached` counts the different texts whose embeddings were kept from before; `estimate` is a dry run's.
    """

    collection: str
    files: Files = field(default_factory=Files)
    chunks: Chunks = field(default_factory=Chunks)
    failures: list[LoadError] = field(default_factory=list)
    moved: dict[str, str] = field(default_factory=dict)
    pruned: list[str] = field(default_factory=list)
    unpruned: list[str] = field(default_factory=list)
    erased: Removed = field(default_factory=Removed)
    cached: int = 0
    language: str | None = None
    dry_run: bool = False
    estimate: Estimate = field(default_factory=Estimate)
    seconds: float = 0.0

    def __iadd__(self, other: "SyncReport") -> "SyncReport":
        """What another sync of the collection did, added."""
        for name, count in vars(other.files).items():
            setattr(self.files, name, getattr(self.files, name) + count)
        self.chunks += other.chunks
        self.failures += other.failures
        self.erased += other.erased
        self.cached += other.cached
        self.seconds += other.seconds
        return self

    def expect(self, ready: "Ready") -> None:
        """Count what writing the document would do to its chunks."""
        missing = len(ready.missing)
        self.chunks += Chunks(added=missing, reused=len(ready.chunks) - missing, deleted=ready.gone)


@dataclass(kw_only=True)
class MaintenanceReport:
    """What was found and done.

    `held_by` is who else is at work: then nothing was done. `index`: "none", "kept", "built", "rebuilt" (it was not
    valid, of another kind, or outgrown), "reindexed", "dropped", or "building" (by another connection). `kind` is that of
    the index there is now (hnsw, ivfflat or bits) and `why` the reason for it in a few words. `recall` is the share
    of the true ten nearest that it finds, measured when it is built. `dead` counts indexes that an interrupted build left.
    """

    collection: str
    held_by: str | None = None
    rows: int = 0
    policy: str = "auto"
    index: str = "none"
    kind: str | None = None
    why: str = ""
    dead: int = 0
    index_bytes: int = 0
    build_seconds: float = 0.0
    recall: float | None = None
    c0: float | None = None
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a sync is: `done` of `total` sources, the one that was finished last, and the chunks written so far.

    `read` of `to_read` bytes are those of the sources that are not known to be unchanged.
    """

    done: int
    total: int
    source: str
    chunks: int = 0
    read: int = 0
    to_read: int = 0


def check_prune(
    roots: Sequence[str],
    whole: Iterable[str],
    found: Sequence[Source],
    failed: Sequence[LoadError],
    known: Mapping[str, Known],
    report: SyncReport,
    *,
    moved: Group[str],
    prune_all: bool,
) -> None:
    """Put what is to be deleted into the report: of each `whole` root of which anything was found.

    What lies at or below a place that could not be read is taken to be there still; the sources in `moved` are not gone,
    they have other names.
    Raises InvalidInput for more than 20 % of a root, unless `prune_all`.
    """
    alive = {item.root for item in found} & set(whole)
    report.unpruned += [root for root in roots if root not in alive]
    present = {item.source for item in found}
    unread = {error.source for error in failed}
    for root in sorted(alive):
        mine = [source for source, row in known.items() if row.root == root]
        absent = [source for source in mine if source not in present and source not in moved]
        gone = [source for source in absent if unread.isdisjoint(places(source))]
        if len(gone) > PRUNE_SHARE * len(mine) and not prune_all:
            raise InvalidInput(
                f"prune would delete {len(gone):,} of the {len(mine):,} documents of root {root!r}, more than 20 %",
                hint="check that the folder is whole; to go on, give prune_all=True (on the command line: --yes)",
            )
        report.pruned += gone


def places(source: str) -> list[str]:
    """The source and every folder above it."""
    parts = source.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
