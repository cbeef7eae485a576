import json
import re
import struct
import time
import zipfile
from pathlib import Path, PurePath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_text_splitters import RecursiveCharacterTextSplitter

from howdah.retrieval.chunking import chunk, from_splitter
from howdah.retrieval.errors import LoadError, PackageMissing
from howdah.retrieval.loaders import LoadOptions, extract
from howdah.retrieval.loaders.apart import Apart
from howdah.retrieval.loaders.file import read as parsed
from howdah.retrieval.loaders.job import Job, parse
from howdah.retrieval.loaders.kinds import RawFile
from howdah.retrieval.loaders.sheets import read_workbook
from howdah.retrieval.structure import cuts
from howdah.retrieval.types import Extract

FILES = Path(__file__).parents[3] / "shared" / "data" / "files"
here = pytest.mark.skipif(not FILES.exists(), reason="the data folder shared/data/files is not here")


def words(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]


@pytest.fixture
def read(tmp_path):
    def read(name: str, content: str | bytes, *columns: str) -> Extract:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return extract(path, options=LoadOptions(columns=columns))

    return read


def records(found: Extract) -> list[str]:
    ends = [*found.rows[1:], len(found.text)]
    return [found.text[start:end].strip() for start, end in zip(found.rows, ends, strict=True)]


# -- CSV


def test_a_row_is_a_record_of_lines_a_blank_line_apart(read):
    found = read("a.csv", "Name,City\nAnn,Ulm\nBob,Bonn\n")
    assert found.text == "Name: Ann\nCity: Ulm\n\nName: Bob\nCity: Bonn"
    assert (found.rows, found.media_type, found.title) == ((0, 21), "text/csv", "a")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "Name,City\nAnn,Ulm\n"),
        ("a.csv", "\ufeffName;City\r\nAnn;Ulm\r\n"),
        ("a.csv", "Name\tCity\rAnn\tUlm\r"),
        ("a.tsv", "Name\tCity\nAnn\tUlm\n"),
        ("a.csv", "Name|City\nAnn|Ulm"),
        ("a.psv", "Name | City\nAnn | Ulm"),
        ("a.csv", "sep=;\nName;City\nAnn;Ulm\n"),
        ("a.csv", '"Name","City"\n"Ann","Ulm"\n'),
        ("a.csv", 'Name, City\n"Ann", "Ulm"\n'),
        ("a.csv", "\n\nName,City\n,\nAnn,Ulm\n\n"),
        ("a.xls", "Name\tCity\nAnn\tUlm\n"),
        ("a.csv", "Name,City\nAnn,Ulm\n".encode("utf-16")),
    ],
)
def test_the_dialect_is_found(read, name, content):
    assert records(read(name, content)) == ["Name: Ann\nCity: Ulm"]


def test_decimal_commas_do_not_make_columns(read):
    found = read("a.csv", "Ware;Preis;Rabatt\nTee;1,50;0,10\nSaft;2,25;0,20\n")
    assert records(found) == ["Ware: Tee\nPreis: 1,50\nRabatt: 0,10", "Ware: Saft\nPreis: 2,25\nRabatt: 0,20"]


def test_quoted_cells_keep_delimiters_quotation_marks_and_newlines(read):
    found = read("a.csv", 'id,text\r\n1,"a, ""b""\r\nand c"\r\n2,plain\r\n')
    assert records(found) == ['id: 1\ntext: a, "b"\r\nand c', "id: 2\ntext: plain"]
    assert records(read("a.csv", 'id,text\n1,"say \\"hi\\", or"\n2,x\n'))[0] == 'id: 1\ntext: say "hi", or'


def test_a_quotation_mark_that_is_never_closed_does_not_swallow_the_rest(read):
    found = read("a.csv", 'id,size\n1,"5 inch\n2,x\n3,y\n')
    assert records(found) == ['id: 1\nsize: "5 inch', "id: 2\nsize: x", "id: 3\nsize: y"]


def test_a_cell_may_be_larger_than_pythons_limit(read):
    long = "word " * 50_000
    assert records(read("a.csv", f'id,text\n1,"{long}"\n2,x\n'))[0] == f"id: 1\ntext: {long.strip()}"


