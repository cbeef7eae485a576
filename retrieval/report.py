"""What a sync found and did, and what it may delete."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from howdah.retrieval.errors import InvalidInput, LoadError
from howdah.retrieval.sources import Source

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


@dataclass
class SyncReport:
    """What a sync did; `failures` are the sources that could not be read, each with its reason and hint."""

    collection: str
    files: Files = field(default_factory=Files)
    chunks: Chunks = field(default_factory=Chunks)
    failures: list[LoadError] = field(default_factory=list)
    pruned: list[str] = field(default_factory=list)
    language: str | None = None
    dry_run: bool = False
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a sync is: `done` of `total` sources, and the one that was finished last."""

    done: int
    total: int
    source: str


@dataclass(frozen=True)
class Known:
    """What the database holds of a source."""

    content_hash: bytes
    made_by: str
    root: str


def check_prune(
    roots: list[str],
    found: list[Source],
    known: dict[str, Known],
    sources: Sequence[Source | LoadError],
    report: SyncReport,
    *,
    prune_all: bool,
) -> None:
    """Put what is to be deleted into the report; nothing of a root of which nothing was found."""
    present = {item.source for item in found} | {item.source for item in sources if isinstance(item, LoadError)}
    for root in roots:
        mine = [source for source, row in known.items() if row.root == root]
        if not any(item.root == root for item in found):
            continue
        gone = [source for source in mine if source not in present]
        if gone and len(gone) > PRUNE_SHARE * len(mine) and not prune_all:
            raise InvalidInput(
                f"--prune would delete {len(gone):,} of the {len(mine):,} documents of root {root!r}, more than 20 %",
                hint="check that the folder is whole; to go on, add --yes",
            )
        report.pruned += gone
