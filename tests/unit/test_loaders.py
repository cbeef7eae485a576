import json
import os
from pathlib import Path

import pytest

from howdah.retrieval.errors import LoadError, PackageMissing
from howdah.retrieval.loaders import FileLoader, extract
from howdah.retrieval.types import Extract

FILES = Path(__file__).parents[3] / "shared" / "data" / "files"
FASTAPI = Path(__file__).parents[3] / "shared" / "data" / "fastapi"


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def pdf(*pages: str, title: str = "", bookmark: tuple[str, int] | None = None) -> bytes:
    """A hand-written PDF of one line a page; the cross-reference table is left out, which readers rebuild."""
    count = len(pages)
    kids = " ".join(f"{10 + 2 * n} 0 R" for n in range(count))
    outlines = "/Outlines 4 0 R" if bookmark else ""
    objects = {
        1: f"<</Type/Catalog/Pages 2 0 R{outlines}>>",
        2: f"<</Type/Pages/Count {count}/Kids[{kids}]>>",
        3: "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
        6: f"<</Title({title})>>",
    }
    if bookmark:
        objects[4] = "<</Type/Outlines/First 5 0 R/Last 5 0 R/Count 1>>"
        objects[5] = f"<</Title({bookmark[0]})/Parent 4 0 R/Dest[{10 + 2 * bookmark[1]} 0 R/Fit]>>"
    for n, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects[10 + 2 * n] = (
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents {11 + 2 * n} 0 R"
            "/Resources<</Font<</F1 3 0 R>>>>>>"
        )
        objects[11 + 2 * n] = f"<</Length {len(stream)}>>stream\n{stream}\nendstream"
    body = "\n".join(f"{number} 0 obj\n{content}\nendobj" for number, content in objects.items())
    return f"%PDF-1.4\n{body}\ntrailer\n<</Root 1 0 R/Info 6 0 R/Size 99>>\n%%EOF\n".encode("latin-1")


def heads(found: Extract) -> list[tuple[int, str]]:
    return [(heading.level, heading.title) for heading in found.headings]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Grüße\r\nzwei\r", "Grüße\r\nzwei\r"),
        (b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe", "Grüße"),
        ("Grüße 日本".encode("utf-16"), "Grüße 日本"),
        ("Grüße und mehr".encode("utf-32"), "Grüße und mehr"),
        ("no mark, but wide".encode("utf-16-le"), "no mark, but wide"),
        (
            "Die schöne Frau hätte gern Kaffee für 15,50 €.".encode("cp1252"),
            "Die schöne Frau hätte gern Kaffee für 15,50 €.",
        ),
        ("名前,年齢,住所\r\n佐藤太郎,30,東京\r\n".encode("cp932"), "名前,年齢,住所\r\n佐藤太郎,30,東京\r\n"),
    ],
)
def test_plain_text_is_the_decoded_file(tmp_path, content, text):
    found = extract(written(tmp_path, "a.txt", content))
    assert (found.text, found.media_type, found.title, found.headings) == (text, "text/plain", "a", ())


def test_nul_bytes_become_one_replacement_each_so_that_offsets_stay(tmp_path):
    content = "x" * 500 + "a\0b\0\0c"
    found = extract(written(tmp_path, "a.txt", content))
    assert found.text == content.replace("\0", "\ufffd")


def test_lone_surrogates_of_utf_16_do_not_reach_the_text(tmp_path):
    found = extract(written(tmp_path, "a.txt", b"\xff\xfea\0\x00\xd8b\0"))
    found.text.encode("utf-8")
    assert found.text[0] == "a"
    assert found.text[-1] == "b"


def test_one_bad_byte_does_not_turn_utf_8_into_a_guess(tmp_path):
    content = "Größe für Käse, ".encode() * 20 + b"caf\xe9"
    assert extract(written(tmp_path, "a.txt", content)).text.startswith("Größe für Käse")


