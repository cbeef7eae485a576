import sys
import time
from pathlib import Path

import pytest

from howdah.retrieval.errors import LoadError, PackageMissing
from howdah.retrieval.loaders import extract
from howdah.retrieval.types import Extract

FILES = Path(__file__).parents[3] / "shared" / "data" / "files"
here = pytest.mark.skipif(not FILES.exists(), reason="the data folder shared/data/files is not here")


@pytest.fixture
def read(tmp_path):
    def read(name: str, content: str | bytes) -> Extract:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return extract(path)

    return read


def heads(found: Extract) -> list[tuple[int, str]]:
    for heading in found.headings:
        assert found.text.startswith(heading.title.split()[0], heading.start)
    return [(heading.level, heading.title) for heading in found.headings]


# -- XML


JATS = """<!DOCTYPE article PUBLIC "-//NLM//DTD JATS" "JATS.dtd">
<article xmlns:mml="http://www.w3.org/1998/Math/MathML"><front>
<journal-meta><journal-id>plosone</journal-id></journal-meta>
<article-meta><article-id>10.1/x</article-id>
<title-group><article-title>Of <italic>cows</italic> &amp; clouds</article-title></title-group>
<contrib-group><contrib><name><surname>Roe</surname><given-names>Ann</given-names></name></contrib></contrib-group>
<abstract><p>Short of it.</p></abstract></article-meta></front>
<body><sec id="s1"><title>Methods</title><p>We did H<sub>2</sub>O <xref rid="b1">[1]</xref>:
<list><list-item><p>first</p></list-item><list-item><p>second</p></list-item></list> and so on.</p>
<sec><title>Herd</title><p>Cows&nbsp;only.</p>
<fig><label>Fig 1</label><caption><title>A herd.</title><p>Seen from above.</p></caption></fig>
<p>After the figure.</p>
<table-wrap><table><thead><tr><th>Cow</th><th>Age</th></tr></thead><tbody><tr><td>Bella</td><td>4</td></tr></tbody></table>
</table-wrap></sec></sec></body>
<back><ref-list><title>References</title><ref><label>1</label><mixed-citation><name><surname>Doe</surname>
<given-names>J</given-names></name>. On cows. <year>1999</year></mixed-citation></ref></ref-list></back></article>"""


def test_jats_gives_sections_lists_tables_and_references(read):
    found = read("a.nxml", JATS)
    assert found.text == "\n\n".join(
        [
            "Of cows & clouds",
            "Roe Ann",
            "Abstract",
            "Short of it.",
            "Methods",
            "We did H2O [1]:",
            "- first\n- second",
            "and so on.",
            "Herd",
            "Cows only.",
            "label: Fig 1",
            "A herd.",
            "Seen from above.",
            "After the figure.",
            "Cow | Age\nBella | 4",
            "References",
            "1 Doe J . On cows. 1999",
        ]
    )
    assert heads(found) == [(1, "Of cows & clouds"), (2, "Abstract"), (2, "Methods"), (3, "Herd"), (2, "References")]
    assert (found.title, found.media_type) == ("Of cows & clouds", "application/xml")


def test_docbook_sections_are_headings(read):
    found = read(
        "a.xml",
        '<?xml version="1.0"?><book xmlns="http://docbook.org/ns/docbook"><title>Guide</title><chapter><title>One</title>'
        "<para>Words.</para><section><title>Inner</title><programlisting>def f():\n    return 1</programlisting></section>"
        "<note><title>Mind</title><para>this.</para></note></chapter></book>",
    )
    assert heads(found) == [(1, "Guide"), (2, "One"), (3, "Inner")]
    assert found.text.endswith("Inner\n\n```\ndef f():\n    return 1\n```\n\nMind\n\nthis.")


