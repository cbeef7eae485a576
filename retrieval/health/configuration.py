"""Checks of the settings: those that lose data, those that hide an index from the planner, and memory."""

from collections.abc import Iterator, Mapping

from howdah.retrieval.health.check import MB, About, Check, setting_size, size
from howdah.retrieval.health.index_rows import index_rows
from howdah.retrieval.health.index_use import build_sizes
from howdah.retrieval.health.patient import Patient
from howdah.retrieval.health.reading import Setting, Whose

Settings = Mapping[str, Setting]
SWITCHES = (
    "enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan", "enable_seqscan", "enable_sort", "enable_hashjoin",
    "enable_nestloop", "enable_mergejoin", "enable_material", "enable_hashagg",
)  # fmt: skip
"""What search statements are planned with; a person switches one off to try something and forgets it."""
SHORTEST_SECONDS = 5.0
"""statement_timeout below which loads and searches by rare filters may be cut off; ours take milliseconds, COPY seconds."""
LEAST_WORK_MEM = 4 * MB
"""PostgreSQL's default. pgvector's iterative scans stop at work_mem times hnsw.scan_mem_multiplier (its README)."""


def crash_safety(patient: Patient) -> Iterator[Check]:
    yield judge_crash_safety(patient.settings, patient.whose)


def judge_crash_safety(settings: Settings, whose: Whose) -> Check:
    """The manual, 19.5: without either of the two a crash can leave data that cannot be read (unlike synchronous_commit)."""
    off = [settings[name] for name in ("fsync", "full_page_writes") if not settings[name].on]
    if not off:
        return About("crash-safety").ok("fsync and full_page_writes are on")
    return About("crash-safety").fail(
        f"{_names(off)} off: a crash of the machine can leave the database unreadable",
        "\n".join(whose.set(setting, "on") for setting in off),
    )


def checksums(patient: Patient) -> Iterator[Check]:
    yield judge_checksums(patient.settings["data_checksums"], patient.facts.data_directory)


def judge_checksums(setting: Setting, folder: str | None) -> Check:
    if setting.on:
        return About("checksums").ok("data checksums are on")
    return About("checksums").warn(
        "data checksums are off: a page that the disk has damaged is read as if it were sound",
        f"-- with the server stopped: pg_checksums --enable -D {folder or '$PGDATA'}",
    )


def autovacuum(patient: Patient) -> Iterator[Check]:
    yield judge_autovacuum(patient.settings, patient.whose)


def judge_autovacuum(settings: Settings, whose: Whose) -> Check:
    """It needs track_counts as well (manual, 24.1.6)."""
    off = [settings[name] for name in ("autovacuum", "track_counts") if not settings[name].on]
    if not off:
        return About("autovacuum").ok("autovacuum is on")
    return About("autovacuum").fail(
        f"{_names(off)} off: deleted rows stay in tables and indexes, statistics age, and one day the server stops for"
        " want of transaction ids",
        "\n".join(whose.reset(setting, "on") for setting in off),
    )


def planner_switches(patient: Patient) -> Iterator[Check]:
    yield judge_switches(patient.settings, patient.whose)


def judge_switches(settings: Settings, whose: Whose) -> Check:
    off = [settings[name] for name in SWITCHES if not settings[name].on]
    if not off:
        return About("planner-switches").ok("the planner may use every kind of plan")
    return About("planner-switches").warn(
        f"{_names(off)} off ({_sources(off)}): the planner may not choose the plan that is quickest",
        "\n".join(whose.reset(setting, "on") for setting in off),
    )


def switched_on(settings: Settings) -> dict[str, str]:
    """What to set for a plan as it is without those switches."""
    return {name: "on" for name in SWITCHES if not settings[name].on}


def statement_timeout(patient: Patient) -> Iterator[Check]:
    yield judge_timeout(patient.settings["statement_timeout"], patient.whose)


def judge_timeout(setting: Setting, whose: Whose) -> Check:
    about, seconds = About("statement-timeout"), setting.number / 1_000
    if seconds == 0 or seconds >= SHORTEST_SECONDS:
        return about.ok(
            f"statement_timeout is {seconds:g} s" if seconds else "statements may take as long as they need"
        )
    return about.warn(
        f"statement_timeout is {seconds:g} s: loads, and searches by filters that few rows pass, may be cut off",
        whose.reset(setting, "30s"),
    )