def test_a_web_page_in_the_encoding_it_declares(tmp_path):
    page = '<html><head><meta charset="{}"></head><body><p>{}</p></body></html>'
    polish, quoted = page.format("iso-8859-2", "piątek"), page.format("iso-8859-1", "“Quoted” – it’s so")
    assert extract(written(tmp_path, "a.html", polish.encode("iso-8859-2"))).text == "piątek"
    # Every browser reads what is declared as Latin-1 as Windows-1252, and so it is written.
    assert extract(written(tmp_path, "b.html", quoted.encode("cp1252"))).text == "“Quoted” – it’s so"


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp1252", "L'été était très chaud cette année. J'ai acheté un café au lait pour 3,50 €."),
        ("cp1252", "El niño comió paella con ñoquis. La señora dijo: ¡Qué rico!"),
        ("cp1252", "“Quoted” – it’s naïve…"),
        ("cp1250", "Słoń jest największym żyjącym zwierzęciem lądowym i od wieków jest podziwiany."),
        ("cp1251", "Слон является самым крупным наземным животным."),
        ("cp1254", "Fil, yaşayan en büyük kara hayvanıdır ve çok ağırdır."),
        ("gb18030", "大象是现存最大的陆地动物，很重"),
    ],
)
def test_an_encoding_that_nothing_declares_is_guessed(tmp_path, codec, text):
    assert extract(written(tmp_path, "a.txt", text.encode(codec))).text == text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b" \n\t\r\n", "only white space"),
        (b"PK\x03\x04....word/document.xml", "Word document (DOCX)"),
        (b"PK\x03\x04....", "ZIP archive"),
        (b"\x89PNG\r\n\x1a\n....", "PNG image"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "damaged Office file"),
        (b"<?xml version='1.0'?><rss/>", "no text between its tags"),
        (bytes(range(256)) * 4, "binary"),
        (b"%PDF-1.7\n", "damaged PDF"),
    ],
)
def test_what_is_not_read_is_named_whatever_the_ending_says(tmp_path, content, reason):
    with pytest.raises(LoadError) as caught:
        extract(written(tmp_path, "a.txt", content), source="docs/a.txt")
    assert reason in caught.value.reason
    assert caught.value.source == "docs/a.txt"
    assert str(caught.value).startswith("docs/a.txt: ")


def test_a_missing_file_a_folder_and_a_fifo_are_load_errors(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "none.txt", tmp_path, tmp_path / "fifo"):
        with pytest.raises(LoadError):
            extract(path)


MARKDOWN = """\
---
title: From the front
---
# Top *one* { #top }

```sh
# not a heading
```

Second
------

> ## quoted, not a section

### A `code` [link](x.md) {#a .b}
#no heading
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_markdown_headings_stand_where_they_say(tmp_path, newline):
    content = MARKDOWN.replace("\n", newline).replace("\r", "\r", 1)
    found = extract(written(tmp_path, "a.md", content))
    assert found.text == content
    assert heads(found)[-3:] == [(1, "Top one"), (2, "Second"), (3, "A code link")]
    beginnings = [found.text[heading.start :][:6] for heading in found.headings[-3:]]
    assert beginnings == ["# Top ", "Second", "### A "]


def test_markdown_title_is_the_front_matters_else_the_first_top_heading_else_the_file_name(tmp_path):
    assert extract(written(tmp_path, "a.md", MARKDOWN)).title == "From the front"
    assert extract(written(tmp_path, "a.md", "## Two\n\n# One { #one }\n")).title == "One"
    assert extract(written(tmp_path, "a.md", "only words")).title == "a"
    assert extract(written(tmp_path, "a.md", "---\ntitle: [broken\n---\n\n# One\n")).title == "One"


def test_a_paragraph_behind_a_stray_mark_is_no_heading(tmp_path):
    found = extract(written(tmp_path, "a.md", f"# {'long ' * 60}\n\n# Short\n"))
    assert (found.title, heads(found)) == ("Short", [(1, "Short")])


def test_line_separators_that_are_no_newlines_do_not_shift_headings(tmp_path):
    found = extract(written(tmp_path, "a.md", "one\u2028two\x0bthree\x85four\n\n# Here\n"))
    assert found.text[found.headings[0].start :] == "# Here\n"


def test_restructured_text_keeps_its_underlined_headings(tmp_path):
    found = extract(written(tmp_path, "a.rst", "=====\nTitle\n=====\n\nWords.\n\nPart\n----\n\nMore.\n"))
    assert heads(found) == [(1, "Title"), (2, "Part")]


PAGE = """<!doctype html><html><head><title>The &amp; Title</title><style>p {color: red}</style></head><body>
<nav><a href="/">Home</a><a href="/x">Elsewhere</a></nav>
<article><h1>The &amp; Title</h1>
<p>An opening paragraph that is long enough to be
taken for real text by any extractor, and so it goes on for a while.</p>
<h2 id="b">Part two<a href="#b">¶</a></h2>
<ul><li>first item of the list</li><li>second item of the list<ul><li>nested item here</li></ul></li></ul>
<pre><code>def f():
    return 1
