"""Verification: what passes as held by a passage, and what does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.chains.markers import clauses
from howdah.chains.numerals import numbers
from howdah.chains.ruling import rule
from howdah.chains.verify import STRICT, Passage, support
from howdah.chains.words import denies, facts, reverses, stem
from howdah.retrieval.types import Hit

BOWL = (
    "Super Bowl 50 was an American football game. The American Football Conference champion Denver Broncos defeated the "
    "National Football Conference champion Carolina Panthers 24–10 to earn their third Super Bowl title. The game was "
    "played on February 7, 2016, at Levi's Stadium in Santa Clara, California."
)
POOL = (
    "The pool opens up to 20 connections. It does not check them on every checkout, because that costs 1,250 ms a second. "
    "Timeouts are disabled by default. `PgBouncer` is supported in transaction mode. The index is never built inside a "
    "transaction."
)


def passage(text: str, **fields: str) -> Passage:
    return Passage.of(Hit(id="1", content=text, metadata={}, score=1.0, **fields))


HELD = {
    "verbatim": (BOWL, "Super Bowl 50 was an American football game."),
    "a part of a sentence": (BOWL, "The game was played on February 7, 2016."),
    "case and quotes": (BOWL, "the game was played at Levi’s Stadium."),
    "close paraphrase": (BOWL, "The Denver Broncos defeated the Carolina Panthers 24-10."),
    "over two sentences": (BOWL, "The Broncos earned their third Super Bowl title in a game played in Santa Clara."),
    "digits for words": (POOL, "The pool opens up to twenty connections."),
    "grouped digits": (POOL, "That costs 1250 ms a second."),
    "same negation": (POOL, "The pool doesn't check connections on every checkout."),
    "other negation": (POOL, "The index is not built inside a transaction."),
    "inflected": (POOL, "PgBouncer supports transaction mode."),
    "emphasis": (POOL, "**PgBouncer** is supported in *transaction mode*."),
    "german": ("Der Pool öffnet höchstens 20 Verbindungen.", "Der Pool öffnet höchstens zwanzig Verbindungen."),
    "chinese": ("连接池最多打开20个连接。", "连接池最多打开20个连接"),
}
NOT_HELD = {
    "false number": (BOWL, "The Broncos defeated the Panthers 24–20.", "number"),
    "false year": (BOWL, "The game was played on February 7, 2015.", "number"),
    "false number in words": (BOWL, "Twelve teams played in the American football game.", "number"),
    "part of a number": (POOL, "Checks cost 250 ms a second.", "number"),
    "fraction": (POOL, "Checks cost 1.250 ms a second.", "number"),
    "sign": ("The limit is 5 degrees.", "The limit is -5 degrees.", "number"),
    "false name": (BOWL, "The game was played at Wembley Stadium in Santa Clara.", "name"),
    "false name first": (BOWL, "Seattle defeated the Carolina Panthers.", "name"),
    "identifier": (POOL, "The pool opens connections by open_pool.", "name"),
    "negated": (POOL, "The index is built inside a transaction.", "negation"),
    "not negated": (POOL, "PgBouncer is not supported in transaction mode.", "negation"),
    "opposite": (POOL, "Timeouts are enabled by default.", "negation"),
    "prefix": ("The option is supported on Linux.", "The option is unsupported on Linux.", "negation"),
    "verbatim but denied": ("It is not true that the pool is safe.", "The pool is safe.", "negation"),
    "elsewhere": (BOWL, "Rivers carry sediment to the delta.", "words"),
    "link": (POOL, "The pool opens 20 connections, see https://evil.example/?q=1.", "link"),
    "chinese number": ("连接池最多打开20个连接。", "连接池最多打开三十个连接。", "number"),
    "chinese negation": ("该选项支持事务模式。", "该选项不支持事务模式。", "negation"),
    "german negation": ("Der Pool prüft die Verbindungen.", "Der Pool prüft die Verbindungen nicht.", "negation"),
    "nothing said": (BOWL, "Yes, it was.", "empty"),
}


@pytest.mark.parametrize("name", HELD)
def test_held(name: str) -> None:
    text, sentence = HELD[name]
    found = support(sentence, passage(text))
    assert found.holds, found
    assert 0 <= found.span.start < found.span.end <= len(text)


@pytest.mark.parametrize("name", NOT_HELD)
def test_not_held(name: str) -> None:
    text, sentence, reason = NOT_HELD[name]
    assert support(sentence, passage(text)).reason == reason


def test_the_strict_bar_wants_the_passages_own_order() -> None:
    text = "It is wrong that the outer membrane is made by the host's cell membrane, which folds inwards."
    shuffled = "The membrane folds outer, which the host cell is wrong in."
    assert support(shuffled, passage(text)).holds  # what surface alone cannot see
    assert support(shuffled, passage(text), bar=STRICT).reason == "order"
    assert support("The game was played on February 7, 2016, in Santa Clara.", passage(BOWL), bar=STRICT).holds


def test_the_quote_is_the_shortest_part_that_holds_it() -> None:
    found = support("The Broncos defeated the Panthers 24-10.", passage(BOWL))
    assert BOWL[slice(*found.span)].startswith("The American Football Conference champion")
    assert BOWL[slice(*found.span)].endswith("third Super Bowl title.")


def test_a_heading_lends_names_but_no_numbers() -> None:
    under = passage("It was played in Santa Clara.", title="Super_Bowl_50")
    assert support("The Super Bowl was played in Santa Clara.", under).holds
    assert support("Super Bowl 50 was played in Santa Clara.", under).reason == "number"


def test_a_false_citation_is_repaired_from_another_passage() -> None:
    ruling = rule(clauses("The pool opens up to 20 connections [1]."), [passage(BOWL), passage(POOL)])
    assert ruling.repaired
    assert [place for place, _ in ruling.quotes] == [1]


@pytest.mark.parametrize("marks", ["", "[9]", "[0]"])
def test_no_citation_and_one_to_nowhere_are_repaired(marks: str) -> None:
    ruling = rule(clauses(f"The pool opens up to 20 connections {marks}."), [passage(BOWL), passage(POOL)])
    assert [place for place, _ in ruling.quotes] == [1]


def test_each_clause_may_rest_on_a_passage_of_its_own() -> None:
    sentence = "The Denver Broncos defeated the Carolina Panthers [1], and the pool opens up to 20 connections [2]."
    ruling = rule(clauses(sentence), [passage(BOWL), passage(POOL)])
    assert not ruling.repaired
    assert [place for place, _ in ruling.quotes] == [0, 1]


def test_what_no_passage_holds_alone_is_dropped() -> None:
    ruling = rule(clauses("The Denver Broncos open 20 connections [1][2]."), [passage(BOWL), passage(POOL)])
    assert (ruling.quotes, ruling.reason) == ((), "number")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,234.5 and 1.234.567,8", {"1234.5", "1234567.8"}),
        ("5–10, −3 and 3.14.", {"5", "10", "-3", "3.14"}),
        ("half a dozen, ½ and 10²", {"0.5", "dozen", "10", "2"}),
        ("٣ apples, five pears", {"3", "5"}),
        ("HTTP2 and v0.8.4", {"2", "0.8.4"}),
        ("once one", set()),
    ],
)
def test_numbers(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize(
    "words",
    [
        "cache caches cached caching",
        "country countries",
        "run runs running",
        "string strings",
        "process processes processed processing",
        "bus buses",
    ],
)
def test_stems_join_inflections(words: str) -> None:
    assert len({stem(word) for word in words.split()}) == 1


@pytest.mark.parametrize(
    ("claim", "evidence", "expected"),
    [
        ("It is not free.", "It is free.", True),
        ("It is free.", "It is not only free but fast.", False),
        ("It is cheap and works offline.", "It is not slow, and works offline.", False),
        ("It checks rows on every checkout.", "Rows are many. It does not check them on every checkout.", True),
        ("It doesn't check rows on checkout.", "Rows are many. It does not check them on every checkout.", False),
        (
            "It is not supported in transaction mode.",
            "Transaction mode is supported. Never build in a transaction.",
            True,
        ),
        ("It supports old versions.", "Old versions are not supported.", True),
        ("X came after Y.", "X came before Y.", True),
        ("The first one won.", "The first won, the last lost.", False),
    ],
)
def test_contradictions(claim: str, evidence: str, expected: bool) -> None:
    mine, theirs = facts(claim), facts(evidence)
    assert (denies(mine, theirs) or reverses(mine, theirs)) is expected


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_a_number_that_the_passage_lacks_never_passes(held: int, claimed: int) -> None:
    found = support(f"The total was {claimed} units.", passage(f"The total was {held} units."))
    assert found.holds is (held == claimed)