def test_rows_that_are_too_long_or_too_short_keep_all_values(read):
    found = read("a.csv", "a,b\nx,y\nx,y,more,and more\nx\nx,y\n")
    assert records(found)[1:3] == ["a: x\nb: y\ncolumn 3: more\ncolumn 4: and more", "a: x"]


def test_empty_cells_are_left_out_and_unnamed_or_doubled_columns_get_names(read):
    found = read("a.csv", ",name,name\n0,Ann,Lee\n1,,Roe\n")
    assert records(found) == ["column 1: 0\nname: Ann\nname (2): Lee", "column 1: 1\nname (2): Roe"]


@pytest.mark.parametrize(
    ("content", "first"),
    [
        ("name,born\nAnn,1970\nBob,1981\n", "name: Ann\nborn: 1970"),
        ("Ann,1970-01-05\nBob,1981-02-03\n", "column 1: Ann\ncolumn 2: 1970-01-05"),
        ("x,1.5\ny,2.5\n", "column 1: x\ncolumn 2: 1.5"),
        ("country,2019,2020\nPeru,10,20\nChile,11,21\n", "country: Peru\n2019: 10\n2020: 20"),
        ("0,1\nx,y\nz,w\n", "0: x\n1: y"),
        ("M,yes\nF,no\nM,no\n", "column 1: M\ncolumn 2: yes"),
        ("city,country\nUlm,Germany\nParis,France\n", "city: Ulm\ncountry: Germany"),
    ],
)
def test_the_header_is_told_from_a_first_row(read, content, first):
    assert records(read("a.csv", content))[0] == first


def test_a_title_above_the_header_is_a_heading(read):
    found = read("a.csv", "Sales of 2020,,\n\nCity,Sum\nUlm,1\nBonn,2\n")
    assert found.text == "Sales of 2020\n\nCity: Ulm\nSum: 1\n\nCity: Bonn\nSum: 2"
    assert [(heading.level, heading.title, heading.start) for heading in found.headings] == [(1, "Sales of 2020", 0)]
    assert found.rows == (0, found.text.index("City: Bonn"))


def test_columns_are_chosen_in_order_and_the_others_stay_to_filter_by(read):
    found = read("a.csv", "id,year,text,code\n1,2019,one,007\n2,2020,two,n/a\n3,n/a,,008\n", "text", "id")
    assert records(found) == ["text: one\nid: 1", "text: two\nid: 2", "id: 3"]
    assert found.row_metadata == (
        {"id": 1, "year": 2019, "text": "one", "code": "007"},
        {"id": 2, "year": 2020, "text": "two", "code": "n/a"},
        {"id": 3, "year": None, "code": "008"},
    )


@pytest.mark.parametrize("name", ["a.csv", "a.json"])
def test_a_column_that_is_not_there_is_named_with_those_that_are(read, name):
    content = {"a.csv": "id,text\n1,x\n", "a.json": '[{"id": 1, "text": "x"}]'}[name]
    with pytest.raises(LoadError, match=r"has no column 'body'; its columns are 'id', 'text'; choose"):
        read(name, content, "text", "body")


def test_metadata_of_a_row_is_bounded(read):
    header, row = ",".join(f"c{n}" for n in range(200)), ",".join(str(n) for n in range(200))
    assert list(read("a.csv", f"{header}\n{row}\n").row_metadata[0]) == [f"c{n}" for n in range(64)]
    assert read("a.csv", f"id,text\n1,{'x' * 201}\n2,x\n").row_metadata == ({"id": 1}, {"id": 2, "text": "x"})


@pytest.mark.parametrize("name", ["notes.txt", "app.log", "notes"])
def test_text_with_commas_stays_text_whatever_its_shape(read, name):
    content = "a,b\n1,2\n3,4\n"
    assert (read(name, content).text, read(name, content).rows) == (content, ())


@pytest.mark.parametrize("content", ["Just a sentence.\nAnd one more, yes.\n", "one\n", "Dear all\n\nsee you\nAnn B\n"])
def test_prose_in_a_file_named_csv_stays_text(read, content):
    found = read("a.csv", content)
    assert (found.text, found.rows, found.media_type) == (content, (), "text/plain")


