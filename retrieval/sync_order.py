"""What a sync is told."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.loaders.options import PLAIN, LoadOptions
from howdah.retrieval.report import Progress, places

if TYPE_CHECKING:
    from langchain_text_splitters import TextSplitter

    from howdah.retrieval.loaders.web import Web


@dataclass(frozen=True, kw_only=True)
class Order:
    """What a sync was told, but for what it is given; `sync` explains it."""

    splitter: "TextSplitter | None" = None
    prune: bool = False
    prune_all: bool = False
    root: str | None = None
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    gitignore: bool = False
    only: Collection[str] | None = None
    retry: bool = False
    options: LoadOptions = PLAIN
    processes: int | None = None
    web: "Web | None" = None
    dry_run: bool = False
    progress: Callable[[Progress], None] | None = None

    def __post_init__(self) -> None:
        if self.processes is not None and self.processes < 1:
            raise InvalidInput(f"processes must be at least 1, got {self.processes}")
        if self.only is not None and self.prune:
            raise InvalidInput("prune must see all of a root, and only some sources are wanted", hint="leave out one")

    def wants(self, source: str) -> bool:
        """Whether it is one of the sources to be looked at, or lies in one (an archive)."""
        return self.only is None or not set(places(source)).isdisjoint(self.only)

    def missing(self, found: Iterable[str]) -> list[str]:
        """Those of the sources to be looked at that are not among what was found."""
        there = {place for source in found for place in places(source)} if self.only else set()
        return sorted(set(self.only or ()) - there)
