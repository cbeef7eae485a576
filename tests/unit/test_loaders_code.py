import sys
from itertools import pairwise
from pathlib import Path

import pytest

from howdah.retrieval.loaders import extract
from howdah.retrieval.types import Extract

FILES = Path(__file__).parents[3] / "shared" / "data" / "files"
ROOT = Path(__file__).parents[2]


@pytest.fixture
def read(tmp_path):
    def read(name: str, content: str) -> Extract:
        path = tmp_path / name
        path.write_bytes(content.encode())
        return extract(path)

    return read


def outline(found: Extract) -> list[str]:
    """A definition a line: how deep it is, its title and the line that it begins with."""
    lines = (found.text[heading.start :].split("\n", 1)[0] for heading in found.headings)
    return [f"{h.level} {h.title} | {line.strip()}" for h, line in zip(found.headings, lines, strict=True)]


PYTHON = '''\
"""Größe: 日本."""
import os

x = 1  # about x

# First line
# about Store
@dataclass
class Store(Base):
    kept = 1

    @property
    def add(self):
        def inner(): ...

    # lonely

    async def go(self): ...


if os.name:
    def late(): ...
'''


def test_python_definitions_are_headings_with_decorators_and_comments(read):
    found = read("a.py", PYTHON)
    assert (found.text, found.media_type, found.title) == (PYTHON, "text/x-python", "a")
    assert outline(found) == [
        "1 class Store | # First line",
        "2 def add | @property",
        "3 def inner | def inner(): ...",
        "2 async def go | async def go(self): ...",
        "1 def late | def late(): ...",
    ]
    assert found.text[found.headings[1].start :].startswith("    @property\n")


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "a.ts",
            "/** Doc */\nexport abstract class Foo<T> extends Bar {\n  /** m */\n  @Dec()\n  async get<K>(a: K) {}\n}\n"
            "// it\nexport const run = async (e: E) => 1;\nlet q = 5;\nexport interface A { b: string }\n"
            "export default function main() {}\ntype X = { a: 1 };\nenum E { A }\n",
            [
                "1 abstract class Foo | /** Doc */",
                "2 async get | /** m */",
                "1 const run | // it",
                "1 interface A | export interface A { b: string }",
                "1 function main | export default function main() {}",
                "1 type X | type X = { a: 1 };",
                "1 enum E | enum E { A }",
            ],
        ),
        ("a.tsx", "const App = () => <b>x</b>;\n", ["1 const App | const App = () => <b>x</b>;"]),
        (
            "a.js",
            "class B {\n static c() {}\n get d() { return 1 }\n}\nvar a = function() {};\nfunction* g() {}\n",
            [
                "1 class B | class B {",
                "2 static c | static c() {}",
                "2 get d | get d() { return 1 }",
                "1 var a | var a = function() {};",
                "1 function* g | function* g() {}",
            ],
        ),
        (
            "a.go",
            "package x\n\n// Store is\n// it.\ntype Store struct {\n}\n\nfunc (s *Store) Add(a int) error { return nil }\n",
            ["1 type Store | // Store is", "1 func (s *Store) Add | func (s *Store) Add(a int) error { return nil }"],
        ),
        (
            "a.c",
            "int x; // about x\n/* f */\nstatic char **\nf(int a)\n{ return 0; }\ntypedef struct {\n int a;\n} Foo;\n"
            "#define MAX(a, b) 1\nstruct Foo *g(void);\n",
            ["1 static char ** f | /* f */", "1 struct Foo | typedef struct {", "1 #define MAX | #define MAX(a, b) 1"],
        ),
        (
            "a.hpp",
            "namespace n {\ntemplate <typename T>\nclass A : B {\n  A() : x(1) {}\n  int operator+(const A& o) { return 1; }\n"
            "};\n}\nvoid n::A::run(int x) {}\n",
            [
                "1 namespace n | namespace n {",
                "2 class A | template <typename T>",
                "3 A | A() : x(1) {}",
                "3 int operator+ | int operator+(const A& o) { return 1; }",
                "1 void n::A::run | void n::A::run(int x) {}",
            ],
        ),
        (
            "A.java",
            '/** Doc */\n@Service(value = "x")\npublic final class A {\n  @Override\n  public void run(int a) {}\n  A() {}\n}\n',
            ["1 public final class A | /** Doc */", "2 public void run | @Override", "2 A | A() {}"],
        ),
        (
            "a.rs",
            "/// Doc\n#[derive(Debug)]\npub struct S<T> { a: T }\nimpl<T> Show for S<T> {\n  /// f\n  pub fn f(&self) {}\n}\n",
            ["1 pub struct S | /// Doc", "1 impl<T> Show for S<T> | impl<T> Show for S<T> {", "2 pub fn f | /// f"],
        ),
        (
            "a.rb",
            "module M\n  # doc\n  class A < B\n    def self.go(a)\n    end\n    def run; end\n  end\nend\n",
            ["1 module M | module M", "2 class A | # doc", "3 def self.go | def self.go(a)", "3 def run | def run; end"],
        ),
        (
            "a.cs",
            "namespace A.B {\n /// s\n [Serializable]\n public class C {\n  public int Run(int a) { return 1; }\n }\n}\n",
            [
                "1 namespace A.B | namespace A.B {",
                "2 public class C | /// s",
                "3 public int Run | public int Run(int a) { return 1; }",
            ],
        ),
        (
            "a.php",
            "<?php\n/** d */\nclass B {\n  public static function go(int $a) {}\n}\nfunction f() {}\n",
            [
                "1 class B | /** d */",
                "2 public static function go | public static function go(int $a) {}",
                "1 function f | function f() {}",
            ],
        ),
        ("a.sh", "# doc\nfoo() {\n echo\n}\n", ["1 foo | # doc"]),
        ("tool", "#!/usr/bin/env -S python3.11 -u\ndef f(): pass\n", ["1 def f | def f(): pass"]),
        ("tool", "#!/bin/sh\nfoo() { :; }\n", ["1 foo | foo() { :; }"]),
    ],
)  # fmt: skip
def test_definitions_by_language(read, name, content, expected):
    found = read(name, content)
    assert found.text == content
    assert outline(found) == expected


