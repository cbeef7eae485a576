"""Documents in containers: the words come out in order, and what cannot be read says why."""

import io
import json
import random
import zipfile
from contextlib import suppress
from email.message import EmailMessage
from pathlib import Path

import msoffcrypto
import pptx
import pytest
from pptx.chart.data import CategoryChartData
from pptx.enum.chart import XL_CHART_TYPE
from pptx.util import Inches

from howdah.retrieval.errors import LoadError, PackageMissing
from howdah.retrieval.loaders import LoadOptions, extract
from howdah.retrieval.types import Extract

FILES = Path(__file__).parents[3] / "shared" / "data" / "files"
real = pytest.mark.skipif(not FILES.exists(), reason="the data folder shared/data/files is not here")

W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
STRICT_W = "http://purl.oclc.org/ooxml/wordprocessingml/main"
TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
RELS = "http://schemas.openxmlformats.org/package/2006/relationships"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument"
ODF = "urn:oasis:names:tc:opendocument:xmlns"


NOISE = {"word/media/noise.txt": random.Random(0).randbytes(9000).hex()}


def written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def zipped(parts: dict[str, str | bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(name, content)
    return buffer.getvalue()


def docx(body: str, *, styles: str = "", title: str = "", extra: dict[str, str] | None = None, w: str = W) -> bytes:
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    core = f'<c xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{title}</dc:title></c>'
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{TYPES}"><Default Extension="rels" ContentType="application/vnd.'
            'openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" '
            f'ContentType="{kind}"/></Types>',
            "_rels/.rels": f'<Relationships xmlns="{RELS}"><Relationship Id="r1" Type="{DOCUMENT}" '
            'Target="word/document.xml"/></Relationships>',
            "word/document.xml": f'<w:document xmlns:w="{w}"><w:body>{body}</w:body></w:document>',
            "word/styles.xml": f'<w:styles xmlns:w="{w}">{styles}</w:styles>',
            "docProps/core.xml": core,
            **(extra or {}),
        }
    )


def paragraph(text: str, style: str = "") -> str:
    chosen = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{chosen}<w:r><w:t>{text}</w:t></w:r></w:p>"


def style(id: str, name: str, *, based: str = "", level: int | None = None) -> str:
    outline = "" if level is None else f'<w:pPr><w:outlineLvl w:val="{level}"/></w:pPr>'
    parent = f'<w:basedOn w:val="{based}"/>' if based else ""
    return f'<w:style w:type="paragraph" w:styleId="{id}"><w:name w:val="{name}"/>{parent}{outline}</w:style>'


def heads(found: Extract) -> list[tuple[int, str]]:
    assert all(found.text.startswith(heading.title, heading.start) for heading in found.headings)
    return [(heading.level, heading.title) for heading in found.headings]


# -- DOCX


@pytest.mark.parametrize("w", [W, STRICT_W])
def test_docx_has_headings_by_style_and_the_title_in_the_style_of_that_name(tmp_path, w):
    styles = style("Titel", "Title") + style("berschrift1", "heading 1", level=0) + style("Absatz", "Normal")
    body = paragraph("The Title", "Titel") + paragraph("One", "berschrift1") + paragraph("Grüße 😀", "Absatz")
    found = extract(written(tmp_path, "any.bin", docx(body, styles=styles, w=w)))
    assert (found.text, heads(found), found.title) == ("The Title\n\nOne\n\nGrüße 😀", [(1, "One")], "The Title")
    assert found.media_type == "application/vnd.openxmlformats-officedocument.wordprocessingml.document"


def test_a_house_style_is_a_heading_by_its_outline_level_or_its_parents(tmp_path):
    styles = style("Clause1", "Clause 1", level=0) + style("Clause2", "Clause 2", based="Sub") + style("Text", "Text")
    styles += style("Sub", "Sub", level=1)
    body = paragraph("Part", "Clause1") + paragraph("Detail", "Clause2") + paragraph("words", "Text")
    assert heads(extract(written(tmp_path, "a.docx", docx(body, styles=styles)))) == [(1, "Part"), (2, "Detail")]


