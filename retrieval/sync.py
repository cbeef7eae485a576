"""Bring a collection in line with files or Documents: only what changed is embedded, each document in one transaction."""

import asyncio
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from howdah.retrieval.loaders.options import PLAIN, LoadOptions
from howdah.retrieval.report import Progress, SyncReport
from howdah.retrieval.sources import Given
from howdah.retrieval.sync_order import Order
from howdah.retrieval.syncing import Syncing

if TYPE_CHECKING:
    from langchain_text_splitters import TextSplitter

    from howdah.retrieval.loaders.web import Web
    from howdah.retrieval.vectorstore import PGVector


def sync(
    store: "PGVector",
    paths_or_documents: Given,
    *,
    splitter: "TextSplitter | None" = None,
    prune: bool = False,
    prune_all: bool = False,
    root: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    gitignore: bool = False,
    only: Collection[str] | None = None,
    retry: bool = False,
    options: LoadOptions = PLAIN,
    processes: int | None = None,
    web: "Web | None" = None,
    dry_run: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """Load files, folders, web pages or LangChain Documents into the store's collection; unchanged ones are left alone.

    Args:
        splitter: any LangChain text splitter; else chunks follow headings, pages and sentences.
        prune: also delete documents of the given roots that are no longer there. Nothing is deleted of a root that is
            missing, empty or unreadable, or of which single files are given; more than 20 % of a root is an error unless
            `prune_all`.
        root: the name of the ingest target; default the folder's name.
        include, exclude: globs (see loaders.walk). What they leave out is not there, for `prune` too.
        gitignore: leave out what .gitignore files say.
        only: sources ("root/relative/path"): the others are left alone, as if they were not there.
        retry: try sources again that failed and are the same still; else the failure is reported again.
        options: how files are read (see loaders.LoadOptions): passwords, columns.
        processes: files are parsed in so many at once; default one for each core.
        web: how pages (https://…) are fetched; default `Web()`. A page's source is its address, its root the host.
        dry_run: report what would be done and what it costs (`estimate`), and write nothing.
        progress: called after every source.

    A source that cannot be read is in the report's `failures`, and the collection remembers it; what was loaded of it
    before stays, and the rest is loaded. Documents that moved, or got another name, keep their rows.
    Statistics, vacuum and index are `maintenance.maintain`'s, which a load of any size should be followed by.
    """
    order = Order(
        splitter=splitter, prune=prune, prune_all=prune_all, root=root, include=tuple(include), exclude=tuple(exclude),
        gitignore=gitignore, only=only, retry=retry, options=options, processes=processes, web=web, dry_run=dry_run,
        progress=progress,
    )  # fmt: skip
    return Syncing(store, order, threading.Event()).of(paths_or_documents)


async def sync_async(
    store: "PGVector",
    paths_or_documents: Given,
    *,
    splitter: "TextSplitter | None" = None,
    prune: bool = False,
    prune_all: bool = False,
    root: str | None = None,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    gitignore: bool = False,
    only: Collection[str] | None = None,
    retry: bool = False,
    options: LoadOptions = PLAIN,
    processes: int | None = None,
    web: "Web | None" = None,
    dry_run: bool = False,
    progress: Callable[[Progress], None] | None = None,
) -> SyncReport:
    """As `sync`, in a thread of its own: reading and cutting files keep a processor busy, and the loop goes on.

    Cancelling it stops after the document being written.
    """
    order = Order(
        splitter=splitter, prune=prune, prune_all=prune_all, root=root, include=tuple(include), exclude=tuple(exclude),
        gitignore=gitignore, only=only, retry=retry, options=options, processes=processes, web=web, dry_run=dry_run,
        progress=progress,
    )  # fmt: skip
    stop = threading.Event()
    work = asyncio.to_thread(Syncing(store, order, stop).of, paths_or_documents)
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        stop.set()
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, or asyncio complains about it later
        raise
