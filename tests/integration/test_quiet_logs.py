"""Logs hold no document, no question and no secret, neither ours nor the embedded server's, also where things fail."""

import io
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import HumanMessage
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from howdah import PGVector, PGVectorRetriever, rag_chain
from howdah.retrieval.conversations import PostgresHistory
from howdah.scripts.main import _run
from tests.scripted import Scripted

DOCUMENT, ASKED, PASSWORD, KEY = "quokkazzard", "wombatsonata", "dugongpassword", "sk-platypuskey"
TEXT = f"# Keys\n\nThe launch code of the {DOCUMENT} is heliotrope seven, said the keeper of the keys.\n"
QUESTION = f"What is the launch code that {ASKED} asks for?"


def log_of(url: str) -> str:
    """All that the server has logged, once what was asked until now is in it."""
    with psycopg.connect(url, autocommit=True) as conn:
        row = conn.execute("SELECT current_setting('data_directory'), current_setting('log_directory')").fetchone()
        assert row is not None
        folder = (Path(row[0]) / row[1]).resolve()
        mark = f"mark {time.monotonic_ns()}"
        conn.execute(SQL("DO $$ BEGIN RAISE LOG '{}'; END $$").format(SQL(mark)))  # type: ignore[arg-type]
    for _ in range(100):
        found = "".join(path.read_text(errors="replace") for path in sorted(folder.iterdir()))
        if mark in found:
            return found
        time.sleep(0.05)
    raise AssertionError("the server's log does not go on")


@pytest.fixture
def loud(url: str) -> Iterator[Callable[[str, str], None]]:
    """The database logs each statement, whatever it took; sets what else it logs."""
    with psycopg.connect(url, autocommit=True) as conn:
        name = Identifier(conn.info.dbname)

        def setting(what: str, value: str) -> None:
            conn.execute(SQL("ALTER DATABASE {} SET {} = {}").format(name, Identifier(what), value))

        setting("log_min_duration_statement", "0")
        yield setting


@pytest.fixture
def session(
    url: str, loud: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[], str]]:
    """A place to run commands in; gives what was logged and warned of."""
    caplog.set_level(logging.DEBUG, "howdah")
    monkeypatch.setenv("HOWDAH_DATABASE_URL", make_conninfo(url, password=PASSWORD))
    monkeypatch.setenv("HOWDAH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("HOWDAH_CHAT_MODEL", "extractive")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield lambda: caplog.text + "\n".join(str(each.message) for each in caught)


def check(logged: str) -> None:
    assert [word for word in (DOCUMENT, ASKED, PASSWORD, KEY, "heliotrope") if word in logged] == []


def test_commands_log_nothing_of_it(
    session: Callable[[], str], url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "keys"
    folder.mkdir()
    (folder / "keys.md").write_text(TEXT)
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7\n" + TEXT.encode())
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{QUESTION}\n/why\n/sources\n/quit"))
    for command in (
        ["ingest", folder], ["search", QUESTION], ["search", f'"{ASKED} {DOCUMENT}" -code', "--mode", "lexical", "--rerank"],
        ["ask", QUESTION], ["chat"], ["trace", "show"], ["trace", "list"],
        ["search", QUESTION, "--filter", f'{{"{ASKED}": {{"$in": ["{DOCUMENT}"]}}}}'],
        ["search", QUESTION, "--filter", f'{{"$bad": "{ASKED}"}}'], ["ask", QUESTION, "-c", "nowhere"],
    ):  # fmt: skip
        _run([str(part) for part in command])
    monkeypatch.setenv("HOWDAH_CHAT_MODEL", "openai:gpt-5-mini")
    assert _run(["ask", QUESTION]) == 0
    assert _run(["delete", "keys.md", "--yes"]) == 0
    assert _run(["forget", "--all", "--yes"]) == 0
    server = log_of(url)
    assert "INSERT INTO howdah.traces" in server  # it does log statements
    check(session() + server)


async def test_failures_log_nothing_of_it(session: Callable[[], str], url: str, loud: Any) -> None:
    with PGVector(DeterministicFakeEmbedding(size=8), connection=url) as store:
        store.add_texts([TEXT], ids=["a"], metadatas=[{"about": DOCUMENT}])
        answer = rag_chain(
            PGVectorRetriever(vectorstore=store), Scripted(error=ValueError(QUESTION)), min_score=0.0, trace=store
        )
        assert (await answer.ainvoke(QUESTION)).note
        with psycopg.connect(url, autocommit=True) as conn:
            table = store.store.get("langchain").passages
            conn.execute(SQL("ALTER TABLE {} ADD CONSTRAINT short CHECK (length(content) < 200)").format(table))
            conn.execute("ALTER TABLE howdah.messages ADD CONSTRAINT few UNIQUE (message)")
        for texts in ([TEXT * 9], [TEXT * 9] * 300, ["short"] * 299 + [TEXT * 9]):
            with pytest.raises(psycopg.errors.CheckViolation) as caught:
                store.add_texts(texts)
            assert DOCUMENT in str(caught.value.diag.message_detail)  # the caller is told, and only he
        PostgresHistory(store.store, "s").add_messages([HumanMessage(QUESTION)])
        with pytest.raises(psycopg.errors.UniqueViolation):
            PostgresHistory(store.store, "t").add_messages([HumanMessage(QUESTION)])
        await store.aclose()
        store.database.close()
    server = log_of(url)
    assert "violates check constraint" in server
    assert "violates unique constraint" in server
    check(session() + server)


def test_the_server_logs_it_for_whom_that_asks(session: Callable[[], str], url: str, loud: Any) -> None:
    """The way that the tests above look is one that finds it."""
    loud("log_parameter_max_length", "-1")
    loud("log_error_verbosity", "default")
    with PGVector(DeterministicFakeEmbedding(size=8), connection=url) as store:
        store.add_texts([TEXT])
        store.hits(QUESTION)
        store.database.close()
    found = log_of(url)
    assert DOCUMENT in found
    assert ASKED in found
