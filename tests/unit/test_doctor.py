"""The doctor's judgements, from facts alone: each threshold on both of its sides."""

from dataclasses import replace

import pytest

from howdah.retrieval.adopt_sources import Kind
from howdah.retrieval.collection import Storage
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.health import access, configuration, heaps, index_use, indexes, plans, server, sessions, undone
from howdah.retrieval.health.check import GB, MB, About, Check, Status, setting_size, size, worst
from howdah.retrieval.health.examination import PROBES, chosen, without_server
from howdah.retrieval.health.index_rows import IndexRow
from howdah.retrieval.health.patient import Client
from howdah.retrieval.health.reading import Setting, Whose
from howdah.retrieval.health.sessions import Connections
from howdah.retrieval.health.tables import Heap, VectorTable
from howdah.retrieval.relations import Column, Index, Relation
from howdah.scripts import settings

WHOSE = Whose(database="library", role="ann")


def setting(
    name: str,
    value: str,
    *,
    unit: str | None = None,
    source: str = "default",
    context: str = "user",
    default: str = "on",
):
    return Setting(name=name, value=value, unit=unit, source=source, context=context, default=default)


def table(
    *, rows: int = 20_000, type_name: str = "vector", dimensions: int | None = 384, kind=Kind.TABLE, found=()
) -> VectorTable:
    column = Column(
        name="embedding", type=type_name, base=type_name, storage=Storage.of(type_name), dimensions=dimensions
    )
    relation = Relation(
        schema="public", name="items", vector_schema="public", kind="r", owner="ann", user="ann", readable=True, hidden=False,
        blocks=1, columns=(column,), indexes=tuple(found),
    )  # fmt: skip
    return VectorTable(relation=relation, column=column, rows=rows, analyzed=True, kind=kind)


def index(
    name: str, opclass: str, *, method: str = "hnsw", valid: bool = True, column: str | None = "embedding"
) -> Index:
    definition = f"CREATE INDEX {name} ON public.items USING {method} (embedding {opclass})"
    return Index(
        name=name, method=method, columns=(column,), opclasses=(opclass,), valid=valid, unique=False, partial=False,
        definition=definition,
    )  # fmt: skip


def heap(**more: object) -> Heap:
    facts = {
        "subject": "table public.items", "table": "public.items", "large": True, "rows": 10_000,
        "grown": False, "live": 10_000, "dead": 0,
        "modified": 0, "analyzed": True, "bytes": 10 * MB, "total": 20 * MB, "width": 900, "age": 1_000, "multi_age": 1,
        "vacuums": True, "logged": True,
    }  # fmt: skip
    return Heap(**{**facts, **more})  # type: ignore[arg-type]


AGES = {
    "autovacuum_freeze_max_age": setting("autovacuum_freeze_max_age", "200000000"),
    "autovacuum_multixact_freeze_max_age": setting("autovacuum_multixact_freeze_max_age", "400000000"),
}


class TestVersions:
    @pytest.mark.parametrize(
        ("version", "status"),
        [(None, "fail"), ("0.4.4", "fail"), ("0.7.4", "fail"), ("0.8.0", "fail"), ("0.8.1", "fail"), ("0.8.2", "warn"),
         ("0.8.3", "warn"), ("0.8.4", "ok"), ("0.8.6", "ok"), ("0.9.0", "ok"), ("0.10.0", "ok")],
    )  # fmt: skip
    def test_pgvector_by_its_changelog(self, version, status):
        assert server.judge_pgvector(version, version, ["public.i"]).status.label == status

    def test_what_mends_pgvector(self):
        assert server.judge_pgvector("0.8.5", "0.8.6", []).fix == "ALTER EXTENSION vector UPDATE;"
        assert server.judge_pgvector("0.8.3", "0.8.6", ["a.b"]).fix.endswith("UPDATE;\nREINDEX INDEX CONCURRENTLY a.b;")
        assert server.judge_pgvector("0.8.3", "0.8.3", []).fix.startswith("-- install pgvector 0.8.6")
        assert server.judge_pgvector(None, "0.8.6", []).fix.startswith("CREATE EXTENSION vector;")
        assert "apt install" in server.judge_pgvector(None, None, []).fix

    @pytest.mark.parametrize(
        ("number", "status"),
        [(130_020, "fail"), (140_023, "warn"), (140_024, "ok"), (150_018, "warn"), (150_019, "ok"), (160_014, "warn"),
         (160_015, "ok"), (170_010, "warn"), (170_011, "ok"), (180_005, "warn"), (180_006, "ok"), (190_000, "ok")],
    )  # fmt: skip
    def test_postgresql_by_its_release_notes(self, number, status):
        assert server.judge_server(number).status.label == status