def test_one_column_is_a_table_if_it_looks_like_one(read):
    assert records(read("a.csv", 'text\n"a, b"\n"c d"\n')) == ["text: a, b", "text: c d"]
    assert records(read("a.csv", "email\na@x.org\nb@x.org\n")) == ["email: a@x.org", "email: b@x.org"]


def test_a_header_alone_is_kept_as_values(read):
    assert records(read("a.csv", "name,city\n")) == ["column 1: name\ncolumn 2: city"]


# -- JSON


def test_nested_values_are_named_by_their_path(read):
    content = {"id": 7, "author": {"name": "Ann", "x": {}}, "tags": ["a", 1, None, True], "parts": [{"n": 1}, {"n": 2}]}
    found = read("a.json", json.dumps([content, {"id": 8, "empty": [], "none": None, "flag": False}]))
    assert records(found) == [
        "id: 7\nauthor.name: Ann\ntags: a, 1, true\nparts[1].n: 1\nparts[2].n: 2",
        "id: 8\nflag: false",
    ]
    assert found.row_metadata[0] == {
        "id": 7,
        "author.name": "Ann",
        "tags": ["a", 1, None, True],
        "parts[1].n": 1,
        "parts[2].n": 2,
    }


def test_a_path_or_its_beginning_chooses_a_column(read):
    content = '{"id": 1, "author": {"name": "Ann", "age": 3}, "authority": "x"}'
    assert read("a.json", content, "author").text == "author.name: Ann\nauthor.age: 3"
    assert read("a.json", content, "author.age", "id").text == "author.age: 3\nid: 1"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"count": 2, "hits": [{"a": 1}, {"a": 2}]}', ["count: 2", "a: 1", "a: 2"]),
        ('{"Q1": {"name": "x", "n": 1}, "Q2": {"name": "y"}}', ["Q1\n\nname: x\nn: 1", "Q2\n\nname: y"]),
        ('{"name": "x", "deps": {"a": "1"}, "people": [{"n": 1}]}', ["name: x\ndeps.a: 1\npeople[1].n: 1"]),
        ("[[1, 2], [3]]", ["1, 2", "3"]),
    ],
)
def test_records_are_found_where_they_are(read, content, expected):
    assert records(read("a.json", content)) == expected


def test_a_list_of_plain_values_is_a_line_each(read):
    found = read("a.json", '["one", "two\\u0000", 3, null]')
    assert (found.text, found.rows) == ("one\ntwo\ufffd\n3", ())
    with pytest.raises(LoadError, match="has no columns"):
        read("a.json", "[1, 2]", "id")


def test_json_lines_are_records_also_in_a_log_and_a_cut_off_line_loses_nothing(read):
    found = read("app.log", '{"at": 1, "msg": "up"}\n\n{"at": 2, "msg": "down"}\r\n{"at": 3, "ms')
    assert records(found) == ["at: 1\nmsg: up", "at: 2\nmsg: down", '{"at": 3, "ms']
    assert (found.media_type, found.metadata) == ("application/x-ndjson", {"damaged_rows": 1})


@pytest.mark.parametrize(
    "content", ['{"a": 1, "b": [1, 2', "[link](x.md), and text", "{\n  // why\n  a: 1\n}", "[1] A. Bee"]
)
def test_what_only_begins_like_json_is_plain_text(read, content):
    assert (read("a.txt", content).text, read("a.json", content).media_type) == (content, "text/plain")


def test_numbers_stay_as_they_are_written(read):
    big = "9" * 10_000
    found = read("a.json", f'[{{"big": {big}, "id": 12345678901234567, "price": 1.10, "nan": NaN, "far": 1e999}}]')
    assert found.text == f"big: {big}\nid: 12345678901234567\nprice: 1.10\nnan: NaN\nfar: 1e999"
    assert found.row_metadata == ({"id": 12345678901234567, "price": 1.1, "nan": "NaN", "far": "1e999"},)


