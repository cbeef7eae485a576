"""`howdah eval retrieval DIR`: how well searches find what they should, and whether that got worse."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import eval_output, flags, output
from howdah.scripts.eval_target import ALL_MODES, Target, own, scratch, tell_absent, versions
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.evaluation.baseline import Baseline
    from howdah.retrieval.evaluation.beir import TestSet
    from howdah.retrieval.evaluation.configuration import Configuration
    from howdah.retrieval.evaluation.measures import Cutoffs
    from howdah.retrieval.evaluation.saved import Evaluation
    from howdah.retrieval.evaluation.scratch import Shape
    from howdah.retrieval.evaluation.verdict import Gate
    from howdah.retrieval.filters import Filter


def command(
    folder: Annotated[
        Path, typer.Argument(help="A test set in BEIR's layout: queries, judgements, documents.", show_default=False)
    ],
    collection: flags.Collection = None,
    mode: Annotated[
        list[str] | None,
        typer.Option(
            help="hybrid, dense or lexical, with settings: 'hybrid weight=0.3 rerank'. Several are run side by side;"
            " all three unless given.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", help="How many documents a search is for.", min=1, max=10_000)] = 10,
    depth: Annotated[
        int | None,
        typer.Option(
            help="How many are looked at for recall and MAP; 100, or k.", min=1, max=10_000, show_default=False
        ),
    ] = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Every mode's first k by the local cross-encoder.")] = False,
    weight: Annotated[
        float | None, typer.Option(help="Of hybrid modes: 0 words only, 1 vectors only.", show_default=False)
    ] = None,
    filter_json: flags.FilterJson = None,
    split: Annotated[str, typer.Option(help="Which judgements: qrels/SPLIT.tsv.")] = "test",
    chunked: Annotated[
        bool,
        typer.Option("--chunked", help="Cut the test set's documents as howdah ingest does; else each is one row."),
    ] = False,
    storage: Annotated[
        str | None, typer.Option(help="For the test set's documents: halfvec or vector.", show_default=False)
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(help="For their words: a text-search configuration; detected unless given.", show_default=False),
    ] = None,
    save: Annotated[
        Path | None, typer.Option(help="Write the run: FILE (JSON), and TREC files beside it.", show_default=False)
    ] = None,
    report: flags.Report = None,
    baseline: Annotated[
        Path | None, typer.Option(help="Compare with a saved run; exit 4 where it is worse.", show_default=False)
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="What is compared with the baseline; nDCG@k unless given.", show_default=False)
    ] = None,
    alpha: Annotated[float, typer.Option(help="A drop with a p below it is no chance.")] = 0.05,
    max_drop: Annotated[
        float | None,
        typer.Option(
            help="Fail, too, where the interval of the difference reaches below -max_drop.", show_default=False
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail, too, where nothing is shown either way.")] = False,
    as_json: flags.Json = False,
) -> int:
    """How well searches find what they should."""
    from howdah.retrieval.evaluation.measures import Cutoffs
    from howdah.retrieval.evaluation.scratch import Shape
    from howdah.retrieval.evaluation.verdict import Gate

    order = Order(
        folder=folder,
        split=split,
        modes=mode or (),
        settings={"rerank": rerank or None, "weight": weight},
        filter=flags.read_filter(filter_json),
        cutoffs=Cutoffs(k=k, depth=depth or max(100, k)),
        shape=Shape(storage=storage, config=config, chunked=chunked),
        save=save,
        report=report,
        baseline=baseline,
        gate=_gate(baseline, metric, Gate(metric=metric or f"ndcg@{k}", alpha=alpha, max_drop=max_drop, strict=strict)),
    )
    return _run(Session(collection_flag=collection, as_json=as_json), order)


@dataclass(frozen=True, kw_only=True)
class Order:
    """What was asked for."""

    folder: Path
    split: str
    modes: Sequence[str]
    settings: Mapping[str, Any]
    filter: "Filter | None"
    cutoffs: "Cutoffs"
    shape: "Shape"
    save: Path | None
    report: Path | None
    baseline: Path | None
    gate: "Gate"

    def configurations(self, modes: Sequence[str]) -> "list[Configuration]":
        from howdah.retrieval.evaluation.configuration import configurations

        return configurations(self.modes or modes, settings=self.settings, filter=self.filter)


def _gate(baseline: Path | None, metric: str | None, gate: "Gate") -> "Gate":
    from howdah.retrieval.errors import InvalidInput

    given = {"--metric": metric is not None, "--max-drop": gate.max_drop is not None, "--strict": gate.strict}
    if baseline is None and (named := [name for name, is_given in given.items() if is_given]):
        raise InvalidInput(
            f"{named[0]} is given without --baseline", hint="--baseline names the saved run to compare with"
        )
    return gate


def _checked(order: Order) -> "tuple[TestSet, Baseline | None]":
    """The test set and the baseline; whatever is wrong is told before anything is loaded or searched for."""
    from howdah.retrieval.evaluation import beir, saved
    from howdah.retrieval.evaluation.baseline import Baseline
    from howdah.retrieval.evaluation.measures import irmeasures
    from howdah.scripts.reports.page import check

    irmeasures()
    order.configurations(ALL_MODES)
    tests = beir.read(order.folder, order.split)
    if order.save is not None:
        saved.check_target(order.save, order.baseline)
    if order.report is not None:
        check(order.report)
    return tests, Baseline.read(order.baseline) if order.baseline is not None else None


def _target(session: Session, tests: "TestSet", order: Order, progress: eval_output.EvalProgress) -> Target:
    if tests.corpus is None:
        return own(session, tests, order.shape)
    return scratch(session, tests, order.shape, progress)


def _evaluation(order: Order, tests: "TestSet", target: Target) -> "Evaluation":
    """What is known of it before it has run."""
    from howdah.retrieval.evaluation.saved import Evaluation

    spec = target.spec
    return Evaluation(
        tests=tests,
        corpus=target.corpus,
        model=spec.model,
        cutoffs=order.cutoffs,
        settings={"storage": spec.storage.type_name, "metric": spec.metric.label, "config": spec.config},
        versions=versions(target.store),
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        runs=(),
    )


def _report(order: Order, outcome: eval_output.Outcome, target: Target, baseline: "Baseline | None") -> None:
    from howdah.scripts.reports import expected, retrieval_page

    assert order.report is not None
    its = outcome.evaluation
    found = retrieval_page.RetrievalReport(
        evaluation=its,
        metric=order.gate.metric,
        verdicts=outcome.verdicts,
        before=[baseline.values(run, order.gate.metric) for run in its.runs] if baseline else (),
        absent=target.absent,
    )
    texts = expected.texts(its.tests, target.store, retrieval_page.wanted(found))
    retrieval_page.build(replace(found, texts=texts)).write(order.report)


def _run(session: Session, order: Order) -> int:
    from howdah.retrieval.evaluation.evaluate import evaluate
    from howdah.retrieval.evaluation.saved import save

    began = time.perf_counter()
    tests, baseline = _checked(order)
    with eval_output.EvalProgress() as progress:
        target = _target(session, tests, order, progress)
        configurations = order.configurations(target.modes)
        evaluation = _evaluation(order, tests, target)
        if baseline is not None:
            baseline.check(evaluation, order.gate)
        tell_absent(target.absent, len(tests.relevant))
        runs = evaluate(
            target.store, tests, configurations, order.cutoffs, named=target.named, progress=progress
        )  # fmt: skip
    evaluation = replace(evaluation, runs=runs)
    verdicts = [baseline.verdict(run, order.gate) for run in runs] if baseline else []
    files = save(order.save, evaluation) if order.save else []
    outcome = eval_output.Outcome(
        evaluation=evaluation, verdicts=verdicts, files=files, report=order.report, absent=target.absent,
        seconds=time.perf_counter() - began,
    )  # fmt: skip
    if order.report is not None:
        _report(order, outcome, target, baseline)
    if session.as_json:
        output.put_json(eval_output.to_json(outcome))
    else:
        eval_output.show(outcome)
    return output.GATE_FAILED if any(verdict.failed for verdict in verdicts) else 0