def test_the_own_title_of_a_docx_comes_first_unless_it_says_nothing(tmp_path):
    body = paragraph("One", "Heading1")
    assert extract(written(tmp_path, "a.docx", docx(body, title="From the properties"))).title == "From the properties"
    for empty in ("", "Microsoft Word - old.doc", "Document1", "scan.pdf"):
        assert extract(written(tmp_path, "a.docx", docx(body, title=empty))).title == "One"
    assert extract(written(tmp_path, "a.docx", docx(paragraph("words")))).title == "a"


def test_a_table_in_a_table_stays_in_its_cell(tmp_path):
    def table(*rows: list[str]) -> str:
        cells = ("".join(f"<w:tc>{cell}</w:tc>" for cell in row) for row in rows)
        return "<w:tbl>" + "".join(f"<w:tr>{row}</w:tr>" for row in cells) + "</w:tbl>"

    inner = table([paragraph("c"), paragraph("d")], [paragraph("e"), paragraph("f")])
    body = table([paragraph("a"), paragraph("b")], [inner, paragraph("g")]) + paragraph("after")
    assert extract(written(tmp_path, "a.docx", docx(body))).text == "a | b\nc, d; e, f | g\n\nafter"


@real
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("good/textbox.docx", "Suggested Reportable Symptoms:"),
        ("good/Strict.docx", "Some text"),
        ("good/docx-tables.docx", "d | e, f; g&t, h | i"),
        ("good/test_with_comment.docx", "This is a test comment. 12df-321a"),
        ("good/test_with_comment.docx", "Yet another comment in the doc. 55yiyi-asd09"),
        ("good/test.docx", "314b0a30-5b04-470b-b9f7-eed2c2bec74a"),
        ("odd/grid_offset_error.docx", "Merged B1-B3"),
        ("odd/eng_spa_mult.doc", "Todos los seres humanos nacen libres"),
        ("good/test.pptx", "44bf7d06-5e7a-4a40-a2e1-a2e42ef28c8a"),
        ("good/test.pptx", "13 | 14 | 15 | 16 | 17 | 18"),
        ("good/test.pptx", "2003: 2003"),
        ("good/test.pptx", "Sub comment 2"),
        ("good/science-exploration-1p.pptx", "Virtual Machine Environment Scorecard"),
        ("odd/fake-power-point-malformed.pptx", "Test Slide"),
        ("good/winter-sports.epub", "THE SUN-SEEKER"),
        ("good/eng_spa_mult.odt", "Todos los seres humanos nacen libres"),
        ("good/eng_spa_mult.rtf", "dotados como están de razón y conciencia"),
        ("good/fake-email-attachment.eml", "Hey this is a fake attachment!"),
        ("good/test_outlook_msg.msg", "This is the body of the test email message"),
        ("good/test_notebook.ipynb", "print(42)\n```\n\n```\n42\n```"),
    ],
)
def test_the_words_of_real_files_are_not_lost(name, words):
    found = extract(FILES / name)
    assert words in found.text
    assert all(found.text.startswith(("#", heading.title), heading.start) for heading in found.headings)


def test_arrows_back_from_notes_and_pictures_as_base64_stay_out():
    if not FILES.exists():
        pytest.skip("the data folder shared/data/files is not here")
    text = extract(FILES / "good/test_with_comment.docx").text + extract(FILES / "good/test.docx").text
    assert "↑" not in text
    assert "base64" not in text


# -- PPTX


def deck() -> pptx.presentation.Presentation:
    made = pptx.Presentation()
    first = made.slides.add_slide(made.slide_layouts[1])
    first.shapes.title.text, first.placeholders[1].text = "First slide", "a point"
    first.placeholders[1].text_frame.add_paragraph().text = "a deeper point"
    first.placeholders[1].text_frame.paragraphs[1].level = 1
    first.notes_slide.notes_text_frame.text = "say this aloud"
    made.slides.add_slide(made.slide_layouts[6])
    third = made.slides.add_slide(made.slide_layouts[5])
    third.shapes.title.text = "Third slide"
    cells = third.shapes.add_table(2, 2, 0, 0, Inches(2), Inches(1)).table
    for number, text in enumerate(["a", "b", "c", "d"]):
        cells.cell(number // 2, number % 2).text = text
    group = third.shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, Inches(1), Inches(1)).text_frame.text = "in a group"
    data = CategoryChartData()
    data.categories = ["x", "y"]
    data.add_series("Sales", (1.5, None))
    third.shapes.add_chart(XL_CHART_TYPE.COLUMN_CLUSTERED, 0, 0, Inches(2), Inches(2), data)
    return made


