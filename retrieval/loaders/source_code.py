"""Source code: the decoded file exactly, with its functions, classes and methods as headings."""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from howdah.retrieval.loaders.kinds import RawFile
from howdah.retrieval.loaders.languages import Language, language_of
from howdah.retrieval.loaders.text import read_text
from howdah.retrieval.types import Extract, Heading

if TYPE_CHECKING:
    from tree_sitter import Node

_LONGEST = 100  # characters of a definition's name with what stands before it
_DAMAGED = 0.5  # of the characters are no code of that language: it is something else
# Stand around a definition or directly above it, and belong to it.
_AROUND = {
    "ambient_declaration",
    "decorated_definition",
    "declaration",
    "export_statement",
    "template_declaration",
    "type_definition",
}
_ABOVE = {"attribute_item", "block_comment", "comment", "decorator", "line_comment"}
_ANNOTATION = re.compile(r"@[\w.]+(?:\([^)]*\))?\s*|#\[[^\]]*\]\s*|\[[^\]]*\]\s*")


def read_code(file: RawFile, text: str) -> Extract:
    """The whole file. Without the grammar's package (extra `code`), or where it is mostly not that language, it is
    plain text.
    """
    language = language_of(file.name, text)
    tree = _parsed(language, text) if language else None
    if language is None or tree is None or _damaged(tree.root) > _DAMAGED * len(tree.data):
        return read_text(file, text)
    headings = tuple(_headings(tree))
    return Extract(text=text, media_type=f"text/x-{language.name}", headings=headings)


class _Tree(NamedTuple):
    """A file's syntax tree; `definitions` are its nodes in order of their beginnings, the outer one first."""

    data: bytes
    root: "Node"
    definitions: list["Node"]


def _parsed(language: Language, text: str) -> _Tree | None:
    """The tree; None where the grammar's package is not installed."""
    try:
        import tree_sitter

        module = import_module(language.module)
    except ImportError:
        return None
    data = text.encode()
    grammar = tree_sitter.Language(getattr(module, language.factory)())
    tree = tree_sitter.Parser(grammar).parse(data)
    query = tree_sitter.Query(grammar, "\n".join(f"{pattern} @definition" for pattern in language.definitions))
    # captures() would be shorter, and also gives what a pattern began with and then did not match.
    found = [
        node for _, nodes in tree_sitter.QueryCursor(query).matches(tree.root_node) for node in nodes["definition"]
    ]
    return _Tree(data, tree.root_node, sorted(found, key=lambda node: (node.start_byte, -node.end_byte)))


def _damaged(root: "Node") -> int:
    """Bytes in the tree's topmost errors."""
    if root.type == "ERROR":
        return root.end_byte - root.start_byte
    return sum(child.end_byte - child.start_byte for child in root.children if child.type == "ERROR")


def _headings(tree: _Tree) -> Iterator[Heading]:
    data = tree.data
    ends: list[int] = []  # of the definitions that are open
    offset, counted = 0, 0
    last = -1
    for node in tree.definitions:
        while ends and node.start_byte >= ends[-1]:
            ends.pop()
        start = _line_start(data, _first(node).start_byte)
        title = _title(data, node)
        if start <= last or not title:
            continue
        offset += len(data[counted:start].decode(errors="replace"))
        counted = last = start
        ends.append(node.end_byte)
        yield Heading(start=offset, level=len(ends), title=title)


def _first(node: "Node") -> "Node":
    """Where the definition begins, with what is around it and the comments and attributes right above it."""
    while node.parent is not None and node.parent.type in _AROUND:
        node = node.parent
    while (before := _before(node)) is not None and before.type in _ABOVE:
        # A line comment's node may end at the beginning of the next line. Words behind code are about that code.
        ends = before.end_point.row - (before.end_point.column == 0)
        code = before.prev_sibling
        behind = code is not None and code.type not in _ABOVE and code.end_point.row == before.start_point.row
        if behind or (before.text or b"").startswith(b"#!") or node.start_point.row - ends > 1:
            break
        node = before
    return node


def _before(node: "Node") -> "Node | None":
    """What stands before a node: some grammars put a comment above a body's first definition outside of that body."""
    while node.prev_sibling is None and node.parent is not None and node.parent.start_byte == node.start_byte:
        node = node.parent
    return node.prev_sibling


def _line_start(data: bytes, start: int) -> int:
    line = data.rfind(b"\n", 0, start) + 1
    return start if data[line:start].strip() else line


def _title(data: bytes, node: "Node") -> str:
    """All that stands before the parameters or the body: "class Store", "async def add", "func (s *Store) Add"."""
    name = _name(node)
    body = node.child_by_field_name("body")
    end = name.end_byte if name is not None else body.start_byte if body is not None else node.end_byte
    words = _ANNOTATION.sub("", data[node.start_byte : end].decode(errors="replace"))
    if name is None and node.parent is not None and (typedef := node.parent.child_by_field_name("declarator")):
        words = f"{words} {(typedef.text or b'').decode(errors='replace')}"
    title = " ".join(words.split("(\n")[0].split()).rstrip("{: ")
    return title if len(title) <= _LONGEST else title[: _LONGEST - 1] + "…"


def _name(node: "Node") -> "Node | None":
    """The node of the definition's name; in C it is inside of declarators, in Go and JavaScript in a single spec."""
    if node.type == "impl_item":
        return node.child_by_field_name("type")
    for _ in range(8):
        if (name := node.child_by_field_name("name")) is not None:
            return name
        inner = node.child_by_field_name("declarator") or next(
            (child for child in node.named_children if child.type in {"type_spec", "variable_declarator"}), None
        )
        if inner is None:
            return node if node.type.endswith(("identifier", "_name")) else None
        node = inner
    return None
