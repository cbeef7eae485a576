"""Numbers, units, bounds and dates: what is read out of a text, and what contradicts what."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.chains.numerals import Date, dates, numbers, quantities
from howdah.chains.words import facts, miscounts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("twenty-five and two hundred and five", {"25", "205"}),
        ("one hundred and twenty-one", {"121"}),
        ("twelve hundred", {"1200"}),
        ("three million", {"3000000"}),
        ("2.5 million", {"2500000"}),
        ("2,500,000", {"2500000"}),
        ("5 to 10 million", {"5000000", "10000000"}),
        ("two and three", {"2", "3"}),
        ("fünfundzwanzig, zweihundert", {"25", "200"}),
        ("treinta y cinco, vingt-cinq", {"35", "25"}),
        ("the third and the 4th", {"3", "4"}),
        ("1,5 km", {"1.5"}),
        ("4**5** metres", {"4", "5"}),
        ("one of them, once", set()),
    ],
)
def test_numbers(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


def test_emphasis_does_not_divide_a_number() -> None:
    assert facts("It is 4**5** metres tall.").numbers == {"45"}


@pytest.mark.parametrize(
    ("text", "unit", "bound"),
    [
        ("31 metres", "metre", ""),
        ("31-metre mast", "metre", ""),
        ("31m", "metre", ""),
        ("31 %", "percent", ""),
        ("31 per cent", "percent", ""),
        ("€31", "eur", ""),
        ("31 °C", "celsius", ""),
        ("up to 31", "", "<"),
        ("no more than 31 kg", "kg", "<"),
        ("more than 31", "", ">"),
        ("mindestens 31 Tage", "day", ">"),
        ("in the 310s", "", ""),
    ],
)
def test_units_and_bounds(text: str, unit: str, bound: str) -> None:
    (found,) = quantities(text)
    assert (found.unit, found.bound) == (unit, bound)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("on February 7, 2016", {Date(2016, 2, 7)}),
        ("the 7th of February 2016", {Date(2016, 2, 7)}),
        ("2016-02-07", {Date(2016, 2, 7)}),
        ("am 7.2.2016", {Date(2016, 2, 7)}),
        ("am 3. Oktober 1990", {Date(1990, 10, 3)}),
        ("el 3 de octubre de 1990", {Date(1990, 10, 3)}),
        ("February 7–9, 2016", {Date(2016, 2, 7), Date(2016, 2, 9)}),
        ("in May 2016", {Date(2016, 5, 0)}),
        ("on 7 May", {Date(0, 5, 7)}),
        ("up to 20 may be open", set()),
        ("version 99.99.2016", set()),
    ],
)
def test_dates(text: str, expected: set[Date]) -> None:
    assert dates(text) == expected


@pytest.mark.parametrize(
    ("claim", "evidence", "expected"),
    [
        ("It is 31 feet tall.", "It is 31 metres tall.", True),
        ("It is 31 m tall.", "It is 31 metres tall.", False),
        ("It is 31 m tall.", "Height in m: 31", False),
        ("It grew by 5 %.", "It grew by 5 percent.", False),
        ("It grew by 5 %.", "It grew by 5 points.", True),
        ("It cost $5.", "It cost 5 dollars.", False),
        ("It cost €5.", "It cost 5 dollars.", True),
        ("It takes 5 km.", "It takes 5 to 10 km.", False),
        ("At least 20 open.", "Up to 20 open.", True),
        ("No more than 20 open.", "Up to 20 open.", False),
        ("20 open.", "Up to 20 open.", False),
        ("It has 5 million.", "It has 5 billion and 1 million.", True),
        ("It has 2.5 million.", "It has 2,500,000.", False),
        ("It has twenty.", "It has twenty-five.", True),
        ("It has 25.", "It has twenty-five.", False),
        ("On 7 March 2015.", "From 3 March 2015 to 7 May 2016.", True),
        ("On 7 February 2016.", "On 2016-02-07.", False),
        ("In February 2016.", "On February 7, 2016.", False),
        ("On February 9.", "On February 7, and 9 came.", True),
        ("The 3rd title.", "The third title.", False),
        ("The fourth title.", "The third title.", True),
    ],
)
def test_what_contradicts_what(claim: str, evidence: str, expected: bool) -> None:
    assert miscounts(facts(claim), facts(evidence)) is expected


@given(st.integers(0, 10**12))
def test_grouped_digits_are_the_same_number(value: int) -> None:
    assert numbers(f"about {value:,} rows") == {str(value)}


@given(st.text(max_size=80))
def test_any_text_can_be_read(text: str) -> None:
    assert not miscounts(facts(text), facts(text))
