"""Whether the gold of a test set that `howdah eval make` has written still stands where it stood."""

from pathlib import Path

from howdah.scripts import output
from howdah.scripts.session import Session


def tell_moved(session: Session, folder: Path) -> None:
    """Warn where documents changed so that gold places are elsewhere by now, or nowhere: they would be counted as wrong.

    Says nothing of a test set of another making, which quotes no text.
    """
    if not (folder / "drafts.jsonl").exists():
        return
    from howdah.chains.evaluation.testset import anew, read

    if (work := read(folder)) is None:
        return
    found = anew(work, session.store, session.store.get(session.collection))
    kept = {draft.id for draft in work.drafts if draft.kept}
    moved, stale = kept.intersection(found.moved), kept.intersection(found.stale)
    if moved or stale:
        output.warn(
            f"documents changed: the gold of {output.plural(len(moved), 'question')} is elsewhere by now, that of "
            f"{len(stale):,} gone; run: howdah eval make {folder} --refresh -c {session.collection}"
        )
