"""Filters on a real server against an oracle in plain Python, written from the first lines of filters.py."""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.sql import SQL

from howdah import PGVector
from howdah.retrieval.collection import Collection, Spec
from howdah.retrieval.filters import compile_filter
from howdah.retrieval.promoted import promoted_keys

Json = Any
MISSING = object()


# -- the oracle


def kind(value: Json) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object"}[type(value)]


def equal(a: Json, b: Json) -> bool:
    """JSON equality: by kind, numbers exactly as they are written."""
    if kind(a) != kind(b):
        return False
    if kind(a) == "number":
        return Decimal(repr(a)) == Decimal(repr(b))
    if kind(a) == "array":
        return len(a) == len(b) and all(map(equal, a, b))
    if kind(a) == "object":
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    return bool(a == b)


def look_up(doc: Mapping[str, Json], key: str) -> Json:
    """The key of that very name or, where there is none, the path of its parts through objects."""
    if key in doc:
        return doc[key]
    found: Json = doc
    for part in key.split("."):
        if not part or not isinstance(found, dict) or part not in found:
            return MISSING
        found = found[part]
    return found


def held_by(item: Json, array: list[Json]) -> bool:
    """jsonb's @>: a scalar in its equal, an object in one that has its pairs, an array in one that has its items."""
    return any(inside(item, other) for other in array)


def inside(item: Json, other: Json) -> bool:
    if kind(item) == "object" and kind(other) == "object":
        return all(key in other and inside(value, other[key]) for key, value in item.items())
    if kind(item) == "array" and kind(other) == "array":
        return all(held_by(part, other) for part in item)
    return equal(item, other)


def order(a: Json, b: Json) -> int:
    """-1, 0, 1 within one kind. The test's server collates by code point, as embedded ones do."""
    key = (lambda v: Decimal(repr(v))) if kind(a) == "number" else (lambda v: v)
    return (key(a) > key(b)) - (key(a) < key(b))