def test_what_postgresql_cannot_hold_is_replaced_in_text_names_and_metadata(read):
    found = read("a.json", r'[{"k\ud800": "a\ud83db\u0000", "l": ["\udfff"]}]')
    assert found.text == "k\ufffd: a\ufffdb\ufffd\nl: \ufffd"
    assert found.row_metadata == ({"k\ufffd": "a\ufffdb\ufffd", "l": ["\ufffd"]},)


@pytest.mark.parametrize("content", ["[" * 20_000 + "]" * 20_000, '{"a":' * 20_000 + "1" + "}" * 20_000])
def test_deep_nesting_is_a_reason_and_no_crash(read, content):
    with pytest.raises(LoadError, match="too many levels"):
        read("a.json", content)


@pytest.mark.parametrize("content", ["{}", "[]", "[{}]", '[""]', '{"a": null}'])
def test_json_without_a_value_is_a_reason(read, content):
    with pytest.raises(LoadError, match=r"has no (rows|values)"):
        read("a.json", content)


# -- spreadsheets


def xlsx(*sheets: tuple[str, str]) -> bytes:
    """A workbook written by hand: (name, <row> elements) a sheet; style 1 is a date, style 2 a date with time."""
    import io

    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relation = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    numbers = range(1, len(sheets) + 1)
    names = "".join(f'<sheet name="{sheets[n - 1][0]}" sheetId="{n}" r:id="r{n}"/>' for n in numbers)
    links = "".join(
        f'<Relationship Id="r{n}" Type="{relation}/worksheet" Target="worksheets/s{n}.xml"/>' for n in numbers
    )
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships">'
        f'<Relationship Id="a" Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{relation}"><sheets>{names}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{links}'
        f'<Relationship Id="s" Type="{relation}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f'<styleSheet xmlns="{main}"><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/>'
        "</cellXfs></styleSheet>",
        **{
            f"xl/worksheets/s{n}.xml": f'<worksheet xmlns="{main}"><sheetData>{sheets[n - 1][1]}</sheetData></worksheet>'
            for n in numbers
        },
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return target.getvalue()


def text_cell(words: str) -> str:
    return f'<c t="inlineStr"><is><t>{words}</t></is></c>'


def row(*cells: str) -> str:
    return f"<row>{''.join(cells)}</row>"


def test_a_workbook_is_read_by_sheet_and_row_with_dates_and_whole_numbers(read):
    # 45296 is 5 January 2024 in Excel's count of days from 1900.
    first = row(text_cell("Name"), text_cell("On"), text_cell("Sum")) + row(
        text_cell("Ann"), '<c s="1"><v>45296</v></c>', "<c><v>3</v></c>"
    )
    first += row(text_cell("Bob"), '<c s="2"><v>45296.75</v></c>', "<c><v>0.30000000000000004</v></c>")
    second = row(text_cell("Done")) + row('<c t="b"><v>1</v></c>')
    found = read("book.xlsx", xlsx(("People", first), ("Flags", second), ("Empty", "")))
    assert found.text == (
        "People\n\nName: Ann\nOn: 2024-01-05\nSum: 3\n\nName: Bob\nOn: 2024-01-05 18:00:00\nSum: 0.3\n\n"
        "Flags\n\nDone: true"
    )
    assert [(heading.level, heading.title) for heading in found.headings] == [(1, "People"), (1, "Flags")]
    assert found.rows == (0, found.text.index("Name: Bob"), found.text.index("Flags"))
    assert found.row_metadata[0] == {"Name": "Ann", "On": "2024-01-05", "Sum": 3}


def test_a_chosen_column_of_any_sheet_will_do(read):
    sheet = row(text_cell("{}"), text_cell("b")) + row(text_cell("1x"), text_cell("2x"))
    book = xlsx(("A", sheet.replace("{}", "a")), ("C", sheet.replace("{}", "c")))
    assert read("book.xlsx", book, "c").text == "C\n\nc: 1x"
    with pytest.raises(LoadError, match="has no column 'd'; its columns are 'a', 'b', 'c'"):
        read("book.xlsx", book, "d")