class TestReach:
    @pytest.mark.parametrize("host", ["", "/var/run", "localhost", "127.0.0.1", "::1", "127.0.0.1,localhost"])
    def test_what_stays_on_the_machine_needs_no_tls(self, host):
        assert server.judge_encryption(Conninfo(f"host='{host}'"), tls=False).status is Status.OK

    @pytest.mark.parametrize("host", ["db.example.org", "10.0.0.7", "localhost,db.example.org"])
    def test_what_leaves_it_does(self, host):
        found = server.judge_encryption(Conninfo(f"host={host} password=secret"), tls=False)
        assert found.status is Status.WARN
        assert "sslmode=verify-full" in found.fix
        assert "secret" not in found.detail + found.fix
        assert server.judge_encryption(Conninfo(f"host={host}"), tls=True).status is Status.OK

    def test_a_pooler_without_prepared_statements(self):
        assert server.judge_pooler(pooled=True, prepares=False).status is Status.WARN
        assert server.judge_pooler(pooled=True, prepares=True).status is Status.OK

    @pytest.mark.parametrize(
        ("free", "largest", "status"),
        [(50, 1, "ok"), (9, 1, "warn"), (50, 26, "warn"), (50, 25, "ok"), (1, 0, "fail")],
    )
    def test_room_on_the_disk(self, free, largest, status):
        assert server.judge_disk("/data", total=100 * GB, free=free * GB, largest=largest * GB).status.label == status

    def test_the_server_that_is_not_reached(self):
        failure = InvalidInput("nothing listens there", hint="start it")
        found = list(without_server(failure, Client(langsmith_tracing=True, langsmith_key=True), PROBES))
        assert [(check.name, check.status) for check in found] == [
            ("reachable", Status.FAIL), ("langsmith", Status.WARN),
        ]  # fmt: skip


class TestSessions:
    @pytest.mark.parametrize(
        ("used", "limit", "status"),
        [(20, 97, "ok"), (77, 97, "ok"), (78, 97, "warn"), (93, 97, "fail"), (8, 15, "warn")],
    )
    def test_connections_of_the_server(self, used, limit, status):
        found = Connections(used=used, server=limit, of_database=used, database=None, of_role=used, role=None)
        check = sessions.judge_connections(found, WHOSE, pool=10)
        assert check.status.label == status
        assert not check.fix or "max_connections" in check.fix

    def test_connections_of_database_and_role(self):
        free = Connections(used=5, server=97, of_database=5, database=100, of_role=5, role=100)
        assert sessions.judge_connections(free, WHOSE, pool=10).status is Status.OK
        database = sessions.judge_connections(replace(free, database=6), WHOSE, pool=10)
        role = sessions.judge_connections(replace(free, role=6), WHOSE, pool=10)
        assert database.fix == "ALTER DATABASE library CONNECTION LIMIT -1;"
        assert role.fix == "ALTER ROLE ann CONNECTION LIMIT -1;"

    def test_a_transaction_that_was_left_open(self):
        old = sessions.judge_transaction(pid=7, user="bob", state="idle in transaction", seconds=3_601)
        assert (old.status, old.fix) == (Status.WARN, "SELECT pg_terminate_backend(7);")
        assert sessions.judge_transaction(pid=7, user="bob", state="active", seconds=3_599).status is Status.OK

    def test_a_replica(self):
        assert "hot_standby_feedback" in sessions.judge_replica(feedback=False, cancelled=3).fix
        assert sessions.judge_replica(feedback=True, cancelled=3).status is Status.OK


