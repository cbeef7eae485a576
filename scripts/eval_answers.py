"""`howdah eval answers FILE`: questions with known answers through the chain of `howdah ask`, counted."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.eval_answers_output import show
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.chains.evaluation.cases import Case
    from howdah.chains.evaluation.outcome import Outcome
    from howdah.chains.evaluation.running import Chains
    from howdah.chains.evaluation.saved import Saved
    from howdah.chains.evaluation.summary import Summary
    from howdah.retrieval.evaluation.verdict import Gate, Verdict
    from howdah.scripts.reports.page import Page

OFTEN = 25  # questions between two notes on progress


def command(
    file: Annotated[
        Path,
        typer.Argument(
            help='JSONL: {"question", "answers", "source", "unanswerable"}; or a folder that howdah eval make has written.',
            show_default=False,
        ),
    ],
    collection: flags.Collection = None,
    k: flags.K = 8,
    filter_json: flags.FilterJson = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only so many.", show_default=False)] = None,
    sample: Annotated[
        int | None, typer.Option(metavar="SEED", help="With --limit: draw them at random.", show_default=False)
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write every question's answer and values here (JSON).", show_default=False)
    ] = None,
    report: flags.Report = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Compare with this saved run; exit with 4 if worse.", show_default=False)
    ] = None,
    metric: Annotated[str, typer.Option(help="What is compared with the baseline.")] = "right",
    alpha: Annotated[float, typer.Option(help="A drop with a p below it is no chance.")] = 0.05,
    max_drop: Annotated[
        float | None, typer.Option(help="Fail too where a drop this large cannot be ruled out.", show_default=False)
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail an inconclusive comparison too.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Save the risk-coverage curve here (SVG).", show_default=False)
    ] = None,
    as_json: flags.Json = False,
) -> int:
    """Ask questions whose answers are known, and count right ones, citations, refusals."""
    from howdah.chains.evaluation import saved
    from howdah.chains.evaluation.summary import summarise, to_json
    from howdah.retrieval.evaluation.saved import check_target
    from howdah.scripts.reports.page import check

    if report:
        check(report)
    if save:
        check_target(save, baseline)
    if out:
        check_target(out, None)
    cases, asked = _cases(file, limit, sample)
    before = saved.load(baseline) if baseline else None
    how = _gate(metric, alpha, max_drop, strict=strict)
    session = Session(collection_flag=collection, as_json=as_json)
    chains = _chains(session, k, flags.read_filter(filter_json))
    asked, stale = _refreshed(session, asked)
    outcomes = _run(chains, asked)
    summary = summarise(outcomes, threshold=chains.bound.threshold if chains.bound else None)
    verdict = saved.compare(outcomes, before, how) if before else None
    about = _about(session, file, k=k, cases=cases, chains=chains)
    if save:
        saved.save(save, about, to_json(summary), outcomes)
    if report:
        _page(about, summary, outcomes, verdict, before, metric).write(report)
    if out:
        out.write_text(_picture(summary, session.collection), encoding="utf-8")
    if as_json:
        more = {"stale": stale, "verdict": _verdict(verdict), "saved": save, "report": report}
        output.put_json({**about, **to_json(summary), **more})
    else:
        show(about, summary, outcomes, verdict, stale=stale)
        _say_where(save, out, report)
    return output.GATE_FAILED if verdict and verdict.failed else 0


def _cases(file: Path, limit: int | None, seed: int | None) -> "tuple[int, list[Case]]":
    from howdah.chains.evaluation.cases import chosen, read_cases
    from howdah.retrieval.errors import InvalidInput

    if seed is not None and limit is None:
        raise InvalidInput("--sample draws as many questions as --limit says", hint="add --limit 100")
    cases = read_cases(file)
    return len(cases), chosen(cases, limit=limit, seed=seed)


def _gate(metric: str, alpha: float, max_drop: float | None, *, strict: bool) -> "Gate":
    from howdah.chains.evaluation.outcome import MEASURES
    from howdah.retrieval.errors import InvalidInput
    from howdah.retrieval.evaluation.verdict import Gate

    if metric not in MEASURES:
        raise InvalidInput(f"there is no measure {metric!r}", hint=f"there are {', '.join(MEASURES)}")
    return Gate(metric=metric, alpha=alpha, max_drop=max_drop, strict=strict)


def _chains(session: Session, k: int, given: dict[str, Any] | None) -> "Chains":
    """That of `howdah ask`, but that no trace is kept: the questions of a test are nobody's."""
    from howdah.chains.evaluation.running import Chains
    from howdah.chains.refusal import Bound, bound_for

    found = session.store.get(session.collection)
    store = session.vectors()
    return Chains(
        asked=session.chain(store, k=k, trace=False),
        unbounded=session.chain(store, k=k, trace=False, min_score=0.0),
        bound=bound_for(session.reranker, saved=Bound.of(found.refusal), embeddings=found.spec.model),
        filter=given,
    )


