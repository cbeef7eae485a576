"""Metrics for Prometheus: read by its own parser, and compared with what other SQL says."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
import time
from urllib.error import HTTPError
from urllib.request import urlopen
from uuid import uuid4

import psycopg
import pytest
from langchain_core.documents import Document
from psycopg.conninfo import make_conninfo

pytest.importorskip("prometheus_client")
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from howdah import PGVector, sync
from howdah.retrieval import metrics, metrics_database
from howdah.retrieval.metrics import registry
from howdah.retrieval.query import Query
from howdah.retrieval.traces import Trace
from howdah.retrieval.tracing import Traces
from howdah.scripts.metrics import address
from howdah.scripts.metrics_http import AT_ONCE, serve
from tests.integration.scratch import free_port
from tests.project.tree import ROOT

Sample = dict[frozenset[tuple[str, str]], float]


def samples(text: str) -> dict[str, Sample]:
    """By sample name and labels."""
    found: dict[str, Sample] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def labelled(**labels: str) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def scraped(store: PGVector, **how: bool) -> dict[str, Sample]:
    return samples(generate_latest(registry(store, **how)).decode())


@pytest.fixture
def full(vectors, tmp_path) -> PGVector:
    """Rows of both kinds, dead rows, a failed source, traced answers."""
    vectors.add_documents([Document(f"Row {n}", id=str(n)) for n in range(30)])
    vectors.delete([str(n) for n in range(5)])
    (tmp_path / "good.md").write_text("# One\n\nA document.\n")
    (tmp_path / "bad.pdf").write_bytes(b"%PDF-1.4 and nothing else")
    sync(vectors, [tmp_path])
    traces = Traces(vectors)
    for number, (outcome, statuses) in enumerate(
        [("answered", ["supported", "quoted", "dropped"]), ("answered", ["marked"]), ("refused", [])]
    ):
        checks = [{"status": status, "reason": "", "n": []} for status in statuses]
        assert traces.keep(_trace(f"t{number}", outcome, checks)) is None
    return vectors


def _trace(id: str, outcome: str, checks: list[dict]) -> Trace:
    return Trace(id=id, outcome=outcome, question="a question", collection="docs", checks=checks)  # type: ignore[arg-type]


# -- what the database knows


def test_figures_are_those_of_other_sql(full, url):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE howdah.chunks_1, howdah.postings_1")
        conn.execute("SELECT pg_stat_force_next_flush()")

        def one(sql: str) -> float:
            row = conn.execute(sql).fetchone()
            assert row is not None
            return float(row[0])

        found = scraped(full, process=False, database=True)
        docs = labelled(collection="docs")
        assert found["howdah_up"] == {frozenset(): 1}
        assert set(found["howdah_scrape_success"].values()) == {1}
        assert found["howdah_collections"][frozenset()] == 1
        assert found["howdah_chunks"][docs] == one("SELECT count(*) FROM howdah.chunks_1") == 26
        assert found["howdah_documents"][docs] == one("SELECT count(*) FROM howdah.documents") == 1
        assert found["howdah_failed_sources"][docs] == one("SELECT count(*) FROM howdah.failures") == 1
        assert found["howdah_document_written_timestamp_seconds"][docs] == pytest.approx(
            one("SELECT extract(epoch FROM max(synced_at)) FROM howdah.documents"), abs=0.01
        )
        for table in ("chunks", "passages", "postings", "terms"):
            of_it = labelled(collection="docs", table=table)
            assert found["howdah_table_size_bytes"][of_it] == one(
                f"SELECT pg_total_relation_size(c) - pg_indexes_size(c) FROM (SELECT 'howdah.{table}_1'::regclass AS c) AS t"
            )
        assert found["howdah_table_live_tuples"][labelled(collection="docs", table="chunks")] == 26
        index = labelled(collection="docs", table="postings", index="pkey")
        assert found["howdah_index_size_bytes"][index] == one("SELECT pg_relation_size('howdah.postings_1_pkey')")
        assert found["howdah_server_connections_limit"][frozenset()] == one("SHOW max_connections")
        assert found["howdah_schema_version"][frozenset()] == one("SELECT max(version) FROM howdah.migrations")


def test_dead_rows_are_those_that_were_replaced(vectors, url):
    vectors.add_texts([f"text {n}" for n in range(20)], ids=[str(n) for n in range(20)])
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("ALTER TABLE howdah.chunks_1 SET (autovacuum_enabled = off)")
        vectors.delete([str(n) for n in range(7)])
        vectors.database.close()  # a session reports what it did at its end
        wait_until(lambda: dead(vectors) == 7)
        conn.execute("VACUUM howdah.chunks_1")
        wait_until(lambda: dead(vectors) == 0)


def dead(store: PGVector) -> float:
    found = scraped(store, process=False, database=True)
    return found["howdah_table_dead_tuples"][labelled(collection="docs", table="chunks")]


def wait_until(holds) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_answers_and_their_sentences_by_what_became_of_them(full, url):
    with psycopg.connect(url, autocommit=True) as conn:  # one of the two is two hours old
        conn.execute("UPDATE howdah.traces SET at = now() - interval '2 hours' WHERE id = 't0'")
    found = scraped(full, process=False, database=True)

    def answers(outcome: str, window: str) -> float:
        return found["howdah_traced_answers"][labelled(collection="docs", outcome=outcome, window=window)]

    def sentences(status: str, window: str) -> float:
        return found["howdah_traced_sentences"][labelled(collection="docs", status=status, window=window)]

    assert (answers("answered", "1h"), answers("answered", "24h")) == (1, 2)
    assert (answers("refused", "1h"), answers("failed", "24h")) == (1, 0)
    assert (sentences("dropped", "1h"), sentences("dropped", "24h")) == (0, 1)
    assert (sentences("marked", "1h"), sentences("supported", "24h")) == (1, 1)


def test_no_label_holds_a_question_and_hidden_collections_have_none(full, url):
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO howdah.collections (name, model, dimensions, storage, metric, lexical, language, config, hidden,"
            " schema_version) VALUES ('scratch', 'm', 3, 'halfvec', 'cosine', false, 'english', 'english', true, 7)"
        )
    full.hits("a question")
    text = generate_latest(registry(full, database=True)).decode()
    assert "question" not in text
    assert "scratch" not in text


def test_a_hostile_name_of_a_collection_is_escaped(url, embeddings):
    name = 'a"b\\c\nhowdah_up 0'
    with PGVector(embeddings, connection=url, collection_name=name) as store:
        store.add_texts(["one"])
        found = scraped(store, database=True)
        assert found["howdah_chunks"] == {labelled(collection=name): 1}
        assert found["howdah_up"] == {frozenset(): 1}
        store.database.close()


def test_a_part_that_is_too_slow_is_left_out_and_said(full, monkeypatch):
    """The statement of one part waits for a lock that another session holds."""
    with psycopg.connect(full.database.conninfo.text) as other:
        other.execute("LOCK TABLE howdah.failures IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        found = scraped(full, process=False, database=True)
        assert time.monotonic() - began < 5
    assert found["howdah_up"] == {frozenset(): 1}
    assert found["howdah_scrape_success"][labelled(part="collections")] == 0
    assert found["howdah_scrape_success"][labelled(part="tables")] == 1
    assert "howdah_chunks" not in found
    assert "howdah_table_size_bytes" in found


def test_a_slow_statement_is_stopped_by_the_server(full, monkeypatch):
    monkeypatch.setattr(metrics_database, "BOUNDED", {"statement_timeout": "50ms"})
    sleepy = (lambda _: Query(metrics_database.metrics_sql.SQL("SELECT pg_sleep(20)"), {}), lambda _: iter(()))
    monkeypatch.setattr(metrics_database, "PARTS", {"sleepy": sleepy})
    began = time.monotonic()
    assert scraped(full, process=False, database=True)["howdah_scrape_success"] == {labelled(part="sleepy"): 0}
    assert time.monotonic() - began < 5


def test_a_role_that_may_only_look_sees_everything(full, url, admin):
    """The grants of docs/monitoring.md."""
    page = (ROOT / "docs/monitoring.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)
    _create, grants = block.split(";", 1)
    role = f"metrics_{uuid4().hex}"
    admin.execute(f"CREATE ROLE {role} LOGIN IN ROLE pg_monitor")
    try:
        with psycopg.connect(url, autocommit=True) as conn:
            conn.execute(grants.replace("TO metrics", f"TO {role}"))
            limited = PGVector(full.embeddings, connection=make_conninfo(url, user=role), collection_name="docs")
            found = scraped(limited, process=False, database=True)
            limited.database.close()
            assert set(found["howdah_scrape_success"].values()) == {1}
            assert found["howdah_chunks"] == {labelled(collection="docs"): 26}
            with pytest.raises(psycopg.errors.InsufficientPrivilege), psycopg.connect(url, user=role) as theirs:
                theirs.execute("SELECT content FROM howdah.passages_1")
            conn.execute(f"DROP OWNED BY {role}")
    finally:
        admin.execute(f"DROP ROLE {role}")


def test_scrapes_soon_after_each_other_ask_once(full, monkeypatch):
    asked = []
    real = metrics_database.families
    monkeypatch.setattr(metrics_database, "families", lambda store: asked.append(1) or real(store))
    found = registry(full, process=False, database=True, fresh=60)
    threads = [threading.Thread(target=generate_latest, args=(found,)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(asked) == 1
    again = registry(full, process=False, database=True, fresh=0)
    generate_latest(again)
    generate_latest(again)
    assert len(asked) == 3


# -- what this process does


def test_searches_are_counted_by_mode_sync_and_async(vectors):
    vectors.add_texts([f"text {n}" for n in range(20)])
    for _ in range(3):
        vectors.hits("text", search_type="hybrid")
    vectors.hits_many(["a", "b"], search_type="lexical")
    vectors.similarity_search("text")

    async def more() -> None:
        await vectors.ahits("text", search_type="hybrid")
        await vectors.aclose()

    asyncio.run(more())
    with pytest.raises(ValueError, match="dimensions"):
        vectors.similarity_search_by_vector([1.0])
    found = scraped(vectors)
    done = {
        dict(labels)["mode"]: value
        for labels, value in found["howdah_searches_total"].items()
        if dict(labels)["outcome"] == "done"
    }
    assert done == {"hybrid": 4, "lexical": 2, "similarity": 1}
    assert found["howdah_searches_total"][labelled(collection="docs", mode="similarity", outcome="failed")] == 1
    hybrid = labelled(collection="docs", mode="hybrid")
    assert found["howdah_search_duration_seconds_count"][hybrid] == 4
    assert found["howdah_search_duration_seconds_bucket"][hybrid | {("le", "+Inf")}] == 4
    whole, inside = (found[f"howdah_search_{part}duration_seconds_sum"][hybrid] for part in ("", "database_"))
    assert 0 < inside < whole < 60


def test_cache_hits_are_counted(url, embeddings):
    with PGVector(embeddings, connection=url, collection_name="docs", cache=True) as store:
        store.add_texts(["one", "two", "two"])
        store.add_texts(["two", "three"])
        for query in ("x", "x", "y"):
            store.hits(query)
        found = scraped(store)["howdah_embedding_cache_lookups_total"]
        counted = {(dict(labels)["kind"], dict(labels)["result"]): value for labels, value in found.items()}
        assert counted == {
            ("passage", "hit"): 1, ("passage", "miss"): 3, ("query", "hit"): 1, ("query", "miss"): 2,
        }  # fmt: skip
        store.database.close()


def test_the_pool_is_shown_as_it_is(vectors):
    vectors.add_texts(["one"])
    with vectors.database.connection(), vectors.database.connection():
        found = scraped(vectors)
    assert found["howdah_pool_connections"][labelled(pool="sync", state="used")] == 2
    assert found["howdah_pool_connections_limit"][labelled(pool="sync")] == 10
    assert scraped(vectors)["howdah_pool_connections"][labelled(pool="sync", state="used")] == 0
    assert found["howdah_pool_requests_waiting"][labelled(pool="sync")] == 0


def test_two_registries_do_not_meet_and_the_process_wide_one_stays_empty(vectors):
    from prometheus_client import REGISTRY

    vectors.add_texts(["one"])
    before = generate_latest(REGISTRY)
    one, other = registry(vectors), registry(vectors, database=True)
    assert b"howdah" in generate_latest(one)
    assert b"howdah_up" in generate_latest(other)
    assert b"howdah" not in before + generate_latest(REGISTRY)
    assert metrics.FRESH > 0


# -- the command


def test_the_command_prints_what_prometheus_reads(full, url, howdah, capsys, monkeypatch):
    from howdah.scripts.main import _run

    code, as_json = howdah("db", "metrics")
    assert code == 0
    values = {each["name"]: each["samples"] for family in [as_json["metrics"]] for each in family}
    assert values["howdah_chunks"] == [{"name": "howdah_chunks", "labels": {"collection": "docs"}, "value": 26.0}]
    assert _run(["db", "metrics", "--once"]) == 0
    printed = samples(capsys.readouterr().out)
    assert printed["howdah_chunks"] == {labelled(collection="docs"): 26}


def test_without_our_tables_it_says_what_is_missing(blank_url, monkeypatch, capsys):
    from howdah.scripts.main import _run

    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION vector")
    monkeypatch.setenv("HOWDAH_DATABASE_URL", blank_url)
    assert _run(["db", "metrics"]) == 1
    out, err = capsys.readouterr()
    assert samples(out)["howdah_scrape_success"][labelled(part="schema")] == 0
    assert "howdah db migrate" in err


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ("9187", ("127.0.0.1", 9187)),
        (":9187", ("127.0.0.1", 9187)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:80", ("::1", 80)),
    ],
)
def test_an_address_is_loopback_unless_a_host_is_named(given, place):
    assert address(given) == place


@pytest.mark.parametrize("given", ["", "host", "host:", "host:99999", "host:-1", "9187x"])
def test_what_is_no_address_is_used_wrongly(howdah, given):
    code, found = howdah("db", "metrics", "--listen", given)
    assert (code, found["error"]["kind"]) == (2, "InvalidInput")


def test_it_serves_until_it_is_stopped(full, url):
    port = free_port()
    environment = {**os.environ, "HOWDAH_DATABASE_URL": url}
    command = [sys.executable, "-m", "howdah.scripts.main", "db", "metrics", "--listen", str(port)]
    program = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert program.stderr is not None
    try:
        assert f"http://127.0.0.1:{port}/metrics" in program.stderr.readline()
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            assert samples(answer.read().decode())["howdah_chunks"] == {labelled(collection="docs"): 26}
        with pytest.raises(HTTPError, match="404") as missing:
            urlopen(f"http://127.0.0.1:{port}/", timeout=10)
        missing.value.close()
        second = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (second.returncode, "Address already in use" in second.stderr) == (3, True)
    finally:
        program.send_signal(signal.SIGINT)
        assert program.wait(20) == 130
        program.stderr.close()


def test_a_database_that_is_gone_is_down_and_no_failed_scrape(embeddings):
    """The server keeps on serving: howdah_up is what an alert is made of."""
    nowhere = f"postgresql://nobody@127.0.0.1:{free_port()}/none"
    with PGVector(embeddings, connection=nowhere) as store:
        assert scraped(store, process=False, database=True) == {"howdah_up": {frozenset(): 0}}


def test_silent_clients_do_not_keep_others_out(vectors, monkeypatch):
    import socket

    monkeypatch.setattr("howdah.scripts.metrics_http.Handler.timeout", 0.5)
    with serve(registry(vectors), "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        place = ("127.0.0.1", server.server_port)
        silent = [socket.create_connection(place) for _ in range(AT_ONCE + 4)]
        wait_until(lambda: _answers(place))
        for one in silent:
            one.close()
        server.shutdown()


def _answers(place: tuple[str, int]) -> bool:
    try:
        with urlopen(f"http://{place[0]}:{place[1]}/metrics", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False