class TestSettings:
    @pytest.mark.parametrize(
        ("source", "fix"),
        [("database", "ALTER DATABASE library RESET enable_indexscan;"),
         ("user", "ALTER ROLE ann RESET enable_indexscan;"),
         ("database user", "ALTER ROLE ann IN DATABASE library RESET enable_indexscan;"),
         ("configuration file", "ALTER DATABASE library SET enable_indexscan = 'on';"),
         ("client", "-- take enable_indexscan out of options= in the database URL, or out of PGOPTIONS")],
    )  # fmt: skip
    def test_a_setting_is_mended_where_it_was_set(self, source, fix):
        settings = {name: setting(name, "on") for name in configuration.SWITCHES}
        settings["enable_indexscan"] = setting("enable_indexscan", "off", source=source)
        assert configuration.judge_switches(settings, WHOSE).fix == fix
        assert configuration.switched_on(settings) == {"enable_indexscan": "on"}

    def test_names_are_quoted_where_they_have_to_be(self):
        whose = Whose(database="My Library", role="ann")
        assert whose.set(setting("jit", "on"), "off") == """ALTER DATABASE "My Library" SET jit = 'off';"""

    @pytest.mark.parametrize(("value", "status"), [("0", "ok"), ("4999", "warn"), ("5000", "ok")])
    def test_statement_timeout(self, value, status):
        assert configuration.judge_timeout(setting("statement_timeout", value, unit="ms"), WHOSE).status.label == status

    @pytest.mark.parametrize(("kb", "status"), [("4095", "warn"), ("4096", "ok")])
    def test_work_mem(self, kb, status):
        assert configuration.judge_work_mem(setting("work_mem", kb, unit="kB"), WHOSE).status.label == status

    def test_shared_buffers_hold_the_indexes(self):
        buffers = setting("shared_buffers", "16384", unit="8kB", context="postmaster")  # 128 MB
        assert configuration.judge_buffers(buffers, WHOSE, indexes=128 * MB).status is Status.OK
        found = configuration.judge_buffers(buffers, WHOSE, indexes=200 * MB)
        assert found.fix == "ALTER SYSTEM SET shared_buffers = '250MB'; -- then restart the server"

    def test_memory_of_a_build(self):
        memory = setting("maintenance_work_mem", "65536", unit="kB")
        found = configuration.judge_maintenance(memory, WHOSE, {"table a": 65 * MB, "table b": 3 * MB})
        assert "table a" in found.detail
        assert found.fix == "ALTER DATABASE library SET maintenance_work_mem = '82MB';"
        assert configuration.judge_maintenance(memory, WHOSE, {"table a": 64 * MB}).status is Status.OK
        assert configuration.judge_maintenance(memory, WHOSE, {}).status is Status.OK

    def test_jit_of_dear_searches(self):
        on, off = setting("jit", "on"), setting("jit", "off")
        assert (
            plans.judge_jit(on, 100_000, {"table a": 100_001}, WHOSE).fix == "ALTER DATABASE library SET jit = 'off';"
        )
        assert plans.judge_jit(on, 100_000, {"table a": 99_000}, WHOSE).status is Status.OK
        assert plans.judge_jit(on, -1, {"table a": 200_000}, WHOSE).status is Status.OK
        assert plans.judge_jit(off, 100_000, {}, WHOSE).status is Status.OK

    def test_checksums(self):
        assert "/data" in configuration.judge_checksums(setting("data_checksums", "off"), "/data").fix


