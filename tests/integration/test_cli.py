"""The commands as programs and people call them: JSON keys, exit codes, and one sentence for each mistake."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from howdah.scripts.main import _run

ROOT = Path(__file__).resolve().parents[2]
PLANETS = {
    "mars.md": "# Mars\n\nMars is the fourth planet from the Sun. Its two moons are Phobos and Deimos.\n",
    "venus.md": "# Venus\n\nVenus is the second planet from the Sun. Venus has no moons at all.\n",
    "sub/earth.txt": "The Earth is the third planet. It has one moon, called Luna by the Romans.\n",
}
HIT = {"id", "score", "scores", "source", "title", "page", "start", "end", "content", "metadata"}
CITATION = {"n", "id", "source", "title", "page", "start", "end", "quote"}

Howdah = Callable[..., tuple[int, dict]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    planets = tmp_path / "planets"
    for name, text in PLANETS.items():
        path = planets / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return planets


@pytest.fixture
def loaded(howdah: Howdah, folder: Path) -> Howdah:
    assert howdah("ingest", folder)[0] == 0
    return howdah


def test_ingest_says_what_it_did_and_does_only_what_changed(howdah: Howdah, folder: Path) -> None:
    code, first = howdah("ingest", folder)
    assert code == 0
    assert set(first) >= {"collection", "files", "chunks", "failures", "seconds"}
    assert first["collection"] == "docs"
    assert first["files"] == {"added": 3, "updated": 0, "unchanged": 0, "deleted": 0, "failed": 0}
    assert set(first["chunks"]) == {"added", "reused", "deleted"}
    (folder / "mars.md").write_text("# Mars\n\nMars is red.\n")
    (folder / "venus.md").unlink()
    code, second = howdah("ingest", folder, "--prune", "--yes")
    assert (code, second["files"]) == (0, {"added": 0, "updated": 1, "unchanged": 1, "deleted": 1, "failed": 0})


def test_a_bad_file_is_listed_and_the_rest_is_loaded(howdah: Howdah, folder: Path) -> None:
    (folder / "photo.md").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    code, report = howdah("ingest", folder)
    assert (code, report["files"]["added"], report["files"]["failed"]) == (1, 3, 1)
    assert set(report["failures"][0]) == {"source", "error", "hint"}
    assert report["failures"][0]["source"] == "planets/photo.md"


def test_dry_run_writes_nothing(howdah: Howdah, folder: Path) -> None:
    assert howdah("ingest", folder, "--dry-run")[1]["files"]["added"] == 3
    assert howdah("collections", "list")[1] == {"collections": []}


@pytest.mark.parametrize("mode", ["hybrid", "dense", "lexical"])
def test_search_finds_the_passage(loaded: Howdah, mode: str) -> None:
    code, found = loaded("search", "moons Phobos and Deimos", "--mode", mode, "-k", "2")
    assert code == 0
    assert set(found) == {"collection", "hits", "timings_ms"}
    assert set(found["hits"][0]) == HIT
    assert found["hits"][0]["source"] == "planets/mars.md"
    assert len(found["hits"]) <= 2


def test_search_takes_a_filter_and_a_reranker(loaded: Howdah) -> None:
    given = json.dumps({"source": {"$like": "planets/sub/%"}})
    found = loaded("search", "which planet has moons", "--filter", given, "--rerank")[1]
    assert [hit["source"] for hit in found["hits"]] == ["planets/sub/earth.txt"]
    assert 0 <= found["hits"][0]["scores"]["rerank"] <= 1


def test_ask_answers_with_a_citation_that_is_the_source_s_own_text(loaded: Howdah, folder: Path) -> None:
    code, answer = loaded("ask", "What are the moons of Mars called?")
    assert code == 0
    assert set(answer) >= {"collection", "answer", "citations", "refused", "hits", "model", "timings_ms"}
    assert answer["refused"] is False
    cited = answer["citations"][0]
    assert set(cited) == CITATION
    assert cited["source"] == "planets/mars.md"
    assert (folder / "mars.md").read_text()[cited["start"] : cited["end"]] == cited["quote"]
    assert "Phobos" in cited["quote"]


def test_a_refusal_is_done_unless_an_answer_is_required(loaded: Howdah) -> None:
    question = "How do I replace the gearbox of a tractor?"
    code, answer = loaded("ask", question)
    assert (code, answer["refused"], answer["citations"]) == (0, True, [])
    assert loaded("ask", question, "--require-answer")[0] == 1


def test_ask_in_loads_first_and_answers_from_there(howdah: Howdah, folder: Path) -> None:
    code, answer = howdah("ask", "--in", folder, "Which planet has no moons at all?")
    assert code == 0
    assert answer["citations"][0]["source"] == "planets/venus.md"


def test_collections_are_made_shown_renamed_and_dropped(loaded: Howdah) -> None:
    assert loaded("collections", "create", "second", "--storage", "vector")[0] == 0
    listed = loaded("collections", "list")[1]["collections"]
    assert [row["name"] for row in listed] == ["docs", "second"]
    assert listed[0]["documents"] == 3
    assert loaded("collections", "rename", "second", "third")[0] == 0
    assert loaded("collections", "show", "third")[1]["storage"] == "vector"
    assert loaded("collections", "promote", "third", "year=number", "lang=text")[1] == {
        "collection": "third",
        "promoted": {"year": "number", "lang": "text"},
    }
    assert loaded("collections", "show", "third")[1]["promoted"] == {"year": "number", "lang": "text"}
    assert loaded("collections", "demote", "third", "lang")[1]["promoted"] == {"year": "number"}
    assert loaded("collections", "promote", "third", "unseen")[0] == 2  # no values that tell its type
    assert loaded("collections", "create", "fourth", "--promote", "year=number")[0] == 0
    assert loaded("collections", "show", "fourth")[1]["promoted"] == {"year": "number"}
    assert loaded("collections", "drop", "fourth", "--yes")[0] == 0
    assert loaded("collections", "drop", "third")[0] == 2  # not confirmed
    assert loaded("collections", "drop", "third", "--yes")[0] == 0
    assert len(loaded("collections", "list")[1]["collections"]) == 1


def test_delete_takes_a_source_an_id_a_filter_or_all(loaded: Howdah) -> None:
    assert loaded("delete", "planets/mars.md", "--yes")[1]["deleted"]["documents"] == 1
    found = loaded("search", "Venus", "-k", "1")[1]["hits"][0]
    assert loaded("delete", "--id", found["id"], "--yes")[1]["deleted"]["chunks"] == 1
    given = json.dumps({"source": "planets/sub/earth.txt"})
    assert loaded("delete", "--filter", given, "--yes")[1]["deleted"]["chunks"] == 1
    assert loaded("search", "planet")[1]["hits"] == []
    assert loaded("delete", "planets/mars.md", "--yes")[0] == 2
    assert loaded("delete", "--all")[0] == 2


def test_a_deleted_document_is_loaded_again_by_the_next_ingest(loaded: Howdah, folder: Path) -> None:
    loaded("delete", "--all", "--yes")
    assert loaded("ingest", folder)[1]["files"]["added"] == 3


def test_a_collection_keeps_its_model(loaded: Howdah, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOWDAH_EMBEDDINGS", "openai:text-embedding-3-small")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-none-of-this-is-real")
    code, found = loaded("search", "moons")
    assert code == 2
    assert "openai:text-embedding-3-small" in found["error"]["message"]
    assert "local:" in found["error"]["message"]


def test_an_empty_collection_says_what_to_do(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("HOWDAH_DATABASE_URL", url)
    assert _run(["search", "anything"]) == 0
    assert "howdah ingest PATH" in capsys.readouterr().err


def test_a_server_without_our_schema_names_the_command(
    blank_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("HOWDAH_DATABASE_URL", blank_url)
    assert _run(["ingest", str(folder)]) == 3
    assert "howdah db migrate" in capsys.readouterr().err
    assert _run(["db", "migrate"]) == 0
    assert _run(["ingest", str(folder)]) == 0


def test_yes_makes_the_schema(blank_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOWDAH_DATABASE_URL", blank_url)
    assert _run(["ingest", str(folder), "--yes"]) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["search", "x", "--filter", "{not json"], 2),
        (["search", "x", "--filter", '{"a": {"$near": 1}}'], 2),
        (["search", "x", "-k", "0"], 2),
        (["search", "x", "--mode", "psychic"], 2),
        (["serach", "x"], 2),
        (["collections", "show", "nothing"], 2),
        (["delete"], 2),
        (["db", "stop"], 2),
    ],
)
def test_wrong_use_is_one_object_and_2(loaded: Howdah, arguments: list[str], code: int) -> None:
    got, printed = loaded(*arguments)
    assert got == code
    assert set(printed["error"]) == {"kind", "message", "hint"}
    assert "Traceback" not in json.dumps(printed)


UNREACHABLE = [
    "postgresql://user:hush-hush@127.0.0.1:1/db",
    "postgresql://user:hush-hush@no-such-host.invalid/db",
    "mysql://user:hush-hush@127.0.0.1/db",
    "postgresql://user:hush-hush@127.0.0.1:port/db",
]


@pytest.mark.parametrize("url", UNREACHABLE)
def test_a_wrong_url_is_one_sentence_without_the_password(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("HOWDAH_DATABASE_URL", url)
    assert _run(["search", "x"]) in (2, 3)
    said = capsys.readouterr()
    assert said.err.startswith("Error: ")
    assert "hush-hush" not in said.out + said.err
    assert "Traceback" not in said.err


def test_a_missing_key_names_its_variable(loaded: Howdah, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOWDAH_CHAT_MODEL", "openai:gpt-5-mini")
    code, printed = loaded("ask", "What are the moons of Mars called?")
    assert code == 3
    assert "OPENAI_API_KEY" in printed["error"]["message"] + printed["error"]["hint"]


def test_an_empty_folder_is_said(howdah: Howdah, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    code, report = howdah("ingest", tmp_path / "empty")
    assert (code, sum(report["files"].values())) == (0, 0)
    code, report = howdah("ingest", tmp_path / "nowhere")
    assert code == 1
    assert "nowhere" in report["failures"][0]["source"] + report["failures"][0]["error"]


def _program(url: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HOWDAH_DATABASE_URL": url, "HOWDAH_CHAT_MODEL": "extractive", **more}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)


def test_modules_run_by_themselves_and_print_no_colour_into_a_pipe(loaded: Howdah, url: str) -> None:
    done = _program(url, str(ROOT / "scripts" / "search.py"), "moons of Mars", "-k", "1")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1. planets/mars.md")
    assert "\x1b" not in done.stdout + done.stderr


def test_proxies_do_not_matter(loaded: Howdah, url: str) -> None:
    dead = "http://127.0.0.1:9"
    done = _program(
        url, "-m", "howdah.scripts.main", "ask", "What are the moons of Mars called?", "--json",
        HTTP_PROXY=dead, HTTPS_PROXY=dead, ALL_PROXY=dead, http_proxy=dead, https_proxy=dead, HOWDAH_CHAT_MODEL="local",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert "Phobos" in answer["answer"]


def test_a_closed_pipe_is_quiet(loaded: Howdah, url: str) -> None:
    env = {**os.environ, "HOWDAH_DATABASE_URL": url}
    command = f"{sys.executable} -m howdah.scripts.main collections list --json | true"
    done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.stderr == ""


CONFINED = """
import socket, sys
real = socket.socket.connect
def connect(self, address):
    host = address[0] if isinstance(address, tuple) else "unix"
    if host != "unix" and not host.startswith("127.") and host != "::1":
        print("LEFT LOOPBACK", address, file=sys.stderr)
        raise OSError("confined")
    return real(self, address)