def transaction_defaults(patient: Patient) -> Iterator[Check]:
    yield judge_transactions(patient.settings, patient.whose, read_only=patient.facts.read_only)


def judge_transactions(settings: Settings, whose: Whose, *, read_only: bool) -> Check:
    """Howdah's transactions are written for READ COMMITTED; a stricter level ends those that meet with 40001."""
    about = About("transaction-defaults")
    writes, isolation = settings["default_transaction_read_only"], settings["default_transaction_isolation"]
    if writes.on and not read_only:
        return about.fail(
            "default_transaction_read_only is on: nothing can be loaded or deleted",
            f"SET default_transaction_read_only = off; {whose.reset(writes, 'off')}",
        )
    if isolation.value not in ("read committed", "read uncommitted"):
        return about.warn(
            f"default_transaction_isolation is {isolation.value}: loads that meet fail with a serialization error",
            whose.reset(isolation, "read committed"),
        )
    return about.ok("transactions may write, and begin as READ COMMITTED")


# -- memory


def shared_buffers(patient: Patient) -> Iterator[Check]:
    total = sum(row.bytes for row in index_rows(patient))
    yield judge_buffers(patient.settings["shared_buffers"], patient.whose, indexes=total)


def judge_buffers(setting: Setting, whose: Whose, *, indexes: int) -> Check:
    """A search by HNSW reads pages all over the index: it should fit the buffers (PGVECTOR: 25 % of memory, pgvector README)."""
    about, seen = (
        About("shared-buffers"),
        f"the vector indexes take {size(indexes)} and shared_buffers {size(setting.bytes)}",
    )
    if indexes <= setting.bytes:
        return about.ok(seen)
    return about.warn(
        f"{seen}: searches read pages from outside it",
        whose.set(setting, setting_size(1.25 * indexes)),
    )


def work_mem(patient: Patient) -> Iterator[Check]:
    yield judge_work_mem(patient.settings["work_mem"], patient.whose)


def judge_work_mem(setting: Setting, whose: Whose) -> Check:
    about, seen = About("work-mem"), f"work_mem is {size(setting.bytes)}"
    if setting.bytes >= LEAST_WORK_MEM:
        return about.ok(seen)
    return about.warn(
        f"{seen}, less than PostgreSQL's default: sorts go to disk, and filtered searches end with fewer rows",
        whose.reset(setting, "16MB"),
    )


def maintenance_work_mem(patient: Patient) -> Iterator[Check]:
    setting, buffers = patient.settings["maintenance_work_mem"], patient.settings["shared_buffers"]
    # Howdah's own builds take as much as they need, up to shared_buffers.
    needs = {
        subject: wanted for subject, wanted, own in build_sizes(patient) if not own or wanted > buffers.bytes
    }  # fmt: skip
    yield judge_maintenance(setting, patient.whose, needs)


def judge_maintenance(setting: Setting, whose: Whose, needs: Mapping[str, int]) -> Check:
    """`needs` are bytes of an HNSW graph by subject; one that leaves the memory is built on disk (pgvector README)."""
    about, seen = About("maintenance-work-mem"), f"maintenance_work_mem is {size(setting.bytes)}"
    subject = max(needs, key=lambda name: needs[name], default=None)
    if subject is None or needs[subject] <= setting.bytes:
        return about.ok(seen)
    return about.warn(
        f"{seen}, and the graph of {subject} takes {size(needs[subject])}: it is built on disk, several times slower",
        whose.set(setting, setting_size(1.25 * needs[subject])),
    )


def _names(settings: list[Setting]) -> str:
    names = " and ".join(setting.name for setting in settings)
    return f"{names} {'is' if len(settings) == 1 else 'are'}"


def _sources(settings: list[Setting]) -> str:
    return ", ".join(dict.fromkeys(f"set by the {_SOURCES.get(s.source, s.source)}" for s in settings))


_SOURCES = {"client": "connection's options", "user": "role", "database user": "role in this database"}