class TestIndexes:
    def test_a_small_table_wants_no_index(self):
        assert indexes.judge_missing(table(rows=9_999)).status is Status.OK
        assert indexes.judge_missing(table(rows=10_000)).status is Status.WARN
        assert indexes.judge_missing(table(rows=2_000, dimensions=1_536)).status is Status.WARN  # beside its row
        assert indexes.judge_missing(table(rows=1_999, dimensions=1_536)).status is Status.OK

    def test_what_makes_the_index(self):
        assert indexes.judge_missing(table(type_name="halfvec")).fix == (
            "CREATE INDEX CONCURRENTLY ON public.items\n  USING hnsw (embedding public.halfvec_cosine_ops);"
        )

    @pytest.mark.parametrize(
        ("opclass", "kind", "status"),
        [("vector_cosine_ops", Kind.PGVECTOR, "ok"), ("vector_l2_ops", Kind.PGVECTOR, "fail"),
         ("vector_ip_ops", Kind.LLAMAINDEX, "fail"), ("vector_l2_ops", Kind.TABLE, "ok")],
    )  # fmt: skip
    def test_the_operator_class_of_the_searches(self, opclass, kind, status):
        assert indexes.judge_operator(table(kind=kind, found=[index("i", opclass)])).status.label == status

    def test_a_build_under_way_is_not_a_broken_one(self):
        broken = table(found=[index("i", "vector_l2_ops", valid=False)])
        assert indexes.judge_valid(broken, {"i"}).status is Status.OK
        assert indexes.judge_valid(broken, set()).fix == "REINDEX INDEX CONCURRENTLY public.i;"
        left = table(found=[index("i_ccnew1", "vector_l2_ops", valid=False)])
        assert indexes.judge_valid(left, set()).fix == "DROP INDEX CONCURRENTLY public.i_ccnew1;"

    def test_dimensions_that_no_index_takes(self):
        assert "halfvec(3072)" in indexes.judge_dimensions(table(dimensions=3_072), None).fix
        assert "binary_quantize" in indexes.judge_dimensions(table(dimensions=5_000), None).fix
        assert indexes.judge_dimensions(table(dimensions=2_000), None).status is Status.OK
        assert indexes.judge_dimensions(table(dimensions=None), [384]).status is Status.WARN
        assert indexes.judge_dimensions(table(dimensions=None, rows=50), [384]).status is Status.OK
        assert indexes.judge_dimensions(table(dimensions=None, rows=50), [384, 768]).status is Status.FAIL

    @pytest.mark.parametrize(("lists", "status"), [(1, "warn"), (2, "ok"), (20, "ok"), (2_000, "ok"), (2_001, "warn")])
    def test_lists(self, lists, status):
        row = used(options=(f"lists={lists}",))
        assert index_use.judge_lists(table(rows=20_000), row).status.label == status

    def test_an_index_that_nothing_asks_for(self):
        one = table(found=[index("i", "vector_cosine_ops")])
        assert index_use.judge_unused(one, [used(scans=0, table_scans=999)]).status is Status.OK
        assert index_use.judge_unused(one, [used(scans=1, table_scans=5_000)]).status is Status.OK
        assert "pg_stat_statements" in index_use.judge_unused(one, [used(scans=0, table_scans=1_000)]).fix
        two = table(found=[index("i", "vector_cosine_ops"), index("j", "vector_l2_ops")])
        unused = index_use.judge_unused(two, [used(scans=9), used(index="j", scans=0, table_scans=1_000)])
        assert unused.fix == "DROP INDEX CONCURRENTLY public.j;"

    def test_reads_from_memory(self):
        def judged(**more: object) -> Status:
            return index_use.judge_cache(table(), used(**more), buffers=2 * GB).status

        assert judged(hit=8_999, read=1_001) is Status.WARN
        assert judged(hit=9_000, read=1_000) is Status.OK
        assert judged(hit=0, read=9_999) is Status.OK
        assert judged(bytes=3 * GB, hit=0, read=20_000) is Status.OK  # that is shared-buffers
        assert judged(cached=0.49) is Status.WARN
        assert judged(cached=0.5) is Status.OK

    def test_an_index_full_of_what_was_deleted(self):
        fresh = 1_000_000 * 8_192 // 4  # four vectors of 384 dimensions a page (PGVECTOR.md, section 1)

        def judged(size_now: float) -> Status:
            row = used(bytes=int(size_now))
            return heaps.judge_index_bloat(table(rows=1_000_000), row, opclass="vector_cosine_ops").status

        assert judged(1.9 * fresh) is Status.OK
        assert judged(2.1 * fresh) is Status.WARN