def like(value: Json, pattern: str, *, ignore_case: bool) -> bool:
    if kind(value) != "string":
        return False
    out, chars = "", iter(pattern)
    for char in chars:
        if char == "\\":
            out += re.escape(next(chars, "\\"))
        else:
            out += {"%": ".*", "_": "."}.get(char, re.escape(char))
    return re.fullmatch(out, value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def operator(name: str, value: Json, operand: Json) -> bool:  # noqa: C901  a table of operators
    there = None if value is MISSING else value
    match name:
        case "$eq":
            return equal(there, operand)
        case "$ne":
            return not equal(there, operand)
        case "$in":
            return any(equal(there, item) for item in operand)
        case "$nin":
            return not any(equal(there, item) for item in operand)
        case "$lt" | "$lte" | "$gt" | "$gte":
            if value is MISSING or kind(value) != kind(operand):
                return False
            sign = order(value, operand)
            return {"$lt": sign < 0, "$lte": sign <= 0, "$gt": sign > 0, "$gte": sign >= 0}[name]
        case "$between":
            return operator("$gte", value, operand[0]) and operator("$lte", value, operand[1])
        case "$exists":
            return (value is not MISSING) is operand
        case "$like" | "$ilike":
            return like(there, operand, ignore_case=name == "$ilike")
        case "$contains":
            items = operand if isinstance(operand, list) else [operand]
            return kind(there) == "array" and all(held_by(item, there) for item in items)
        case "$overlap":
            return kind(there) == "array" and any(held_by(item, there) for item in operand)
    raise AssertionError(name)


def matches(doc: Mapping[str, Json], filter_: Mapping[str, Json]) -> bool:
    for key, value in filter_.items():
        if key == "$and":
            ok = all(matches(doc, part) for part in value)
        elif key == "$or":
            ok = any(matches(doc, part) for part in value)
        elif key == "$not":
            ok = not matches(doc, value)
        elif isinstance(value, dict) and any(name.startswith("$") for name in value):
            ok = all(operator(name, look_up(doc, key), operand) for name, operand in value.items())
        else:
            ok = operator("$eq", look_up(doc, key), value)
        if not ok:
            return False
    return True


# -- random documents and filters: few keys and values, so that they meet

KEYS = st.sampled_from(
    [*["a", "a.b", "a.0"] * 5, "b", "b.a.c", "c", "", ".", "a.", "it's", '"', "50%", "%s", "%(f0)s", "{}", "{0}", "\\",
     "\\u0041", "é", "😀", "a b", "a,b", "--", "/*", ";", "null", "E'\\n'", "\n", "$", "ключ"]
).filter(lambda key: not key.startswith("$"))  # fmt: skip
STRINGS = st.sampled_from(
    [
        "",
        "a",
        "ab",
        "B",
        "é",
        "%",
        "a%",
        "_",
        "\\",
        "a\\",
        "1",
        "2024-01-01",
        "true",
        "null",
        "'",
        '"',
        "{}",
        "%s",
        "x\ny",
        "😀",
    ]
)
NUMBERS = st.sampled_from([0, 1, -1, 2, 1.0, 0.1, 0.5, 1e16, 10**16, 10**16 + 1, -2.5, 1e300, 5e-324, 10**40])
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, STRINGS)
INNER_KEYS = st.sampled_from(["a", "b", "c", "0", "é", "%"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(INNER_KEYS, inner, max_size=2),
    max_leaves=5,
)
FEW = st.sampled_from([0, 1, "a", None])
DOTTED = st.fixed_dictionaries(
    {"a": st.one_of(st.lists(FEW, max_size=2), st.dictionaries(st.sampled_from(["b", "0"]), FEW))},
    optional={"a.b": FEW, "a.0": FEW},
)
DOCUMENTS = st.one_of(DOTTED, st.dictionaries(KEYS, VALUES, max_size=5))
ORDERED = st.one_of(st.booleans(), NUMBERS, STRINGS)
PATTERNS = st.one_of(STRINGS, st.text(alphabet="aAbé%_\\.*[", max_size=5))
CONDITIONS = st.one_of(
    VALUES,
    st.fixed_dictionaries(
        {},
        optional={
            "$eq": VALUES, "$ne": VALUES, "$in": st.lists(VALUES, max_size=3), "$nin": st.lists(VALUES, max_size=3),
            "$lt": ORDERED, "$gte": ORDERED,
        },
    ),
    st.one_of(
        st.fixed_dictionaries({"$exists": st.booleans()}),
        st.fixed_dictionaries({"$between": st.tuples(ORDERED, ORDERED)}),
        st.fixed_dictionaries({"$gt": ORDERED, "$lte": ORDERED}),
        st.fixed_dictionaries({"$like": PATTERNS}),
        st.fixed_dictionaries({"$ilike": PATTERNS}),
        st.fixed_dictionaries({"$contains": VALUES.filter(lambda value: not isinstance(value, dict) or value)}),
        st.fixed_dictionaries({"$overlap": st.lists(VALUES, max_size=3)}),
    ),
)  # fmt: skip
SIMPLE = st.one_of(FEW, st.fixed_dictionaries({"$gte": st.sampled_from([0, 1])}))
FIELDS = st.one_of(
    st.dictionaries(st.sampled_from(["a.b", "a.0"]), SIMPLE, min_size=1),
    st.dictionaries(KEYS, CONDITIONS, max_size=2),
)
FILTERS = st.recursive(
    FIELDS,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"$and": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"$or": st.lists(inner, max_size=3)}),
        st.fixed_dictionaries({"$not": inner}),
    ),
    max_leaves=4,
)


