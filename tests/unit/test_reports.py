"""The toolkit of pages: numbers, scales, places of labels, tables, and what is missing."""

import builtins
import math
from itertools import combinations, pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from howdah.retrieval.errors import InvalidInput, PackageMissing
from howdah.scripts.reports import charts, numbers
from howdah.scripts.reports.page import Page, check
from howdah.scripts.reports.placing import Box, Labels, _box, apart
from howdah.scripts.reports.scales import Axis, rounded, scale
from howdah.scripts.reports.svg import fitted, width
from howdah.scripts.reports.tables import Table, figure, words
from howdah.scripts.reports.wins import Change, counted, told

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("shown", "wanted"),
    [
        (numbers.fixed(0.7412), "0.741"),
        (numbers.fixed(-0.0001), "0.000"),
        (numbers.fixed(None), "–"),
        (numbers.fixed(math.nan), "–"),
        (numbers.signed(0.021), "+0.021"),
        (numbers.signed(-0.021), "−0.021"),
        (numbers.signed(0.0001), "0.000"),
        (numbers.percent(0.975), "97.5\u00a0%"),
        (numbers.count(12345), "12,345"),
        (numbers.milliseconds(0.42), "0.42\u00a0ms"),
        (numbers.milliseconds(1234.5), "1,234\u00a0ms"),
        (numbers.interval(0.1, 0.2), "0.100 to 0.200"),
        (numbers.interval(None, 0.2), ""),
        (numbers.short(-0.5), "−0.5"),
    ],
)
def test_numbers_read_well(shown, wanted):
    assert shown == wanted


@given(st.lists(FINITE, min_size=1), st.integers(2, 9))
@example([0.0, 7.1e-199], 2)
@example([1e6, 1e6 + 1e-4], 9)
def test_an_even_scale_holds_every_value_on_round_ticks(values, most):
    found = scale(Axis(label=""), values, 0, 100, most=most)
    assert all(-1e-6 <= found(value) <= 100 + 1e-6 for value in values)
    steps = {round((b - a) / (found.ticks[1] - found.ticks[0]), 6) for a, b in pairwise(found.ticks)}
    assert steps == {1.0}
    assert len(found.ticks) <= most + 2


def test_ticks_are_ones_twos_and_fives():
    assert rounded(0, 1, 6) == [0, 0.2, 0.4, 0.6, 0.8, 1]
    assert rounded(0.93, 1, 5) == [0.92, 0.94, 0.96, 0.98, 1]
    assert rounded(-3, 7, 5) == [-5, 0, 5, 10]


@given(st.lists(st.floats(1e-3, 1e5), min_size=1))
def test_a_scale_of_factors_holds_every_value(values):
    found = scale(Axis(label="", steps="factors"), values, 0, 100)
    assert all(-1e-6 <= found(value) <= 100 + 1e-6 for value in values)
    if found.low * 10 <= found.high:
        a, b, c = found(found.low), found(found.low * math.sqrt(10)), found(found.low * 10)
        assert b - a == pytest.approx(c - b)


@given(st.lists(st.floats(0, 1), min_size=1))
def test_a_scale_of_nines_holds_every_share_in_its_order(values):
    found = scale(Axis(label="", steps="nines"), values, 100, 0)
    places = [found(value) for value in sorted(values)]
    assert all(-1e-6 <= place <= 100 + 1e-6 for place in places)
    assert places == sorted(places, reverse=True)


def test_nines_are_as_far_apart_as_each_other():
    found = scale(Axis(label="", steps="nines"), [0.85, 0.9, 0.99, 0.999, 0.9995], 0, 300)
    assert found(0.99) - found(0.9) == pytest.approx(found(0.999) - found(0.99))


@given(st.lists(st.tuples(st.floats(20, 380), st.floats(20, 280)), min_size=1, max_size=40))
def test_no_label_lies_on_another_or_on_a_dot(dots):
    frame = Box(0, 0, 400, 300)
    labels = Labels(frame, dots)
    placed = [_box(spot, width("100", 12)) for x, y in dots if (spot := labels.place("100", x, y)) is not None]
    assert all(box.within(frame) for box in placed)
    assert not any(one.meets(other) for one, other in combinations(placed, 2))
    assert not any(box.meets(Box(x - 4, y - 4, x + 4, y + 4)) for box in placed for x, y in dots)


@given(st.lists(st.floats(0, 300), min_size=1, max_size=12))
def test_names_at_the_end_of_lines_keep_apart_and_in_order(wanted):
    placed = apart(wanted, 16, 0, 300)
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    assert all(placed[b] - placed[a] >= 16 - 1e-6 for a, b in pairwise(order))
    assert max(placed) <= 300 + 1e-6


def test_long_words_are_cut_to_the_room_there_is():
    assert fitted("short", 200) == "short"
    cut = fitted("Rindfleischetikettierungsüberwachungsaufgabenübertragungsgesetz", 120)
    assert cut.endswith("…")
    assert width(cut) <= 120


def test_a_row_that_does_not_fit_its_table_is_an_error():
    with pytest.raises(InvalidInput, match="3 values, and the table 2 columns"):
        Table(columns=[words("a"), figure("b")], rows=[["x", 1.0, 2.0]])


def test_wins_are_counted_by_the_measure_s_own_direction():
    changes = [
        Change(label="a", before=0.1, after=0.4),
        Change(label="b", before=0.4, after=0.1),
        Change(label="c", before=1, after=1),
    ]
    assert counted(changes) == (1, 1, 1)
    less = [Change(label=each.label, before=each.before, after=each.after, less=True) for each in changes[:1]]
    assert counted(less) == (0, 1, 0)
    assert told(changes, "query") == "1 query got better, 1 got worse, 1 stayed the same."


@pytest.mark.parametrize(
    "chart",
    [
        charts.bars("t", "s", []),
        charts.bars("t", "s", [charts.Bar(label="x", value=None)]),
        charts.wins("t", "s", [], measure="m"),
        charts.wins("t", "s", [Change(label="a", before=1, after=1)], measure="m"),
        charts.lines("t", "s", [], x=Axis(label="x"), y=Axis(label="y")),
        charts.lines(
            "t", "s", [charts.Line(label="l", dots=[charts.Dot(x=1, y=None)])], x=Axis(label="x"), y=Axis(label="y")
        ),
        charts.steps(
            "t", "s", [charts.Line(label="l", dots=[charts.Dot(x=0.5, y=0.5)])], x=Axis(label="x"), y=Axis(label="y")
        ),
    ],
)
def test_a_chart_of_little_or_nothing_is_drawn(chart):
    page = Page("title")
    page.section("section").add(chart)
    assert page.html().count("<svg") == 2


def test_nothing_is_measured_for_a_page_that_cannot_be_written(tmp_path):
    check(tmp_path / "report.html")
    for wrong in (tmp_path, tmp_path / "none" / "report.html"):
        with pytest.raises(InvalidInput, match="the report"):
            check(wrong)


def test_without_jinja2_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "jinja2":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(PackageMissing) as missing:
        check(tmp_path / "report.html")
    assert missing.value.install == "pip install 'howdah[eval]'"
