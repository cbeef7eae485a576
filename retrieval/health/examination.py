"""The list of checks, and how they are run: each by itself, so that one which cannot be made never ends the others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import errors

from howdah.retrieval.conninfo import Conninfo, with_options
from howdah.retrieval.errors import HowdahError, InvalidInput
from howdah.retrieval.health import (
    access,
    configuration,
    heaps,
    holdings,
    index_use,
    indexes,
    plans,
    server,
    sessions,
    undone,
    vectors,
)  # fmt: skip
from howdah.retrieval.health.check import About, Check
from howdah.retrieval.health.patient import Client, Patient
from howdah.retrieval.health.reading import PATIENCE, Reader
from howdah.retrieval.lost import died, unavailable
from howdah.retrieval.server import DIRECT, OwnConnection, open_connection

Run = Callable[[Patient], Iterable[Check]]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A check: its name, the family that it is shown with, and what it looks for, in a few words."""

    name: str
    family: str
    sees: str
    run: Run


def _probes(family: str, *given: tuple[str, str, Run]) -> list[Probe]:
    return [Probe(name=name, family=family, sees=sees, run=run) for name, sees, run in given]


REACHABLE = Probe(name="reachable", family="server", sees="a server that does not answer", run=lambda _: ())
PROBES: list[Probe] = [
    REACHABLE,
    *_probes(
        "server",
        ("server-version", "a PostgreSQL that is too old, or has a known overflow", server.server_version),
        ("pgvector-version", "a pgvector that is missing, too old, or corrupts indexes", server.pgvector_version),
        ("encryption", "a connection to another machine without TLS", server.encryption),
        ("pooler", "a transaction-mode pooler that loses prepared statements", server.pooler),
        ("connections", "hardly a connection left", sessions.connections),
        ("long-transactions", "a transaction that keeps VACUUM from its work", sessions.long_transactions),
        ("replication-slots", "a slot that nobody reads and that fills the disk", sessions.replication_slots),
        ("replica", "a replica whose searches are cancelled", sessions.replica),
        ("disk-space", "a disk that is nearly full", server.disk_space),
    ),
    *_probes(
        "access",
        ("superuser", "a superuser in everyday use", server.superuser),
        ("privileges", "tables that this user may not read or write", access.privileges),
        ("langsmith", "questions and answers sent to LangSmith", undone.langsmith),
    ),
    *_probes(
        "settings",
        ("crash-safety", "fsync or full_page_writes switched off", configuration.crash_safety),
        ("checksums", "data checksums that are off", configuration.checksums),
        ("autovacuum", "autovacuum or track_counts switched off", configuration.autovacuum),
        ("planner-switches", "enable_indexscan and its like switched off", configuration.planner_switches),
        ("jit", "searches that are compiled before they run", plans.jit),
        ("statement-timeout", "a statement_timeout that cuts loads off", configuration.statement_timeout),
        ("transaction-defaults", "read-only or serializable transactions by default", configuration.transaction_defaults),
        ("shared-buffers", "indexes that do not fit shared_buffers", configuration.shared_buffers),
        ("maintenance-work-mem", "too little memory to build an index", configuration.maintenance_work_mem),
        ("work-mem", "a work_mem that ends filtered scans early", configuration.work_mem),
    ),
    *_probes(
        "indexes",
        ("vector-index", "many vectors without an index", indexes.vector_index),
        ("index-valid", "what an interrupted build left", indexes.index_valid),
        ("operator-class", "an index of another distance than the searches'", indexes.operator_class),
        ("dimensions", "a column that cannot be indexed as it is declared", indexes.dimensions),
        ("index-plan", "search statements that do not read their index", plans.index_plan),
        ("index-unused", "an index that is there twice, or never searched", index_use.index_unused),
        ("ivfflat-lists", "too many or too few lists for the rows", index_use.ivfflat_lists),
        ("search-settings", "probes or ef_search that miss near rows", index_use.search_settings),
        ("index-in-cache", "an index that is read from disk", index_use.index_in_cache),
        ("index-bloat", "an index full of what was deleted", heaps.index_bloat),
    ),
    *_probes(
        "tables",
        ("null-vectors", "rows without a vector", vectors.null_vectors),
        ("zero-vectors", "vectors without a direction", vectors.zero_vectors),
        ("dead-rows", "deleted rows that were not vacuumed", heaps.each(heaps.judge_dead)),
        ("table-bloat", "a table that is mostly empty room", heaps.each(heaps.judge_bloat)),
        ("freeze-age", "rows that are too old: transaction id wraparound", heaps.freeze_age),
        ("statistics", "statistics that are missing or stale", heaps.each(heaps.judge_statistics)),
        ("table-autovacuum", "a table that autovacuum leaves alone", heaps.each(heaps.judge_autovacuum)),
        ("unlogged", "a table that a crash empties", heaps.each(heaps.judge_logged)),
    ),
    *_probes(
        "collections",
        ("schema-version", "a schema older or newer than this program", holdings.schema_version),
        ("embedding-model", "another model than the rows', or one that cannot be had", undone.embedding_model),
        ("own-indexes", "a missing index of keys, words or metadata", holdings.own_indexes),
        ("orphans", "documents, chunks, passages and postings that belong to nothing", holdings.orphans),
        ("term-statistics", "BM25 statistics that a recount does not confirm", holdings.term_statistics),
        ("failed-sources", "sources that could not be loaded", undone.failed_sources),
        ("unfinished-work", "maintenance that was broken off", undone.unfinished_work),
        ("reembedding", "a change of the embedding model that was not finished", undone.reembedding),
    ),
]  # fmt: skip


