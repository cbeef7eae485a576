"""The PostgreSQL manual loaded, and then kept in line: one page edited, one removed, one renamed.

A copy of the manual (Debian: apt-get install postgresql-doc-15) is loaded by the local model into an empty database on an
embedded server. Then it is synced with nothing changed, and once more, with prune, after the three changes. Printed are
the time of each run and what its report counts, with the chunks that are stored; the end says whether those three pages
are all that changed.

    python benchmarks/manual_sync.py [--pages 1169]
"""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from corpus import MANUAL
from scratch import scratch_database

from howdah import PGVector, sync
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.report import SyncReport

EDITED, REMOVED, RENAMED = "sql-select.html", "sql-vacuum.html", "sql-copy.html"
NEW_NAME = "sql-copied.html"


def copied(into: Path, most: int) -> Path:
    """A folder with the first `most` pages, the three that change among them."""
    folder = into / "manual"
    folder.mkdir()
    listed = sorted(MANUAL.glob("*.html"), key=lambda path: (path.name not in {EDITED, REMOVED, RENAMED}, path.name))
    for path in listed[:most]:
        shutil.copy(path, folder)
    return folder


def change(folder: Path) -> None:
    page = folder / EDITED
    text = page.read_text(encoding="utf-8")
    changed = text.replace("retrieves rows from zero or more tables", "fetches rows from no table or from several")
    assert changed != text, f"{EDITED} of this manual has another first sentence"
    page.write_text(changed, encoding="utf-8")
    (folder / REMOVED).unlink()
    (folder / RENAMED).rename(folder / NEW_NAME)


def told(name: str, report: SyncReport) -> str:
    files, chunks = report.files, report.chunks
    return (
        f"| {name} | {report.seconds:.1f} | {files.added:,} | {files.updated:,} | {files.unchanged:,} | {files.deleted:,} "
        f"| {files.failed:,} | {chunks.added:,} | {chunks.reused:,} | {chunks.deleted:,} |"
    )


def exact(report: SyncReport, pages: int) -> bool:
    """Whether one page was edited, one removed and one moved, and nothing else happened."""
    files = report.files
    counted = (files.added, files.updated, files.unchanged, files.deleted, files.failed)
    moved = {new.rpartition("/")[2]: old.rpartition("/")[2] for new, old in report.moved.items()}
    return counted == (0, 2, pages - 3, 1, 0) and moved == {NEW_NAME: RENAMED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--pages", type=int, default=1_169, help="of the manual, at least 3")
    given = parser.parse_args()
    if not MANUAL.exists():
        sys.exit(f"{MANUAL} is not here: apt-get install postgresql-doc-15")
    print("| run | seconds | added | updated | unchanged | deleted | failed | chunks added | reused | deleted |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    with scratch_database() as url, tempfile.TemporaryDirectory() as temporary:
        folder = copied(Path(temporary), given.pages)
        pages = len(list(folder.iterdir()))
        with PGVector(LocalEmbeddings(), collection_name="manual", connection=url) as store:
            first = sync(store, [folder], prune=True)
            print(told("first load", first), flush=True)
            again = sync(store, [folder], prune=True)
            print(told("nothing changed", again), flush=True)
            change(folder)
            third = sync(store, [folder], prune=True)
            print(told("three pages changed", third), flush=True)
    print(f"\nnothing changed takes {again.seconds / first.seconds:.4f} of the first load")
    print("exactly those three changed" if exact(third, pages) else f"other pages changed too: {third}")


if __name__ == "__main__":
    main()
