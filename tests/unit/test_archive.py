"""ZIP archives as folders: every member is a source or has a reason, and no archive unpacks without bounds."""

import base64
import hashlib
import io
import pickle
import stat
import warnings
import zipfile
from pathlib import Path

import pytest

from howdah.retrieval.errors import LoadError
from howdah.retrieval.loaders import FileLoader, LoadOptions
from howdah.retrieval.loaders.archive import Member, expanded, members
from howdah.retrieval.loaders.folder import FoundFile, walk
from howdah.retrieval.loaders.job import parse
from howdah.retrieval.loaders.package import Limits
from howdah.retrieval.sources import Source, of_files

FILES = Path(__file__).parents[3] / "shared" / "data" / "files"
# Made by Info-ZIP 3.0: `zip -P pass e.zip s.txt; zip e.zip o.txt`, of "secret words" and "open words".
LOCKED = base64.b64decode(
    "UEsDBAoACQAAABBueF1xTdjdGAAAAAwAAAAFABwAcy50eHRVVAkAA7CVBWuwlQVrdXgLAAEEAAAAAAQAAAAAg9QNZrdEMkd98kTKUITxWUkCHPea"
    "QWPuUEsHCHFN2N0YAAAADAAAAFBLAwQKAAAAAAAQbnhdnoG0wAoAAAAKAAAABQAcAG8udHh0VVQJAAOwlQVrsJUFa3V4CwABBAAAAAAEAAAAAG9w"
    "ZW4gd29yZHNQSwECHgMKAAkAAAAQbnhdcU3Y3RgAAAAMAAAABQAYAAAAAAABAAAApIEAAAAAcy50eHRVVAUAA7CVBWt1eAsAAQQAAAAABAAAAABQ"
    "SwECHgMKAAAAAAAQbnhdnoG0wAoAAAAKAAAABQAYAAAAAAABAAAApIFnAAAAby50eHRVVAUAA7CVBWt1eAsAAQQAAAAABAAAAABQSwUGAAAAAAIA"
    "AgCWAAAAsAAAAAAA"
)


