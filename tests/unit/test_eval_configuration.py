"""Configurations as they are written, and what is wrong with those that cannot be run."""

import pytest

from howdah.retrieval.errors import InvalidFilter, InvalidInput
from howdah.retrieval.evaluation.configuration import Configuration, configurations


def test_a_line_is_a_mode_and_its_settings() -> None:
    (found,) = configurations(['hybrid weight=0.3 rerank ef_search=200 filter={"year": {"$gte": 2024}}'])
    assert found.mode == "hybrid"
    assert found.settings == {"weight": 0.3, "rerank": True, "ef_search": 200}
    assert found.filter == {"year": {"$gte": 2024}}
    assert found.label == 'hybrid ef_search=200 rerank weight=0.3 filter={"year": {"$gte": 2024}}'


def test_a_label_is_a_line_again() -> None:
    (found,) = configurations(["hybrid weight=1 fusion=rrf"])
    assert configurations([found.label]) == [found]


def test_what_is_given_for_all_is_where_a_line_says_nothing_else() -> None:
    found = configurations(
        ["hybrid weight=0.1", "hybrid", "dense"], settings={"weight": 0.7, "rerank": True}, filter={"a": 1}
    )
    assert [each.settings for each in found] == [
        {"weight": 0.1, "rerank": True},
        {"weight": 0.7, "rerank": True},
        {"rerank": True},
    ]
    assert {each.filter is not None for each in found} == {True}


def test_what_only_orders_the_first_k_is_no_part_of_the_search_further_down() -> None:
    (found,) = configurations(["hybrid weight=0.3 rerank rerank_depth=30 lambda_mult=0.5 fetch_k=40"])
    assert found.plain == {"weight": 0.3}


WRONG = {
    "word": "'word' is no mode",
    "": "'' is no mode",
    "hybrid weigth=1": "'weigth=1' in .* is no setting",
    "hybrid weight": "'weight' in .* is no setting",
    "hybrid weight=much": "'much' is not a number",
    "hybrid weight=2": "weight is 2.0",
    "lexical weight=0.5": "unknown arguments of a lexical search: weight",
    "dense fusion=rrf": "unknown search arguments: fusion",
    "hybrid fusion=best": "fusion 'best' is not known",
    "dense ef_search=0": "ef_search is 0",
}


@pytest.mark.parametrize(("line", "told"), WRONG.items())
def test_what_cannot_be_run_is_told(line: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        configurations([line])


@pytest.mark.parametrize("line", ["hybrid filter=year", "hybrid filter=[1]"])
def test_a_filter_is_a_json_object(line: str) -> None:
    with pytest.raises(InvalidFilter):
        configurations([line])


def test_the_same_twice_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"'hybrid weight=0\.5' is there twice"):
        configurations(["hybrid weight=0.5", "hybrid weight=0.50"])


def test_a_weight_without_a_hybrid_mode_is_refused() -> None:
    with pytest.raises(InvalidInput, match="weight belongs to hybrid"):
        configurations(["dense"], settings={"weight": 0.3})


def test_modes_are_the_searches_of_the_store() -> None:
    assert [Configuration(mode=mode).search_type for mode in ("hybrid", "dense", "lexical")] == [
        "hybrid",
        "similarity",
        "lexical",
    ]
