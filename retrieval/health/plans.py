"""The plans of the real search statements: whether each reads the index that is there for it.

A statement is prepared and explained as a connection of ours runs it, with the settings and the values that a search sends:
the vector of a stored row, and words of a stored passage. Tables of others are asked as their library asks them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg import errors
from psycopg.sql import SQL, Composed, Literal

from howdah.retrieval import dense, hybrid, lexical, relations
from howdah.retrieval.adopt_sources import COLLECTIONS, Kind
from howdah.retrieval.asked import Asked
from howdah.retrieval.collection import Collection, Metric
from howdah.retrieval.errors import DependencyMissing
from howdah.retrieval.health.access import with_its_own
from howdah.retrieval.health.check import About, Check
from howdah.retrieval.health.configuration import Settings, switched_on
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.reading import Setting, Whose
from howdah.retrieval.health.tables import VectorTable
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.query import Query
from howdah.retrieval.wire import HalfVec, Vec, decode

K = 10
STATEMENT = SQL("howdah_doctor")
COSTS = (
    "random_page_cost", "seq_page_cost", "cpu_tuple_cost", "cpu_index_tuple_cost", "cpu_operator_cost",
    "effective_cache_size", "hnsw.ef_search", "ivfflat.probes",
)  # fmt: skip
"""What the planner weighs an index by (pgvector's hnswcostestimate and ivfflatcostestimate, and PostgreSQL's own)."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What EXPLAIN says: the indexes that are read, the tables that are read whole, and the cost in the planner's units."""

    mode: str
    indexes: frozenset[str]
    whole: frozenset[str]
    cost: float

    @classmethod
    def of(cls, mode: str, top: Mapping[str, Any]) -> "Plan":
        nodes = list(_nodes(top))
        return cls(
            mode=mode,
            indexes=frozenset(node["Index Name"] for node in nodes if "Index Name" in node),
            whole=frozenset(node["Relation Name"] for node in nodes if node["Node Type"].endswith("Seq Scan")),
            cost=float(top["Total Cost"]),
        )


def _nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)


# -- the check


def index_plan(patient: Patient) -> Iterator[Check]:
    for table in patient.tables:
        why, about = not_asked(table), About("index-plan", table.subject)
        try:
            yield about.ok(why) if why else _judged(patient, table)
        except errors.InsufficientPrivilege as exc:
            names = ", ".join(with_its_own(table.relation))
            yield about.warn(
                f"could not be looked at: {exc.diag.message_primary}",
                f"GRANT SELECT ON {names} TO {table.relation.user};",
            )


def not_asked(table: VectorTable) -> str | None:
    """Why a plan says nothing about this table; None where it does. Each reason is another check's."""
    if not table.fitting:
        return "there is no index to use"
    if not table.large:
        return f"{table.rows:,} rows: the planner may read them all"
    return None if table.analyzed else "not analyzed yet: the plans would be guesses"


def _judged(patient: Patient, table: VectorTable) -> Check:
    plans = list(plans_of(patient, table))
    wanted = frozenset(index.name for index in table.fitting)
    return judge_plans(table, plans, wanted, patient.settings, patient.whose)


def judge_plans(
    table: VectorTable, plans: Sequence[Plan], wanted: frozenset[str], settings: Settings, whose: Whose
) -> Check:
    about = About("index-plan", table.subject)
    by_words = f"postings_{table.collection.id}" if table.collection else ""
    slow = [
        plan.mode for plan in plans if (by_words in plan.whole if plan.mode == "lexical" else not wanted & plan.indexes)
    ]
    if not slow:
        return about.ok(f"searches read {', '.join(sorted(wanted))}: {', '.join(plan.mode for plan in plans)}")
    moved = [settings[name] for name in COSTS if name in settings and _moved(settings[name])]
    seen = f"{' and '.join(slow)} search of {table.rows:,} rows: the planner reads no {', '.join(sorted(wanted))}"
    if not moved:
        return about.warn(seen, f"ANALYZE {table.relation.shown}; -- and see EXPLAIN of the search for its costs")
    costs = ", ".join(f"{setting.name} = {setting.value}" for setting in moved)
    return about.warn(f"{seen} ({costs})", "\n".join(whose.reset(setting, setting.default) for setting in moved))


def _moved(setting: Setting) -> bool:
    """Whether somebody made an index look dearer than PostgreSQL's or pgvector's default does."""
    if setting.source in ("default", "client"):
        return False
    cheaper_is_more = setting.name in ("effective_cache_size", "seq_page_cost", "cpu_tuple_cost")
    less, more = setting.number < float(setting.default), setting.number > float(setting.default)
    return less if cheaper_is_more else more


def jit(patient: Patient) -> Iterator[Check]:
    settings, above = patient.settings["jit"], patient.settings["jit_above_cost"].number
    compiles = settings.on and patient.plain.row(Query(SQL("SELECT pg_jit_available() AS jit"), {}))["jit"]
    costs: dict[str, float] = {}
    for table in patient.tables if compiles else ():
        if table.collection is None and table.rows:  # Howdah's own connections switch it off
            costs[table.subject] = max((plan.cost for plan in plans_of(patient, table)), default=0.0)
    yield judge_jit(settings, above, costs, patient.whose)


