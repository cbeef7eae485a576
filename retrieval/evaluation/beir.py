"""Test sets in BEIR's layout: corpus.jsonl, queries.jsonl and qrels/SPLIT.tsv. Read with every line checked, and written."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from howdah.retrieval.errors import InvalidInput

Qrels = dict[str, dict[str, int]]
"""Query id: corpus id: how relevant. Above 0 is relevant."""

CORPUS, QUERIES, HEADER = "corpus.jsonl", "queries.jsonl", "query-id\tcorpus-id\tscore"
LAYOUT = (
    f"a test set holds {QUERIES} (_id, text), qrels/test.tsv (query-id, corpus-id, score) and, where the documents are its"
    f" own, {CORPUS} (_id, title, text)"
)


class Document(NamedTuple):
    """One line of corpus.jsonl."""

    id: str
    title: str
    text: str
    metadata: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class TestSet:
    """The queries that can be judged, and their judgements.

    `corpus` is None where the test set has no documents of its own. `unjudged` counts queries that the qrels say nothing
    of; `hopeless` are those that they name no relevant document for. Neither are run: no ranking could show anything.
    """

    __test__ = False  # pytest would take the name for a test's

    folder: Path
    split: str
    corpus: Path | None
    queries: Mapping[str, str]
    qrels: Qrels = field(repr=False)
    unjudged: int = 0
    hopeless: tuple[str, ...] = ()

    @property
    def qrels_file(self) -> Path:
        return _qrels_file(self.folder, self.split)

    @property
    def relevant(self) -> set[str]:
        """Every corpus id that is relevant to some query."""
        return {id_ for judged in self.qrels.values() for id_, gain in judged.items() if gain > 0}

    @property
    def queries_hash(self) -> str:
        return _hashed(sorted(self.queries.items()))

    @property
    def qrels_hash(self) -> str:
        return _hashed(sorted((query, sorted(judged.items())) for query, judged in self.qrels.items()))


def read(folder: Path, split: str = "test") -> TestSet:
    """The test set in `folder`. Raises InvalidInput naming file and line for whatever cannot be used."""
    if not folder.is_dir():
        raise InvalidInput(f"{str(folder)!r} is not a folder", hint=LAYOUT)
    texts = read_queries(folder / QUERIES)
    qrels = read_qrels(_qrels_file(folder, split), texts)
    hopeless = tuple(id_ for id_, judged in qrels.items() if not any(gain > 0 for gain in judged.values()))
    usable = {id_: judged for id_, judged in qrels.items() if id_ not in hopeless}
    if not usable:
        raise InvalidInput(
            f"{_qrels_file(folder, split)} names no relevant document",
            hint="a relevant one has a score above 0",
        )
    corpus = folder / CORPUS
    return TestSet(
        folder=folder,
        split=split,
        corpus=corpus if corpus.exists() else None,
        queries={id_: text for id_, text in texts.items() if id_ in usable},
        qrels=usable,
        unjudged=len(texts.keys() - qrels.keys()),
        hopeless=hopeless,
    )


def read_queries(path: Path) -> dict[str, str]:
    """Each query's text by its id, in the file's order."""
    found: dict[str, str] = {}
    for line in _objects(path):
        id_, text = line.word("_id"), line.word("text")
        if id_ in found:
            raise line.wrong(f"query {id_!r} is there twice", "give every query an _id of its own")
        if not text.strip():
            raise line.wrong(f"query {id_!r} has no text", "leave it out, or write its text")
        found[id_] = text
    if not found:
        raise InvalidInput(f"{path} holds no query", hint=LAYOUT)
    return found


def read_corpus(path: Path) -> Iterator[Document]:
    """The documents, one at a time, in the file's order. A second one with the same id is an error, and so is none at all."""
    lines: dict[str, int] = {}
    for line in _objects(path):
        id_ = line.word("_id")
        if id_ in lines:
            raise line.wrong(f"document {id_!r} is there already, in line {lines[id_]:,}", "give every one its own _id")
        lines[id_] = line.number
        metadata = line.value.get("metadata") or {}
        if not isinstance(metadata, dict):
            raise line.wrong(f"the metadata of {id_!r} is no object", 'write {"key": value}, or leave it out')
        yield Document(id_, line.word("title", ""), line.word("text"), metadata)
    if not lines:
        raise InvalidInput(f"{path} holds no document", hint="leave the file out to search a collection of yours")


