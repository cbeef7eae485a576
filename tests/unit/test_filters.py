"""Filters as a pure function: what text they become, and what the errors say."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.sql import SQL, Identifier

from howdah.retrieval.errors import InvalidFilter, InvalidInput
from howdah.retrieval.filters import compile_filter
from howdah.retrieval.predicates import MAX_CONDITIONS
from howdah.retrieval.promoted import MAX_DEPTH
from howdah.retrieval.query import EVERY_ROW


def text_of(filter_: Any) -> str:
    return compile_filter(filter_).sql.as_string(None)


def shape_of(filter_: Any) -> str:
    """The statement's text, its placeholders as PostgreSQL numbers them."""
    return re.sub(r"%\(f\d+\)s", "?", text_of(filter_))


class TestShape:
    def test_no_filter_is_every_row(self):
        assert compile_filter(None) is EVERY_ROW
        assert compile_filter({}) is EVERY_ROW

    def test_an_equality_is_one_containment(self):
        condition = compile_filter({"topic": "planets"})
        assert condition.sql.as_string(None) == "(c.metadata @> %(f0)s::text::jsonb)"
        assert condition.params == {"f0": '{"topic": "planets"}'}

    def test_the_column_can_be_another(self):
        condition = compile_filter({"a": 1}, column=Identifier("m"))
        assert '"m" @> ' in condition.sql.as_string(None)

    def test_several_keys_must_all_hold_and_or_takes_any(self):
        assert text_of({"a": 1, "b": 2}).count(" AND ") == 1
        assert " OR " in text_of({"$or": [{"a": 1}, {"b": 2}]})

    def test_an_empty_or_is_false_and_an_empty_and_true(self):
        assert text_of({"$or": []}) == "(false)"
        assert text_of({"$and": []}) == "(true)"
        assert text_of({"a": {"$overlap": []}}) == "((false))"

    def test_a_list_of_any_length_is_one_parameter(self):
        assert shape_of({"a": {"$in": [1]}}) == shape_of({"a": {"$in": list(range(5_000))}})
        assert shape_of({"a.b": {"$nin": ["x", "y"]}}) == shape_of({"a.b": {"$nin": []}})

    def test_the_input_is_not_changed(self):
        given_ = {"$or": [{"a": {"$in": [1, 2]}}, {"b.c": {"$not_an_operator": 1}}]}
        before = json.dumps(given_)
        with pytest.raises(InvalidFilter):
            compile_filter(given_)
        assert json.dumps(given_) == before

    def test_ids_are_one_parameter_that_keeps_what_no_row_can_have_out(self):
        condition = compile_filter({"$id": ["b", "\x00", "a"]})
        assert condition.sql.as_string(None) == "((c.id = ANY(%(f0)s::text[])))"
        assert condition.params == {"f0": ["b", "a"]}
        for wrong in ("a", None, [1.5], [None]):
            with pytest.raises(InvalidFilter, match="id"):
                compile_filter({"$id": wrong})

    def test_an_iterator_is_read_once(self):
        assert compile_filter({"a": {"$in": iter([1, 2])}}).params["f1"] == ["1", "2"]
        assert compile_filter({"a": {"$nin": iter([1, 2])}}).params["f1"] == ["1", "2"]

    def test_parameters_are_numbered_and_none_is_shared(self):
        condition = compile_filter({"a": 1, "b": {"$gt": 2, "$lt": 3}, "$not": {"c.d": None}})
        assert list(condition.params) == [f"f{i}" for i in range(len(condition.params))]
        assert set(re.findall(r"%\((f\d+)\)s", condition.sql.as_string(None))) == set(condition.params)


WEIRD = st.text(min_size=1, max_size=12).map(lambda text: f"zq{text}zq")
SCALARS = st.one_of(WEIRD, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans())
OPERATORS = ["$eq", "$ne", "$lt", "$lte", "$gt", "$gte"]


@given(key=WEIRD, value=WEIRD, operator=st.sampled_from([*OPERATORS, "$like", "$ilike", "$contains"]))
def test_neither_keys_nor_values_enter_the_statement(key, value, operator):
    text = text_of({key: {operator: value}})
    assert "zq" not in text
    assert set(re.findall(r"%(.)", text)) <= {"("}
    dots = key.count(".") if all(key.split(".")) else 0
    same = ".".join(["k"] * (dots + 1))
    assert shape_of({key: {operator: value}}) == shape_of({same: {operator: "v"}})


@given(values=st.lists(SCALARS, max_size=5), key=WEIRD.filter(lambda key: "." not in key))
def test_lists_and_scalars_of_any_kind_leave_the_shape_alone(values, key):
    assert shape_of({key: {"$in": values}}) == shape_of({"k": {"$in": [1]}})
    for value in values:
        assert shape_of({key: value}) == shape_of({"k": 1})


@given(key=st.text(max_size=8))
def test_any_string_is_a_key_but_one_that_looks_like_an_operator(key):
    if key.startswith("$") and key not in ("$and", "$or", "$not"):
        with pytest.raises(InvalidFilter, match="not an operator between filters"):
            compile_filter({key: 1})
    elif not key.startswith("$"):
        assert compile_filter({key: 1}).params