def saved(made: pptx.presentation.Presentation) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


SLIDES = (
    "First slide\n\na point\n  - a deeper point\n\nNotes: say this aloud"
    "\f\f\n\nThird slide\n\na | b\nc | d\n\nin a group\n\nSales | x: 1.5 | y: "
)


def test_slides_are_pages_with_their_notes_tables_groups_and_charts(tmp_path):
    found = extract(written(tmp_path, "a.zip", saved(deck())))
    assert found.text == SLIDES
    third = SLIDES.index("Third")
    assert found.pages == (0, third, third)
    assert (heads(found), found.title) == ([(1, "First slide"), (1, "Third slide")], "First slide")
    assert found.metadata == {"page_count": 3}


def test_a_strict_pptx_reads_like_any_other(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(deck()))) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.infolist():
            data = old.read(member)
            for family in (b"officeDocument", b"presentationml", b"drawingml"):
                for kind in (b"main", b"relationships", b"chart", b"table"):
                    transitional = b"http://schemas.openxmlformats.org/" + family + b"/2006/" + kind
                    data = data.replace(transitional, b"http://purl.oclc.org/ooxml/" + family + b"/" + kind)
            new.writestr(member.filename, data)
    assert extract(written(tmp_path, "a.pptx", buffer.getvalue())).text == SLIDES


@pytest.mark.parametrize(
    "kind",
    [
        b"vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml",
        b"vnd.openxmlformats-officedocument.presentationml.template.main+xml",
        b"vnd.ms-powerpoint.presentation.macroEnabled.main+xml",
        b"vnd.ms-powerpoint.slideshow.macroEnabled.main+xml",
    ],
)
def test_slide_shows_templates_and_files_with_macros_are_presentations_too(tmp_path, kind):
    buffer = io.BytesIO()
    usual = b"vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
    with zipfile.ZipFile(io.BytesIO(saved(deck()))) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.infolist():
            new.writestr(member.filename, old.read(member).replace(usual, kind))
    assert extract(written(tmp_path, "a.ppsx", buffer.getvalue())).text == SLIDES


def test_diagrams_and_comments_of_a_slide_are_read(tmp_path):
    rels = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    a = "http://schemas.openxmlformats.org/drawingml/2006/main"
    p = "http://schemas.openxmlformats.org/presentationml/2006/main"
    parts = {
        "ppt/diagrams/data1.xml": f'<d xmlns:a="{a}"><a:p><a:r><a:t>a step</a:t></a:r></a:p></d>',
        "ppt/comments/comment1.xml": f'<p:cmLst xmlns:p="{p}"><p:cm><p:text>check this</p:text></p:cm></p:cmLst>',
    }
    made = pptx.Presentation()
    made.slides.add_slide(made.slide_layouts[6])
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(made))) as old, zipfile.ZipFile(buffer, "w") as new:
        for member in old.infolist():
            data = old.read(member)
            if member.filename == "ppt/slides/_rels/slide1.xml.rels":
                more = "".join(
                    f'<Relationship Id="x{n}" Type="{rels}/{kind}" Target="/{name}"/>'
                    for n, (kind, name) in enumerate(zip(["diagramData", "comments"], parts, strict=True))
                )
                data = data.replace(b"</Relationships>", more.encode() + b"</Relationships>")
            new.writestr(member.filename, data)
        for name, content in parts.items():
            new.writestr(name, content)
    assert extract(written(tmp_path, "a.pptx", buffer.getvalue())).text == "a step\n\nComment: check this"


# -- OpenDocument and EPUB