def judge_jit(setting: Setting, above: float, costs: Mapping[str, float], whose: Whose) -> Check:
    """The manual, 32.1: for queries that run for long; a search of milliseconds is compiled for hundreds of them."""
    about, dear = About("jit"), [subject for subject, cost in costs.items() if above >= 0 and cost > above]
    if not dear:
        return about.ok("no search is compiled" if setting.on else "jit is off")
    return about.warn(
        f"jit is on and searches of {', '.join(dear)} cost more than jit_above_cost ({above:,.0f}): each is compiled first",
        whose.set(setting, "off"),
    )


# -- the statements


def plans_of(patient: Patient, table: VectorTable) -> Iterator[Plan]:
    """A plan for each mode; none where the table has no row to ask with."""
    rows = patient.plain.rows(_example(table))
    if not rows:
        return
    embedding = decode(rows[0]["embedding"])
    switches = switched_on(patient.settings)
    if table.collection is None:
        statement = theirs(table, "[" + ",".join(map(str, embedding.tolist())) + "]")
        yield _explained(patient, "similarity", statement, switches, own=False)
        return
    try:
        server = patient.server
    except DependencyMissing:
        return
    for mode, query, settings in _ours(table.collection, embedding, Asked(words=rows[0]["words"])):
        yield _explained(patient, mode, query, {**server.missing(settings), **switches}, own=True)


def _example(table: VectorTable) -> Query:
    """One row: its vector, and words of its passage."""
    schema, words, joined = relations.name(table.relation.vector_schema), SQL("''").format(), SQL("").format()
    if table.collection is not None:
        words = SQL("left(p.content, 60)").format()
        joined = SQL("JOIN {} AS p USING (tenant, n)").format(table.collection.passages)
    return Query(
        SQL("""
            SELECT {schema}.vector_send(t.{column}::{schema}.vector) AS embedding, {words} AS words
            FROM {table} AS t {joined} WHERE t.{column} IS NOT NULL LIMIT 1
        """).format(
            schema=schema, column=relations.name(table.column.name), words=words, table=table.relation.identifier,
            joined=joined,
        ),
        {},
    )  # fmt: skip


def _ours(collection: Collection, embedding: Any, asked: Asked) -> Iterator[tuple[str, Query, dict[str, str]]]:
    """Mode, statement and settings of each kind of search that the collection takes."""
    options, how = SearchOptions(), hybrid.Hybrid()
    yield "similarity", dense.nearest(collection, embedding, k=K), options.settings(K, collection)
    if not collection.spec.lexical:
        return
    yield "lexical", lexical.lexical(collection, asked, k=K), {}
    if collection.spec.metric is Metric.COSINE:
        both = hybrid.hybrid(collection, asked, embedding, k=K, how=how, c0=collection.c0)
        yield "hybrid", both, options.settings(how.rows(K), collection)


def theirs(table: VectorTable, embedding: str) -> Query:
    """The search of a table that is not Howdah's, as its library writes it: PGVector joins its collections."""
    relation, operator = table.relation, (table.metric or _operator_of(table)).operator
    distance = SQL("t.{} OPERATOR({}.{}) {}::{}.{}").format(
        relations.name(table.column.name), relations.name(relation.vector_schema), operator, relations.literal(embedding),
        relations.name(relation.vector_schema), relations.name(table.storage.type_name),
    )  # fmt: skip
    joined = SQL("").format()
    if table.kind is Kind.PGVECTOR:
        joined = SQL("JOIN {} AS c ON c.uuid = t.collection_id").format(relations.name(relation.schema, COLLECTIONS))
    return Query(
        SQL("SELECT t.*, {} AS distance FROM {} AS t {} ORDER BY distance LIMIT {}").format(
            distance, relation.identifier, joined, Literal(K)
        ),
        {},
    )


def _operator_of(table: VectorTable) -> Metric:
    """That of an index which is there: whoever made it searches so."""
    return next((index.metric for index in table.fitting if index.metric), Metric.COSINE)


def _explained(patient: Patient, mode: str, query: Query, settings: dict[str, str], *, own: bool) -> Plan:
    reader = patient.own if own else patient.plain
    text: Any = query.sql.as_string(reader.conn)
    for number, name in enumerate(query.params, start=1):
        text = text.replace(f"%({name})s", f"${number}")
    prepare = SQL("PREPARE {} AS ").format(STATEMENT) + SQL(
        text.replace("%%", "%").replace("{", "{{").replace("}", "}}")
    )
    values = SQL(", ").join(map(_literal, query.params.values()))
    call = SQL("({})").format(values) if query.params else SQL("").format()
    execute = SQL("EXPLAIN (FORMAT json) EXECUTE {}{}").format(STATEMENT, call)
    return Plan.of(mode, reader.plan(prepare, execute, settings))


def _literal(value: Any) -> Composed:
    """A parameter as SQL text; vectors are sent in binary and written as lists."""
    if isinstance(value, Vec | HalfVec):
        numbers = np.frombuffer(value, dtype=">f4" if isinstance(value, Vec) else ">f2", offset=4)
        return SQL("{}").format(Literal("[" + ",".join(str(float(number)) for number in numbers) + "]"))
    return SQL("{}").format(Literal(value))