def test_a_workbook_is_known_by_its_content_and_a_damaged_or_empty_one_is_a_reason(read):
    assert read("a.txt", xlsx(("S", row(text_cell("x"))))).text == "S\n\ncolumn 1: x"
    with pytest.raises(LoadError, match="without a value"):
        read("a.xlsx", xlsx(("S", "")))
    with pytest.raises(LoadError, match="damaged"):
        read("a.xlsx", xlsx(("S", row(text_cell("x") * 500)))[:700] + b"xl/workbook")


def test_a_panic_of_the_parser_is_one_damaged_file():
    """An OLE file (MS-CFB 2.2) whose directory is said to begin in a sector that no table has."""
    head = (
        bytes.fromhex("d0cf11e0a1b11ae1")
        + bytes(16)
        + struct.pack("<5H6x9I", 0x3E, 3, 0xFFFE, 9, 6, 0, 0, 2, 0, 0, 0, 0, 3, 0)
    )
    name = "Workbook".encode("utf-16-le").ljust(1536, b"\0")
    with pytest.raises(LoadError, match="damaged spreadsheet"):
        read_workbook(RawFile(source="a", name=PurePath("a.xls"), data=head.ljust(512, b"\xff") + name), "")


def test_bytes_that_are_none_are_a_reason():
    with pytest.raises(LoadError, match="is empty"):
        parsed(RawFile(source="a", name=PurePath("a.csv"), data=b""))


def test_a_missing_package_is_named(read, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "python_calamine", None)
    with pytest.raises(PackageMissing, match=r"pip install 'howdah\[files\]'"):
        read("a.xlsx", xlsx(("S", row(text_cell("x")))))


# -- real files


@here
@pytest.mark.parametrize(
    ("name", "rows", "first"),
    [
        ("good/test.xlsx", 27, "Sheet1\n\nAlpha: 89\nBeta: 82\nGamma: 100\nDelta: 12"),
        ("good/test.xls", 27, "Sheet1\n\nAlpha: 89\nBeta: 82\nGamma: 100\nDelta: 12"),
        ("good/stanley-cups.tsv", 3, "Stanley Cups\n\nTeam: Blues\nLocation: STL\nStanley Cups: 1"),
        ("odd/test_mskanji.csv", 3, "名前: 佐藤太郎\n年齢: 30\n住所: 東京"),
        ("odd/csv-too-many-columns.csv", 4, "1: a\n2: b\n3: c\n4: d"),
        ("derived/lone-surrogate.json", 1, "text: broken \ufffd surrogate"),
    ],
)
def test_real_tables(name, rows, first):
    found = extract(FILES / name)
    assert (len(found.rows), records(found)[0]) == (rows, first)


@here
def test_real_tables_that_are_none():
    assert extract(FILES / "odd/fake-incomplete-json.txt").media_type == "text/plain"
    with pytest.raises(LoadError, match="without a value"):
        extract(FILES / "odd/empty.xlsx")
    with pytest.raises(LoadError, match="too many levels"):
        extract(FILES / "derived/deep-nesting.json")


# -- chunks of records


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.lists(st.text("ab. \n```-|:é", max_size=60), min_size=1, max_size=4), min_size=1, max_size=12),
    st.integers(8, 30),
    st.integers(0, 4),
)
def test_no_chunk_holds_words_of_two_records(rows, max_tokens, overlap):
    parts = ["\n".join(f"c{n}: {value}" for n, value in enumerate(row)) for row in rows]
    starts = [sum(len(part) + 2 for part in parts[:n]) for n in range(len(parts))]
    found = Extract(text="\n\n".join(parts), media_type="x", rows=tuple(starts))
    spans = chunk(found, max_tokens=max_tokens, overlap=overlap, token_spans=words)
    covered = {place for span in spans for place in range(span.start, span.end)}
    assert all(place in covered or character.isspace() for place, character in enumerate(found.text))
    assert all(len(words(found.text[span.start : span.end])) <= max_tokens for span in spans)
    ends = [*starts[1:], len(found.text)]
    for start, end, part in zip(starts, ends, parts, strict=True):
        within = [span for span in spans if start <= span.start < end]
        assert all(span.end <= end for span in within)
        if len(words(part)) <= max_tokens:
            assert [found.text[span.start : span.end] for span in within] == [part.strip()]


