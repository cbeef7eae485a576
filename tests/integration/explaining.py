"""The generic plans of search statements, as a connection of ours gets them."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import psycopg
from psycopg.sql import SQL

from howdah.retrieval.database import Database
from howdah.retrieval.query import Query
from howdah.retrieval.server import SESSION


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def explain(database: Database, query: Query, *, run: bool = False) -> list[dict[str, Any]]:
    """The nodes of the generic plan that the statement gets on a connection of ours; with `run`, what each did."""
    with database.connection() as conn:
        for name, value in SESSION.items():
            if not name.startswith("hnsw"):
                row = conn.execute("SELECT current_setting(%s)", [name]).fetchone()
                assert row == (value,)
        conn.execute(SQL("PREPARE p AS ") + as_prepared(query, conn))
        try:
            how = SQL("ANALYZE, FORMAT json") if run else SQL("FORMAT json")
            row = conn.execute(SQL("EXPLAIN ({}) EXECUTE p ({})").format(how, literals(query))).fetchone()
        finally:
            conn.execute("DEALLOCATE p")
    assert row is not None
    generic = list(nodes(row[0][0]["Plan"]))
    assert "$1" in json.dumps(generic)
    return generic


def as_prepared(query: Query, conn: psycopg.Connection[Any]) -> Any:
    text = query.sql.as_string(conn)
    for number, name in enumerate(query.params, start=1):
        text = text.replace(f"%({name})s", f"${number}")
    return SQL(text)  # type: ignore[arg-type]


def literals(query: Query) -> Any:
    def one(value: Any) -> Any:
        if isinstance(value, bytes):
            return SQL("{}").format(psycopg.sql.Literal(halfvec_text(value)))
        return psycopg.sql.Literal(value)

    return SQL(", ").join(one(value) for value in query.params.values())


def halfvec_text(data: bytes) -> str:
    return "[" + ",".join(str(float(x)) for x in np.frombuffer(data, dtype=">f2", offset=4)) + "]"


def index_of(plan: list[dict[str, Any]]) -> set[str]:
    return {node["Index Name"] for node in plan if node["Node Type"] == "Index Scan" and "Index Name" in node}


def scans(plan: list[dict[str, Any]], table: str) -> set[str]:
    return {node["Node Type"] for node in plan if node.get("Relation Name") == table}


def ran(plan: list[dict[str, Any]], **what: str) -> bool:
    """Whether a node with these properties did anything."""
    names = {name.replace("_", " "): value for name, value in what.items()}
    return any(
        node["Actual Loops"] > 0 for node in plan if all(node.get(name) == value for name, value in names.items())
    )