@pytest.fixture(scope="module")
def conn(module_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(module_url, autocommit=True) as conn:
        conn.execute("SET client_min_messages = warning")
        yield conn


def found(conn: psycopg.Connection, docs: list[Any], filter_: Any) -> list[int]:
    """The places of the documents that match, asked of the server."""
    import json

    condition = compile_filter(filter_)
    statement = (
        psycopg.sql.SQL(
            "SELECT c.place FROM unnest(%(docs)s::text[]::jsonb[]) WITH ORDINALITY AS c (metadata, place) WHERE "
        )
        + condition.sql
    )
    rows = conn.execute(statement, {"docs": [json.dumps(doc) for doc in docs], **condition.params})
    return sorted(row[0] - 1 for row in rows)


PROMOTED = promoted_keys(
    {"a": "number", "b": "text", "c": "boolean", "a.b": "number", "a.0": "text", "é": "text", "%s": "number"}
)
COLLECTION = Collection(
    id=1, tenant="", name="docs", vector_schema="public", schema_version=1,
    spec=Spec(model="m", dimensions=1, promoted=PROMOTED),
)  # fmt: skip


@pytest.fixture(scope="module")
def columns(conn: psycopg.Connection) -> psycopg.Connection:
    """A table with the columns of the promoted keys, as a collection has it."""
    definitions = SQL(", ").join(item.definition() for item in PROMOTED.values())
    conn.execute(SQL("CREATE TEMP TABLE docs (place int, metadata jsonb, {})").format(definitions))
    return conn


def found_by_columns(conn: psycopg.Connection, docs: list[Any], filter_: Any) -> list[int]:
    import json

    condition = compile_filter(filter_, collection=COLLECTION)
    conn.execute("TRUNCATE docs")
    conn.execute(
        "INSERT INTO docs SELECT place, doc FROM unnest(%s::text[]::jsonb[]) WITH ORDINALITY AS d (doc, place)",
        [[json.dumps(doc) for doc in docs]],
    )
    rows = conn.execute(SQL("SELECT c.place FROM docs AS c WHERE {}").format(condition.sql), condition.params)
    return sorted(row[0] - 1 for row in rows)


# What a column answers: operands of its own type, which random conditions seldom have on both sides.
OPERANDS = {"number": NUMBERS, "text": STRINGS, "boolean": st.booleans()}
TYPED = st.sampled_from(list(PROMOTED.values())).flatmap(
    lambda item: st.tuples(
        st.just(item.key),
        st.one_of(
            st.fixed_dictionaries({"$between": st.tuples(OPERANDS[item.kind.label], OPERANDS[item.kind.label])}),
            st.fixed_dictionaries({"$in": st.lists(OPERANDS[item.kind.label], min_size=1, max_size=3)}),
            st.fixed_dictionaries({"$nin": st.lists(OPERANDS[item.kind.label], min_size=1, max_size=3)}),
            st.dictionaries(
                st.sampled_from(["$lt", "$lte", "$gt", "$gte", "$eq", "$ne"]), OPERANDS[item.kind.label], min_size=1
            ),
        ),
    )
)
PROMOTED_FIELDS = st.one_of(
    st.dictionaries(st.sampled_from(list(PROMOTED)), CONDITIONS, min_size=1, max_size=2),
    st.lists(TYPED, min_size=1, max_size=2).map(dict),
)
PROMOTED_FILTERS = st.one_of(
    PROMOTED_FIELDS,
    st.fixed_dictionaries({"$or": st.lists(PROMOTED_FIELDS, max_size=3)}),
    st.fixed_dictionaries({"$not": PROMOTED_FIELDS}),
)
PROMOTED_DOCUMENTS = st.one_of(
    DOTTED,
    st.fixed_dictionaries(
        {}, optional={key: st.one_of(OPERANDS[item.kind.label], VALUES) for key, item in PROMOTED.items()}
    ),
)


@settings(max_examples=300)
@given(docs=st.lists(PROMOTED_DOCUMENTS, min_size=1, max_size=6), filter_=PROMOTED_FILTERS)
def test_promoted_keys_change_no_answer(columns: psycopg.Connection, docs: list[Any], filter_: Any):
    assert found_by_columns(columns, docs, filter_) == [n for n, doc in enumerate(docs) if matches(doc, filter_)]


@settings(max_examples=400)
@given(docs=st.lists(DOCUMENTS, min_size=1, max_size=6), filter_=FILTERS)
def test_equals_the_oracle(conn: psycopg.Connection, docs: list[Any], filter_: Any):
    assert found(conn, docs, filter_) == [place for place, doc in enumerate(docs) if matches(doc, filter_)]


@settings(max_examples=150)
@given(key=st.text(min_size=1, max_size=10), value=st.text(max_size=10), condition=CONDITIONS)
def test_any_key_and_any_text_can_be_asked_for(conn: psycopg.Connection, key: str, value: str, condition: Any):
    if key.startswith("$"):
        return
    stored = key.replace("\x00", "\ufffd")
    assert found(conn, [{stored: value.replace("\x00", "\ufffd")}, {}], {key: value}) == [0]
    found(conn, [{stored: 1}, {stored: "x"}, {stored: [1]}, {stored: None}, {}], {key: condition})


# -- what the docstring says, one by one, through the store


PROMOTED_PLANETS = {"name": "text", "year": "number", "orbit.days": "number", "moons": "text"}


@pytest.fixture(scope="module", params=[{}, PROMOTED_PLANETS], ids=["plain", "promoted"])
def planets(request: pytest.FixtureRequest, module_url: str) -> Iterator[PGVector]:
    from langchain_core.embeddings import DeterministicFakeEmbedding

    docs: list[dict[str, Any]] = [
        {"name": "mercury", "year": 1631, "moons": [], "orbit": {"days": 88}},
        {"name": "venus", "year": "1610", "moons": None, "orbit.days": 225, "orbit": {"days": 1}},
        {"name": "mars", "year": 1659.0, "moons": ["phobos", "deimos"], "orbit": {"days": 687}},
        {"name": "jupiter", "year": True, "moons": ["io", "europa", {"big": True, "name": "ganymede"}]},
    ]
    name = "promoted" if request.param else "planets"
    with PGVector(
        DeterministicFakeEmbedding(size=8), connection=module_url, collection_name=name, promoted=request.param
    ) as store:
        store.add_texts([doc["name"] for doc in docs], docs, ids=[doc["name"] for doc in docs])
        yield store
        store.database.close()


EXAMPLES = [
    ({}, "jupiter mars mercury venus"),
    ({"name": "mars"}, "mars"),
    ({"year": {"$gte": 1600, "$lt": 1650}}, "mercury"),
    ({"year": {"$gte": 1600}}, "mars mercury"),
    ({"year": 1659}, "mars"),
    ({"year": "1610"}, "venus"),
    ({"year": {"$gt": "1600"}}, "venus"),
    ({"year": True}, "jupiter"),
    ({"year": {"$ne": 1631}}, "jupiter mars venus"),
    ({"orbit.days": {"$ne": 88}}, "jupiter mars venus"),
    ({"orbit.days": 1}, ""),
    ({"orbit.days": 225}, "venus"),
    ({"orbit.days": {"$between": [80, 700]}}, "mars mercury venus"),
    ({"orbit": {"days": 687}}, "mars"),
    ({"moons": []}, "mercury"),
    ({"moons": None}, "venus"),
    ({"orbit": None}, "jupiter"),
    ({"moons": {"$in": [None, []]}}, "mercury venus"),
    ({"name": {"$nin": ["mars", "venus"]}}, "jupiter mercury"),
    ({"moons": ["phobos", "deimos"]}, "mars"),
    ({"moons": ["deimos", "phobos"]}, ""),
    ({"moons": {"$contains": "phobos"}}, "mars"),
    ({"moons": {"$contains": ["deimos", "phobos"]}}, "mars"),
    ({"moons": {"$contains": {"name": "ganymede"}}}, "jupiter"),
    ({"moons": {"$overlap": ["io", "phobos"]}}, "jupiter mars"),
    ({"moons": {"$exists": True}}, "jupiter mars mercury venus"),
    ({"orbit": {"$exists": False}}, "jupiter"),
    ({"name": {"$like": "m%"}}, "mars mercury"),
    ({"name": {"$ilike": "M_RS"}}, "mars"),
    ({"$or": [{"year": 1631}, {"$not": {"name": {"$in": ["mars", "venus", "mercury"]}}}]}, "jupiter mercury"),
    ({"$not": [{"name": "mars"}, {"year": {"$lt": 1650}}]}, "jupiter venus"),
    ({"$not": []}, "jupiter mars mercury venus"),
    ({"$and": [{"name": {"$like": "m%"}}, {"moons": {"$overlap": ["deimos"]}}]}, "mars"),
    ({"$id": ["mars", "nothing", "venus"]}, "mars venus"),
    ({"$id": []}, ""),
    ({"$not": {"$id": ["mars"]}, "$or": [{"$id": ["mars", "jupiter"]}, {"year": 1631}]}, "jupiter mercury"),
    ({"name": {"$in": ["mars"] * 3_000 + ["venus"]}}, "mars venus"),
]


@pytest.mark.parametrize(("filter_", "want"), EXAMPLES, ids=[str(filter_)[:60] for filter_, _ in EXAMPLES])
def test_in_a_search(planets: PGVector, filter_: Any, want: str):
    dense = {doc.id for doc in planets.similarity_search("x", k=10, filter=filter_)}
    assert " ".join(sorted(filter(None, dense))) == want
    words = {hit.id for hit in planets.hits("mercury venus mars jupiter", k=10, search_type="lexical", filter=filter_)}
    both = {hit.id for hit in planets.hits("mercury venus", k=10, filter=filter_)}
    assert words == both == dense
    assert [hit.id for hit in planets.matching(filter_)] == sorted(dense)