def test_feeds_have_a_heading_an_item_and_no_tags_in_their_html(read):
    found = read(
        "a.xml",
        "<rss version='2.0' xmlns:content='http://purl.org/rss/1.0/modules/content/'><channel><title>Blog</title>"
        "<item><title>First &amp; best</title><pubDate>Mon</pubDate><description>&lt;p&gt;One &lt;b&gt;bold&lt;/b&gt;"
        "&lt;/p&gt;&lt;p&gt;Two&lt;/p&gt;</description><content:encoded><![CDATA[<p>Three</p>]]></content:encoded></item>"
        "<item><title>Second</title></item></channel></rss>",
    )
    assert found.text == "Blog\n\nFirst & best\n\npubDate: Mon\n\nOne bold\n\nTwo\n\nThree\n\nSecond"
    assert heads(found) == [(1, "Blog"), (2, "First & best"), (2, "Second")]
    assert found.media_type == "application/rss+xml"
    atom = "<feed xmlns='http://www.w3.org/2005/Atom'><title>F</title><entry><title>E</title><summary>S</summary></entry></feed>"
    assert heads(read("b.txt", atom)) == [(1, "F"), (2, "E")]


def test_data_is_element_and_value_with_attributes(read):
    found = read(
        "a.xml",
        '<data><country name="Peru" code="PE"><rank>4</rank><area unit="km2">1285216</area></country>'
        '<row Id="1" Body="&lt;p&gt;Hi &lt;i&gt;there&lt;/i&gt;&lt;/p&gt;"/></data>',
    )
    assert found.text == "name: Peru\ncode: PE\nrank: 4\narea: 1285216\nunit: km2\n\nId: 1\nBody: Hi there"


def test_xml_is_known_without_declaration_and_whatever_its_name(read):
    assert read("a.txt", "<note>\n<to>Ann</to>\n</note>\n").text == "to: Ann"
    assert read("a.txt", "<b>bold</b> and more").media_type == "text/plain"
    assert read("a.txt", "<hello> is a tag").media_type == "text/plain"
    assert read("a.md", "<note>\n<to>Ann</to>\n</note>\n").media_type == "text/markdown"


def test_an_svg_gives_its_words_and_one_without_is_a_reason(read):
    words = '<title>Map</title><g><text x="1">North <tspan>Sea</tspan></text></g>'
    found = read("a.svg", f'<svg xmlns="http://www.w3.org/2000/svg"><style>p {{}}</style>{words}</svg>')
    assert (found.text, found.media_type) == ("Map\n\nNorth Sea", "image/svg+xml")
    with pytest.raises(LoadError, match="no text between its tags"):
        read("b.svg", '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>')


@pytest.mark.parametrize(
    "content",
    [
        '<?xml version="1.0" encoding="ISO-8859-2"?><a><b>piątek</b></a>'.encode("iso-8859-2"),
        '<?xml version="1.0" encoding="UTF-16"?><a><b>piątek</b></a>'.encode("utf-16"),
        '<?xml version="1.0" encoding="utf-16"?><a><b>piątek</b></a>'.encode(),
        '\ufeff<?xml version="1.0"?>\n<a><b>piątek</b></a>'.encode(),
        '\n <?xml version="1.0"?>\n<a><b>piątek</b></a>'.encode(),
    ],
)
def test_the_declared_encoding_counts_and_a_wrong_one_is_forgiven(read, content):
    assert read("a.xml", content).text == "b: piątek"


def test_damaged_xml_is_read_as_far_as_it_goes(read):
    assert read("a.xml", "<?xml version='1.0'?><a><b>one</b><b>two & three</b><c>fo").text.startswith("b: one\nb: two")
    assert read("a.xml", "<?xml version='1.0'?>").media_type == "text/plain"


def test_a_billion_laughs_stay_three_letters(read):
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY l0 "lol">{entities}]><a b="{{}}"><c>before</c><d>&l9;</d></a>'
    begun = time.process_time()
    assert len(read("a.xml", bomb.replace("{}", "x")).text) < 1_000
    assert len(read("b.xml", bomb.replace("{}", "&l9;")).text) < 1_000
    assert time.process_time() - begun < 5