def odf(kind: str, body: str, *, title: str = "", styles: str = "", extra: dict[str, str] | None = None) -> bytes:
    spaces = " ".join(
        f'xmlns:{short}="{ODF}:{long}:1.0"'
        for short, long in [
            ("office", "office"),
            ("text", "text"),
            ("table", "table"),
            ("draw", "drawing"),
            ("style", "style"),
            ("presentation", "presentation"),
        ]
    )
    spaces += ' xmlns:dc="http://purl.org/dc/elements/1.1/"'
    return zipped(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f"<office:document-content {spaces}><office:automatic-styles>{styles}"
            f"</office:automatic-styles><office:body>{body}</office:body></office:document-content>",
            "meta.xml": f"<office:document-meta {spaces}><dc:title>{title}</dc:title></office:document-meta>",
            **(extra or {}),
        }
    )


def test_odt_keeps_headings_lists_tables_boxes_notes_and_comments(tmp_path):
    body = """<office:text><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes>
    <text:table-of-content><text:index-body><text:p>One 1</text:p></text:index-body></text:table-of-content>
    <text:p text:style-name="P1">The Title</text:p>
    <text:h text:outline-level="2">One</text:h>
    <text:p>a<text:s/>sentence<office:annotation><dc:creator>Me</dc:creator><text:p>really?</text:p></office:annotation>
 with a note<text:note><text:note-citation>1</text:note-citation><text:note-body><text:p>the note</text:p></text:note-body>
</text:note> in <text:span>it</text:span></text:p>
    <text:list><text:list-item><text:p>x</text:p><text:list><text:list-item><text:p>y</text:p></text:list-item></text:list>
    </text:list-item></text:list>
    <table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>
    <table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table>
    <text:p><draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame></text:p></office:text>"""
    styles = '<style:style style:name="P1" style:parent-style-name="Title"/>'
    found = extract(written(tmp_path, "a.bin", odf("text", body, styles=styles)))
    assert found.text.split("\n\n") == [
        "The Title",
        "One",
        "a sentence with a note[1] in it",
        "Comment: really?",
        "[1] the note",
        "- x\n  - y",
        "a | b",
        "boxed",
    ]
    assert (heads(found), found.title) == ([(2, "One")], "The Title")
    assert extract(written(tmp_path, "a.odt", odf("text", body, title="Its own"))).title == "Its own"


def test_odp_slides_are_pages_with_titles_and_notes(tmp_path):
    def slide(title: str, words: str, notes: str) -> str:
        return (
            f'<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>{title}</text:p>'
            f"</draw:text-box></draw:frame><draw:frame><draw:text-box><text:p>{words}</text:p></draw:text-box></draw:frame>"
            f"<presentation:notes><draw:frame><draw:text-box><text:p>{notes}</text:p></draw:text-box></draw:frame>"
            "</presentation:notes></draw:page>"
        )

    body = f"<office:presentation>{slide('One', 'words', 'aloud')}{slide('Two', 'more', '')}</office:presentation>"
    found = extract(written(tmp_path, "a.odp", odf("presentation", body)))
    assert found.text == "One\n\nwords\n\nNotes: aloud\f\n\nTwo\n\nmore"
    assert (found.pages, heads(found)) == ((0, found.text.index("Two")), [(1, "One"), (1, "Two")])


def test_an_encrypted_odt_says_so(tmp_path):
    manifest = {"META-INF/manifest.xml": "<m><file-entry><encryption-data/></file-entry></m>"}
    with pytest.raises(LoadError, match="is encrypted and needs a password"):
        extract(written(tmp_path, "a.odt", odf("text", "<office:text/>", extra=manifest)))


def epub(chapters: dict[str, str], *, extra: dict[str, str] | None = None, spine: str = "") -> bytes:
    items = "".join(f'<item id="i{n}" href="{name}"/>' for n, name in enumerate(chapters))
    order = spine or "".join(f'<itemref idref="i{n}"/>' for n, _ in enumerate(chapters))
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": '<container><rootfiles><rootfile full-path="in/book.opf"/></rootfiles></container>',
            "in/book.opf": '<package xmlns:dc="http://purl.org/dc/elements/1.1/"><metadata><dc:title>A Book</dc:title>'
            '</metadata><manifest><item id="nav" href="nav.xhtml" properties="nav"/>'
            f'{items}</manifest><spine><itemref idref="nav"/>{order}</spine></package>',
            "in/nav.xhtml": "<html><body><ol><li>contents</li></ol></body></html>",
            **{f"in/{name.replace('%20', ' ')}": text for name, text in chapters.items()},
            **(extra or {}),
        }
    )