def used(**more: object) -> IndexRow:
    facts = {
        "index": "i", "name": "public.i", "bytes": 100 * MB, "scans": 5, "hit": 0, "read": 0, "table_scans": 0, "options": (),
    }  # fmt: skip
    return IndexRow(**{**facts, **more})  # type: ignore[arg-type]


class TestPlans:
    def test_nodes_are_read_to_the_leaves(self):
        inner = {"Node Type": "Index Scan", "Index Name": "i", "Relation Name": "items", "Total Cost": 2.0}
        whole = {"Node Type": "Parallel Seq Scan", "Relation Name": "words", "Total Cost": 3.0}
        plan = plans.Plan.of("similarity", {"Node Type": "Limit", "Total Cost": 9.5, "Plans": [inner, whole]})
        assert (plan.indexes, plan.whole, plan.cost) == (frozenset("i"), frozenset({"words"}), 9.5)

    def test_a_plan_without_the_index(self):
        one = table(found=[index("i", "vector_cosine_ops")])
        read = plans.Plan(mode="similarity", indexes=frozenset("i"), whole=frozenset(), cost=1)
        passed = replace(read, indexes=frozenset({"items_pkey"}))
        costs = {"random_page_cost": setting("random_page_cost", "4", default="4")}
        assert plans.judge_plans(one, [read], frozenset("i"), costs, WHOSE).status is Status.OK
        assert plans.judge_plans(one, [passed], frozenset("i"), costs, WHOSE).fix.startswith("ANALYZE public.items;")
        dear = {"random_page_cost": setting("random_page_cost", "400", default="4", source="database")}
        fix = plans.judge_plans(one, [passed], frozenset("i"), dear, WHOSE).fix
        assert fix == "ALTER DATABASE library RESET random_page_cost;"

    def test_when_a_plan_says_nothing(self):
        ready = table(found=[index("i", "vector_cosine_ops")])
        assert plans.not_asked(ready) is None
        assert plans.not_asked(table()) == "there is no index to use"
        assert "may read them all" in (plans.not_asked(replace(ready, rows=100)) or "")
        assert "analyzed" in (plans.not_asked(replace(ready, analyzed=False)) or "")


class TestHeaps:
    @pytest.mark.parametrize(
        ("live", "dead", "status"),
        [(8_000, 2_000, "ok"), (7_999, 2_001, "warn"), (9_000, 1_000, "ok"), (2_000, 8_000, "warn")],
    )
    def test_deleted_rows(self, live, dead, status):
        assert heaps.judge_dead(heap(live=live, dead=dead), {}).status.label == status

    def test_few_deleted_rows_are_not_worth_a_word(self):
        assert heaps.judge_dead(heap(rows=1_500, live=500, dead=1_000), {}).status is Status.OK
        assert heaps.judge_dead(heap(rows=1_501, live=500, dead=1_001), {}).status is Status.WARN

    def test_a_small_table_is_left_to_autovacuum(self):
        assert heaps.judge_dead(heap(large=False, live=2_000, dead=8_000), {}).status is Status.OK
        assert heaps.judge_statistics(heap(large=False, analyzed=False, modified=9_000), {}).status is Status.OK

    def test_statistics(self):
        assert heaps.judge_statistics(heap(modified=2_001), {}).status is Status.WARN
        assert heaps.judge_statistics(heap(modified=2_000), {}).status is Status.OK
        assert heaps.judge_statistics(heap(analyzed=False), {}).status is Status.WARN
        assert heaps.judge_statistics(heap(analyzed=False, live=1_000), {}).status is Status.OK

    def test_counters_that_are_ahead_of_the_table_are_not_believed(self):
        assert heaps.judge_statistics(heap(modified=10_000, live=20_000), {}).status is Status.OK
        assert heaps.judge_dead(heap(rows=312, live=0, dead=2_312), {}).status is Status.OK
        assert heaps.judge_dead(heap(rows=10_000, live=10_000, dead=6_000), {}).status is Status.WARN
        assert heaps.judge_statistics(heap(modified=10_000, live=20_000, grown=True), {}).status is Status.WARN

    @pytest.mark.parametrize(
        ("age", "status"),
        [(200_000_000, "ok"), (211_000_000, "warn"), (1_610_000_000, "warn"), (1_611_000_000, "fail")],
    )
    def test_age(self, age, status):
        assert heaps.judge_age(heap(age=age), AGES).status.label == status

    @pytest.mark.parametrize(
        ("age", "multi_age", "status"),
        [(210_000_000, 0, "ok"), (210_000_001, 0, "warn"), (1_610_612_737, 0, "fail"), (0, 1_610_612_737, "fail")],
    )
    def test_age_of_the_database(self, age, multi_age, status):
        """Three quarters of 2^31 are 1,610,612,736."""
        found = heaps.judge_database_age("library", age=age, multi_age=multi_age, limit=200_000_000)
        assert found.status.label == status

    def test_empty_room(self):
        full = 1_250 * 8_192  # 8 rows of 928 bytes are 7,424, and 9 are 8,352: more than a page
        assert heaps.expected_bytes(10_000, 900) == full
        assert heaps.judge_bloat(heap(bytes=2 * full), {}).status is Status.OK
        assert heaps.judge_bloat(heap(bytes=2 * full + 8_192 * 40), {}).status is Status.WARN
        assert heaps.judge_bloat(heap(bytes=10 * full, width=0), {}).status is Status.OK
        assert heaps.judge_bloat(heap(bytes=9 * MB, rows=10, width=100), {}).status is Status.OK  # not worth it


