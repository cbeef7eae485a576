"""Other indexes over a sample of the rows: what m, ef_construction, halfvec and bits would do.

The tables are temporary, so that nothing is left behind by whatever ends the session, and the collection's is only read. All
indexes are built over the same rows by one process, and asked the same queries in turn. Recall on few rows is higher than on
all of them: it is the comparison that tells.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from psycopg import errors
from psycopg.sql import SQL, Identifier, Literal

from howdah.retrieval import upkeep
from howdah.retrieval.collection import Collection, Metric, Spec, Storage
from howdah.retrieval.kinds import EF_CONSTRUCTION, Form, Index, M, Method
from howdah.retrieval.query import Query
from howdah.retrieval.server import connect
from howdah.retrieval.store import Store
from howdah.retrieval.tuning_measure import BLOCK, REPEATS, SEED, Says
from howdah.retrieval.tuning_trial import Bench, Trial
from howdah.retrieval.tuning_types import Sample
from howdah.retrieval.types import Array

QUERIES = 200
LEAST = 500
"""Rows below which a sample says nothing."""
ROWS = "howdah_tuning_rows"
NOT_ALLOWED = (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction)


def tried(
    store: Store, collection: Collection, queries: Array, *, k: int, target: float, rows: int, say: Says
) -> tuple[Sample | None, str | None]:
    """What each index does over so many of the rows; or None and a sentence with the reason."""
    none, server = "no other indexes were tried: ", store.database.server
    if server.pooler or server.read_only:
        return None, f"{none}{'behind a pooler' if server.pooler else 'on a replica'} there are no temporary tables"
    try:
        with connect(store.database.conninfo) as (conn, _):
            server.register(conn.adapters)
            bench = Bench(conn, collection, queries[:QUERIES], k, Identifier("pg_temp", ROWS))
            count = _sample(bench, rows)
            if count < LEAST:
                return None, f"{none}there are {count:,} rows, fewer than {LEAST:,}"
            return _run(bench, count, target, say), None
    except NOT_ALLOWED as exc:
        return None, f"{none}{exc.diag.message_primary}"


def ways(collection: Collection) -> Iterator[tuple[Spec, Index]]:
    """First an index as the collection has it (HNSW, where it has another kind), then what differs in one thing each."""
    spec, index = collection.spec, collection.index
    own = index if index is not None and index.method is Method.HNSW else None
    m, ef = (
        (own.options.get("m", M), own.options.get("ef_construction", EF_CONSTRUCTION)) if own else (M, EF_CONSTRUCTION)
    )
    form = own.form if own else Form.directly(spec)
    forms = [each for each in Form if spec.dimensions <= each.limit and not _senseless(each, spec)]
    if form in forms:
        yield spec, _graph(form, m, ef)
        yield spec, _graph(form, m, min(2 * ef, 1_000))
        yield spec, _graph(form, *denser(m, ef))
    for other in forms:
        if other is not form:
            yield replace(spec, storage=Storage.VECTOR) if other is Form.VECTOR else spec, _graph(other, m, ef)


def denser(m: int, ef_construction: int) -> tuple[int, int]:
    """Twice the neighbours and a build twice as wide, and no less than an index has at first."""
    return min(max(2 * m, M), 100), min(max(2 * ef_construction, EF_CONSTRUCTION), 1_000)


def _senseless(form: Form, spec: Spec) -> bool:
    """Bits have no lengths, which L2 needs."""
    return form is Form.BIT and spec.metric is Metric.L2


def _graph(form: Form, m: int, ef_construction: int) -> Index:
    return Index(method=Method.HNSW, form=form, options={"m": m, "ef_construction": ef_construction})


def _sample(bench: Bench, rows: int) -> int:
    """Every so-manieth row by its number, into a table of the session's own; how many these are."""
    collection = bench.collection
    [whole] = bench.rows(
        Query(
            SQL("SELECT count(*) AS rows FROM {} WHERE tenant = %(tenant)s").format(collection.chunks),
            {"tenant": collection.tenant},
        )
    )
    step = Literal(max(whole["rows"] / rows, 1.0))
    bench.run(
        SQL("""
            CREATE TEMPORARY TABLE {} AS SELECT n, tenant, embedding FROM (
                SELECT n, tenant, embedding, row_number() OVER (ORDER BY n) AS place FROM {} WHERE tenant = {}
            ) AS c WHERE floor(place / {}::float8) > floor((place - 1) / {}::float8)
        """).format(Identifier(ROWS), collection.chunks, Literal(collection.tenant), step, step)
    )
    [found] = bench.rows(Query(SQL("SELECT count(*) AS rows FROM {}").format(bench.source), {}))
    return int(found["rows"])


def _run(bench: Bench, count: int, target: float, say: Says) -> Sample:
    listed = list(ways(bench.collection))
    memory = max(index.build_memory(spec.dimensions, count) for spec, index in listed)
    [server] = bench.rows(upkeep.server_memory())
    bench.set(
        {
            "maintenance_work_mem": f"{max(server['memory'], min(memory, server['buffers'])) // 1024}kB",
            "max_parallel_maintenance_workers": "0",
            # So few rows would be scanned; and of an index that is not the answer's order the rest is sorted.
            "enable_seqscan": "off",
        }
    )
    trials = []
    for number, (spec, index) in enumerate(listed):
        options = ", ".join(f"{name} {value}" for name, value in index.options.items())
        say(f"trying an index of {index.form.type_name}, {options}, on {count:,} rows")
        trials.append(Trial(bench, spec, index, name=f"howdah_tuning_{number}"))
        trials[-1].seek(target)
    _time(trials, len(bench.asked))
    return Sample(rows=count, builds=tuple(trial.report() for trial in trials))


def _time(trials: list[Trial], count: int) -> None:
    """Block after block of the queries, the indexes in another order each time: the first reads the queries' rows cold."""
    random = np.random.default_rng(SEED)
    for _ in range(REPEATS):
        for low in range(0, count, BLOCK):
            for place in random.permutation(len(trials)):
                trials[place].time(low, low + BLOCK)
