"""`howdah tune --weights`: learn from labels how hybrid search weighs meaning against words."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from howdah.scripts import output
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.tuning_weights import Weighed

SHOWN_ABSENT = 3


def run(session: Session, labels: Path, *, k: int, report: Path | None, force: bool, dry_run: bool) -> int:
    """Learn, tell a gain from noise, and save a real one; the exit code."""
    from howdah.retrieval import tuning_labels, tuning_weights

    tests = tuning_labels.read(labels)
    collection = session.store.get(session.collection)
    output.note(f"{len(tests.queries):,} labelled queries of {labels}")
    found = tuning_weights.learn(session.vectors(), tests, k=k, note=lambda done: _progress(done, len(tests.queries)))
    if found.absent:
        shown = ", ".join(found.absent[:SHOWN_ABSENT])
        output.warn(f"{len(found.absent):,} relevant ids are not in the collection and count as not found: {shown} …")
    if not dry_run and (found.outcome == "gain" or (force and found.outcome == "noise")):
        session.prepare()
        tuning_weights.save(session.vectors(), collection, found)
        session.store.forget(session.collection)
        found = replace(found, outcome="saved")
    if report is not None:
        _page(to_json(found), report)
    if session.as_json:
        output.put_json({**to_json(found), "report": report})
    else:
        _tell(found, dry_run=dry_run)
        output.tell_report(report)
    return 0


def _page(found: dict[str, Any], path: Path) -> None:
    from howdah.scripts.reports.tuning_page import weights_page

    weights_page(found).write(path)


def _progress(done: int, total: int) -> None:
    if done % 100 == 0 or done == total:
        output.note(f"searched {done:,} of {total:,}")


def to_json(found: "Weighed") -> dict[str, Any]:
    metric = f"ndcg@{found.k}"
    curve = {f"{weight:g}": round(value, 6) for weight, value in found.curve.items()}
    return {
        "collection": found.collection,
        "metric": metric,
        "queries": found.queries,
        "before": {"weight": found.before, metric: round(_value(found, found.before), 6)},
        "after": {"weight": found.weight, metric: round(_value(found, found.weight), 6)},
        "gain": {name: round(value, 6) for name, value in found.gain._asdict().items()},
        "fold_weights": list(found.fold_weights),
        "curve": curve,
        "outcome": found.outcome,
        "saved": found.outcome == "saved",
        "absent": len(found.absent),
    }


def _value(found: "Weighed", weight: float) -> float:
    return found.curve[min(found.curve, key=lambda one: abs(one - weight))]


def _tell(found: "Weighed", *, dry_run: bool) -> None:
    show = output.OUT.print
    show(output.escape(f"Collection {found.collection!r}, {found.queries:,} queries"))
    show(f"  {'weight of meaning':20}{f'nDCG@{found.k}':>10}")
    for weight, value in found.curve.items():
        marks = [word for word, one in (("before", found.before), ("after", found.weight)) if abs(one - weight) < 0.001]
        show(f"  {weight:<20g}{value:>10.4f}  {' and '.join(marks)}".rstrip())
    gain = found.gain
    show("")
    show(
        f"On queries that the weight was not learned from it gains {gain.delta:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}],"
        f" p = {gain.p:.3f}; the folds chose {', '.join(f'{weight:g}' for weight in found.fold_weights)}."
    )
    show(_verdict(found, dry_run=dry_run))


def _verdict(found: "Weighed", *, dry_run: bool) -> str:
    if found.outcome == "unchanged":
        return f"The weight in use, {found.before:g}, is the best: nothing was changed."
    if found.outcome == "noise":
        return "The interval holds 0, so this may be noise: nothing was saved (--force saves it all the same)."
    if found.outcome == "saved":
        return f"Saved: hybrid searches weigh meaning by {found.weight:g} now; --reset goes back."
    return "A real gain. Nothing was saved (--dry-run)." if dry_run else "A real gain."
