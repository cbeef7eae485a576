"""`howdah ingest`: what failed and is tried again, passwords, columns, web pages, dry runs, and real files of every kind."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from howdah import PGVector, sync
from howdah.retrieval.estimate import sizes
from howdah.retrieval.loaders.options import PLAIN
from howdah.retrieval.loaders.web import Web
from howdah.retrieval.report import Progress
from howdah.retrieval.sources import of_urls
from howdah.scripts.main import _run
from howdah.scripts.progress import LoadProgress, spoken
from tests.integration.checks import contents
from tests.integration.test_cli import Howdah
from tests.integration.test_sync import Counting
from tests.unit.test_loaders_office import NOISE, docx, encrypted, paragraph

FILES = Path(__file__).parents[3] / "shared" / "data" / "files"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOWDAH_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "papers"
    folder.mkdir()
    (folder / "good.txt").write_text("Elephants carry howdahs.")
    (folder / "later.txt").write_bytes(b"")
    return folder


# -- again


def test_retry_tries_what_failed_and_nothing_else(howdah: Howdah, folder: Path) -> None:
    code, report = howdah("ingest", folder)
    assert (code, report["files"]["added"], report["files"]["failed"]) == (1, 1, 1)
    code, report = howdah("ingest", "--retry")
    assert (code, report["files"]) == (1, {"added": 0, "updated": 0, "unchanged": 0, "deleted": 0, "failed": 1})
    assert report["failures"][0]["source"] == "papers/later.txt"
    (folder / "later.txt").write_text("It came later.")
    (folder / "new.txt").write_text("It is not asked for.")
    code, report = howdah("ingest", "--retry")
    assert (code, report["files"]) == (0, {"added": 1, "updated": 0, "unchanged": 0, "deleted": 0, "failed": 0})
    code, report = howdah("ingest", "--retry")
    assert (code, sum(report["files"].values())) == (0, 0)
    (folder / "gone.txt").write_bytes(b"")
    howdah("ingest", folder)
    (folder / "gone.txt").unlink()
    code, report = howdah("ingest", "--retry")
    assert (code, [failure["error"] for failure in report["failures"]]) == (1, ["is no longer there"])
    assert howdah("ingest", folder)[0] == 0
    assert howdah("ingest", "--retry")[0] == 0
    assert howdah("search", "later")[1]["hits"][0]["source"] == "papers/later.txt"


def test_retry_finds_the_folder_of_a_named_root_or_says_what_it_needs(howdah: Howdah, folder: Path, home: Path) -> None:
    assert howdah("ingest", folder, "--root", "library")[0] == 1
    (folder / "later.txt").write_text("It came later.")
    (home / "roots.json").rename(home / "roots.old")
    code, report = howdah("ingest", "--retry")
    assert (code, report["error"]["hint"]) == (2, "say where it is: howdah ingest PATH --retry")
    (home / "roots.old").rename(home / "roots.json")
    code, report = howdah("ingest", "--retry")
    assert (code, report["files"]["added"]) == (0, 1)


@pytest.mark.parametrize("wrong", [["ingest"], ["ingest", "--retry", "--prune"]])
def test_what_makes_no_sense_is_said(howdah: Howdah, wrong: list[str]) -> None:
    code, report = howdah(*wrong)
    assert code == 2
    assert report["error"]["hint"]


# -- options


def test_a_password_opens_a_file_that_failed_and_is_nowhere_to_be_seen(
    howdah: Howdah, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "later.txt").unlink()
    (folder / "secret.docx").write_bytes(encrypted(docx(paragraph("An elephant."), extra=NOISE), "pass word"))
    code, report = howdah("ingest", folder)
    assert (code, report["failures"][0]["source"]) == (1, "papers/secret.docx")
    assert "--password" in report["failures"][0]["hint"]
    monkeypatch.setenv("HOWDAH_FILE_PASSWORDS", "wrong\npass word")
    code, report = howdah("ingest", folder)
    assert (code, report["files"]["added"], report["files"]["unchanged"]) == (0, 1, 1)
    monkeypatch.delenv("HOWDAH_FILE_PASSWORDS")
    assert howdah("ingest", folder)[1]["files"]["unchanged"] == 2
    assert _run(["ingest", str(folder), "--password", "pass word", "--collection", "other"]) == 0
    shown = capsys.readouterr()
    assert "pass word" not in shown.out + shown.err


def test_columns_and_gitignore(howdah: Howdah, folder: Path) -> None:
    (folder / "later.txt").unlink()
    (folder / ".gitignore").write_text("good.txt\n")
    (folder / "table.csv").write_text("name,age\nada,36\nalan,41\n")
    assert howdah("ingest", folder, "--gitignore", "--column", "name")[1]["files"]["added"] == 1
    hits = howdah("search", "ada", "--filter", json.dumps({"age": {"$lt": 40}}))[1]["hits"]
    assert [hit["content"] for hit in hits] == ["name: ada"]


# -- web pages


@pytest.fixture
def site() -> Iterator[str]:
    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (
                b"<html><title>Howdahs</title><body><p>"
                + b"A howdah is a seat on an elephant. " * 20
                + b"</p></body></html>"
            )
            self.send_response(200 if self.path == "/page" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_private_address_is_refused_and_kept_as_a_failure(howdah: Howdah, folder: Path, site: str) -> None:
    (folder / "later.txt").unlink()
    code, report = howdah("ingest", folder, f"{site}/page")
    assert (code, report["files"]["added"]) == (1, 1)
    [failure] = report["failures"]
    assert failure["source"] == f"{site}/page"
    code, report = howdah("ingest", "--retry")
    assert (code, [failure["source"] for failure in report["failures"]]) == (1, [f"{site}/page"])


def test_offline_no_page_is_fetched() -> None:
    web = Web(offline=True)
    [page] = of_urls(["https://example.org/a#part"], root=None, web=web, options=PLAIN)
    assert (page.source, page.root) == ("https://example.org/a", "example.org")
    with pytest.raises(Exception, match="offline"):
        _ = page.content_hash


def test_a_page_is_loaded_like_a_file(url: str, site: str) -> None:
    counting = Counting()
    with PGVector(counting, connection=url, collection_name="docs", config="english") as store:
        report = sync(store, [f"{site}/page", f"{site}/nothing"], web=Web(allow_private=True))
        assert (report.files.added, report.files.failed) == (1, 1)
        [hit] = store.hits("elephant", k=1)
        assert (hit.source, hit.title) == (f"{site}/page", "Howdahs")
        counting.seen.clear()
        assert sync(store, [f"{site}/page"], web=Web(allow_private=True)).files.unchanged == 1
        assert counting.seen == []
        store.database.close()


# -- before and while


def test_a_dry_run_says_what_it_would_cost(howdah: Howdah, folder: Path) -> None:
    (folder / "later.txt").unlink()
    _, report = howdah("ingest", folder, "--dry-run")
    estimate = report["estimate"]
    assert estimate["tokens"] == 6  # of the model: elephants, carry, how, ##dah, ##s and the full stop
    assert estimate["price"] == 0
    assert estimate["seconds"] > 0
    assert estimate["sizes"].keys() == {"halfvec", "vector", "bits"}


def test_sizes_are_those_of_real_tables() -> None:
    """100,000 chunks of 384 dimensions: 112 MB of HNSW over halfvec, as docs/indexes.md measured."""
    assert sizes(100_000, 384)["halfvec"].index == pytest.approx(112e6, rel=0.15)
    assert sizes(1_000, 3_072)["bits"].index is not None
    assert sizes(1_000, 3_072)["vector"].index is None
    assert sizes(0, 384)["halfvec"].index == 0


def test_the_rest_is_foretold_by_bytes() -> None:
    progress = LoadProgress()
    at = Progress(done=1, total=10, source="a", chunks=3, read=25, to_read=100)
    assert progress.left(at, progress.began + 10) == "about 30 s left"
    assert progress.left(Progress(done=0, total=10, source="a", read=0, to_read=100), progress.began + 10) == ""
    assert [spoken(seconds) for seconds in (0.2, 60, 600, 9_000)] == ["1 s", "60 s", "10 min", "2.5 h"]


# -- real files


@pytest.mark.skipif(not FILES.exists(), reason="the data folder shared/data/files is not here")
def test_every_real_file_gives_text_or_a_reason_and_the_second_run_does_nothing(url: str) -> None:
    manifest = [json.loads(line) for line in (FILES / "manifest.jsonl").read_text().splitlines()]
    counting = Counting()
    with PGVector(counting, connection=url, collection_name="docs", config="english", cache=False) as store:
        first = sync(store, [FILES])
        failed = {error.source: error.reason for error in first.failures}
        loaded = set(contents(store.store, "docs"))
        assert all(failed.values())
        for entry in manifest:
            source = f"files/{entry['file']}"
            members = [other for other in (*loaded, *failed) if other.startswith(f"{source}/")]
            assert source in loaded or source in failed or members, source
            if entry["kind"] == "good" and not source.endswith((".zip", ".doc", ".ppt")):
                assert source not in failed, (source, failed[source])
        counting.seen.clear()
        second = sync(store, [FILES])
        assert (second.files.added, second.files.updated, second.files.unchanged) == (0, 0, first.files.added)
        assert {error.source: error.reason for error in second.failures} == failed
        assert second.chunks.added == 0
        assert counting.seen == []
        assert second.seconds < first.seconds / 10
        store.database.close()
