"""The plans of the searches by words: postings by their index alone, groups by hashing, whatever the connection's age."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.sql import SQL

from howdah.retrieval import lexical
from howdah.retrieval.asked import parse
from howdah.retrieval.collection import Collection
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.database import Database
from howdah.retrieval.query import Query
from tests.integration.test_plans import build_index, explain, filled, scans

COMMON, RARE = "word1 word2 word3", "word1 nowhere"
QUERIES = [COMMON, RARE, "word5", " ".join(f"word{i}" for i in range(300))]


@pytest.fixture(scope="module")
def database(module_url: str) -> Iterator[Database]:
    database = Database(Conninfo(module_url))
    yield database
    database.close()


@pytest.fixture(scope="module", params=["before ANALYZE", "after it"])
def collection(request: pytest.FixtureRequest, module_url: str, database: Database) -> Collection:
    collection = filled(database, request.param, "words")
    with psycopg.connect(module_url, autocommit=True) as conn:
        tables = [collection.chunks, collection.passages, collection.postings, collection.terms]
        for table in tables:
            conn.execute(SQL("ALTER TABLE {} SET (autovacuum_enabled = off)").format(table))
        if request.param == "after it":
            build_index(module_url, collection)
            for table in tables:
                conn.execute(SQL("VACUUM ANALYZE {}").format(table))
    return collection


def plan_of(database: Database, query: Query, *, age: int = 0) -> list[dict[str, object]]:
    """The plan on a connection that has run the statement `age` times, which is when PostgreSQL would think again."""
    with database.connection() as conn:
        for _ in range(age):
            conn.execute(*query, prepare=True)
    return explain(database, query)


@pytest.mark.parametrize("age", [0, 8])
@pytest.mark.parametrize("words", QUERIES, ids=["common", "rare", "one", "many"])
def test_words(database, collection, words, age):
    plan = plan_of(database, lexical.lexical(collection, parse(words), k=10), age=age)
    assert scans(plan, f"postings_{collection.id}") == {"Index Only Scan"}
    assert scans(plan, f"terms_{collection.id}") == {"Index Only Scan"}
    assert scans(plan, f"passages_{collection.id}") == {"Index Scan"}
    if collection.tenant == "after it":
        assert [node["Strategy"] for node in plan if "Group Key" in node] == ["Hashed"]


def test_phrases_come_from_the_gin_index_and_exclusions_from_the_postings(database, collection):
    asked = parse('"word1 word2" word3 -word4 -"word5 word6"')
    plan = plan_of(database, lexical.lexical(collection, asked, k=10))
    assert scans(plan, f"postings_{collection.id}") == {"Index Only Scan"}
    assert scans(plan, f"chunks_{collection.id}") == {"Index Scan"}
    if collection.tenant == "after it":
        names = [node.get("Index Name") for node in plan]
        assert names.count(f"passages_{collection.id}_tsv") == 2
