"""The values that travel through `retrieval`: vectors and chunks in, hits out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]
    Vector = Sequence[float] | Array

Metadata = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """One row to be written, but for its embedding.

    `title` and `section` are embedded and indexed ahead of `content` but are not part of it. `start` and `end` are
    code points into the document's text; `page` counts from 1. Rows added through the API have none of these.
    """

    id: str
    content: str
    metadata: Metadata = field(default_factory=dict)
    title: str | None = None
    section: str | None = None
    page: int | None = None
    ordinal: int | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """One found chunk. `score` and each of `scores` ({dense, lexical, rerank}) are higher-is-better.

    `also_in`: the sources of other documents in which the search found a chunk with exactly the same content, best first.
    """

    id: str
    content: str
    metadata: Metadata
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)
    source: str | None = None
    title: str | None = None
    section: str | None = None
    page: int | None = None
    start: int | None = None
    end: int | None = None
    also_in: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """A heading of an extracted document: where it begins in the text, its level (1 = top) and its words."""

    start: int
    level: int
    title: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Extract:
    """What a loader gets out of one file.

    `text` is the whole extracted text; every offset anywhere counts its Unicode code points. `pages` holds the
    offset at which each page begins (first one 0; empty for a format without pages). `rows` holds the offset at which
    each record of a table begins, with the heading above it: no chunk holds words of two records. `row_metadata` is
    what the chunks of each record say beside the document's metadata: empty, or as long as `rows`.
    """

    text: str
    media_type: str
    title: str | None = None
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    row_metadata: tuple[Metadata, ...] = ()
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """One chunk as a piece of a document: `text[start:end]`, the heading path above it and its page (from 1)."""

    start: int
    end: int
    section: str | None = None
    page: int | None = None


def __getattr__(name: str) -> Any:
    """`Array` and `Vector` when they are first asked for: who only reads files has no need of NumPy, nor the time."""
    if name not in {"Array", "Vector"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import numpy as np
    import numpy.typing as npt

    array = npt.NDArray[np.float32]
    globals().update(Array=array, Vector=Sequence[float] | array)
    return globals()[name]