socket.socket.connect = connect
socket.socket.connect_ex = connect
resolve = socket.getaddrinfo
def getaddrinfo(host, *rest, **more):
    if host not in (None, "localhost", "127.0.0.1", "::1", b"127.0.0.1"):
        print("LOOKED UP", host, file=sys.stderr)
        raise OSError("confined")
    return resolve(host, *rest, **more)
socket.getaddrinfo = getaddrinfo
from howdah.scripts.main import _run
sys.exit(_run(sys.argv[1:]))
"""


def test_nothing_leaves_loopback_with_local_models(url: str, folder: Path) -> None:
    for arguments in (["ingest", str(folder)], ["ask", "What are the moons of Mars called?"]):
        done = _program(url, "-c", CONFINED, *arguments, HOWDAH_CHAT_MODEL="local")
        assert done.returncode == 0, done.stderr
        assert "LEFT LOOPBACK" not in done.stderr
        assert "LOOKED UP" not in done.stderr


def test_chat_answers_remembers_and_resumes(loaded: Howdah, url: str) -> None:
    env = {**os.environ, "HOWDAH_DATABASE_URL": url, "HOWDAH_CHAT_MODEL": "extractive"}
    command = [sys.executable, "-m", "howdah.scripts.main", "chat"]
    said = "hello\nwhat is in here?\nWhat are the moons of Mars called?\n/sources\n/nonsense\n/quit\n"
    done = subprocess.run(command, input=said, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "3 documents" in done.stdout
    assert "Phobos" in done.stdout
    assert "planets/mars.md" in done.stdout
    conversation = done.stderr.rsplit("--resume ", 1)[1].strip()
    again = subprocess.run(
        [*command, "--resume", conversation],
        input="thanks\n",
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "You're welcome" in again.stdout
    assert "Phobos" in again.stderr  # the last messages are shown
    listed = subprocess.run([*command, "--list"], env=env, capture_output=True, text=True, timeout=120, check=False)
    assert conversation in listed.stdout


def test_maintain_builds_the_index_that_is_asked_for(loaded: Howdah) -> None:
    code, report = loaded("db", "maintain", "--index", "hnsw", "--m", "8")
    assert (code, report["index"], report["kind"], report["policy"]) == (0, "built", "hnsw", "hnsw")
    assert report["why"] == "384 dimensions of halfvec: HNSW directly (up to 4,000)"
    code, report = loaded("db", "reindex")
    assert (code, report["index"], report["recall"]) == (0, "reindexed", 1.0)
    code, report = loaded("db", "maintain", "--reindex", "--workers", "1")
    assert (code, report["index"]) == (0, "reindexed")
    code, report = loaded("db", "maintain", "--index", "ivfflat")
    assert (code, report["error"]["kind"]) == (2, "InvalidInput")
    assert "it needs 1,000" in report["error"]["message"]
    code, report = loaded("db", "maintain", "--lists", "10")
    assert (code, report["error"]["message"]) == (2, "lists has no meaning for index 'hnsw'")


def test_the_cache_is_shown_and_cleared(loaded: Howdah) -> None:
    code, shown = loaded("db", "cache")
    assert code == 0
    (row,) = shown["cache"]  # the local model's queries are not kept in the database
    assert set(row) == {"model", "kind", "rows", "bytes", "used_again", "oldest", "newest"}
    assert (row["kind"], row["rows"]) == ("passage", 3)
    name = row["model"].partition("#")[0]
    assert loaded("db", "cache", "--model", "openai:other") == (0, {"cache": []})
    assert loaded("db", "cache", "--clear")[0] == 2  # not confirmed
    assert loaded("db", "cache", "--clear", "--yes", "--model", "openai:other") == (0, {"deleted": 0})
    assert loaded("db", "cache", "--clear", "--yes", "--model", name) == (0, {"deleted": 3})
    assert loaded("db", "cache") == (0, {"cache": []})


def test_the_cache_saves_embeddings_and_can_be_turned_off(
    loaded: Howdah, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from howdah.retrieval.embeddings import LocalEmbeddings

    monkeypatch.setattr(LocalEmbeddings, "embed_array", lambda *_: pytest.fail("embedded again"))
    assert loaded("ingest", folder, "--collection", "again")[0] == 0
    monkeypatch.undo()
    monkeypatch.setenv("HOWDAH_CACHE_MB", "a lot")
    code, failed = loaded("db", "cache")
    assert (code, failed["error"]["message"]) == (2, "HOWDAH_CACHE_MB is 'a lot' and must be a number of megabytes")


def test_no_cache_keeps_nothing(howdah: Howdah, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOWDAH_CACHE_MB", "0")
    assert howdah("ingest", folder)[0] == 0
    assert howdah("db", "cache") == (0, {"cache": []})
