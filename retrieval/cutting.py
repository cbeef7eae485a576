"""A source read and cut into chunks, ready for its embeddings."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Collection as Ids
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from howdah.retrieval import values
from howdah.retrieval.atoms import TokenSpans
from howdah.retrieval.chunking import MAX_TOKENS, OVERLAP, chunk, from_splitter, passage_text
from howdah.retrieval.documents import DocumentRow
from howdah.retrieval.errors import InvalidInput, LoadError
from howdah.retrieval.loaders.options import PLAIN, LoadOptions
from howdah.retrieval.loaders.versions import version
from howdah.retrieval.sources import Source
from howdah.retrieval.types import Chunk, Extract, Metadata

if TYPE_CHECKING:
    from langchain_text_splitters import TextSplitter

CHUNKER = "chunker 2"
MAX_SOURCE_BYTES = 2_000
"""What PostgreSQL's index of sources surely takes."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A document and its chunks. `texts` are what is embedded; `missing` are the places of chunks that are not stored,
    `gone` is how many stored ones it has no more.

    `before` is the source that the document has had until now where it moved; `renamed` maps its chunks' ids to the new.
    """

    row: DocumentRow
    chunks: list[Chunk]
    metadata: list[str]
    texts: list[str]
    missing: list[int]
    gone: int = 0
    before: str | None = None
    renamed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Cutter:
    """How texts become chunks: by structure and the model's tokens, or by the user's splitter."""

    token_spans: TokenSpans
    splitter: "TextSplitter | None" = None
    options: LoadOptions = PLAIN

    @cached_property
    def settings(self) -> str:
        """Names the chunker and all settings that a chunk depends on."""
        chunker = f"{CHUNKER} {MAX_TOKENS}/{OVERLAP}"
        if self.splitter is not None:
            chunker = f"{type(self.splitter).__name__} {_settings(self.splitter)}"
        return chunker + (f" of {_hashed(self.options.columns)}" if self.options.columns else "")

    def made_by(self, media_type: str) -> str:
        """Names reader and chunker with their settings: a document made by others is made anew."""
        return f"{media_type} {version(media_type)}; {self.settings}"

    def current(self, made_by: str) -> bool:
        """Whether a document that was made so would be made so again."""
        reader, _, settings = made_by.rpartition("; ")
        media_type, _, _ = reader.rpartition(" ")
        return settings == self.settings and made_by == self.made_by(media_type)

    def cut(self, source: Source, extracted: Extract) -> tuple[DocumentRow, list[Chunk]]:
        """The document's row and its chunks. Raises LoadError where there is no text, or none that can be loaded."""
        try:
            return self._cut(source, extracted)
        except InvalidInput as exc:
            raise LoadError(source.source, exc.message, hint=exc.hint) from exc

    def _cut(self, source: Source, extracted: Extract) -> tuple[DocumentRow, list[Chunk]]:
        if len(source.source.encode()) > MAX_SOURCE_BYTES:
            raise LoadError(
                source.source[:80] + "…",
                f"has a name of more than {MAX_SOURCE_BYTES:,} bytes",
                hint="load it under a shorter one",
            )
        row = DocumentRow(
            root=source.root,
            source=source.source,
            content_hash=source.content_hash,
            made_by=self.made_by(extracted.media_type),
            text=values.text(extracted.text),
            title=values.text(extracted.title) if extracted.title else None,
            media_type=extracted.media_type,
            size=source.size,
            modified_at=source.modified_at,
            metadata=values.json_value(extracted.metadata, where=source.source),
        )
        chunks = self._chunks(row, extracted)
        if not chunks:
            raise LoadError(source.source, "has no text", hint="nothing to load from it")
        return row, chunks

    def _chunks(self, row: DocumentRow, extracted: Extract) -> list[Chunk]:
        if self.splitter is not None:
            spans = from_splitter(self.splitter, extracted)
        else:
            spans = chunk(extracted, token_spans=self.token_spans)
        text = row.text or ""
        metadata = _Metadata.of(row, extracted)
        seen: dict[str, int] = {}
        chunks = []
        for ordinal, span in enumerate(spans):
            content, section = text[span.start : span.end], values.text(span.section) if span.section else None
            chunks.append(
                Chunk(
                    id=chunk_id([row.source, row.title, section, content], seen),
                    content=content,
                    metadata=metadata.at(span.start),
                    title=row.title,
                    section=section,
                    page=span.page,
                    ordinal=ordinal,
                    start=span.start,
                    end=span.end,
                )
            )
        return chunks


@dataclass(frozen=True)
class _Metadata:
    """What a chunk's metadata says: the document's own, its source and its title, and the record's below them."""

    document: Metadata
    rows: tuple[int, ...]
    records: tuple[Metadata, ...]

    @classmethod
    def of(cls, row: DocumentRow, extracted: Extract) -> "_Metadata":
        title = {"title": row.title} if row.title else {}
        return cls({**row.metadata, "source": row.source, **title}, extracted.rows, extracted.row_metadata)

    def at(self, start: int) -> Metadata:
        number = bisect_right(self.rows, start) - 1
        return {**self.records[number], **self.document} if self.records and number >= 0 else self.document


def chunk_id(parts: list[str | None], seen: dict[str, int]) -> str:
    """An id that is the same for the same words of the same source; equal chunks of one document are numbered."""
    text = json.dumps(parts)
    occurrence = seen[text] = seen.get(text, -1) + 1
    return hashlib.sha256(f"{occurrence} {text}".encode()).hexdigest()[:32]


def _settings(splitter: "TextSplitter") -> str:
    """A splitter's plain settings, hashed; functions and tokenizers have no value that lasts."""
    return _hashed(sorted((name, value) for name, value in vars(splitter).items() if _is_plain(value)))


def _hashed(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def _is_plain(value: object) -> bool:
    if isinstance(value, list | tuple):
        return all(_is_plain(item) for item in value)
    return value is None or isinstance(value, str | int | float)


def ready(row: DocumentRow, chunks: list[Chunk], stored: Ids[str], *, before: str | None = None) -> Ready:
    """The document with what is to be embedded: the chunks whose ids are not stored.

    `before` is the source that it has had until now, and `stored` then holds the ids of that.
    """
    now = [item.id for item in chunks]
    then = now if before is None else _ids_as(before, chunks)
    return Ready(
        row=row,
        chunks=chunks,
        metadata=[values.metadata_json(item.metadata) for item in chunks],
        texts=[passage_text(row.source, item.title, item.section, item.content) for item in chunks],
        missing=[place for place, id_ in enumerate(then) if id_ not in stored],
        gone=len(set(stored).difference(then)),
        before=before,
        renamed={} if before is None else {old: new for old, new in zip(then, now, strict=True) if old in stored},
    )


def _ids_as(source: str, chunks: list[Chunk]) -> list[str]:
    """The ids that the chunks would have under another source."""
    seen: dict[str, int] = {}
    return [chunk_id([source, item.title, item.section, item.content], seen) for item in chunks]
