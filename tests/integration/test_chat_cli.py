"""`howdah chat` and `howdah prompts` as people and programs call them."""

import fcntl
import json
import os
import pty
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.conversations import PostgresHistory
from howdah.retrieval.database import Database
from howdah.retrieval.store import Store
from howdah.scripts.main import _run

PLANETS = {
    "mars.md": "# Mars\n\nMars is the fourth planet from the Sun. The two moons of Mars are Phobos and Deimos.\n",
    "venus.md": "# Venus\n\nVenus is the second planet from the Sun. Venus has no moons at all.\n",
}
ROW = {"id", "title", "collection", "messages", "created_at", "updated_at"}

Howdah = Callable[..., tuple[int, dict]]


@pytest.fixture
def howdah(howdah: Howdah, tmp_path: Path) -> Howdah:
    """Run a command with --json against a database of this test's own, with two documents in it."""
    folder = tmp_path / "planets"
    folder.mkdir()
    for name, text in PLANETS.items():
        (folder / name).write_text(text, encoding="utf-8")

    assert howdah("ingest", folder)[0] == 0
    return howdah


def said(url: str, text: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A chat that is typed `text`, line by line."""
    command = [sys.executable, "-m", "howdah.scripts.main", "chat", *arguments]
    given = {**os.environ, "HOWDAH_DATABASE_URL": url, "HOWDAH_CHAT_MODEL": "extractive", **env}
    return subprocess.run(command, input=text, env=given, capture_output=True, text=True, timeout=120, check=False)


def only(howdah: Howdah) -> dict:
    [row] = howdah("chat", "--list")[1]["conversations"]
    return row


TALK = """\
hello
What are the moons of Mars called?
And how many moons has Venus?
thanks
/sources
summarise mars.md
/title The two planets
/quit
"""


def test_a_chat_is_listed_exported_resumed_and_deleted(
    howdah: Howdah, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    done = said(url, TALK)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert "Phobos and Deimos. [1]" in done.stdout
    assert "Venus has no moons at all. [1]" in done.stdout
    assert "- Mars is the fourth planet from the Sun. [1]" in done.stdout
    row = only(howdah)
    assert set(row) == ROW
    assert (row["title"], row["collection"], row["messages"]) == ("The two planets", "docs", 10)
    assert f"howdah chat --resume {row['id']}" in done.stderr

    code, exported = howdah("chat", "--export", row["id"][:5])
    assert (code, set(exported)) == (0, ROW)
    answer = exported["messages"][3]["data"]
    kept = answer["response_metadata"]["howdah"]["citations"][0]
    assert kept["quote"] in PLANETS["mars.md"]
    assert kept["source"] == "planets/mars.md"

    assert _run(["chat", "--export", row["id"]]) == 0
    page = capsys.readouterr().out
    assert page.startswith("# The two planets\n")
    assert f"> [1] planets/mars.md: “{kept['quote']}”" in page

    again = said(url, "/sources\n/list\nBonjour\n", "--resume", row["id"])
    assert "planets/mars.md" in again.stdout
    assert kept["quote"] in " ".join(again.stdout.split())
    assert "The two planets" in again.stdout
    assert "Bonjour !" in again.stdout

    code, refused = howdah("chat", "--delete", row["id"])
    assert (code, refused["error"]["hint"]) == (2, "add --yes")
    assert howdah("chat", "--delete", row["id"], "--yes") == (0, {"deleted": row["id"], "messages": 12})
    assert howdah("chat", "--list") == (0, {"conversations": []})


def test_the_commands_of_a_chat(howdah: Howdah, url: str, tmp_path: Path) -> None:
    page, data = tmp_path / "talk.md", tmp_path / "talk.json"
    talk = f"""\
/export
/title Moons
What are the moons of Mars called?
/export {page}
/export {data}
/export {page}
/new
/resume nothing
/sources
/nonsense
/help
"""
    done = said(url, talk)
    assert done.returncode == 0, done.stderr
    assert "Nothing has been said yet." in done.stderr
    assert page.read_text(encoding="utf-8").startswith("# Moons\n")
    assert json.loads(data.read_text(encoding="utf-8"))["title"] == "Moons"
    assert f"{page} was not written: File exists" in done.stderr
    assert "there is no conversation 'nothing'" in done.stderr
    assert "The last answer cited nothing." in done.stderr
    assert "/nonsense is not a command" in done.stderr
    assert "/export [FILE]" in done.stdout
    assert "howdah chat --resume" not in done.stderr  # the new one has nothing in it
    assert only(howdah)["title"] == "Moons"


def test_a_chat_in_german_warns_once_and_answers_in_german(howdah: Howdah, url: str) -> None:
    done = said(url, "Wie weit ist es bis zum Pluto?\nUnd wie weit ist es bis zum Neptun?\nWas gibt es hier?\n")
    assert done.stderr.count("HOWDAH_EMBEDDINGS=ollama:bge-m3") == 1
    assert done.stdout.count("Ich habe in den Dokumenten nichts gefunden") == 2
    assert "Die Sammlung 'docs' hat 2 Dokumente in 2 Passagen" in done.stdout
    assert "HOWDAH_CHAT_MODEL" not in done.stderr  # quotes are in the documents' language
    english = said(url, "What are the moons of Mars called?\n")
    assert "HOWDAH_EMBEDDINGS" not in english.stderr


def test_loading_german_documents_warns_too(howdah: Howdah, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "garantie.md"
    page.write_text(
        "# Garantie\n\nDie Garantie gilt zwei Jahre ab dem Tag, an dem das Gerät geliefert wurde. Sie deckt alle Teile und die"
        " Arbeit in unserer Werkstatt ab, aber nicht die Batterien. Bitte bewahren Sie die Rechnung auf, denn ohne sie kann"
        " die Garantie nicht in Anspruch genommen werden.\n",
        encoding="utf-8",
    )
    assert _run(["ingest", str(page), "--collection", "deutsch"]) == 0
    err = capsys.readouterr().err
    assert err.count("HOWDAH_EMBEDDINGS=ollama:bge-m3") == 1
    assert "reembed deutsch --model ollama:bge-m3" in err
    assert _run(["ingest", str(page), "--collection", "deutsch"]) == 0
    assert "HOWDAH_EMBEDDINGS" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (["--export", "x"], "NotFound", "there is no conversation 'x'"),
        (["--delete", "x", "--yes"], "NotFound", "there is no conversation 'x'"),
        (["--list", "--export", "x"], "InvalidInput", "--list and --export do not go together"),
        ([], "InvalidInput", "a chat has no JSON"),
        (["--list", "--format", "pdf"], "UsageError", "pdf"),
    ],
)
def test_wrong_use_is_one_sentence(howdah: Howdah, arguments: list[str], kind: str, message: str) -> None:
    code, failed = howdah("chat", *arguments)
    assert (code, failed["error"]["kind"]) == (2, kind)
    assert message in failed["error"]["message"]


def test_an_id_may_be_shortened_as_long_as_it_is_one(howdah: Howdah, url: str) -> None:
    from langchain_core.messages import HumanMessage

    database = Database(Conninfo(url))
    for name in ("abc1", "abc2", "abc"):
        PostgresHistory(Store(database), name).add_messages([HumanMessage(name)])
    database.close()
    assert howdah("chat", "--export", "abc1")[1]["id"] == "abc1"
    assert howdah("chat", "--export", "abc")[1]["id"] == "abc"
    code, failed = howdah("chat", "--export", "ab")
    assert (code, failed["error"]["message"]) == (2, "3 conversations begin with 'ab'")


def test_a_conversation_goes_on_with_the_collection_that_it_was_about(howdah: Howdah, url: str, tmp_path: Path) -> None:
    page = tmp_path / "ship.md"
    page.write_text("# Ship\n\nThe mast of the Erin is 31 metres tall and was made in Poplar.\n", encoding="utf-8")
    assert howdah("ingest", page, "--collection", "ships")[0] == 0
    said(url, "How tall is the mast of the Erin?\n", "--collection", "ships")
    kept = only(howdah)["id"]
    again = said(url, "Where was the mast of the Erin made?\n", "--resume", kept)
    assert "Collection 'ships'" in again.stderr
    assert "made in Poplar. [1]" in again.stdout
    other = said(url, f"/resume {kept}\n")
    assert f"It is about collection 'ships'. Leave, and run: howdah chat --resume {kept}" in other.stderr


@pytest.mark.slow
def test_ctrl_c_stops_nothing_but_the_line_and_a_deletion_is_asked_for(howdah: Howdah, url: str) -> None:
    """On a terminal: Ctrl-C at the prompt, a question, /delete refused, /delete confirmed, /quit."""
    master, slave = pty.openpty()
    env = {**os.environ, "HOWDAH_DATABASE_URL": url, "HOWDAH_CHAT_MODEL": "extractive", "TERM": "dumb"}
    command = [sys.executable, "-m", "howdah.scripts.main", "chat"]
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509  or Ctrl-C would reach nobody
    )  # fmt: skip
    os.close(slave)
    seen, place, prompt = "", 0, "\x1b[1;36m"

    def expect(wanted: str) -> None:
        """Read on until `wanted` has come, after all that was expected before."""
        nonlocal seen, place
        deadline = time.monotonic() + 60
        while wanted not in seen[place:]:
            ready = select.select([master], [], [], max(0, deadline - time.monotonic()))[0]
            assert ready, seen
            seen += os.read(master, 65_536).decode(errors="replace")
        place = seen.index(wanted, place) + len(wanted)

    def say(typed: str, *wanted: str) -> None:
        os.write(master, typed.encode())
        for each in wanted:
            expect(each)

    try:
        say("", "lists the commands", prompt)
        time.sleep(0.5)  # a signal between the prompt and readline's wait is seen at the next key only
        say("\x03", prompt)
        say("What are the moons of Mars called?\n", "[1] planets/mars.md", prompt)
        say("/delete\n", "[y/N]")
        say("n\n", "Nothing was deleted", prompt)
        say("/delete\n", "[y/N]")
        say("y\n", "A new conversation", prompt)
        say("/quit\n")
        with suppress(OSError):  # the terminal is gone
            expect("no more")
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait(timeout=30)
        os.close(master)
    assert howdah("chat", "--list")[1] == {"conversations": []}


def test_prompts_are_listed_shown_and_copied(
    howdah: Howdah, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["agent", "answer", "answer_small", "question", "rewrite", "summarise"]
    code, listed = howdah("prompts", "list")
    assert (code, [row["name"] for row in listed["prompts"]]) == (0, names)
    assert {tuple(row) for row in listed["prompts"]} == {("name", "variables", "path")}
    folder = tmp_path / "prompts"
    assert howdah("prompts", "copy", folder) == (0, {"folder": str(folder), "copied": names, "kept": []})
    (folder / "answer.md").write_text("## system\nBe brief.\n\n## user\n{context} {question}\n", encoding="utf-8")
    (folder / "anwser.md").write_text("", encoding="utf-8")
    assert howdah("prompts", "copy", folder)[1]["kept"] == names
    monkeypatch.setenv("HOWDAH_PROMPTS", str(folder))
    assert howdah("prompts", "show", "answer")[1]["text"].startswith("## system\nBe brief.")
    assert _run(["prompts", "list"]) == 0
    assert "anwser.md is not the name of a prompt" in capsys.readouterr().err
    (folder / "answer.md").write_text("## system\nx\n## user\n{context} {question} {more}\n", encoding="utf-8")
    code, failed = howdah("ask", "What are the moons of Mars called?")
    assert code == 2
    assert "it takes context, question" in failed["error"]["message"]
    monkeypatch.setenv("HOWDAH_PROMPTS", str(tmp_path / "nope"))
    assert howdah("prompts", "list")[0] == 2