WRONG = [
    ([], "a filter is a dict, got list"),
    ("year = 1", "a filter is a dict, got str"),
    (0, "a filter is a dict, got int"),
    ({1: 2}, "a filter's key is a string, got 1"),
    ({"$xor": []}, r"'\$xor' is not an operator between filters"),
    ({"$and": {"a": 1}}, r"\$and takes a list of filters, got dict"),
    ({"$or": "a"}, r"\$or takes a list of filters, got str"),
    ({"$or": [1]}, "a filter is a dict, got int"),
    ({"$not": "a"}, "a filter is a dict, got str"),
    ({"$not": [1]}, "a filter is a dict, got int"),
    ({"a": {"$foo": 1}}, r"'\$foo' on 'a' is not an operator; the operators are \$between"),
    ({"a": {"$gt": 1, "b": 2}}, "'b' on 'a' is not an operator"),
    ({"a": {"$gt": [1]}}, r"\$gt on 'a' compares with a number, a string or a date, got \[1\]"),
    ({"a": {"$gt": None}}, r"\$gt on 'a' compares"),
    ({"a": {"$gt": float("nan")}}, r"\$gt on 'a' compares"),
    ({"a": {"$gt": float("inf")}}, "the filter's value is inf"),
    ({"a": {"$lt": object()}}, "the filter's value is object"),
    ({"a": {"$in": "abc"}}, r"\$in on 'a' takes a list, got 'abc'"),
    ({"a": {"$in": b"abc"}}, r"\$in on 'a' takes a list"),
    ({"a": {"$nin": {"b": 1}}}, r"\$nin on 'a' takes a list"),
    ({"a": {"$in": [b"x"]}}, "the filter's value is bytes"),
    ({"a": {"$overlap": 3}}, r"\$overlap on 'a' takes a list"),
    ({"a": {"$between": [1]}}, r"\$between on 'a' takes \[low, high\], got 1 values"),
    ({"a": {"$exists": 1}}, r"\$exists on 'a' takes true or false, got 1"),
    ({"a": {"$like": 1}}, r"\$like on 'a' takes a pattern with % and _, got 1"),
    ({"a": float("inf")}, "the filter's value is inf"),
    ({"a": object()}, "JSON has no form for"),
]


@pytest.mark.parametrize(("wrong", "message"), WRONG, ids=[message[:40] for _, message in WRONG])
def test_an_error_says_what_is_wrong(wrong, message):
    with pytest.raises(InvalidFilter, match=message) as caught:
        compile_filter(wrong)
    assert isinstance(caught.value, InvalidInput)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("wrong", [[], {"$xor": []}, {"a": {"$foo": 1}}, {"a": {"$in": "abc"}}, {"$or": "a"}])
def test_an_error_says_how_to_write_it(wrong):
    with pytest.raises(InvalidFilter) as caught:
        compile_filter(wrong)
    assert '{"year": {"$gte": 2020}}' in caught.value.hint


class TestBounds:
    def test_nesting_is_bounded(self):
        deep: dict[str, Any] = {"a": 1}
        for _ in range(MAX_DEPTH):
            deep = {"$not": deep}
        compile_filter(deep)
        with pytest.raises(InvalidFilter, match="nested more than 32 deep"):
            compile_filter({"$not": deep})

    def test_conditions_are_bounded(self):
        compile_filter({"$or": [{"a": i} for i in range(MAX_CONDITIONS)]})
        with pytest.raises(InvalidFilter, match=r"use \$in with one list"):
            compile_filter({"$or": [{"a": i} for i in range(MAX_CONDITIONS + 1)]})

    def test_a_value_that_holds_itself_is_named(self):
        endless: list[Any] = []
        endless.append(endless)
        for wrong in ({"a": endless}, {"a": {"$in": [endless]}}, {"a": {"$contains": endless}}):
            with pytest.raises(InvalidFilter, match="nested too deeply"):
                compile_filter(wrong)

    def test_a_key_of_very_many_steps_is_a_name_of_its_own(self):
        key = ".".join("a" * 10_000)
        assert compile_filter({key: 1}).params == {"f0": json.dumps({key: 1})}

    def test_a_huge_integer_is_named(self):
        with pytest.raises(InvalidFilter, match=r"more than 4,000 digits"):
            compile_filter({"a": 10**5_000})


def test_nul_and_lone_surrogates_become_what_metadata_has_of_them():
    params = compile_filter({"a\x00": {"$gt": "b\ud800"}}).params
    assert sorted(params.values()) == ['"b\ufffd"', "a\ufffd"]


def test_a_statement_can_be_composed_with_others():
    condition = compile_filter({"a%b{c}": "%s {}"})
    whole = SQL("SELECT 1 WHERE {}").format(condition.sql).as_string(None)
    assert whole == "SELECT 1 WHERE (c.metadata @> %(f0)s::text::jsonb)"