def test_what_is_mostly_not_that_language_is_plain_text(read):
    prose = "Dear all, this isn't code; it is { prose [ that ) goes on.\n" * 20
    assert (read("a.py", prose).media_type, read("a.py", prose).headings) == ("text/plain", ())
    broken = read("a.py", "def f(:\n  return (\n\nclass A:\n    def g(self):\n        return 1\n")
    assert broken.media_type in {"text/x-python", "text/plain"}


def test_without_the_grammar_code_is_plain_text(read, monkeypatch):
    monkeypatch.setitem(sys.modules, "tree_sitter_python", None)
    assert (read("a.py", PYTHON).text, read("a.py", PYTHON).media_type) == (PYTHON, "text/plain")


def test_a_name_without_ending_is_no_code_by_its_words_alone(read):
    assert read("notes", "def f(): pass\n").media_type == "text/plain"
    assert read("a.txt", "#!/bin/sh\nfoo() { :; }\n").media_type == "text/plain"


def test_deep_code_is_no_crash_and_much_of_it_is_read_quickly(read):
    assert read("a.js", "x = " + "(" * 20_000 + ")" * 20_000).text
    assert len(read("a.js", "function f(a) { return a }\n" * 5_000).headings) == 5_000


def test_this_projects_own_code_has_each_definition_at_its_line():
    for path in sorted((ROOT / "retrieval").rglob("[a-z]*.py")):
        found = extract(path)
        assert found.media_type == "text/x-python"
        assert all(before.start < after.start for before, after in pairwise(found.headings))
        for heading in found.headings:
            end = found.text.find(f"{heading.title.split()[-1]}", heading.start)
            assert found.text[heading.start : end].strip().split("\n")[0].lstrip()[:1] in {"#", "@", "d", "c", "a"}


@pytest.mark.skipif(not FILES.exists(), reason="the data folder shared/data/files is not here")
def test_real_code_of_postgresql():
    found = extract(FILES / "good/hnswbuild.c")
    assert "static void CreateMetaPage" in [heading.title for heading in found.headings]
    assert all(found.text[heading.start :].startswith("/*\n * ") for heading in found.headings)
