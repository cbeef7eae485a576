"""Counts of searches, and the slow log's pure half."""

import logging
import math

import pytest
from psycopg.sql import SQL, Identifier, Literal

from howdah.retrieval import slow, tally
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.query import Query
from howdah.retrieval.slow import Ran, SlowLog
from howdah.retrieval.tally import BUCKETS, Histogram, Tally


def test_a_histogram_counts_at_most_so_long():
    histogram = Histogram()
    times = [0.0005, 0.001, 0.004, 0.07, 3.0, 60.0]
    for seconds in times:
        histogram.add(seconds)
    cumulative = dict(histogram.cumulative())
    for bound in BUCKETS:
        assert cumulative[repr(bound)] == sum(seconds <= bound for seconds in times)
    assert cumulative["+Inf"] == len(times)
    assert math.isclose(histogram.total, sum(times))


def test_searches_are_counted_by_how_they_end():
    counted = Tally()
    with counted.search("docs", "hybrid", times=3) as timing:
        timing.database = 0.3
        timing.slow = True
    with pytest.raises(KeyError), counted.search("docs", "hybrid"):
        raise KeyError
    found = counted.counts()
    assert found.searches == {("docs", "hybrid", "done"): 3, ("docs", "hybrid", "failed"): 1}
    assert found.slow == {("docs", "hybrid"): 1}
    assert math.isclose(found.database["docs", "hybrid"].total, 0.3)
    assert dict(found.database["docs", "hybrid"].cumulative())["0.1"] == 3  # three, each of a tenth of a second
    assert sum(found.whole["docs", "hybrid"].counts) == 3  # who fails fast must not make searches look fast


def test_collections_without_end_do_not_make_labels_without_end(monkeypatch):
    monkeypatch.setattr(tally, "MOST", 3)
    counted = Tally()
    for number in range(10):
        with counted.search(f"c{number}", "hybrid"):
            pass
    names = {collection for collection, _, _ in counted.counts().searches}
    assert names == {"c0", "c1", "c2", tally.OTHER}
    assert counted.counts().searches[tally.OTHER, "hybrid", "done"] == 7


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        (None, ""),
        ({}, ""),
        ({"year": 2024}, "{'year': number}"),
        ({"year": {"$gte": 2024, "$lt": 2025}}, "{'year': {'$gte': number, '$lt': number}}"),
        ({"$or": [{"name": "Anna"}, {"open": True}]}, "{'$or': [{'name': text}, {'open': boolean}]}"),
        ({"topic": {"$in": ["a", "b", "c"]}, "gone": None}, "{'topic': {'$in': [3 values]}, 'gone': null}"),
    ],
)
def test_the_shape_of_a_filter_has_no_values(given, shape):
    assert slow.shape(given) == shape


def test_every_value_of_an_explained_statement_is_null():
    query = Query(
        SQL("SELECT {} FROM {} WHERE a = %(a)s AND b LIKE '50 %%' AND c = %(c)s AND d = %(a)s").format(
            Literal(7), Identifier("t")
        ),
        {"a": "geheim", "c": b"\x01"},
    )
    steps = slow.explain(query, None)
    text = steps.prepare.as_string(None)
    assert text.endswith("""AS SELECT 7 FROM "t" WHERE a = $1 AND b LIKE '50 %' AND c = $2 AND d = $1""")
    assert steps.explain.as_string(None).endswith("(NULL, NULL)")
    assert "geheim" not in text


@pytest.mark.parametrize("given", [0, -1, True, "500", float("nan")])
def test_a_bound_that_is_none_is_refused(given):
    with pytest.raises(InvalidInput, match="slow_ms"):
        SlowLog.of(given)


def test_few_records_are_written_and_the_others_counted(monkeypatch, caplog):
    now = [100.0]
    monkeypatch.setattr(slow.time, "monotonic", lambda: now[0])
    log = SlowLog.of(10)
    ran = Ran("hybrid", 8, None, slow.NO_QUERY, {"hnsw.ef_search": "200"}, 0.25)
    assert not log.slow(0.009)
    assert log.slow(0.25)
    with caplog.at_level(logging.WARNING, "howdah.slow"):
        for seconds in (0, 1, 2, slow.EVERY + 1):
            now[0] = 100.0 + seconds
            if log.due():
                log.write("docs", ran, "Limit")
    first, second = [record.search for record in caplog.records]
    assert (first["left_out"], second["left_out"]) == (0, 2)
    assert first["milliseconds"] == 250
    assert "slow search: 250 ms, more than 10 ms; mode hybrid" in caplog.messages[0]
    assert "hnsw.ef_search=200; 2 other slow searches were not logged\nLimit" in caplog.messages[1]