def zipped(parts: dict[str, str | bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    """A name of the same length in both places where a ZIP file has it."""
    assert len(old) == len(new)
    assert data.count(old) == 2
    return data.replace(old, new)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "docs").mkdir()
    return tmp_path / "docs"


def loaded(folder: Path, data: bytes, **given: object) -> tuple[dict[str, str], dict[str, str]]:
    """The text of each source, and the reason of each failure, of an archive that lies in `folder`."""
    (folder / "a.zip").write_bytes(data)
    [found] = walk([folder])
    assert isinstance(found, FoundFile)
    texts: dict[str, str] = {}
    reasons: dict[str, str] = {}
    for item in members(found, **given):  # type: ignore[arg-type]
        if isinstance(item, LoadError):
            reasons[item.source] = item.reason
        else:
            texts[item.source] = item.raw().data.decode()
    return texts, reasons


def test_each_member_is_a_source_of_its_own_with_the_hash_of_its_bytes(folder):
    (folder / "a.zip").write_bytes(zipped({"readme.md": "# Top\n", "in/b.txt": "words", "in/": ""}))
    (folder / "c.txt").write_text("plain")
    sources = list(of_files(walk([folder]), {}))
    assert all(isinstance(source, Source) for source in sources)
    assert [source.source for source in sources] == ["docs/a.zip/readme.md", "docs/a.zip/in/b.txt", "docs/c.txt"]
    first, second, _ = sources
    assert (first.root, first.size, first.content_hash) == ("docs", 6, hashlib.sha256(b"# Top\n").digest())
    assert (parse(first.job()).title, parse(second.job()).text) == ("Top", "words")


def test_the_langchain_loader_gives_a_document_a_member_and_reports_the_rest(folder):
    (folder / "a.zip").write_bytes(zipped({"b.txt": "words", "c.png": b"\x89PNG\r\n\x1a\n"}))
    failures: list[LoadError] = []
    [document] = FileLoader(folder, on_error=failures.append).load()
    assert document.page_content == "words"
    assert document.metadata == {"source": "docs/a.zip/b.txt", "title": "b", "media_type": "text/plain"}
    assert [failure.source for failure in failures] == ["docs/a.zip/c.png"]


def test_an_archive_is_known_by_its_bytes_and_a_document_that_is_a_zip_file_is_none(folder):
    (folder / "archive.dat").write_bytes(zipped({"b.txt": "words"}))
    (folder / "book.zip").write_bytes(zipped({"mimetype": "application/epub+zip", "b.txt": "words"}))
    (folder / "broken.zip").write_bytes(zipped({"b.txt": "words"})[:40])
    found = list(expanded(walk([folder])))
    assert [type(item) for item in found] == [Member, FoundFile, LoadError]
    assert str(found[-1]).startswith("docs/broken.zip: is a damaged ZIP archive")


def test_three_archives_in_one_another_are_opened_and_no_more(folder):
    data = zipped({"deep.txt": "too deep"})
    for level in (3, 2, 1):
        data = zipped({f"{level}.zip": data, f"at{level}.txt": str(level)})
    texts, reasons = loaded(folder, data)
    assert texts == {"docs/a.zip/1.zip/2.zip/at3.txt": "3", "docs/a.zip/1.zip/at2.txt": "2", "docs/a.zip/at1.txt": "1"}
    assert reasons == {"docs/a.zip/1.zip/2.zip/3.zip": "lies more than 3 archives deep"}


@pytest.mark.skipif(not FILES.exists(), reason="the data folder shared/data/files is not here")
def test_real_archives():
    [text, paper, readme] = of_files(walk([FILES / "derived/nested.zip"]), {})
    assert text.source == "derived/nested.zip/inner.zip/innermost.zip/a/norwich-city.txt"
    assert (parse(text.job()).title, len(parse(paper.job()).pages), readme.size) == ("norwich-city", 2, 9)
    [bomb] = of_files(walk([FILES / "derived/bomb-1000x.zip"]), {})
    assert isinstance(bomb, LoadError)
    assert bomb.reason == "unpacks to more than 200 times its size, as a zip bomb does"
    names = [source.source.rpartition("/")[2] for source in of_files(walk([FILES / "good/test_files.zip"]), {})]
    assert names[:3] == ["test.docx", "test.jpg", "test.pptx"]
    assert len(names) == 7


def test_bounds_of_number_size_and_ratio(folder):
    three = zipped({"a.txt": "a" * 100, "b.txt": "b" * 100, "c.txt": "c" * 100})
    texts, reasons = loaded(folder, three, limits=Limits(members=2))
    assert list(texts) == ["docs/a.zip/a.txt", "docs/a.zip/b.txt"]
    assert reasons == {"docs/a.zip": "has more than 2 members; those from 'c.txt' on are not read"}
    _, reasons = loaded(folder, three, limits=Limits(total_bytes=250))
    assert list(reasons) == ["docs/a.zip"]
    assert "the members from 'c.txt' on are not read" in reasons["docs/a.zip"]
    bomb = zipped({"bomb.txt": "0" * 1_000_000, "a.txt": "words"})
    texts, reasons = loaded(folder, bomb, limits=Limits(free=1000))
    assert (list(texts), list(reasons)) == (["docs/a.zip/a.txt"], ["docs/a.zip/bomb.txt"])
    texts, reasons = loaded(folder, bomb, limits=Limits(member_bytes=1000))
    assert (list(texts), list(reasons)) == (["docs/a.zip/a.txt"], ["docs/a.zip/bomb.txt"])


def test_a_short_file_that_repeats_itself_is_no_bomb(folder):
    texts, reasons = loaded(folder, zipped({"zeros.txt": "0" * 1_000_000}))
    assert (list(texts), reasons) == (["docs/a.zip/zeros.txt"], {})


def test_the_bounds_hold_for_all_archives_in_an_archive_together(folder):
    inner = {f"{n}.zip": zipped({"a.txt": "a" * 100}) for n in range(5)}
    texts, reasons = loaded(folder, zipped(inner), limits=Limits(members=7))
    assert len(texts) == 3
    rest = "has more than 7 members; those from '{}' on are not read"
    assert reasons == {"docs/a.zip/3.zip": rest.format("a.txt"), "docs/a.zip": rest.format("4.zip")}


def test_a_size_that_lies_unpacks_no_further_than_it_says(folder):
    data = bytearray(zipped({"a.txt": "0" * 100_000, "b.txt": "words"}))
    for at in (data.index(b"PK\x03\x04") + 22, data.index(b"PK\x01\x02") + 24):
        data[at : at + 4] = (10).to_bytes(4, "little")
    texts, reasons = loaded(folder, bytes(data))
    assert texts == {"docs/a.zip/b.txt": "words"}
    assert "damaged in its archive" in reasons["docs/a.zip/a.txt"]


@pytest.mark.parametrize("name", ["../../etc/x", "/etc/passwd", "C:/x/yz.txt", "a/..\\..\\x", "C:\\x.txt"])
def test_a_path_that_leads_out_of_the_archive_is_refused(folder, name):
    data = renamed(zipped({"x" * len(name): "evil", "b.txt": "words"}), b"x" * len(name), name.encode())
    texts, reasons = loaded(folder, data)
    assert texts == {"docs/a.zip/b.txt": "words"}
    [(source, reason)] = reasons.items()
    assert reason == "has a path that leads out of its archive"
    assert source.startswith("docs/a.zip/")


def test_what_a_folder_walk_leaves_out_is_left_out(folder):
    link, pipe = zipfile.ZipInfo("link.txt"), zipfile.ZipInfo("pipe.txt")
    for info, mode in ((link, stat.S_IFLNK), (pipe, stat.S_IFIFO)):
        info.create_system, info.external_attr = 3, (mode | 0o644) << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in (".hidden", ".git/config", "__MACOSX/._a.txt", "in/.DS_Store", "Thumbs.db", link, pipe, "a.txt"):
            archive.writestr(name, "words")
    assert loaded(folder, buffer.getvalue()) == ({"docs/a.zip/a.txt": "words"}, {})


@pytest.mark.parametrize(
    ("raw", "system", "name"),
    [
        ("Grüße.txt".encode("cp437"), 0, "Grüße.txt"),  # Windows and DOS
        ("Grüße.txt".encode("latin-1"), 3, "Grüße.txt"),  # an old Unix
        ("Grüße.t".encode(), 3, "Grüße.t"),  # macOS, which does not set the flag
        ("Gru\u0308\u00dfe".encode(), 3, "Grüße"),  # and decomposes
        (b"dir\\a.txt", 0, "dir/a.txt"),
    ],
)
def test_names_in_the_encoding_of_the_system_that_packed_them(folder, raw, system, name):
    placeholder = b"x" * len(raw)
    data = bytearray(renamed(zipped({placeholder.decode(): "words"}), placeholder, raw))
    data[data.index(b"PK\x01\x02") + 5] = system
    assert loaded(folder, bytes(data)) == ({f"docs/a.zip/{name}": "words"}, {})


def test_an_encrypted_member_opens_with_one_of_the_passwords(folder):
    texts, reasons = loaded(folder, LOCKED)
    assert texts == {"docs/a.zip/o.txt": "open words"}
    assert reasons == {"docs/a.zip/s.txt": "is encrypted and needs a password"}
    # Many wrong ones: each passes the header's check of one byte with a chance of 1 in 256.
    wrong = tuple(f"wrong {n}" for n in range(600))
    texts, reasons = loaded(folder, LOCKED, options=LoadOptions(passwords=(*wrong, "pass")))
    assert (texts["docs/a.zip/s.txt"], reasons) == ("secret words", {})
    _, reasons = loaded(folder, LOCKED, options=LoadOptions(passwords=wrong))
    assert reasons == {"docs/a.zip/s.txt": "is encrypted, and no password that was given opens it"}


def test_a_method_that_is_not_read_and_damage_are_of_one_member_alone(folder):
    data = bytearray(zipped({"aes.txt": "x", "odd.txt": "x", "cut.txt": "some words", "b.txt": "words"}, method=0))
    for name, method in ((b"aes.txt", 99), (b"odd.txt", 96)):
        local, central = data.index(name), data.rindex(name)
        data[local - 22 : local - 20] = data[central - 36 : central - 34] = method.to_bytes(2, "little")
    data[data.index(b"some words")] ^= 255
    texts, reasons = loaded(folder, bytes(data))
    assert texts == {"docs/a.zip/b.txt": "words"}
    assert "AES" in reasons["docs/a.zip/aes.txt"]
    assert "packed in a way that is not read" in reasons["docs/a.zip/odd.txt"]
    assert "damaged in its archive" in reasons["docs/a.zip/cut.txt"]


def test_two_members_of_one_name_are_not_mixed_up(folder):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for content in ("first", "second"):
            archive.writestr("a.txt", content)
    texts, reasons = loaded(folder, buffer.getvalue())
    assert texts == {"docs/a.zip/a.txt": "first"}
    assert list(reasons) == ["docs/a.zip/a.txt"]


def test_a_member_is_read_late_from_its_archive_as_it_was(folder):
    (folder / "a.zip").write_bytes(zipped({"in.zip": zipped({"a.txt": "one", "b.txt": "two"})}))
    first, second = expanded(walk([folder]))
    assert isinstance(first, Member)
    assert isinstance(second, Member)
    again = pickle.loads(pickle.dumps(first))
    assert (again.raw().data, second.raw().data) == (b"one", b"two")
    (folder / "a.zip").write_bytes(zipped({"in.zip": zipped({"a.txt": "other", "b.txt": "two"})}))
    with pytest.raises(LoadError, match="changed while it was being loaded"):
        first.raw()
    assert second.raw().data == b"two"
    (folder / "a.zip").unlink()
    with pytest.raises(LoadError, match="cannot be read from its archive"):
        second.raw()