def test_epub_chapters_come_in_the_order_of_the_spine_without_contents(tmp_path):
    page = '<?xml version="1.0" encoding="utf-8"?><html><head><title/></head><body>{}</body></html>'
    chapters = {
        "b.xhtml": page.format("<h1>Second</h1><p>zwölf&nbsp;words</p>"),
        "a%20b.xhtml": page.format("<h1>First</h1><p>one <i>two</i></p>"),
    }
    spine = '<itemref idref="i1"/><itemref idref="i0"/><itemref idref="gone"/>'
    found = extract(written(tmp_path, "a.epub", epub(chapters, spine=spine)))
    assert found.text == "First\n\none two\n\nSecond\n\nzwölf words"
    assert (found.title, heads(found)) == ("A Book", [(1, "First"), (1, "Second")])


def test_a_protected_book_says_so_and_an_obfuscated_font_does_no_harm(tmp_path):
    encryption = "<e><EncryptedData><CipherData><CipherReference URI='{}'/></CipherData></EncryptedData></e>"
    chapters = {"a.xhtml": "<p>words</p>"}
    locked = epub(chapters, extra={"META-INF/encryption.xml": encryption.format("in/a.xhtml")})
    with pytest.raises(LoadError, match="protected against copying"):
        extract(written(tmp_path, "a.epub", locked))
    font = epub(chapters, extra={"META-INF/encryption.xml": encryption.format("in/font.otf")})
    assert extract(written(tmp_path, "b.epub", font)).text == "words"


# -- RTF


@pytest.mark.parametrize(
    ("rtf", "text"),
    [
        (rb"{\rtf1\ansi\ansicpg1252 Gr\'fc\'dfe\par zwei}", "Grüße\nzwei"),
        (rb"{\rtf1\ansi\ansicpg1251 \'cf\'f0\'e8\'e2\'e5\'f2}", "Привет"),
        (b"{\\rtf1\\ansi\\ansicpg1252 Gr\xfc\xdfe}", "Grüße"),
        (b"{\\rtf1\\ansi\\ansicpg1251 \xcf\xf0\xe8\xe2\xe5\xf2}", "Привет"),
        (rb"{\rtf1\ansi\uc1 \u-10179?\u-8704? and \u8364?}", "😀 and €"),
        (rb"{\rtf1{\fonttbl{\f0 Arial;}}{\*\generator x}{\info{\title hidden}}words", "words"),
    ],
)
def test_rtf_in_its_own_code_page(tmp_path, rtf, text):
    found = extract(written(tmp_path, "a.doc", rtf))
    assert (found.text, found.media_type) == (text, "application/rtf")


# -- mail


def mail(text: str | None = "Hello", *, html: str | None = None, subject: str = "Lunch") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = "Änne <a@example.org>", "b@example.org"
    message["Date"], message["Message-ID"] = "Fri, 23 Dec 2022 12:08:48 -0600", "<1@example.org>"
    if subject:
        message["Subject"] = subject
    if text is not None:
        message.set_content(text)
    if html is not None:
        message.add_alternative(html, subtype="html")
    return message


HEADER = "From: Änne <a@example.org>\nTo: b@example.org\nDate: 2022-12-23T12:08:48-06:00"