def _refreshed(session: Session, cases: "list[Case]") -> "tuple[list[Case], list[str]]":
    """The cases with their gold where it now stands; questions whose gold is gone are left out, and named."""
    from howdah.chains.evaluation.freshness import refreshed

    found = refreshed(session.store, session.store.get(session.collection), cases)
    if found.moved:
        output.note(f"{output.plural(found.moved, 'gold passage')} found again where the document changed")
    if found.stale:
        output.warn(
            f"{output.plural(len(found.stale), 'question')} left out: the text that answers them is no longer there once"
        )
    return found.cases, found.stale


def _run(chains: "Chains", cases: "list[Case]") -> "list[Outcome]":
    from howdah.chains.evaluation.running import run

    outcomes = []
    for one in run(chains, cases):
        outcomes.append(one)
        if len(outcomes) % OFTEN == 0 or len(outcomes) == len(cases):
            output.note(f"asked {len(outcomes):,} of {len(cases):,}")
    return outcomes


def _about(session: Session, file: Path, *, k: int, cases: int, chains: "Chains") -> dict[str, Any]:
    from howdah.chains.models import Extractive
    from howdah.chains.rag import model_name

    model = session.chat_model
    return {
        "collection": session.collection,
        "questions": str(file),
        "of": cases,
        "model": "extractive" if isinstance(model, Extractive) else model_name(model),
        "embeddings": session.store.get(session.collection).spec.model,
        "reranker": None if session.reranker is None else type(session.reranker).__name__,
        "k": k,
        "filter": dict(chains.filter) if chains.filter else None,
        "howdah": version("howdah"),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _verdict(verdict: "Verdict | None") -> Mapping[str, Any] | None:
    return None if verdict is None else vars(verdict)


def _picture(summary: "Summary", collection: str) -> str:
    from howdah.chains.calibrate import Point
    from howdah.chains.picture import risk_coverage

    its = summary.refusals
    chosen = Point(its.threshold or 0.0, its.coverage, its.risk)
    points = list(its.points) or [chosen]
    return risk_coverage(points, chosen, title=f"Answers from {collection}", risk="risk: answered, and not right")


def _page(
    about: Mapping[str, Any], summary: "Summary", outcomes: "Sequence[Outcome]", verdict: "Verdict | None",
    before: "Saved | None", metric: str,
) -> "Page":  # fmt: skip
    from howdah.scripts.reports.answers_page import AnswersReport, build

    values = {} if before is None else before.of(outcomes, metric)
    found = AnswersReport(
        about=about, summary=summary, outcomes=outcomes, metric=metric, verdict=verdict, before=values
    )
    return build(found)


def _say_where(save: Path | None, out: Path | None, report: Path | None) -> None:
    output.tell_report(report)
    if save is not None:
        output.note(f"Every answer is in {save}; compare a later run with --baseline {save}")
    if out is not None:
        output.note(f"The curve of risk and coverage is in {out}")


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("eval", "answers")