def read_qrels(path: Path, queries: Iterable[str]) -> Qrels:
    """The judgements; each is of one of `queries`. A pair that is judged twice has to have been judged alike."""
    known, found = set(queries), Qrels()
    rows = _lines(path)
    first = next(rows, None)
    if first is None:
        raise InvalidInput(f"{path} is empty", hint=f"its first line is {HEADER!r}")
    if first.text.split("\t") != HEADER.split("\t"):
        raise first.wrong(f"{first.text[:60]!r} is not the header", f"the first line is {HEADER!r}, with tabs")
    for line in rows:
        query, document, gain = _judgement(line)
        if query not in known:
            raise line.wrong(f"query {query!r} is not in {QUERIES}", "add it there, or take its judgements out")
        if found.setdefault(query, {}).setdefault(document, gain) != gain:
            raise line.wrong(f"{document!r} has another score for query {query!r} above", "judge each pair once")
    if not found:
        raise InvalidInput(f"{path} holds no judgement", hint="a line below the header is one")
    return found


def write(folder: Path, queries: Iterable[Mapping[str, Any]], qrels: Qrels, *, split: str = "test") -> None:
    """A test set without documents of its own: `queries` are the objects of queries.jsonl, each with _id and text."""
    target = _qrels_file(folder, split)
    target.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(dict(query), ensure_ascii=False) for query in queries]
    (folder / QUERIES).write_text("\n".join([*lines, ""]), encoding="utf-8")
    rows = [f"{query}\t{id_}\t{gain}" for query, judged in qrels.items() for id_, gain in judged.items()]
    target.write_text("\n".join([HEADER, *rows, ""]), encoding="utf-8")


class Facts(NamedTuple):
    """What names a corpus: the digest of its documents in their order, their number and ids."""

    sha256: str
    ids: frozenset[str]


def facts(path: Path) -> Facts:
    """Of a corpus.jsonl, every line of which is checked on the way."""
    digest, ids = hashlib.sha256(), []
    for document in read_corpus(path):
        digest.update(_plain(document) + b"\n")
        ids.append(document.id)
    return Facts(digest.hexdigest(), frozenset(ids))


# -- lines


@dataclass(frozen=True)
class _Line:
    """A line of a file, by its number from 1; `value` is its object, in a file of objects."""

    path: Path
    number: int
    text: str
    value: Mapping[str, Any] = field(default_factory=dict)

    def wrong(self, what: str, hint: str) -> InvalidInput:
        return InvalidInput(f"{self.path}, line {self.number:,}: {what}", hint=hint)

    def word(self, key: str, otherwise: str | None = None) -> str:
        """The text under `key`; a number counts as its digits, for ids often are numbers."""
        value = self.value.get(key, otherwise)
        if value is None and key in self.value and otherwise is not None:
            value = otherwise
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if not isinstance(value, str) or "\x00" in value or (key == "_id" and not value.strip()):
            raise self.wrong(f"{key!r} is {value!r} and must be text", LAYOUT)
        return value


def _lines(path: Path) -> Iterator[_Line]:
    """The lines that are not blank."""
    if not path.is_file():
        raise InvalidInput(f"there is no file {str(path)!r}", hint=LAYOUT)
    with path.open("rb") as file:
        for number, raw in enumerate(file, start=1):
            try:
                text = raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as exc:
                raise _Line(path, number, "").wrong(f"is not UTF-8 ({exc.reason})", "save it as UTF-8") from None
            if text.strip():
                yield _Line(path, number, text)


def _objects(path: Path) -> Iterator[_Line]:
    for line in _lines(path):
        try:
            value = json.loads(line.text)
        except json.JSONDecodeError as exc:
            what = f"is not JSON ({exc.msg} at character {exc.colno})"
            raise line.wrong(what, 'every line is one object, as in {"_id": "1", "text": "…"}') from None
        if not isinstance(value, dict):
            raise line.wrong("is not a JSON object", 'every line is one, as in {"_id": "1", "text": "…"}')
        yield _Line(path, line.number, line.text, value)


def _judgement(line: _Line) -> tuple[str, str, int]:
    cells = line.text.split("\t")
    if len(cells) != 3 or not cells[0].strip() or not cells[1].strip():
        raise line.wrong(f"{line.text[:60]!r} is no judgement", f"three cells between tabs: {HEADER!r}")
    try:
        return cells[0].strip(), cells[1].strip(), int(cells[2])
    except ValueError:
        raise line.wrong(f"the score is {cells[2]!r} and must be a whole number", "0 is not relevant") from None


def _qrels_file(folder: Path, split: str) -> Path:
    return folder / "qrels" / f"{split}.tsv"


def _plain(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()


def _hashed(value: object) -> str:
    return hashlib.sha256(_plain(value)).hexdigest()