def test_a_mail_is_its_subject_people_body_and_attachments(tmp_path):
    message = mail("Hello,\nall")
    message.add_attachment("# Plan\n\nwords", subtype="plain", filename="plan.md")
    message.add_attachment(docx(paragraph("In Word", "Heading1")), maintype="a", subtype="b", filename="übersicht.docx")
    message.add_attachment(b"\x89PNG\r\n\x1a\n", maintype="image", subtype="png", filename="photo.png")
    found = extract(written(tmp_path, "no-ending", message.as_bytes()))
    attached = "plan.md\n\n# Plan\n\nwords\n\n\nübersicht.docx\n\nIn Word"
    assert found.text == f"Lunch\n\n{HEADER}\n\nHello,\nall\n\n{attached}"
    levels = [(heading.level, heading.title) for heading in found.headings]
    assert levels == [(1, "Lunch"), (2, "plan.md"), (3, "Plan"), (2, "übersicht.docx"), (3, "In Word")]
    assert found.metadata["from"] == "Änne <a@example.org>"
    assert found.metadata["attachments"] == ["plan.md", "übersicht.docx", "photo.png"]
    assert found.metadata["unread_attachments"] == {"photo.png": "is a PNG image, which is not read yet"}


@pytest.mark.parametrize(
    ("text", "html", "body"),
    [
        ("plain words", "<p>plain <b>words</b></p>", "plain words"),
        ("See HTML.", "<p>" + "the real text " * 9 + "</p>", ("the real text " * 9).strip()),
        (None, "<h2>Only</h2><ul><li>html</li></ul>", "Only\n\n- html"),
    ],
)
def test_of_two_forms_of_a_mail_the_plain_one_unless_it_says_too_little(tmp_path, text, html, body):
    message = mail(text, html=html) if text else mail(None)
    if not text:
        message.set_content(html, subtype="html")
    assert extract(written(tmp_path, "a.eml", message.as_bytes())).text == f"Lunch\n\n{HEADER}\n\n{body}"


@pytest.mark.parametrize(
    ("charset", "body"),
    [
        ("iso-8859-1", "Grüße".encode("latin-1")),
        ("iso-8859-1", "„Grüße“".encode("cp1252")),
        ("koi8-r", "Привет".encode("koi8-r")),
        ("iso-2022-jp", "名前".encode("iso-2022-jp")),
        ("x-unknown", "Grüße".encode()),
        ("", "Grüße".encode()),
    ],
)
def test_a_mail_in_the_charset_that_it_declares_or_else_is_in(tmp_path, charset, body):
    declared = f"Content-Type: text/plain; charset={charset}\n" if charset else ""
    head = f"From: a@b.c\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nMIME-Version: 1.0\n{declared}"
    found = extract(written(tmp_path, "a.eml", f"{head}Content-Transfer-Encoding: 8bit\n\n".encode() + body))
    codec = "cp1252" if charset == "iso-8859-1" else charset if charset.startswith(("koi", "iso-2")) else "utf-8"
    assert found.text == "Grüße\n\nFrom: a@b.c\n\n" + body.decode(codec)


def test_a_mail_without_a_body_is_its_subject_and_one_without_both_a_reason(tmp_path):
    found = extract(written(tmp_path, "a.eml", mail(None).as_bytes()))
    assert (found.text, found.title) == (f"Lunch\n\n{HEADER}", "Lunch")
    with pytest.raises(LoadError, match="neither a subject nor a body"):
        extract(written(tmp_path, "a.eml", mail(None, subject="").as_bytes()))


def test_mails_in_mails_end_somewhere_and_a_zip_in_a_mail_is_opened(tmp_path):
    message = mail("innermost")
    for level in range(5):
        outer = mail(f"level {level}")
        outer.add_attachment(message)
        message = outer
    found = extract(written(tmp_path, "a.eml", message.as_bytes()))
    assert "level 1" in found.text
    assert "level 0" not in found.text
    carrier = mail("see inside")
    inside = zipped({"in/a.txt": "zipped words", "b.png": b"\x89PNG\r\n\x1a\n"})
    carrier.add_attachment(inside, maintype="application", subtype="zip", filename="all.zip")
    found = extract(written(tmp_path, "b.eml", carrier.as_bytes()))
    assert found.text.endswith("see inside\n\nall.zip/in/a.txt\n\nzipped words")
    assert list(found.metadata["unread_attachments"]) == ["all.zip/b.png"]


@real
def test_an_encrypted_mail_says_so():
    with pytest.raises(LoadError, match="is an encrypted mail"):
        extract(FILES / "odd/fake-encrypted.eml")


