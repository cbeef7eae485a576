"""`howdah tune`: fit a collection's settings to what was measured on it: its index, its fusion's weight, its refusals."""

from pathlib import Path
from typing import Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.session import Session

RECALL, WEIGHTS, REFUSAL = "--target-recall", "--weights", "--refusal"
OWNERS = {
    "-k": (RECALL, WEIGHTS),
    "--queries": (RECALL,),
    "--filter": (RECALL,),
    "--sample": (RECALL,),
    "--force": (WEIGHTS,),
    "--questions": (REFUSAL,),
    "--false-refusals": (REFUSAL,),
    "--out": (REFUSAL,),
}
"""Which jobs each option belongs to; with another one it would be without effect, and is an error."""


def command(
    target_recall: Annotated[
        float | None,
        typer.Option(
            help="Find the cheapest index settings whose searches find this share of the true k nearest.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(
            help="Learn the weight of hybrid search from labels: a BEIR folder (qrels/train.tsv), or JSONL.",
            show_default=False,
        ),
    ] = None,
    refusal: Annotated[bool, typer.Option("--refusal", help="Learn when to refuse a question.")] = False,
    collection: flags.Collection = None,
    k: Annotated[int | None, typer.Option("-k", help="Rows of a search (10).", show_default=False)] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="With --target-recall: texts (a line each, or JSONL) or vectors (.npy); else from traces, or the rows.",
            show_default=False,
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter", help="A metadata filter (JSON) to measure with; repeat it. Else found.", show_default=False
        ),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            help="Rows of a scratch table in which other indexes are tried for advice (5000; 0: none).",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="With --weights: save the weight even where its gain may be noise.")
    ] = False,
    questions: Annotated[
        Path | None,
        typer.Option(
            help='With --refusal, JSONL: {"question", "answers", "source", "unanswerable"}; else made from the collection.',
            show_default=False,
        ),
    ] = None,
    false_refusals: Annotated[
        float | None,
        typer.Option(
            min=0, max=0.5, help="Of answerable questions, the share that may be refused (0.05).", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --refusal: save the risk-coverage curve here (SVG).", show_default=False)
    ] = None,
    report: flags.Report = None,
    reset: Annotated[
        bool, typer.Option("--reset", help="Forget what was learned: of the job that is named, or of all.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be saved, and save nothing.")] = False,
    as_json: flags.Json = False,
) -> int:
    """Fit the collection's settings to what is measured on it: --target-recall, --weights or --refusal."""
    jobs = {RECALL: target_recall is not None, WEIGHTS: weights is not None, REFUSAL: refusal}
    named = [job for job, wanted in jobs.items() if wanted]
    given = {
        "-k": k, "--queries": queries, "--filter": filters, "--sample": sample, "--force": force or None,
        "--questions": questions, "--false-refusals": false_refusals, "--out": out,
    }  # fmt: skip
    _check_report(report, reset=reset)
    check(named, {name for name, value in given.items() if value is not None}, reset=reset)
    session = Session(collection_flag=collection, as_json=as_json)
    if reset and not refusal:
        return _reset(session, named, dry_run=dry_run)
    if refusal:
        from howdah.scripts import tune_refusal

        rate = 0.05 if false_refusals is None else false_refusals
        return tune_refusal.run(session, questions, rate, out, report=report, dry_run=dry_run, reset=reset)
    if weights is not None:
        from howdah.scripts import tune_weights

        return tune_weights.run(session, weights, k=k or 10, report=report, force=force, dry_run=dry_run)
    assert target_recall is not None
    from howdah.scripts import tune_recall

    return tune_recall.run(
        session, target_recall, k=10 if k is None else k, queries=queries, filters=filters or [],
        sample=5_000 if sample is None else sample, page=report, dry_run=dry_run,
    )  # fmt: skip


def _check_report(report: Path | None, *, reset: bool) -> None:
    from howdah.retrieval.errors import InvalidInput
    from howdah.scripts.reports.page import check as check_page

    if report is None:
        return
    if reset:
        raise InvalidInput("--report has no effect with --reset", hint="nothing is measured then: leave it out")
    check_page(report)


def check(named: list[str], given: set[str], *, reset: bool) -> None:
    """Raise InvalidInput unless one job is named, or none with --reset, and the options given are that job's."""
    from howdah.retrieval.errors import InvalidInput

    every = f"{RECALL} 0.99, {WEIGHTS} FILE or {REFUSAL}"
    if len(named) > 1:
        raise InvalidInput(f"{' and '.join(named)} are two jobs", hint=f"name one of {every}")
    if not named and not reset:
        raise InvalidInput("there is nothing to tune", hint=f"run: howdah tune {every}")
    for option in sorted(given):
        if not named or named[0] not in OWNERS[option]:
            raise InvalidInput(
                f"{option} has no effect with {named[0] if named else '--reset'}",
                hint=f"it belongs to {' and '.join(OWNERS[option])}",
            )


def _reset(session: Session, named: list[str], *, dry_run: bool) -> int:
    """Forget what the named job has saved, or all that tune has saved; says what there was."""
    from howdah.retrieval import catalog

    found = session.store.get(session.collection)
    kept: dict[str, tuple[Any, Any]] = {
        RECALL: (found.tuned, catalog.set_tuned),
        WEIGHTS: (found.weight, catalog.set_weight),
        REFUSAL: (found.refusal, catalog.set_refusal),
    }
    forgotten = [job for job, (saved, _) in kept.items() if saved is not None and job in (named or kept)]
    if forgotten and not dry_run:
        session.prepare()
        for job in forgotten:
            session.store.execute(kept[job][1](found, {}))
        session.store.forget(session.collection)
    _tell_reset(session, [job.removeprefix("--") for job in forgotten], dry_run=dry_run)
    return 0


def _tell_reset(session: Session, forgotten: list[str], *, dry_run: bool) -> None:
    if session.as_json:
        output.put_json({"collection": session.collection, "reset": not dry_run, "forgotten": forgotten})
        return
    what = " and ".join(forgotten) or "nothing: there was nothing saved"
    said = "would forget" if dry_run else "has forgotten"
    output.OUT.print(output.escape(f"{session.collection!r} {said} {what}"))


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("tune")
