"""What is deleted is gone from everywhere: each column of each table is searched for a word that stood in it."""

import io
import json
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from howdah import PGVector
from howdah.retrieval import removal, tracing
from howdah.retrieval.conversations import PostgresHistory
from howdah.retrieval.embeddings import load_embeddings
from howdah.retrieval.query import EVERY_ROW
from howdah.retrieval.reembed import reembed, rollback
from howdah.retrieval.traces import Trace
from howdah.retrieval.tracing import Traces
from howdah.scripts.main import _run
from tests.integration.everywhere import holding

CANARY = "quokkazzard"
SECRET = f"The launch code of the {CANARY} dirigible is heliotrope seven, said the keeper of the keys."
PLANETS = {
    "secret.md": f"# Keys of {CANARY}\n\n{SECRET} It hangs in the northern tower.\n",
    "mars.md": "# Mars\n\nMars is the fourth planet from the Sun. Its two moons are Phobos and Deimos.\n",
    "venus.md": "# Venus\n\nVenus is the second planet from the Sun. Venus has no moons at all.\n",
}
QUESTION = "What is the launch code of the dirigible?"

Howdah = Callable[..., tuple[int, dict]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    planets = tmp_path / "planets"
    planets.mkdir()
    for name, text in PLANETS.items():
        (planets / name).write_text(text)
    return planets


@pytest.fixture
def howdah(howdah: Howdah, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Howdah:
    monkeypatch.setenv("HOWDAH_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HOWDAH_TRACE", raising=False)

    return howdah


@pytest.fixture
def chat(howdah: Howdah, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A chat that asks these questions."""

    def talk(*questions: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("\n".join([*questions, "/quit"])))
        assert _run(["chat"]) == 0

    return talk


@pytest.fixture
def asked(howdah: Howdah, chat: Callable[..., None], folder: Path, url: str) -> Howdah:
    """A folder that was loaded, asked about and talked about."""
    assert howdah("ingest", folder)[0] == 0
    assert howdah("ask", QUESTION)[1]["answer"].startswith("The launch code")
    assert howdah("ask", "What are the moons of Mars called?")[1]["refused"] is False
    chat(QUESTION, "And where does it hang?", "thanks!", "What are the moons of Mars called?")
    assert holding(url, CANARY) >= {
        "documents.text", "documents.title", "passages_1.content", "passages_1.tsv", "postings_1.lexeme", "terms_1.lexeme",
        "traces.answer", "traces.citations", "messages.message",
    }  # fmt: skip
    return howdah


def cached(url: str, text: str) -> int:
    """Rows of the embedding cache for a text, by its SHA-256."""
    with psycopg.connect(url) as conn:
        query = "SELECT count(*) FROM howdah.embedding_cache WHERE kind = 'passage' AND hash = %s"
        [count] = conn.execute(query, [sha256(text.encode()).digest()]).fetchone() or (0,)
    return count


def texts(url: str) -> list[str]:
    with psycopg.connect(url) as conn:
        rows = conn.execute("SELECT message #>> '{data,content}' FROM howdah.messages ORDER BY n").fetchall()
    return [row[0] for row in rows]


def test_a_deleted_document_is_gone_from_everywhere_and_the_rest_stays(asked: Howdah, url: str) -> None:
    before = texts(url)
    code, report = asked("delete", "secret.md", "--yes")
    assert code == 0
    assert holding(url, CANARY) == holding(url, "heliotrope") == set()
    deleted = report["deleted"]
    assert (deleted["documents"], deleted["chunks"], deleted["cached"], deleted["failures"]) == (1, 1, 1, 0)
    assert deleted["traces"] >= 2
    assert deleted["messages"] >= 1
    assert "ackups" in report["note"]
    after = texts(url)
    assert after[::2] == before[::2]  # what a person said
    assert after[-1] == before[-1]  # an answer about Mars
    assert "removed" in after[1]
    assert asked("trace", "show", "last")[1]["answer"] == before[-1]
    assert asked("ask", "What are the moons of Mars called?")[1]["refused"] is False


@pytest.mark.parametrize("how", ["--id", "--filter", "--all"])
def test_each_way_of_deleting_does_it(asked: Howdah, url: str, how: str) -> None:
    [hit] = asked("search", CANARY, "--mode", "lexical")[1]["hits"]
    value = {"--id": [hit["id"]], "--filter": [json.dumps({"source": hit["source"]})], "--all": []}[how]
    assert asked("delete", how, *value, "--yes")[1]["deleted"]["documents"] == (3 if how == "--all" else 1)
    assert holding(url, CANARY) == set()


def test_a_pruned_document_is_gone_from_everywhere(asked: Howdah, folder: Path, url: str) -> None:
    (folder / "secret.md").unlink()
    code, report = asked("ingest", folder, "--prune", "--yes")
    assert (code, report["files"]["deleted"], report["chunks"]["deleted"]) == (0, 1, 1)
    assert report["erased"]["traces"] >= 2
    assert holding(url, CANARY) == set()


def test_a_dropped_collection_is_gone_from_everywhere(asked: Howdah, url: str) -> None:
    assert asked("collections", "drop", "docs", "--yes")[0] == 0
    assert holding(url, CANARY) == set()


def test_a_document_that_was_changed_and_moved_before_it_was_deleted(asked: Howdah, folder: Path, url: str) -> None:
    """Its old passages have other ids than those that are deleted, and another source: its words tell."""
    (folder / "secret.md").rename(folder / "moved.md")
    assert asked("ingest", folder, "--prune")[1]["moved"] == {"planets/moved.md": "planets/secret.md"}
    asked("delete", "moved.md", "--yes")
    assert holding(url, CANARY) == set()


def test_an_equal_text_of_another_document_keeps_its_embedding(asked: Howdah, url: str, folder: Path) -> None:
    twin = folder.parent / "twins"
    twin.mkdir()
    (twin / "secret.md").write_text(PLANETS["secret.md"])
    assert asked("ingest", twin, "-c", "other")[0] == 0
    [text] = [row for row in embedded(url, "passages_1") if CANARY in row]
    assert cached(url, text) == 1
    assert asked("delete", "secret.md", "--yes")[1]["deleted"]["cached"] == 0
    assert cached(url, text) == 1
    assert asked("delete", "--all", "--yes", "-c", "other")[1]["deleted"]["cached"] == 1
    assert cached(url, text) == 0


def embedded(url: str, table: str) -> list[str]:
    """What the passages, whose section begins with their title, were embedded as."""
    with psycopg.connect(url) as conn:
        rows = conn.execute(f"SELECT section, content FROM howdah.{table}").fetchall()  # type: ignore[arg-type]
    return [f"{section}\n{content}" for section, content in rows]


def test_messages_of_other_programs_go_where_they_quote_it(asked: Howdah, url: str) -> None:
    with PGVector(load_embeddings("local"), connection=url, collection_name="docs") as store:
        history = PostgresHistory(store.store, "agent")
        call = {"name": "search", "args": {"query": "launch code"}, "id": "1", "type": "tool_call"}
        history.add_messages(
            [
                HumanMessage("What is the launch code?"),
                AIMessage("", tool_calls=[call]),
                ToolMessage(SECRET, tool_call_id="1", artifact=[{"page_content": SECRET}]),
                AIMessage(f"As I read it, the launch code of the {CANARY} dirigible is heliotrope seven."),
                AIMessage("I know nothing of any code."),
            ]
        )
        asked("delete", "secret.md", "--yes")
        kept = history.messages
        store.database.close()
    assert holding(url, CANARY) == set()
    assert [message.text.startswith("(This answer was removed") for message in kept] == [
        False,
        False,
        True,
        True,
        False,
    ]
    assert [kept[1].tool_calls, kept[2].tool_call_id, kept[2].artifact] == [[call], "1", None]  # type: ignore[attr-defined]


def test_names_that_a_later_question_took_from_a_deleted_answer_go(asked: Howdah, url: str) -> None:
    with PGVector(load_embeddings("local"), connection=url, collection_name="docs") as store:
        [session] = [row["session"] for row in tracing.list_traces(store.store) if row["session"]][:1]
        for number, talk in enumerate((session, None, "another")):
            later = Trace(
                id=f"later{number}",
                outcome="refused",
                session=talk,
                question="And when?",
                rewritten=f"{CANARY}: And when?",
            )
            assert Traces(store).keep(later) is None
        asked("delete", "secret.md", "--yes")
        kept = [tracing.find_trace(store.store, f"later{number}")["rewritten"] for number in range(3)]
        store.database.close()
    assert kept == [None, None, f"{CANARY}: And when?"]


def test_a_note_of_a_failed_load_goes_with_its_file(asked: Howdah, folder: Path, url: str) -> None:
    (folder / f"{CANARY}.pdf").write_bytes(b"%PDF-1.7 broken")
    assert asked("ingest", folder)[0] == 1
    assert "failures.source" in holding(url, CANARY)
    assert asked("delete", f"{CANARY}.pdf", "--yes")[1]["deleted"]["failures"] == 1
    assert "failures.source" not in holding(url, CANARY)


def test_another_tenant_keeps_all_of_it(asked: Howdah, url: str) -> None:
    model = load_embeddings("local")
    with PGVector(model, connection=url, collection_name="docs", tenant="b") as other:
        other.add_texts([SECRET])
        PostgresHistory(other.store, "theirs").add_messages([AIMessage(SECRET)])
        before = len(holding(url, CANARY))
        removal.remove(other.store, other.store.get("docs"), where=EVERY_ROW)
        left = holding(url, CANARY)
        assert {"documents.text", "traces.answer", "messages.message"} <= left
        assert len(left) < before
        other.database.close()


def test_what_names_the_document_goes(asked: Howdah, chat: Callable[..., None], folder: Path, url: str) -> None:
    chat("what is in here?")
    asked("ask", "--in", folder / "secret.md", "Who commanded the ship?")
    assert holding(url, "planets/secret.md") >= {"messages.message", "traces.details"}
    asked("delete", "secret.md", "--yes")
    assert holding(url, "planets/secret.md") == set()


def test_the_vectors_of_a_former_model_go_too(asked: Howdah, url: str) -> None:
    with PGVector(load_embeddings("local"), connection=url, collection_name="docs") as store:
        reembed(store, load_embeddings("local"), storage="vector")
        store.database.close()
    assert {"chunks_1.metadata", "chunks_1_1.metadata"} <= holding(url, CANARY)
    asked("delete", "secret.md", "--yes")
    assert holding(url, CANARY) == set()
    with PGVector(load_embeddings("local"), connection=url, collection_name="docs") as store:
        rollback(store)
        assert {hit.source for hit in store.hits("moons", k=9)} == {"planets/mars.md", "planets/venus.md"}
        store.database.close()


def test_who_may_not_delete_everywhere_deletes_nothing(
    asked: Howdah, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"writer_{uuid4().hex[:8]}"
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(SQL("CREATE ROLE {} LOGIN").format(Identifier(name)))
        conn.execute(SQL("GRANT USAGE ON SCHEMA howdah TO {}").format(Identifier(name)))
        conn.execute(SQL("GRANT ALL ON ALL TABLES IN SCHEMA howdah TO {}").format(Identifier(name)))
        conn.execute(SQL("REVOKE ALL ON howdah.traces FROM {}").format(Identifier(name)))
        before = holding(url, CANARY)
        monkeypatch.setenv("HOWDAH_DATABASE_URL", make_conninfo(url, options=f"-c role={name}"))
        code, failed = asked("delete", "secret.md", "--yes")
        assert (code, failed["error"]["kind"]) == (3, "DatabaseUnavailable")
        assert "GRANT SELECT" in failed["error"]["hint"]
        assert holding(url, CANARY) == before
        conn.execute(SQL("DROP OWNED BY {}").format(Identifier(name)))
        conn.execute(SQL("DROP ROLE {}").format(Identifier(name)))


def test_nothing_goes_where_something_fails(asked: Howdah, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = holding(url, CANARY)
    monkeypatch.setattr("howdah.retrieval.erasure.Erasure._uncache", lambda self, *, dropped: 1 // 0)
    assert asked("delete", "secret.md", "--yes")[0] == 1
    assert holding(url, CANARY) == before


# -- forgetting


def test_a_forgotten_conversation_is_gone_and_others_stay(
    howdah: Howdah, chat: Callable[..., None], folder: Path, url: str
) -> None:
    howdah("ingest", folder)
    chat("Who keeps the wombatsonata in the tower?", "And what are the moons of Mars called?")
    chat("What are the moons of Mars called?")
    [session] = [row[0] for row in rows(url, "SELECT id FROM howdah.conversations WHERE title LIKE '%wombat%'")]
    assert holding(url, "wombatsonata") >= {"traces.question", "messages.message", "conversations.title"}
    code, report = howdah("forget", "--session", session, "--yes")
    assert code == 0
    assert report["forgotten"] == {"conversations": 1, "messages": 4, "traces": 2, "queries": 0}
    assert holding(url, "wombatsonata") == set()
    assert len(texts(url)) == 2
    assert howdah("forget", "--session", session, "--yes")[0] == 2


def test_all_is_forgotten(asked: Howdah, url: str) -> None:
    code, report = asked("forget", "--all", "--yes")
    assert code == 0
    assert report["forgotten"]["traces"] >= 5
    assert holding(url, "launch code of the dirigible?") == holding(url, "moons of Mars called") == set()
    assert (
        rows(url, "SELECT count(*) FROM howdah.traces") == rows(url, "SELECT count(*) FROM howdah.messages") == [(0,)]
    )
    assert asked("search", CANARY)[1]["hits"] != []


def test_what_is_older_than_a_day_is_forgotten(asked: Howdah, url: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("UPDATE howdah.messages SET created_at = '2026-01-30 12:00Z' WHERE message::text LIKE '%launch%'")
        conn.execute("UPDATE howdah.conversations SET created_at = '2026-01-30 12:00Z'")
        conn.execute("UPDATE howdah.traces SET at = '2026-01-30 12:00Z' WHERE question LIKE '%launch%'")
    kept = len(texts(url))
    report = asked("forget", "--before", "2026-01-31", "--yes")[1]["forgotten"]
    assert (report["conversations"], report["traces"]) == (0, 2)
    assert len(texts(url)) == kept - report["messages"] > 0
    assert holding(url, QUESTION) == set()
    assert asked("forget", "--before", "yesterday", "--yes")[0] == 2
    assert asked("forget", "--yes")[0] == 2


def test_kept_embeddings_of_questions_are_forgotten(asked: Howdah, url: str) -> None:
    with psycopg.connect(url) as conn:
        [session] = conn.execute("SELECT id FROM howdah.conversations").fetchone() or ("",)
        query = "SELECT rewritten FROM howdah.traces WHERE session = %s AND rewritten IS NOT NULL"
        [searched] = conn.execute(query, [session]).fetchone() or ("",)
        for text in (QUESTION, searched, "Another question?"):
            conn.execute(
                "INSERT INTO howdah.embedding_cache (model, kind, hash, embedding) VALUES ('m', 'query', %s, '')",
                [sha256(text.encode()).digest()],
            )
    assert asked("forget", "--session", session, "--yes")[1]["forgotten"]["queries"] == 2
    assert asked("forget", "--all", "--yes")[1]["forgotten"]["queries"] == 1


def rows(url: str, query: str) -> list[tuple]:
    with psycopg.connect(url) as conn:
        return conn.execute(query).fetchall()  # type: ignore[arg-type]