class TestAccess:
    def test_rights(self):
        def judged(**more: object) -> Check:
            facts = {"there": True, "usage": True, "unread": [], "unwritten": [], "read_only": False}
            return access.judge_schema("ann", **{**facts, **more})  # type: ignore[arg-type]

        assert judged().status is Status.OK
        assert judged(usage=False).status is Status.FAIL
        assert judged(unread=["chunks_1"]).status is Status.FAIL
        assert judged(unwritten=["chunks_1"]).status is Status.WARN
        assert judged(unwritten=["chunks_1"], read_only=True).status is Status.OK
        assert judged(there=False).status is Status.OK

    @pytest.mark.parametrize(
        ("client", "status"),
        [(Client(langsmith_tracing=True, langsmith_key=True), "warn"), (Client(langsmith_key=True), "ok"),
         (Client(langsmith_tracing=True), "ok"),
         (Client(langsmith_tracing=True, langsmith_key=True, offline=True), "ok")],
    )  # fmt: skip
    def test_langsmith(self, client, status):
        assert undone.judge_langsmith(client).status.label == status


def test_the_worst_of_several():
    about = About("a")
    assert worst([]) is Status.OK
    assert worst([about.ok("x"), about.fail("x", "y"), about.warn("x", "y")]) is Status.FAIL


def test_checks_are_chosen_by_their_names():
    names = [probe.name for probe in PROBES]
    assert len(names) == len(set(names))
    assert [probe.name for probe in chosen(["jit", "encryption"])] == ["encryption", "jit"]
    with pytest.raises(InvalidInput, match="no check 'jot'"):
        chosen(["jot"])


def test_sizes_are_postgresqls():
    assert (size(512), size(1_536), size(1.5 * MB), size(2 * GB)) == ("512 B", "2 kB", "1.5 MB", "2.0 GB")
    assert setting_size(1.2 * MB) == "2MB"


def test_where_a_setting_came_from(tmp_path, monkeypatch):
    for name in ("HOWDAH_COLLECTION", "HOWDAH_CACHE_MB", "HOWDAH_DATABASE_URL", "DATABASE_URL", "PGHOST", "PGSERVICE"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)  # and it is gone again after the test, too
    monkeypatch.setenv("HOWDAH_IDLE_MINUTES", "5")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("HOWDAH_COLLECTION=manuals\nHOWDAH_IDLE_MINUTES=7\n")
    known = settings.origins()
    found = known.of(settings.read())
    assert found["HOWDAH_COLLECTION"] == {"value": "manuals", "from": ".env"}
    assert found["HOWDAH_IDLE_MINUTES"] == {"value": 5.0, "from": "environment"}
    assert found["HOWDAH_CACHE_MB"] == {"value": 1000.0, "from": "default"}
    assert found["database"] == {"value": "embedded", "from": "default"}