def test_a_long_record_is_cut_between_fields_and_its_parts_name_it(read):
    fields = {"title": "Ann's story", **{f"part{n}": "Some words that fill it. " * 8 for n in range(6)}}
    found = read("a.json", json.dumps([fields, {"title": "Short"}]))
    spans = chunk(found, max_tokens=64, overlap=0, token_spans=words)
    assert len(spans) > 3
    assert [span.section for span in spans] == [None, *["title: Ann's story"] * (len(spans) - 2), None]
    assert all(re.match(r"title: |part\d: ", found.text[span.start :]) for span in spans)


def test_a_sheets_name_is_the_section_of_its_rows(read):
    sheet = row(text_cell("a"), text_cell("b")) + row(text_cell("1x"), text_cell("word " * 100)) * 2
    found = read("book.xlsx", xlsx(("Sheet", sheet)))
    spans = chunk(found, max_tokens=64, overlap=0, token_spans=words)
    assert [span.section for span in spans] == ["Sheet", "Sheet › a: 1x", "Sheet › a: 1x"] * 2


def test_time_is_linear_in_the_rows():
    def seconds(rows: int) -> float:
        part = "name: x\nvalue: some words"
        starts = tuple(n * (len(part) + 2) for n in range(rows))
        found = Extract(text="\n\n".join([part] * rows), media_type="x", rows=starts)
        begun = time.process_time()
        assert len(chunk(found, token_spans=words)) == rows
        return time.process_time() - begun

    small, large = min(seconds(2_000) for _ in range(3)), seconds(16_000)
    assert large < 16 * small + 0.2


def test_an_endless_record_is_cut_in_linear_time():
    def seconds(times: int) -> float:
        found = Extract(text="id: 1\ntext: " + "Some words. " * times, media_type="x", rows=(0,))
        begun = time.process_time()
        chunk(found, token_spans=words)
        return time.process_time() - begun

    small, large = min(seconds(4_000) for _ in range(3)), seconds(32_000)
    assert large < 16 * small + 0.2


def test_a_users_splitter_is_given_one_record_at_a_time(read):
    found = read("a.csv", "id,text\n1,alpha beta\n2,alpha beta\n3,gamma\n")
    splitter = RecursiveCharacterTextSplitter(chunk_size=1_000, chunk_overlap=0)
    spans = from_splitter(splitter, found)
    assert [found.text[span.start : span.end] for span in spans] == records(found)


def test_what_a_worker_process_finds_is_the_same():
    content = b'[{"a": 1.50, "b": 12345678901234567890, "c": ["x", 2], "d": NaN}, {"a": null, "e": {"f": true}}]'
    job = Job(content=content, source="a.json", options=LoadOptions(columns=("a", "b", "e")))
    with Apart(processes=1) as apart:
        assert apart.extract(job) == parse(job)


def test_a_huge_table_of_any_width_is_read_in_one_pass(read):
    wide, narrow = ",".join("1" * 50_000), "1,2\n" * 20_000
    begun = time.process_time()
    assert len(read("a.csv", f"a,b\n{narrow}{wide}\n").rows) == 20_001
    assert time.process_time() - begun < 10


def test_a_code_fence_left_open_in_one_record_is_closed_in_the_next():
    found = Extract(text="```\nx: 1\n\na: 1\nb: 2", media_type="x", rows=(0, 10))
    assert cuts(found)[found.text.index("b: 2")] < 1


def test_records_of_one_word_are_not_put_together():
    found = Extract(text="\n\n".join("abcdefghij"), media_type="x", rows=tuple(range(0, 30, 3)))
    assert len(chunk(found, token_spans=words)) == 10


def test_a_heading_above_a_record_without_a_chosen_column_stands_above_the_next(read):
    found = read("a.csv", "Sales,,\ncity,sum,note\nUlm,1,\nBonn,2,good\nKiel,3,fine\n", "note")
    assert found.text == "Sales\n\nnote: good\n\nnote: fine"
    assert found.rows == (0, 19)


def test_prose_after_a_line_of_json_is_no_table(read):
    content = "[1]\n[2]\nThe first two lines were notes.\nAnd these are not.\nNor this.\n"
    assert read("a.txt", content).text == content