def chosen(names: Sequence[str]) -> list[Probe]:
    """The checks of these names, in their order; all of them for none. InvalidInput for a name that is none."""
    known = {probe.name: probe for probe in PROBES}
    for name in names:
        if name not in known:
            raise InvalidInput(f"there is no check {name!r}", hint="list them: howdah doctor --list")
    return [probe for probe in PROBES if not names or probe.name in names]


@contextmanager
def patient_at(conninfo: Conninfo, client: Client, *, embedded: bool) -> Iterator[Patient]:
    """Two connections to the server, one with the settings of searches and one without. Raises DatabaseUnavailable."""
    with ExitStack() as stack:
        own, _ = open_connection(conninfo)
        stack.callback(own.close)
        try:
            plain = OwnConnection.connect(with_options(conninfo, {}), **DIRECT)
        except psycopg.OperationalError as exc:
            raise unavailable(exc, conninfo) from None
        stack.callback(plain.close)
        yield Patient(conninfo=conninfo, plain=Reader(plain), own=Reader(own), client=client, embedded=embedded)


def examine(patient: Patient, probes: Sequence[Probe]) -> Iterator[Check]:
    """The verdicts in the order of the probes."""
    for probe in probes:
        if probe is REACHABLE:
            yield About("reachable").ok(f"{patient.conninfo.place} answers")
            continue
        yield from _one(patient, probe)


def _one(patient: Patient, probe: Probe) -> Iterator[Check]:
    about = About(probe.name)
    try:
        yield from list(probe.run(patient))
    except errors.InsufficientPrivilege as exc:
        yield about.warn(f"could not be looked at: {exc.diag.message_primary}", patient.grant)
    except (errors.QueryCanceled, errors.LockNotAvailable):
        yield about.warn(
            f"could not be looked at: no answer within {PATIENCE['statement_timeout']}, or a lock on the table",
            f"howdah doctor --only {probe.name} # again, when less is going on",
        )
    except psycopg.Error as exc:
        if died(exc):
            raise unavailable(exc, patient.conninfo) from exc
        said = exc.diag.message_primary or str(exc)
        yield about.warn(f"could not be looked at: {said}", f"howdah doctor --only {probe.name}")


def without_server(failure: HowdahError, client: Client, probes: Sequence[Probe]) -> Iterator[Check]:
    """What can be said where there is no connection."""
    yield About("reachable").fail(failure.message, failure.hint)
    if any(probe.name == "langsmith" for probe in probes):
        yield undone.judge_langsmith(client)
