"""The pages of `howdah tune --report`: recall over latency, the weight of hybrid search, or the bound for refusals. Pure.

Each is made of the JSON that the command prints, and of nothing else that it knows.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from howdah.scripts.reports import charts, numbers
from howdah.scripts.reports.page import Figure, Page, Points, Tone, Verdict
from howdah.scripts.reports.tables import Table, figure, words

Found = Mapping[str, Any]
LINES = 5
"""Workloads that a chart shows: more lines cannot be told apart. The table has all."""
_OUTCOMES: Mapping[str, tuple[str, str, Tone]] = {
    "applied": ("Saved", "every search of the collection goes by the new setting now", "good"),
    "proposed": ("Not saved", "the setting was measured, and the collection is as it was", "unsure"),
    "unchanged": (
        "Unchanged",
        "what is set already does, and nothing that meets the target is clearly quicker",
        "good",
    ),
    "unmet": ("Target not met", "no setting that was tried meets it", "bad"),
    "exact": ("Nothing to tune", "the collection has no index, so that every search is exact and finds all", "good"),
    "saved": ("Saved", "hybrid searches of the collection go by the new weight now", "good"),
    "gain": ("Not saved", "the gain is real, and the collection is as it was", "unsure"),
    "noise": ("Not saved", "the gain may be noise: its interval holds 0", "unsure"),
}


def _verdict(found: Found) -> Verdict:
    word, said, tone = _OUTCOMES[found["outcome"]]
    return Verdict(word=word, said=f"{said[:1].upper()}{said[1:]}.", tone=tone)


# -- recall over latency


def recall_page(found: Found) -> Page:
    """Of `howdah tune --target-recall`."""
    subtitle = f"Recall@{found['k']} of at least {found['target_recall']:g}, measured with {found['queries']['count']:,} queries"
    page = Page(f"Index of {found['collection']}", subtitle, facts=_recall_facts(found), kind="Tuning of an index")
    page.verdict = _verdict(found)
    page.figures = list(_before_and_after(found))
    if found["points"]:
        _frontier(page, found)
        _settings(page, found)
    _sample(page, found)
    remarks = [*found["advice"], *found["notes"]]
    if remarks:
        page.section("Advice").add(Points(items=tuple(remarks)))
    return page


def _before_and_after(found: Found) -> "Sequence[Figure]":
    recall = f"recall@{found['k']}"
    shown: list[Figure] = []
    same = found["before"] == found["after"]
    pairs = [("now", found["after"])] if same else [("before", found["before"]), ("after", found["after"])]
    for label, point in pairs:
        if point is not None:
            its = point[recall]
            ends, latency = (
                numbers.interval(its["low"], its["high"], 4),
                numbers.milliseconds(point["latency_ms"]["p95"]),
            )
            shown += [
                Figure(label=f"Recall@{found['k']}, {label}", value=numbers.fixed(its["mean"], 4), note=ends),
                Figure(label=f"p95, {label}", value=latency, note=written(point["options"]) or "defaults"),
            ]
    return shown


def _frontier(page: Page, found: Found) -> None:
    dial, kept = _dial(found)
    recall = f"recall@{found['k']}"
    workloads = [each["name"] for each in found["points"][0]["workloads"]][:LINES]
    held = [
        charts.Line(
            label=name,
            dots=[
                charts.Dot(
                    x=its["latency_ms"]["p95"],
                    y=its[recall]["mean"],
                    label=f"{point['options'].get(dial, '')}",
                    chosen=point == found["after"],
                )
                for point in kept
                for its in point["workloads"]
                if its["name"] == name and its["latency_ms"]["p95"] is not None
            ],
        )
        for name in workloads
    ]
    held = [line for line in held if line.dots]
    if not held:
        return
    said = f"Each dot is a setting of {dial}, its number beside it; up and to the left is better."
    said += " The ring is the chosen one." if found["after"] else ""
    chart = charts.lines(
        "Recall over latency", said, held,
        x=charts.Axis(label="p95 of a search, ms", steps="factors"), y=charts.Axis(label=recall, steps="nines"),
        rule=charts.Rule(y=found["target_recall"], label=f"wanted: {found['target_recall']:g}"),
    )  # fmt: skip
    text = "Recall is the share of the true nearest neighbours that a search finds; what is lacking is drawn by its logarithm."
    page.section("What does recall cost?", text).add(chart)


def _dial(found: Found) -> tuple[str, list[Found]]:
    """The option that was turned, and the points that differ in nothing else from the chosen one, or from most of them."""
    points: Sequence[Found] = found["points"]
    values = {name: {point["options"].get(name) for point in points} for point in points for name in point["options"]}
    dial = max(values, key=lambda name: len(values[name]), default="")

    def others(point: Found) -> str:
        return written({name: value for name, value in point["options"].items() if name not in (dial, *_FOLLOWS)})

    most = Counter(map(others, points)).most_common(1)[0][0]
    wanted = others(found["after"]) if found["after"] else most
    return dial, sorted((p for p in points if others(p) == wanted), key=lambda p: p["options"].get(dial) or 0)


_FOLLOWS = ("ef_search",)
"""Grows with oversample, where that is the dial."""


def _settings(page: Page, found: Found) -> None:
    """All that was tried, workload by workload."""
    recall = f"recall@{found['k']}"
    milliseconds = [figure(f"{name}, ms", lambda ms: numbers.fixed(ms, 2)) for name in ("p50", "p95")]
    columns = [words("Setting"), words(""), figure(recall, lambda v: numbers.fixed(v, 4))]
    columns += [figure(label, lambda v: numbers.fixed(v, 4)) for label in ("95 % from", "to")] + milliseconds
    section = page.section("What was tried?", f"An exact search takes {numbers.milliseconds(found['exact_ms'])}.")
    for number, workload in enumerate(found["points"][0]["workloads"]):
        rows, strong = [], set()
        for at, point in enumerate(found["points"]):
            its = point["workloads"][number]
            marks = [word for word in ("before", "after") if point == found[word]]
            if "after" in marks:
                strong.add(at)
            figures = [its[recall][end] for end in ("mean", "low", "high")] + [
                its["latency_ms"][p] for p in ("p50", "p95")
            ]
            rows.append([written(point["options"]) or "defaults", " and ".join(marks), *figures])
        share = f", {numbers.percent(workload['share'])} of the rows" if workload["filter"] else ""
        section.add(Table(columns=columns, rows=rows, caption=f"{workload['name']}{share}", strong=frozenset(strong)))


def _sample(page: Page, found: Found) -> None:
    sample = found["sample"]
    if sample is None:
        return
    columns = [
        words("Index over"), figure("m", numbers.count), figure("ef_construction", numbers.count),
        figure("Size, MB", lambda size: numbers.fixed(size / 1e6, 1)), figure("Build, s", lambda s: numbers.fixed(s, 1)),
        figure("ef_search", numbers.count), figure("Recall", lambda v: numbers.fixed(v, 4)),
        figure("p95, ms", lambda ms: numbers.fixed(ms, 2)),
    ]  # fmt: skip
    rows = [
        [b["kind"], b["m"], b["ef_construction"], b["bytes"], b["build_seconds"], b["ef_search"], b["recall"]["mean"], b["p95"]]
        for b in sample["builds"]
    ]  # fmt: skip
    text = (
        f"Built over {sample['rows']:,} of the rows and asked the same queries, each at the least effort that met the target."
        " The first is as the collection's own. Recall on few rows is higher than on all: compare the lines."
    )
    page.section("What would another index do?", text).add(Table(columns=columns, rows=rows))


def _recall_facts(found: Found) -> dict[str, str]:
    index = found["index"] or {}
    return {
        "Rows": f"{found['rows']:,}",
        "Index": written(index) or "none",
        "Queries": f"{found['queries']['count']:,}: {found['queries']['origin']}",
        "At the top": "recall of the worst workload; the mean of the workloads' p95",
        "Truth": "an exact search of the same rows",
        "Intervals": "95 %, bootstrap over the queries; the low end has to meet the target",
        "Took": f"{found['seconds']:g} s",
    }


# -- the weight of hybrid search


def weights_page(found: Found) -> Page:
    """Of `howdah tune --weights`."""
    metric = found["metric"].replace("ndcg", "nDCG")
    before, after, gain = found["before"], found["after"], found["gain"]
    page = Page(
        f"Fusion in {found['collection']}",
        f"Learned from {found['queries']:,} labelled queries",
        kind="Tuning of hybrid search",
    )
    page.verdict = _verdict(found)
    ends = f"{numbers.signed(gain['low'], 4)} to {numbers.signed(gain['high'], 4)}, p = {numbers.fixed(gain['p'], 3)}"
    values = [f"{metric} {numbers.fixed(each[found['metric']], 4)}" for each in (before, after)]
    page.figures = [
        Figure(label="Weight before", value=f"{before['weight']:g}", note=values[0]),
        Figure(label="Weight now", value=f"{after['weight']:g}", note=values[1]),
        Figure(label="Gain, held out", value=numbers.signed(gain["delta"], 4), note=ends),
    ]  # fmt: skip
    named = {before["weight"]: "before", after["weight"]: "now"}
    dots = [
        charts.Dot(x=float(weight), y=value, label=named.get(float(weight), ""), chosen=float(weight) == after["weight"])
        for weight, value in found["curve"].items()
    ]  # fmt: skip
    said = f"0 searches by words alone, 1 by meaning alone. The folds chose {', '.join(f'{w:g}' for w in found['fold_weights'])}."
    chart = charts.lines(
        f"{metric} by weight", said, [charts.Line(label=metric, dots=dots)],
        x=charts.Axis(label="weight of meaning", low=0, high=1), y=charts.Axis(label=f"mean {metric}"),
    )  # fmt: skip
    text = "The gain is that of queries which their weight was not learned from, against the weight in use before."
    page.section("Which weight is best?", text).add(chart)
    return page


# -- the bound for refusals


def refusal_page(found: Found, curve: Sequence[tuple[float, float]], chosen: tuple[float, float]) -> Page:
    """Of `howdah tune --refusal`; `curve` and `chosen` are pairs of coverage and risk."""
    asked = sum(found["questions"].values())
    page = Page(f"Refusals in {found['collection']}", f"Learned from {asked:,} questions", kind="Tuning of refusals")
    saved = "ask and chat refuse by it now" if found["saved"] else "the collection is as it was"
    page.verdict = Verdict(
        word="Saved" if found["saved"] else "Not saved",
        said=f"At most {numbers.percent(found['false_refusals'], 0)} of answerable questions refused; {saved}.",
        tone="good" if found["saved"] else "unsure",
    )
    said = f"{numbers.percent(chosen[0])} of the questions are answered, {numbers.percent(chosen[1])} of these should not be."
    dots = sorted({*curve, chosen})
    line = charts.Line(
        label="bound",
        dots=[
            charts.Dot(x=x, y=y, chosen=(x, y) == chosen, label="chosen" if (x, y) == chosen else "") for x, y in dots
        ],
    )
    chart = charts.steps(
        "Risk over coverage", said, [line],
        x=charts.Axis(label="coverage: questions that are answered", show=_whole, low=0, high=1),
        y=charts.Axis(label="risk: answered, and unanswerable", show=_whole, low=0),
    )  # fmt: skip
    page.section("When does it refuse?").add(chart)
    page.section("Before and after", "Shares of questions, held out where they were learned from.").add(_effects(found))
    return page


def _effects(found: Found) -> charts.Chart:
    held = [
        charts.Bar(label=when, group=name, series=when, value=its["mean"], low=its["low"], high=its["high"])
        for name, of in _shares(found)
        for when in ("before", "after")
        if (its := of(found[when])) is not None
    ]
    return charts.bars("What is refused", "Of answerable questions less is better, of all others more.", held)


def _shares(found: Found) -> list[tuple[str, Any]]:
    kinds = list(found["after"]["refused"])
    rest = [(f"{kind}, refused", lambda effect, kind=kind: effect and effect["refused"].get(kind)) for kind in kinds]
    return [("answerable, refused", lambda effect: effect and effect["false_refusals"]), *rest]


def _whole(value: float) -> str:
    return numbers.percent(value, 0 if abs(value * 100 - round(value * 100)) < 1e-6 else 1)


def written(options: Found) -> str:
    return ", ".join(f"{name} {value}" for name, value in options.items())