@pytest.mark.parametrize(
    "text", ["From: here\nTo: there\n\nwords", "Note: one\nDate: two\nFrom: x\nand so on", "From a"]
)
def test_text_that_only_begins_like_a_mail_is_text(tmp_path, text):
    assert extract(written(tmp_path, "a.txt", text)).text == text


# -- notebooks


def test_a_notebook_of_format_4(tmp_path):
    cells = [
        {"cell_type": "markdown", "source": ["# Top\n", "words"]},
        {
            "cell_type": "code",
            "source": "1 + 1",
            "outputs": [
                {"output_type": "stream", "text": ["\x1b[31mred\x1b[0m\n"]},
                {"output_type": "execute_result", "data": {"text/plain": "2", "image/png": "iVBORw0KGgo"}},
                {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": ["long"]},
            ],
        },
        {"cell_type": "code", "source": [], "outputs": []},
        {"cell_type": "raw", "source": "raw"},
        {"cell_type": "markdown", "source": "## Sub"},
    ]
    book = {"nbformat": 4, "metadata": {"kernelspec": {"language": "python"}}, "cells": cells}
    found = extract(written(tmp_path, "a.ipynb", json.dumps(book)))
    assert found.text == (
        "# Top\nwords\n\n```python\n1 + 1\n```\n\n```\nred\n```\n\n```\n2\n```\n\n```\nValueError: no\n```\n\nraw\n\n## Sub"
    )
    assert [(h.start, h.level, h.title) for h in found.headings] == [(0, 1, "Top"), (found.text.index("## "), 2, "Sub")]
    assert (found.title, found.media_type) == ("Top", "application/x-ipynb+json")


def test_a_notebook_of_format_3(tmp_path):
    cells = [
        {"cell_type": "heading", "level": 2, "source": "Old"},
        {
            "cell_type": "code",
            "input": "print 1",
            "language": "python",
            "outputs": [{"output_type": "pyout", "text": "1"}],
        },
    ]
    book = {"nbformat": 3, "metadata": {"name": ""}, "worksheets": [{"cells": cells}]}
    found = extract(written(tmp_path, "a.ipynb", json.dumps(book)))
    assert found.text == "Old\n\n```\nprint 1\n```\n\n```\n1\n```"
    assert heads(found) == [(2, "Old")]


# -- what cannot be read


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("cut.docx", docx(paragraph("words"))[:300], "damaged"),
        ("cut.pptx", saved(deck())[:9000], "damaged PowerPoint file"),
        ("hollow.docx", zipped({"[Content_Types].xml": "wordprocessingml.document.main"}), "damaged Word document"),
        ("hollow.odt", zipped({"mimetype": "application/vnd.oasis.opendocument.text"}), "damaged OpenDocument"),
        ("broken.docx", docx("<w:p><w:r>"), "damaged Word document"),
        ("empty.docx", docx(""), "has no text"),
        ("empty.pptx", saved(pptx.Presentation()), "no text in 0 slides"),
        ("empty.odt", odf("text", "<office:text/>"), "has no text"),
        ("empty.epub", epub({"a.xhtml": "<p></p>"}), "has no text"),
        ("empty.rtf", b"{\\rtf1 }", "has no text"),
        ("empty.ipynb", '{"nbformat": 4, "cells": []}', "has no text"),
        ("cut.ipynb", '{"nbformat": 4, "cells": [{"source"', "damaged Jupyter notebook"),
        ("odd.ipynb", '{"nbformat": 4, "cells": [7]}', "damaged Jupyter notebook"),
        ("cut.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "damaged Office file"),
        ("a.jar", zipped({"META-INF/MANIFEST.MF": "x", "a.class": "x"}), "a Java archive"),
        ("a.zip", zipped({"a.txt": "x"}), "archives are not opened"),
    ],
)
def test_damaged_and_empty_documents_give_a_reason(tmp_path, name, content, reason):
    with pytest.raises(LoadError, match=reason) as caught:
        extract(written(tmp_path, name, content), source=f"docs/{name}")
    assert caught.value.source == f"docs/{name}"


