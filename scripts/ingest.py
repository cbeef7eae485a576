"""`howdah ingest PATH…`: load files, folders and web pages; only what changed is read and embedded."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.retrieval.errors import InvalidInput
from howdah.scripts import flags, output, roots
from howdah.scripts.delete import show_erased
from howdah.scripts.languages import advise_of_documents
from howdah.scripts.progress import LoadProgress, spoken
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from howdah.retrieval.report import MaintenanceReport, SyncReport
    from howdah.retrieval.vectorstore import PGVector


def command(
    paths: Annotated[
        list[str] | None, typer.Argument(help="Files, folders and https:// addresses.", show_default=False)
    ] = None,
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
    gitignore: Annotated[bool, typer.Option("--gitignore", help="Leave out what .gitignore files say.")] = False,
    password: Annotated[
        list[str] | None,
        typer.Option(
            help="Tried on encrypted files; else the lines of HOWDAH_FILE_PASSWORDS, which no process list shows.",
            show_default=False,
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(help="Of tables and JSON records only this column becomes text.", show_default=False),
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Try again what failed before, and nothing else.")] = False,
    processes: Annotated[
        int | None, typer.Option(help="Files parsed at once; default one a core.", min=1, show_default=False)
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(help="Text-search configuration of a new collection; detected unless given.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be done and what it costs, and write nothing.")
    ] = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Load files, folders and web pages into a collection."""
    from howdah.retrieval.loaders import LoadOptions

    session = Session(collection_flag=collection, as_json=as_json, yes=yes)
    given = list(paths or [])
    if not given and not retry:
        raise InvalidInput("there is nothing to load: no path was given", hint="run: howdah ingest PATH")
    if retry and prune:
        raise InvalidInput(
            "--retry looks at what failed alone, and --prune must see all of a root", hint="leave out one"
        )
    store = session.vectors(writing=not dry_run, config=config)
    options: dict[str, Any] = {
        "session": session,
        "prune": prune,
        "prune_all": yes,
        "include": include or (),
        "exclude": exclude or (),
        "gitignore": gitignore,
        "options": LoadOptions(
            passwords=(*(password or ()), *session.settings.file_passwords), columns=tuple(column or ())
        ),
        "processes": processes,
        "dry_run": dry_run,
    }
    report = again(store, given, **options) if retry else load(store, given, root=root, **options)
    if not dry_run and not retry:
        roots.remember(session.home, roots.folders(given), root)
    if as_json:
        output.put_json(to_json(report))
    else:
        show(report, retry=retry)
    if report.files.added:
        advise_of_documents(session, store, report.language)
    return 1 if report.failures else 0


def again(store: "PGVector", given: list[str], *, session: Session, **options: Any) -> "SyncReport":
    """Load what failed before, root by root. Raises InvalidInput where it is not known which folder a root is."""
    from howdah.retrieval.loaders.web import is_url
    from howdah.retrieval.report import SyncReport

    report = SyncReport(collection=session.collection, dry_run=bool(options["dry_run"]))
    for root, sources in failed(session, store).items():
        pages = [source for source in sources if is_url(source)]
        folder = roots.folder(session.home, root)
        places = pages or given or ([str(folder)] if folder else [])
        if not places:
            raise InvalidInput(
                f"it is not known which folder is the root {root!r} on this machine",
                hint="say where it is: howdah ingest PATH --retry",
            )
        report += load(
            store, places, root=None if pages else root, only=sources, retry=True, session=session, **options
        )
    return report


def failed(session: Session, store: "PGVector") -> dict[str, list[str]]:
    """The sources that failed before, by root."""
    from howdah.retrieval import failures

    found = store.store.find(session.collection)
    by_root: dict[str, list[str]] = {}
    for row in store.store.rows(failures.stored(found)) if found else []:
        by_root.setdefault(row["source"].partition("/")[0], []).append(row["source"])
    return by_root


def load(
    store: "PGVector", paths: "Sequence[str | Path]", *, session: Session | None = None, **options: Any
) -> "SyncReport":
    """Sync with a progress bar, then keep the collection's index and statistics in shape."""
    from howdah.retrieval.loaders.web import Web
    from howdah.retrieval.maintenance import maintain
    from howdah.retrieval.sync import sync

    web = Web(offline=session is not None and session.settings.offline)
    with LoadProgress() as progress:
        report = sync(store, paths, progress=progress, web=web, **options)
        upkeep = None
        if not report.dry_run and report.chunks.added + report.chunks.deleted:
            progress.phase("Indexing")
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


def to_json(report: "SyncReport") -> dict[str, Any]:
    """The contract's keys."""
    return {
        "collection": report.collection,
        "files": asdict(report.files),
        "chunks": asdict(report.chunks),
        "failures": [{"source": e.source, "error": e.reason, "hint": e.hint} for e in report.failures],
        "seconds": round(report.seconds, 3),
        **({"moved": report.moved} if report.moved else {}),
        **({"erased": asdict(report.erased)} if report.pruned and not report.dry_run else {}),
        **({"estimate": asdict(report.estimate)} if report.dry_run else {}),
    }


def show(report: "SyncReport", *, retry: bool = False) -> None:
    """A summary for a person."""
    files, chunks = report.files, report.chunks
    parts = [f"{count:,} {name}" for name, count in asdict(files).items() if count]
    if not parts:
        output.note("Nothing failed before." if retry else "Nothing to load was found.")
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
    for now, before in report.moved.items():
        output.note(f"Moved: {before} → {now}")
    if report.dry_run and report.chunks.added:
        show_estimate(report)
    show_erased(report.erased)
    if report.pruned and report.dry_run:
        output.note("Would delete: " + ", ".join(report.pruned[:20]))


def show_estimate(report: "SyncReport") -> None:
    """What the load would cost."""
    estimate = report.estimate
    parts = [f"{estimate.tokens:,} tokens to embed"]
    if estimate.seconds is not None:
        parts.append(f"about {spoken(estimate.seconds)}")
    if estimate.price:
        parts.append(f"about US$ {estimate.price:,.2f}" if estimate.price >= 0.01 else "less than US$ 0.01")
    elif estimate.price is None:
        parts.append("price not known")
    output.note(", ".join(parts))
    for name, size in estimate.sizes.items():
        index = (
            f", HNSW index {size.index / 1e6:,.1f} MB" if size.index is not None else ", too many dimensions for HNSW"
        )
        output.note(f"As {name}: vectors {size.table / 1e6:,.1f} MB{index}")


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("ingest")