</code></pre>
<table><tr><th>Name</th><th>Age</th></tr><tr><td>Ann</td><td>7</td></tr></table>
<p>And a closing paragraph, which again is long enough to be kept by every rule there is.</p>
</article><script>var hidden = 1;</script></body></html>"""


def test_html_gives_main_text_with_headings_lists_code_and_tables(tmp_path):
    found = extract(written(tmp_path, "page.html", PAGE))
    assert (found.media_type, found.title) == ("text/html", "The & Title")
    assert heads(found) == [(1, "The & Title"), (2, "Part two")]
    for heading in found.headings:
        assert found.text.startswith(heading.title, heading.start)
    assert "opening paragraph that is long enough to be taken" in found.text
    assert "- first item of the list\n- second item of the list\n- nested item here" in found.text
    assert "def f():\n    return 1" in found.text
    assert "Name | Age\nAnn | 7" in found.text
    assert "hidden" not in found.text
    assert "color" not in found.text


def test_the_pages_own_top_heading_is_kept_and_a_sites_name_is_not(tmp_path):
    words = "A paragraph that is long enough to be taken for real text by any extractor there is, and so on. " * 3
    page = "<html><head><title>{}</title></head><body><header><h1>{}</h1></header><article><h2>Two</h2><p>{}</p>"
    own = extract(written(tmp_path, "a.html", page.format("The Topic | Site", "The Topic", words)))
    assert heads(own) == [(1, "The Topic"), (2, "Two")]
    assert own.text.startswith("The Topic\n\nTwo\n\nA paragraph")
    site = extract(written(tmp_path, "b.html", page.format("The Topic", "Site", words)))
    assert heads(site) == [(2, "Two")]


def test_html_is_known_by_its_first_tag_not_by_its_name(tmp_path):
    assert extract(written(tmp_path, "a.pdf", PAGE)).media_type == "text/html"
    assert extract(written(tmp_path, "a.txt", "<!-- a --><!-- b -->\n" + PAGE)).media_type == "text/html"
    assert extract(written(tmp_path, "a.html", "2 < 3, and no tag")).media_type == "text/plain"
    assert extract(written(tmp_path, "a.md", "<p align=center>logo</p>\n\n# Read me")).title == "Read me"


def test_html_without_main_text_falls_back_to_the_whole_body(tmp_path):
    deep = "<html><body>" + "<div>" * 5000 + "needle<svg><title>x</title></svg>" + "</div>" * 5000 + "</body></html>"
    assert extract(written(tmp_path, "deep.html", deep)).text == "needle"
    with pytest.raises(LoadError, match="no text between its tags"):
        extract(written(tmp_path, "a.html", "<html><body><script>draw()</script></body></html>"))


def test_pdf_text_comes_by_page_with_title_and_bookmarks(tmp_path):
    content = pdf("First page", "", "Third page", title="A Fine Title", bookmark=("Third", 2))
    found = extract(written(tmp_path, "any.bin", content))
    assert (found.text, found.pages) == ("First page\f\f\n\nThird page", (0, 14, 14))
    assert (found.title, found.media_type, found.metadata) == ("A Fine Title", "application/pdf", {"page_count": 3})
    assert heads(found) == [(1, "Third")]
    assert found.headings[0].start == 14


@pytest.mark.parametrize("title", ["", "Microsoft Word - x", "untitled", "scan.jpg", "12-3"])
def test_a_pdf_title_that_says_nothing_gives_way_to_the_file_name(tmp_path, title):
    assert extract(written(tmp_path, "report.pdf", pdf("Words", title=title))).title == "report"


def test_a_pdf_without_text_needs_ocr(tmp_path):
    with pytest.raises(LoadError, match=r"no text in 2 pages \(needs OCR\)"):
        extract(written(tmp_path, "scan.pdf", pdf("", "")))


@pytest.mark.parametrize(
    ("package", "name", "content"),
    [
        ("trafilatura", "a.html", PAGE),
        ("pypdfium2", "a.pdf", pdf("Words")),
        ("markdown_it", "a.md", "# One"),
        ("charset_normalizer", "a.txt", b"caf\xe9 "),
    ],
)
def test_a_missing_parser_is_named_with_its_install_command(tmp_path, monkeypatch, package, name, content):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(PackageMissing, match=r"pip install 'howdah\[files\]'"):
        extract(written(tmp_path, name, content))


def test_the_loader_gives_one_document_a_file_and_reports_the_rest(tmp_path):
    folder = tmp_path / "docs"
    folder.mkdir()
    written(folder, "b.md", "# Two\n\nwords")
    written(folder, "a.txt", "one")
    written(folder, "c.txt", "")
    failures: list[LoadError] = []
    documents = FileLoader(folder, on_error=failures.append).load()
    assert [(d.page_content, d.metadata) for d in documents] == [
        ("one", {"source": "docs/a.txt", "title": "a", "media_type": "text/plain"}),
        ("# Two\n\nwords", {"source": "docs/b.md", "title": "Two", "media_type": "text/markdown"}),
    ]
    assert [failure.source for failure in failures] == ["docs/c.txt"]
    with pytest.raises(LoadError, match=r"docs/c\.txt: is empty"):
        FileLoader(folder).load()


OFFICE = (".docx", ".pptx", ".epub", ".odt", ".rtf", ".eml", ".msg", ".ipynb")


def manifest() -> list[dict[str, str]]:
    path = FILES / "manifest.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.skipif(not FILES.exists(), reason="the data folder shared/data/files is not here")
@pytest.mark.parametrize("entry", manifest(), ids=lambda entry: entry["file"])
def test_every_real_file_gives_text_or_a_reason(entry):
    found, readable = outcome(FILES / entry["file"]), (".pdf", ".html", ".md", ".rst", ".txt", *OFFICE)
    if isinstance(found, LoadError):
        assert found.reason
        assert entry["kind"] != "good" or not entry["file"].endswith(readable), found
        return
    assert entry["kind"] not in {"empty", "image-only", "binary", "archive"} or entry["file"].endswith(".ebc")
    assert found.text.strip()
    assert found.title
    assert "\0" not in found.text
    found.text.encode("utf-8")
    assert all(0 <= heading.start < len(found.text) for heading in found.headings)
    assert [h.start for h in found.headings] == sorted(h.start for h in found.headings)
    assert list(found.pages) == sorted(found.pages)


def outcome(path: Path) -> Extract | LoadError:
    try:
        return extract(path)
    except LoadError as error:
        return error


@pytest.mark.skipif(not FASTAPI.exists(), reason="the data folder shared/data/fastapi is not here")
def test_real_documentation_has_a_title_a_page_and_headings_at_their_marks():
    pages = [extract(path) for path in sorted(FASTAPI.rglob("*.md"))]
    assert len(pages) > 100
    for found in pages:
        assert all(found.text.startswith("#" * h.level + " ", h.start) for h in found.headings)
        assert not any("{" in h.title and "#" in h.title for h in found.headings)
