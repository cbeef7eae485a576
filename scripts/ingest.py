"""`howdah ingest PATH…`: load files and folders; only what changed is read and embedded."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from howdah.scripts import flags, output, roots
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.report import MaintenanceReport, SyncReport
    from howdah.retrieval.vectorstore import PGVector


def command(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.", show_default=False)],
    collection: flags.Collection = None,
    root: Annotated[
        str | None, typer.Option(help="Name of the target; default the folder's name.", show_default=False)
    ] = None,
    prune: Annotated[bool, typer.Option("--prune", help="Also delete documents that are no longer there.")] = False,
    include: Annotated[
        list[str] | None, typer.Option(help="Only files that match this glob.", show_default=False)
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option(help="No files that match this glob.", show_default=False)
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(help="Text-search configuration of a new collection; detected unless given.", show_default=False),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Load files and folders into a collection."""
    session = Session(collection_flag=collection, as_json=as_json, yes=yes)
    store = session.vectors(writing=not dry_run, config=config)
    report = load(
        store,
        paths,
        root=root,
        prune=prune,
        prune_all=yes,
        include=include or (),
        exclude=exclude or (),
        dry_run=dry_run,
    )
    if not dry_run:
        roots.remember(session.home, paths, root)
    if as_json:
        output.put_json(to_json(report))
    else:
        show(report)
    return 1 if report.failures else 0


def load(store: "PGVector", paths: list[Path], **options: Any) -> "SyncReport":
    """Sync with a progress bar, then keep the collection's index and statistics in shape."""
    from howdah.retrieval.maintenance import maintain
    from howdah.retrieval.sync import sync

    with _bar() as bar:
        task = bar.add_task("Reading", total=None, source="")
        report = sync(
            store,
            paths,
            progress=lambda at: bar.update(task, total=at.total, completed=at.done, source=at.source),
            **options,
        )
        upkeep = None
        if not report.dry_run and report.chunks.added + report.chunks.deleted:
            bar.update(task, description="Indexing", source="")
            upkeep = maintain(store)
    if upkeep is not None:
        tell(upkeep)
    return report


def tell(upkeep: "MaintenanceReport") -> None:
    """What the maintenance after a load has to say."""
    if upkeep.index in ("built", "rebuilt"):
        output.note(
            f"Vector index {upkeep.index} over {upkeep.rows:,} chunks in {upkeep.build_seconds:.1f} s ({upkeep.why})"
        )
    for warning in upkeep.warnings:
        output.warn(warning)


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[source]}"),
        console=output.ERR,
        transient=True,
        disable=not output.ERR.is_terminal,
    )


def to_json(report: "SyncReport") -> dict[str, Any]:
    """The contract's keys."""
    return {
        "collection": report.collection,
        "files": asdict(report.files),
        "chunks": asdict(report.chunks),
        "failures": [{"source": e.source, "error": e.reason, "hint": e.hint} for e in report.failures],
        "seconds": round(report.seconds, 3),
    }


def show(report: "SyncReport") -> None:
    """A summary for a person."""
    files, chunks = report.files, report.chunks
    parts = [f"{count:,} {name}" for name, count in asdict(files).items() if count]
    if not parts:
        output.note("Nothing to load was found. Howdah reads text, Markdown, HTML and PDF.")
        return
    would = "Would load" if report.dry_run else "Loaded"
    name = output.escape(report.collection)
    output.OUT.print(f"{would} into [bold]{name}[/]: {', '.join(parts)} ({report.seconds:.1f} s)")
    cached = f" ({report.cached:,} of them before)" if report.cached else ""
    output.OUT.print(f"Chunks: {chunks.added:,} embedded{cached}, {chunks.reused:,} kept, {chunks.deleted:,} deleted")
    if report.language and files.added:
        output.note(
            f"Words are indexed with the text-search configuration {report.language!r} (--config sets a new collection's)"
        )
    for root in report.unpruned:
        output.warn(f"nothing was deleted of root {root!r}: it is missing, empty or not readable as a whole")
    for error in report.failures:
        output.ERR.print(output.Text.assemble(("failed ", "red"), f"{error.source}: {error.reason}"))
        if error.hint:
            output.ERR.print(output.Text.assemble(("  → ", "cyan"), error.hint))
    if report.pruned and report.dry_run:
        output.note("Would delete: " + ", ".join(report.pruned[:20]))


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("ingest")
