"""Reports in a real Chromium: nothing asked of the network, nothing complained of, and the figures are the data's."""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("ir_measures")
from howdah.scripts.reports import answers_page, numbers, retrieval_page, tuning_page
from howdah.scripts.reports.page import Page
from tests.browser import PROGRAM, Browser, browser
from tests.unit import report_data

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium here")

FOUND = {
    "collection": "bücher", "target_recall": 0.99, "k": 10, "outcome": "applied", "saved": True, "rows": 100_000,
    "index": {"kind": "hnsw", "form": "halfvec", "m": 16, "ef_construction": 128},
    "queries": {"count": 400, "origin": "questions that were asked (traces)"},
    "chosen": {"ef_search": 60}, "exact_ms": 41.5, "sample": None, "seconds": 12.3,
    "advice": [f"A wider build costs {report_data.LONG}", "<script>alert(1)</script>"], "notes": [],
}  # fmt: skip


def tuned() -> dict[str, Any]:
    """As `howdah tune --target-recall --json` prints it: four workloads, one of which was not timed."""
    points = []
    for ef in (10, 20, 40, 60, 100, 200, 400):
        loads = []
        for number, name in enumerate(["all rows", "topic is x", f"Thema ist {report_data.LONG}", "not timed"]):
            mean = 1 - (0.05 + 0.02 * number) * (10 / ef) ** 1.3
            loads.append(
                {
                    "name": name, "filter": {"topic": "x"} if number else None, "share": 1 / (1 + 9 * number),
                    "recall@10": {"mean": mean, "low": mean - 0.003, "high": min(mean + 0.0005, 1)},
                    "latency_ms": {"p50": 0.5 + ef / 80, "p95": None if number == 3 else 0.9 + ef / 50 + number / 4},
                }
            )  # fmt: skip
        whole = {"recall@10": loads[2]["recall@10"], "latency_ms": loads[0]["latency_ms"]}
        points.append({"options": {"ef_search": ef}, "settings": {}, **whole, "workloads": loads})
    return {**FOUND, "points": points, "before": points[4], "after": points[3]}


def weighed() -> dict[str, Any]:
    curve = {f"{0.05 * step:g}": 0.7 + 0.05 * np.sin(step / 6) for step in range(21)}
    return {
        "collection": "bücher", "metric": "ndcg@10", "queries": 200, "before": {"weight": 0.5, "ndcg@10": curve["0.5"]},
        "after": {"weight": 0.45, "ndcg@10": curve["0.45"]}, "fold_weights": [0.45, 0.4, 0.45, 0.5, 0.45], "curve": curve,
        "gain": {"delta": 0.011, "low": 0.002, "high": 0.02, "p": 0.01, "n": 200}, "outcome": "gain", "saved": False, "absent": 0,
    }  # fmt: skip


def refusals() -> Page:
    interval = {"mean": 0.05, "low": 0.02, "high": 0.09}
    effect = {
        "threshold": 0.4,
        "false_refusals": interval,
        "refused": {"foreign": {"mean": 0.99, "low": 0.97, "high": 1.0}},
    }
    found = {
        "collection": "bücher", "questions": {"answerable": 100, "foreign": 100}, "false_refusals": 0.05, "saved": True,
        "before": None, "after": effect,
    }  # fmt: skip
    curve = [(point.coverage, point.risk) for point in report_data.refusal_curve()]
    return tuning_page.refusal_page(found, curve, curve[30])


PAGES: dict[str, Callable[[], Page]] = {
    "retrieval": lambda: retrieval_page.build(report_data.retrieval()),
    "one search, no baseline": lambda: retrieval_page.build(report_data.retrieval(baseline=False, runs=1)),
    "answers": lambda: answers_page.build(report_data.answers()),
    "answers, no baseline": lambda: answers_page.build(report_data.answers(baseline=False)),
    "recall": lambda: tuning_page.recall_page(tuned()),
    "weights": lambda: tuning_page.weights_page(weighed()),
    "refusals": refusals,
}


@pytest.fixture(scope="module")
def tab() -> Iterator[Browser]:
    with browser() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture
