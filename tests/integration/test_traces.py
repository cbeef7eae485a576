"""Traces in the database: kept after the answer and never in its way, for as long as was said, and shown to people."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.runnables import Runnable
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from howdah import PGVector, PGVectorRetriever, rag_chain
from howdah.chains.agent import rag_agent
from howdah.chains.models import EXTRACTIVE
from howdah.retrieval import schema, tracing
from howdah.retrieval.errors import InvalidInput, NotFound
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.traces import Trace
from howdah.retrieval.tracing import Traces, afind_trace, alist_traces, find_trace, list_traces
from howdah.scripts import output
from howdah.scripts.main import _run
from tests.scripted import ToolCalling

TEXT = "Mars is the fourth planet from the Sun. Its two moons are Phobos and Deimos."
QUESTION = "What are the two moons of Mars called?"


@pytest.fixture
def filled(vectors: PGVector) -> PGVector:
    vectors.add_texts([TEXT, "Venus is the second planet and has no moons."], ids=["mars", "venus"])
    return vectors


def chain(store: PGVector, trace: Any) -> Runnable[Any, Any]:
    return rag_chain(PGVectorRetriever(vectorstore=store, k=2), EXTRACTIVE, trace=trace)


def count(url: str) -> int:
    with psycopg.connect(url) as conn:
        [found] = conn.execute("SELECT count(*) FROM howdah.traces").fetchone() or (0,)
    return found


async def test_python_keeps_a_trace_only_when_it_is_asked_to(filled: PGVector, url: str) -> None:
    chain(filled, None).invoke(QUESTION)
    assert count(url) == 0
    first = chain(filled, filled).invoke(QUESTION)
    second = await chain(filled, filled.store).ainvoke(QUESTION)
    third = [chunk async for chunk in chain(filled, Traces(filled.astore)).astream(QUESTION)][-1]
    assert [row["id"] for row in list_traces(filled.store)] == [third.trace, second.trace, first.trace]
    row = find_trace(filled.store, str(first.trace))
    assert await afind_trace(filled.astore, str(first.trace)[:6]) == row
    assert await alist_traces(filled.astore, limit=1) == list_traces(filled.store)[:1]
    assert (row["question"], row["collection"], row["outcome"]) == (QUESTION, "docs", "answered")
    assert row["answer"] == first.text
    assert row["details"]["search"] == {"type": "hybrid", "k": 2}
    assert {hit["id"]: hit["shown"] for hit in row["hits"]}["mars"] is True
    assert row["citations"][0]["quote"] in TEXT
    assert (row["expires_at"] - row["at"]).days == 30


async def test_an_agents_trace_has_what_all_its_searches_found(filled: PGVector, url: str) -> None:
    replies = ["moons of Mars", "moons of Venus"], "Its two moons are Phobos and Deimos [1]."
    search = PGVectorRetriever(vectorstore=filled, k=1, search_type="lexical")

    def agent(trace: Any) -> Runnable[Any, Any]:
        return rag_agent(search, ToolCalling(replies=list(replies)), min_score=0.0, trace=trace)

    asked = "Which moons do Mars and Venus have?"
    agent(None).invoke(asked)
    assert count(url) == 0
    for answer in (agent(filled).invoke(asked), await agent(Traces(filled.astore)).ainvoke(asked)):
        row = find_trace(filled.store, str(answer.trace))
        assert (row["question"], row["outcome"], row["answer"]) == (asked, "answered", answer.text)
        assert {hit["id"]: hit["cited"] for hit in row["hits"]} == {"mars": True, "venus": False}
        assert sorted(hit["ranks"]["retrieved"] for hit in row["hits"]) == [1, 2]
        assert row["details"]["search"]["searches"] == 6
        assert row["details"]["prompt"]["name"] == "agent"


def test_another_tenant_has_traces_of_its_own(filled: PGVector, url: str) -> None:
    chain(filled, filled).invoke(QUESTION)
    with PGVector(filled.embeddings, connection=url, tenant="b") as other:
        assert list_traces(other.store) == []
        with pytest.raises(NotFound, match="no trace yet"):
            find_trace(other.store, "last")
        other.database.close()


def test_a_trace_goes_with_its_collection(filled: PGVector, url: str) -> None:
    chain(filled, filled).invoke(QUESTION)
    filled.delete_collection()
    assert count(url) == 0


# -- no right to write, and worse


@pytest.fixture
def reader(url: str, admin: psycopg.Connection[Any], filled: PGVector) -> Iterator[str]:
    """The same database, by a role that may only read."""
    name = f"reader_{uuid4().hex[:8]}"
    admin.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(name)))
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(SQL("GRANT USAGE ON SCHEMA howdah TO {}").format(Identifier(name)))
        conn.execute(SQL("GRANT SELECT ON ALL TABLES IN SCHEMA howdah TO {}").format(Identifier(name)))
    yield make_conninfo("", **{**conninfo_to_dict(url), "options": f"-c role={name}"})
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
    admin.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def test_a_note_is_said_once_though_it_is_tried_again(
    reader: str, filled: PGVector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracing, "PAUSE", 0.0)
    with PGVector(filled.embeddings, connection=reader, collection_name="docs") as store:
        traces = Traces(store)
        said = [traces.keep(Trace(id=str(number), outcome="answered", question="q")) for number in range(3)]
        store.database.close()
    assert said == [READ_ONLY["role"], "", ""]


READ_ONLY = {
    "role": "no trace of this answer was kept: this user may not write to howdah.traces",
    "session": "no trace of this answer was kept: the database may only be read",
}


@pytest.mark.parametrize("how", ["role", "session"])
async def test_who_may_only_read_gets_answers_and_one_note(
    reader: str, url: str, how: str, embeddings: DeterministicFakeEmbedding
) -> None:
    place = reader if how == "role" else make_conninfo(url, options="-c default_transaction_read_only=on")
    with PGVector(embeddings, connection=place, collection_name="docs") as store:
        asking = chain(store, store)
        answers = [asking.invoke(QUESTION), asking.invoke(QUESTION), await asking.ainvoke(QUESTION)]
        asynchronous = await chain(store, store).ainvoke(QUESTION)
        assert asynchronous.note == READ_ONLY[how]
        await store.aclose()
        store.database.close()
    assert [answer.note for answer in answers] == [READ_ONLY[how], None, None]
    assert all("Phobos" in answer.text and answer.trace is None for answer in answers)
    assert count(url) == 0


def test_a_schema_of_before_says_what_to_run(filled: PGVector, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("DROP TABLE howdah.traces")
        conn.execute("DELETE FROM howdah.migrations WHERE version > 6")
    with PGVector(filled.embeddings, connection=url, collection_name="docs") as store:
        answer = chain(store, store).invoke(QUESTION)
        store.database.close()
    assert "Phobos" in answer.text
    assert "howdah db migrate" in (answer.note or "")
    assert list_traces(filled.store) == []


def test_an_older_program_writes_no_trace_to_a_newer_schema(filled: PGVector, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("INSERT INTO howdah.migrations (version, name) VALUES (%s, 'x')", [schema.VERSION + 1])
    with PGVector(filled.embeddings, connection=url, collection_name="docs") as store:
        assert "newer Howdah" in (chain(store, store).invoke(QUESTION).note or "")
        store.database.close()
    assert count(url) == 0


def test_a_locked_table_is_not_waited_for(filled: PGVector, url: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("LOCK TABLE howdah.traces IN ACCESS EXCLUSIVE MODE")
        traces = Traces(filled)
        assert (
            traces.keep(Trace(id="a", outcome="answered", question="q"))
            == "no trace of this answer was kept: LockNotAvailable"
        )
        assert traces.keep(Trace(id="a", outcome="answered", question="q")) == ""


def test_what_is_no_store_is_said_before_anything_is_asked(filled: PGVector) -> None:
    with pytest.raises(InvalidInput, match="trace is str and must be a PGVector or a Store"):
        chain(filled, "here")
    for days in (0, -1, float("nan"), True, "30"):
        with pytest.raises(InvalidInput, match="days is"):
            Traces(filled, days=days)  # type: ignore[arg-type]


# -- their time


@pytest.fixture
def expired(filled: PGVector, url: str) -> PGVector:
    for number in range(5):
        Traces(filled, days=7).keep(Trace(id=f"old{number}", outcome="answered", question="q"))
    with psycopg.connect(url) as conn:
        conn.execute("UPDATE howdah.traces SET expires_at = now() - interval '1 second'")
    Traces(filled).keep(Trace(id="new", outcome="answered", question="q"))
    return filled


def test_what_has_expired_is_not_shown_and_goes_with_maintenance(expired: PGVector, url: str) -> None:
    assert [row["id"] for row in list_traces(expired.store)] == ["new"]
    with pytest.raises(NotFound):
        find_trace(expired.store, "old1")
    maintain(expired)
    assert count(url) == 1


async def test_a_writer_removes_some_now_and_then(expired: PGVector, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "EXPIRE_EVERY", 1)
    Traces(expired).keep(Trace(id="a", outcome="answered", question="q"))
    assert count(url) == 2
    with psycopg.connect(url) as conn:
        conn.execute("UPDATE howdah.traces SET expires_at = now() - interval '1 second'")
    await Traces(expired).akeep(Trace(id="b", outcome="answered", question="q"))
    assert count(url) == 1
    await expired.aclose()


# -- commands

Howdah = Callable[..., tuple[int, dict]]


@pytest.fixture
def howdah(howdah: Howdah, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Howdah:
    monkeypatch.delenv("HOWDAH_TRACE", raising=False)
    (tmp_path / "mars.md").write_text(f"# Mars\n\n{TEXT}\n")

    assert howdah("ingest", tmp_path)[0] == 0
    return howdah


def test_ask_keeps_a_trace_unless_told_not_to(howdah: Howdah, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = howdah("ask", QUESTION)[1]
    assert howdah("trace", "show")[1]["id"] == howdah("trace", "last")[1]["id"] == answer["trace"]
    assert howdah("trace", "show", "last")[1]["id"] == answer["trace"]
    assert "trace" not in howdah("ask", QUESTION, "--no-trace")[1]
    for off in ("off", "OFF", "0"):
        monkeypatch.setenv("HOWDAH_TRACE", off)
        assert "trace" not in howdah("ask", QUESTION)[1]
    assert count(url) == 1
    monkeypatch.setenv("HOWDAH_TRACE", "2")
    shown = howdah("trace", "show", howdah("ask", QUESTION)[1]["trace"][:5])[1]
    assert shown["expires_at"][8:10] != shown["at"][8:10]
    assert [row["question"] for row in howdah("trace", "list", "--limit", "1")[1]["traces"]] == [QUESTION]
    monkeypatch.setenv("HOWDAH_TRACE", "soon")
    assert howdah("ask", QUESTION)[0] == 2
    assert howdah("trace", "show", "zzz")[0] == 2


def test_chat_tells_why(
    howdah: Howdah, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output.OUT, "width", 100)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"/why\n{QUESTION}\n/why\n/quit"))
    capsys.readouterr()
    assert _run(["chat"]) == 0
    printed = capsys.readouterr()
    assert "no trace of an answer in this conversation" in " ".join(printed.err.split())
    for said in (
        "Question",
        QUESTION,
        "Passages",
        "hybrid search, k 8",
        "seen",
        "[1]",
        "Model",
        "quotes",
        "Time",
        "search",
    ):
        assert said in printed.out
    [row] = howdah("trace", "list")[1]["traces"]
    assert row["session"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{QUESTION}\n/quit"))
    assert _run(["chat", "--no-trace"]) == 0
    assert count(url) == 1


def test_a_refusal_and_a_deletion_are_explained(
    howdah: Howdah, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(output.OUT, "width", 120)
    howdah("ask", "How do I change the gearbox of a tractor?")
    assert _run(["trace", "show"]) == 0
    assert "no passage was good enough, so no model was asked. The best scored" in capsys.readouterr().out
    howdah("ask", QUESTION)
    howdah("delete", "--all", "--yes")
    assert _run(["trace", "show"]) == 0
    printed = capsys.readouterr().out
    assert "Documents that it rested on were deleted on" in printed
    assert "(deleted)" in printed
    assert "Phobos" not in printed