SMALL = [
    docx(paragraph("words")),
    odf("text", "<office:text/>"),
    epub({"a.xhtml": "<p>x</p>"}),
    saved(pptx.Presentation()),
]
SMALL += [mail("x", html="<p>y</p>").as_bytes(), rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 A;}}\uc1\u8364? x}"]
SMALL += [json.dumps({"nbformat": 4, "cells": [{"cell_type": "code", "source": "x", "outputs": []}]}).encode()]


@pytest.mark.parametrize("content", SMALL, ids=lambda content: content[:8].hex())
def test_damage_anywhere_gives_text_or_a_reason_and_nothing_else(tmp_path, content):
    chance = random.Random(content[:8].hex())
    for _ in range(60):
        damaged = bytearray(content[: chance.randrange(1, len(content))] if chance.random() < 0.5 else content)
        for _ in range(chance.randrange(4)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with suppress(LoadError):
            assert extract(written(tmp_path, "a.eml", bytes(damaged))).text


@pytest.mark.parametrize(
    ("kind", "part"),
    [
        ("wordprocessingml.document.main", "word/document.xml"),
        ("wordprocessingml.document.main", "word/media/image1.png"),
        ("spreadsheetml.sheet.main", "xl/workbook.xml"),
    ],
)
def test_a_bomb_in_a_document_is_not_unpacked(tmp_path, kind, part):
    bomb = zipped({"[Content_Types].xml": kind, part: "0" * (20 << 20)})
    with pytest.raises(LoadError, match="as a zip bomb does"):
        extract(written(tmp_path, "a.docx", bomb))


@real
@pytest.mark.parametrize(("name", "hint"), [("good/fake.doc", "DOCX"), ("good/fake-power-point.ppt", "PPTX")])
def test_a_legacy_document_is_named_with_a_way_on(name, hint):
    with pytest.raises(LoadError, match="is a legacy") as caught:
        extract(FILES / name)
    assert hint in caught.value.hint


def encrypted(data: bytes, password: str) -> bytes:
    """As Office does it; the package must have its usual size of more than 4,096 bytes."""
    result = io.BytesIO()
    msoffcrypto.OfficeFile(io.BytesIO(data)).encrypt(password, result)
    return result.getvalue()


def test_an_encrypted_docx_opens_with_one_of_the_passwords(tmp_path):
    path = written(tmp_path, "a.docx", encrypted(docx(paragraph("secret words"), extra=NOISE), "pässword"))
    assert extract(path, options=LoadOptions(passwords=("wrong", "pässword"))).text == "secret words"
    with pytest.raises(LoadError, match="needs a password") as caught:
        extract(path)
    assert "--password" in caught.value.hint
    with pytest.raises(LoadError, match="no password that was given opens it"):
        extract(path, options=LoadOptions(passwords=("wrong",)))


@real
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("odd/password.pdf", "password"),
        ("odd/crazyones-encrypted-256.pdf", "password"),
        ("odd/r6-both-passwords.pdf", "foo"),
        ("odd/r6-both-passwords.pdf", "bar"),
    ],
)
def test_an_encrypted_pdf_opens_with_one_of_the_passwords(name, password):
    assert extract(FILES / name, options=LoadOptions(passwords=("wrong", password))).text
    with pytest.raises(LoadError, match="needs a password"):
        extract(FILES / name)
    with pytest.raises(LoadError, match="no password that was given"):
        extract(FILES / name, options=LoadOptions(passwords=("wrong",)))


@pytest.mark.parametrize(
    ("package", "name", "content"),
    [
        ("mammoth", "a.docx", docx(paragraph("x"))),
        ("pptx", "a.pptx", saved(deck())),
        ("lxml", "a.odt", odf("text", "<office:text/>")),
        ("striprtf", "a.rtf", b"{\\rtf1 x}"),
        ("olefile", "a.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)),
        ("msoffcrypto", "b.docx", encrypted(docx(paragraph("x"), extra=NOISE), "p")),
    ],
)
def test_a_missing_parser_is_named_with_its_install_command(tmp_path, monkeypatch, package, name, content):
    monkeypatch.setitem(__import__("sys").modules, package, None)
    with pytest.raises(PackageMissing, match=r"pip install 'howdah\[files\]'"):
        extract(written(tmp_path, name, content))