def opened(tab: Browser, folder: Path) -> Callable[..., Browser]:
    def show(name: str, **how: Any) -> Browser:
        path = folder / f"{name}.html"
        if not path.exists():
            PAGES[name]().write(path)
        tab.open(path, **how)
        return tab

    return show


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_has_nothing_to_complain_of(opened, folder, name):
    for width, dark in product((1280, 390), (False, True)):
        tab = opened(name, width=width, dark=dark)
        assert tab.requests() == [(folder / f"{name}.html").as_uri()]
        assert tab.complaints() == []
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert tab.run("document.scripts.length + document.images.length") == 0


WIDER = """[...document.querySelectorAll('main *')].filter(e => !e.closest('.scroll') && !e.closest('svg')
    && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_cut_off_on_a_phone(opened, name):
    assert opened(name, width=390).run(WIDER) == []


CUT = """[...document.querySelectorAll('svg text')].filter(e => e.getBoundingClientRect().width)
    .map(e => [e.getBoundingClientRect(), e.ownerSVGElement.getBoundingClientRect(), e.textContent])
    .filter(([word, svg]) => word.left < svg.left - 2 || word.right > svg.right + 16 || word.top < svg.top - 4
                             || word.bottom > svg.bottom + 2).map(found => found[2])"""


@pytest.mark.parametrize(("name", "width"), [*product(PAGES, (1280, 390))])
def test_no_word_of_a_chart_leaves_it(opened, name, width):
    assert opened(name, width=width).run(CUT) == []


CONTRAST = """(() => {
    const lit = c => { const f = c.map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                       return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
    const rgb = text => text.match(/[\\d.]+/g).map(Number);
    const behind = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
                          if (c.length < 4 || c[3] > 0) return c; } };
    const found = [];
    for (const e of document.querySelectorAll('main *')) {
        const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
        if (!own || !e.getBoundingClientRect().width || ['title', 'desc'].includes(e.localName)) continue;
        const style = getComputedStyle(e), ink = lit(rgb(e.closest('svg') ? style.fill : style.color)), paper = lit(behind(e));
        const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
        if (ratio < 4.5) found.push([e.textContent.trim().slice(0, 30), ratio]);
    }
    return found; })()"""


@pytest.mark.parametrize(("name", "dark"), [*product(PAGES, (False, True))])
def test_all_words_can_be_read(opened, name, dark):
    """A contrast of at least 4.5 : 1 (WCAG 2, AA)."""
    assert opened(name, dark=dark).run(CONTRAST) == []


@pytest.mark.parametrize("name", PAGES)
def test_charts_have_a_title_a_description_and_their_data_as_a_table(opened, name):
    tab = opened(name)
    charts = tab.run("document.querySelectorAll('figure').length")
    assert charts > 0
    assert (
        tab.run(
            "[...document.querySelectorAll('figure')].filter(e => e.querySelectorAll('details table tbody tr').length).length"
        )
        == charts
    )
    named = """[...document.querySelectorAll('svg')].filter(e => e.getAttribute('aria-labelledby').split(' ')
        .every(id => document.getElementById(id).textContent.length > 3)).length"""
    assert tab.run(named) == tab.run("document.querySelectorAll('svg[role=img]').length") == 2 * charts
    assert tab.run("new Set([...document.querySelectorAll('[id]')].map(e => e.id)).size") == 4 * charts


@pytest.mark.parametrize("name", PAGES)
def test_a_page_prints(opened, tmp_path, name):
    path = tmp_path / "page.pdf"
    opened(name).pdf(path)
    assert path.read_bytes()[:5] == b"%PDF-"


def test_markup_in_documents_is_words(opened):
    tab = opened("retrieval")
    assert tab.run("document.querySelector('.cases').textContent.includes('<script>alert(')") is True
    assert tab.run("document.querySelectorAll('.cases script, .cases img').length") == 0


# -- the figures are the data's


TABLES = """[...document.querySelectorAll('figure')].map(f => [...f.querySelectorAll('details tbody tr')]
    .map(r => [...r.children].map(c => c.textContent)))"""

PLAIN = (
    """[...document.querySelectorAll('section > .scroll tbody tr')].map(r => [...r.children].map(c => c.textContent))"""
)
"""The rows of the tables that belong to no chart."""


def test_the_figures_of_retrieval_are_those_of_the_run(opened):
    report = report_data.retrieval()
    tab = opened("retrieval")
    bars, wins, *others = tab.run(TABLES)
    runs = report.evaluation.runs
    wanted = [
        [retrieval_page.measure(name), run.how.label, *(f"{value:.3f}" for value in run.metrics[name])]
        for name in runs[0].metrics
        for run in runs
    ]
    assert bars == wanted
    ours = np.array(report.run.column("ndcg@10"))
    change = ours - np.array(list(report.was.values()))
    assert len(wins) == report_data.QUERIES
    assert [float(row[3].replace(numbers.MINUS, "-")) for row in wins] == pytest.approx(
        sorted(change, reverse=True), abs=6e-4
    )
    better, worse = int((change > 0).sum()), int((change < 0).sum())
    said = tab.run("document.querySelector('.wins figcaption p').textContent")
    assert (
        said
        == f"{better} queries got better, {worse} got worse, {report_data.QUERIES - better - worse} stayed the same."
    )
    assert len(others) == 2
    latency = np.percentile(list(report.run.searched.milliseconds.values()), 95)
    assert f"{latency:.1f}\u00a0ms" in tab.run(
        "[...document.querySelectorAll('.figures .value')].map(e => e.textContent)"
    )
    worst = tab.run("document.querySelectorAll('.cases article').length")
    assert worst == retrieval_page.WORST


BARS = """[...document.querySelectorAll('.bars svg.wide')].map(svg => {
    const grid = [...svg.querySelectorAll('path.grid')].map(e => e.getBBox().x);
    const [zero, one] = [Math.min(...grid), Math.max(...grid)];
    return [...svg.querySelectorAll('rect.bar')].map(e => (e.getBBox().x + e.getBBox().width - zero) / (one - zero)); })"""


def test_bars_are_as_long_as_their_values(opened):
    report = report_data.retrieval()
    [drawn] = opened("retrieval").run(BARS)
    runs = report.evaluation.runs
    assert drawn == pytest.approx([run.metrics[name].mean for name in runs[0].metrics for run in runs], abs=0.002)


def test_dots_lie_where_their_values_are(opened):
    """The tick of the target lies on the rule, and a dot is above it if and only if its recall is greater."""
    found = tuned()
    script = """(() => { const svg = document.querySelector('.lines svg.wide'), rule = svg.querySelector('.rule').getBBox().y;
        return [...svg.querySelectorAll('circle.dot')].map(e => [e.querySelector('title').textContent, e.getBBox().y
            + e.getBBox().height / 2 < rule]); })()"""
    dots = opened("recall").run(script)
    wanted = [
        load["recall@10"]["mean"] > found["target_recall"]
        for number in range(3)
        for load in (point["workloads"][number] for point in found["points"])
    ]
    assert [above for _, above in dots] == wanted
    assert True in wanted
    assert False in wanted


def test_the_figures_of_answers_are_those_of_the_outcomes(opened):
    report = report_data.answers()
    tab = opened("answers")
    more, less, _wins, curve = tab.run(TABLES)
    shown = {row[0]: row[1] for row in [*more, *less]}
    for name, mean in report.summary.metrics.items():
        assert shown[answers_page.WORDS[name]] == f"{mean.mean:.3f}"
    assert shown[answers_page.WORDS["unsupported_generated"]] == numbers.MISSING
    assert len(curve) == len(report.summary.refusals.points) + 1
    rows = {row[0]: row[1:] for row in tab.run(PLAIN)}
    of = [each for each in report.outcomes if not each.unanswerable]
    right = sum(each.values["right"] == 1 for each in of)
    refused = sum(each.refused for each in of)
    assert rows["Answerable"] == ["80", str(right), str(80 - right - refused), str(refused)]
    assert rows["Unanswerable"][:2] == ["40", numbers.MISSING]


def test_the_figures_of_tuning_are_those_of_the_points(opened):
    found = tuned()
    tab = opened("recall")
    [drawn] = tab.run(TABLES)
    assert len(drawn) == 3 * len(found["points"])  # of the workload that was not timed there are no dots
    wanted = [
        [f"ef_search {point['options']['ef_search']}", {4: "before", 3: "after"}.get(place, "")]
        + [f"{load['recall@10'][end]:.4f}" for end in ("mean", "low", "high")]
        + [numbers.MISSING if (ms := load["latency_ms"][p]) is None else f"{ms:.2f}" for p in ("p50", "p95")]
        for number in range(4)
        for place, point in enumerate(found["points"])
        for load in [point["workloads"][number]]
    ]
    assert tab.run(PLAIN) == wanted


def test_the_chosen_bound_is_marked_once(opened):
    assert opened("refusals").run("document.querySelectorAll('.steps svg.wide .ring').length") == 1