def test_no_other_file_is_read(read, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("TOP-SECRET")
    found = read(
        "a.xml",
        f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "{secret.as_uri()}"><!ENTITY % p SYSTEM "{secret.as_uri()}">'
        ' %p;]><a xmlns:xi="http://www.w3.org/2001/XInclude"><b>kept</b><c>&x;</c>'
        f'<xi:include href="{secret.as_uri()}" parse="text"/></a>',
    )
    assert "kept" in found.text
    assert "TOP-SECRET" not in found.text


def test_deep_nesting_is_no_crash(read):
    assert read("a.xml", "<?xml version='1.0'?>" + "<a>" * 5_000 + "x" + "</a>" * 5_000).text == "x"


@here
@pytest.mark.parametrize(
    ("name", "title", "some_heads"),
    [
        ("good/pone.0234687.nxml", "Potential to reduce greenhouse gas", {(2, "Introduction"), (3, "System boundary")}),
        ("odd/elife-56337.txt", "KRAB-zinc finger protein gene", {(2, "Introduction"), (2, "Abstract")}),
        (
            "good/test_rss.xml",
            "The Official Microsoft Blog",
            {(2, "Microsoft introduces new adapted AI models for industry")},
        ),
        ("odd/factbook-utf-16.xml", "factbook-utf-16", set()),
    ],
)
def test_real_xml(name, title, some_heads):
    found = extract(FILES / name)
    assert found.title is not None
    assert found.title.startswith(title)
    assert some_heads <= set(heads(found))
    assert "<p>" not in found.text


# -- reStructuredText


RST = """\
=====
Title
=====

Words.

Part *one*
----------

.. include:: secret.txt

.. raw:: html
   :file: secret.txt

.. note:: hello

.. unknown-directive:: x

Sub
~~~

A rule:

----

::

   Not
   ===

Part two
--------
"""


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_rst_headings_stand_at_their_lines(read, newline):
    content = RST.replace("\n", newline)
    found = read("a.rst", content)
    assert (found.text, found.media_type, found.title) == (content, "text/x-rst", "Title")
    heads = [(h.level, h.title, found.text[h.start :].split(newline, 1)[0]) for h in found.headings]
    assert heads == [
        (1, "Title", "====="),
        (2, "Part one", "Part *one*"),
        (3, "Sub", "Sub"),
        (2, "Part two", "Part two"),
    ]


def test_rst_never_reads_another_file_or_speaks(read, tmp_path, capfd):
    (tmp_path / "secret.txt").write_text("TOP-SECRET\n==========\n")
    assert "TOP" not in str(read("a.rst", RST + "\n\n*broken `x\n\n=\nBad\n==\n"))
    assert capfd.readouterr() == ("", "")


def test_lines_that_only_python_ends_do_not_shift_rst_headings(read):
    found = read("a.rst", "one\u2028two\x0bthree\x85four\n\nHere\n====\n")
    assert found.text[found.headings[0].start :] == "Here\n====\n"


@here
def test_real_rst():
    assert [heading.title for heading in extract(FILES / "good/README.rst").headings] == ["Example Docs", "XBRL 10-K"]


@pytest.mark.parametrize(("module", "name", "content"), [("docutils", "a.rst", RST), ("lxml.etree", "a.xml", JATS)])
def test_a_missing_parser_is_named(read, monkeypatch, module, name, content):
    monkeypatch.setitem(sys.modules, module, None)
    for loaded in [known for known in sys.modules if known.startswith(f"{module}.")]:
        monkeypatch.delitem(sys.modules, loaded)
    with pytest.raises(PackageMissing, match=r"pip install 'howdah\[files\]'"):
        read(name, content)


def test_an_included_files_section_is_not_taken_for_one_of_this_file(read, tmp_path):
    (tmp_path / "secret.txt").write_text("TOP-SECRET\n==========\n")
    found = read("a.rst", "Title\n=====\n\n.. include:: secret.txt\n")
    assert [heading.title for heading in found.headings] == ["Title"]
