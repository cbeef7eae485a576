"""Data for pages as real runs have it: long words, markup in texts, missing values, hundreds of queries."""

from pathlib import Path

import numpy as np

from howdah.chains.calibrate import Point
from howdah.chains.evaluation.outcome import Cited, Outcome, Sentence
from howdah.chains.evaluation.summary import summarise
from howdah.retrieval.evaluation.beir import TestSet
from howdah.retrieval.evaluation.configuration import Configuration
from howdah.retrieval.evaluation.evaluate import Run
from howdah.retrieval.evaluation.intervals import difference
from howdah.retrieval.evaluation.measures import Cutoffs, Scored, means
from howdah.retrieval.evaluation.saved import Evaluation
from howdah.retrieval.evaluation.searching import Searched, Shown
from howdah.retrieval.evaluation.verdict import Gate, judge
from howdah.scripts.reports.answers_page import AnswersReport
from howdah.scripts.reports.retrieval_page import RetrievalReport

LONG = "Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz"
HOSTILE = f'<script>alert("{LONG}")</script><img src=http://example.org/x.png onerror=alert(1)> & "quotes"'
CUTOFFS = Cutoffs(k=10, depth=100)
QUERIES = 300


def retrieval(*, baseline: bool = True, runs: int = 3) -> RetrievalReport:
    """300 queries by `runs` configurations; query q7 is hostile, and worst."""
    numbers = np.random.default_rng(7)
    queries = {f"q{n}": f"Wie viele {LONG} gibt es in Fall {n}?" for n in range(QUERIES)}
    queries["q7"] = HOSTILE
    tests = TestSet(
        folder=Path("Kraftfahrzeughaftpflichtversicherung"), split="test", corpus=None, queries=queries,
        qrels={query: {f"d{query}": 1, "shared": 1} for query in queries}, unjudged=2, hopeless=("q-none",),
    )  # fmt: skip
    modes = [
        Configuration(mode="hybrid"),
        Configuration(mode="dense"),
        Configuration(mode="lexical", settings={"k1": 0.9}),
    ]
    made: list[Run] = []
    for how in modes[:runs]:
        values = {
            query: dict(zip(CUTOFFS.names, numbers.beta(4, 2, len(CUTOFFS.names)), strict=True)) for query in queries
        }
        values["q7"] = dict.fromkeys(CUTOFFS.names, 0.0)
        searched = Searched(
            rankings={query: [Scored("other", 0.9), Scored(f"d{query}", 0.8)] for query in queries if query != "q7"},
            milliseconds={query: float(ms) for query, ms in zip(queries, numbers.gamma(4, 2, QUERIES), strict=True)},
            shown={query: [Shown("other", None, HOSTILE, 0.9), Shown(f"d{query}", LONG, "text", 0.8)] for query in queries},
        )  # fmt: skip
        apart = None
        if made:
            first = made[0].values
            apart = {
                name: difference([row[name] for row in values.values()], [first[query][name] for query in values])
                for name in CUTOFFS.names
            }
        made.append(Run(how=how, searched=searched, values=values, metrics=means(values), apart=apart))
    metric = "ndcg@10"
    before = [_before(run, metric, numbers) for run in made] if baseline else []
    gate = Gate(metric=metric)
    verdicts = [judge(run.column(metric), list(was.values()), gate) for run, was in zip(made, before, strict=False)]
    evaluation = Evaluation(
        tests=tests, corpus={"kind": "beir", "sha256": "0" * 64, "documents": 5183}, model="local:bge-small-en-v1.5@abc",
        cutoffs=CUTOFFS, settings={"storage": "halfvec", "config": "german"}, versions={"howdah": "0.1.0", "postgresql": "18.6"},
        created="2026-11-24T20:00:00+00:00", runs=made,
    )  # fmt: skip
    return RetrievalReport(
        evaluation=evaluation,
        metric=metric,
        verdicts=verdicts,
        before=before,
        texts={"dq7": HOSTILE},
        absent=["shared"],
    )


def _before(run: Run, metric: str, numbers: np.random.Generator) -> dict[str, float]:
    """The run's values, half of them moved, with a drop in all."""
    return {
        query: row[metric] if numbers.random() < 0.5 else float(np.clip(row[metric] + numbers.normal(0.05, 0.2), 0, 1))
        for query, row in run.values.items()
    }


def answers(*, baseline: bool = True) -> AnswersReport:
    """120 questions, a third of them unanswerable; no sentence is a model's own, so that one measure is missing."""
    numbers = np.random.default_rng(11)
    outcomes = [_outcome(number, numbers) for number in range(120)]
    summary = summarise(outcomes, threshold=0.42)
    before = {each.id: float(numbers.random() < 0.8) for each in outcomes} if baseline else {}
    verdict = None
    if baseline:
        ours = [each.values["right"] for each in outcomes]
        verdict = judge(ours, [before[each.id] for each in outcomes], Gate(metric="right"))
    about = {
        "collection": "Handbuch", "questions": "fragen.jsonl", "of": 120, "model": "extractive", "embeddings": "local",
        "reranker": None, "k": 8, "filter": None, "howdah": "0.1.0", "at": "2026-11-24T20:00:00+00:00",
    }  # fmt: skip
    return AnswersReport(about=about, summary=summary, outcomes=outcomes, verdict=verdict, before=before)


def _outcome(number: int, numbers: np.random.Generator) -> Outcome:
    unanswerable, chance = number % 3 == 0, float(numbers.random())
    refused = chance < 0.3
    right = refused if unanswerable else not refused and numbers.random() < 0.8
    values = {"right": float(right), "unsupported_quoted": 0.0}
    values |= {"correct_refusals": float(refused)} if unanswerable else {"false_refusals": float(refused), "f1": 0.4}
    return Outcome(
        id=f"f{number}", question=HOSTILE if number == 1 else f"Wann gilt das {LONG} im Fall {number}?",
        answers=() if unanswerable else (f"ab {1990 + number}",), gold=None if unanswerable else f"gesetze/{LONG}.pdf#10-90",
        unanswerable=unanswerable, answer="" if refused else f"Es gilt ab {number}. [1]", refused=refused,
        model=None if refused else "extractive", note=None,
        sentences=[] if refused else [Sentence(text="Es gilt.", n=(1,), quoted=True, supported=number % 10 > 0)],
        citations=[] if refused else [Cited(n=1, source="a.pdf", start=0, end=9, quote=HOSTILE, right=bool(right))],
        chance=chance, would_be_right=bool(right or refused), ms=float(numbers.gamma(5, 200)), values=values,
    )  # fmt: skip


def refusal_curve() -> list[Point]:
    return [Point(1 - step / 40, step / 40, 0.3 * (step / 40) ** 2) for step in range(41)]
