"""Text into chunks: by structure first, then by sentences, and never above the embedding model's token limit."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from unicodedata import normalize

from howdah.retrieval.atoms import CHARS_A_TOKEN, Atoms, TokenSpans
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.types import Extract, Heading, Span

if TYPE_CHECKING:
    from langchain_text_splitters import TextSplitter

MAX_TOKENS, OVERLAP = 256, 32
HEADER_LIMIT = 240  # characters, hence at most as many tokens: with 256 of content they fit a model of 512

_RECORD = 80  # characters of a record's first line that name its other chunks

_Piece = tuple[int, int]


def embedding_text(title: str | None, section: str | None, content: str) -> str:
    """What is embedded and indexed for a chunk: "title › section" on a line of its own, then the content.

    A section path that begins with the title says it once; of a long header the innermost part stays.
    """
    title, section = title or "", section or ""
    repeated = bool(title) and f"{section} › ".startswith(f"{title} › ")
    header = " ".join((section if repeated else f"{title} › {section}").strip(" ›").split())
    if len(header) > HEADER_LIMIT:
        header = "…" + header[1 - HEADER_LIMIT :]
    return f"{header}\n{content}" if header else content


def passage_text(source: str | None, title: str | None, section: str | None, content: str) -> str:
    """What is embedded for a chunk of `source`: as `embedding_text`, but without a title that is only the file's name.

    Such a name is the same in all of the document's chunks and says little of any (docs/benchmarks.md has what it costs).
    The words find it all the same.
    """
    named = source is not None and title is not None and normalize("NFC", title) == PurePosixPath(source).stem
    return embedding_text(None if named else title, section, content)


def chunk(
    extract: Extract, *, max_tokens: int = MAX_TOKENS, overlap: int = OVERLAP, token_spans: TokenSpans
) -> list[Span]:
    """Spans in order that hold every character but white space, none above `max_tokens` by `token_spans`.

    A section or page of at least a quarter of `max_tokens` begins a chunk of its own; smaller ones are put together
    with their neighbours. A record of a table is a chunk of its own however small it is; of one that takes several,
    those after the first have its first line as the end of their section. Inside a section each chunk repeats whole
    sentences, up to `overlap` tokens, of the one before it. Time is linear in the text: each character is tokenized
    twice, once in its block and once in its chunk.

    Raises InvalidInput if max_tokens is below 8, or overlap is negative or above half of it.
    """
    if max_tokens < 8 or not 0 <= overlap <= max_tokens // 2:
        raise InvalidInput(
            f"cannot chunk by max_tokens={max_tokens} and overlap={overlap}",
            hint="give 8 tokens or more, and an overlap between 0 and half of them",
        )
    atoms = Atoms.of(extract, limit=max_tokens - overlap, token_spans=token_spans)
    pieces: list[_Piece] = []
    for first, last in atoms.segments(extract, crumb=max_tokens // 4):
        whole = atoms.size(first, last) <= max_tokens
        edges = [first, last] if whole else atoms.edges(first, last, max_tokens - overlap)
        pieces += _overlapping(atoms, edges, overlap=overlap, max_tokens=max_tokens)
    fitted = (fit for piece in pieces for fit in _fitted(extract.text, piece, max_tokens, token_spans))
    return _spans(extract, _distinct(fitted))


def from_splitter(splitter: "TextSplitter", extract: Extract) -> list[Span]:
    """The chunks of any LangChain text splitter, as spans of the extracted text.

    A chunk may differ from the text in white space alone. Words that occur more than once are taken for the first
    occurrence that overlaps the chunk before them by no more than the splitter's overlap.

    The records of a table are split one by one. Raises InvalidInput where a chunk is not a piece of the text.
    """
    pieces: list[_Piece] = []
    for first, last in pairwise([0, *extract.rows, len(extract.text)]):
        if first < last:
            found = _found(splitter, extract.text[first:last])
            pieces += ((first + start, first + end) for start, end in found)
    return _spans(extract, pieces)


def _found(splitter: "TextSplitter", text: str) -> Iterator[_Piece]:
    where = [offset for offset, character in enumerate(text) if not character.isspace()]
    dense = "".join(text.split())
    overlap, gap = _overlap_characters(splitter), _gap(splitter)
    start, end = -1, 0
    for content in splitter.split_text(text):
        if not (words := "".join(content.split())):
            continue
        nearest = dense.find(words, max(start + 1, end - overlap))
        # Some splitters make one chunk twice, when all that lies between is white space: then the next one is too far.
        twice = start >= 0 and dense.startswith(words, start) and not 0 <= nearest <= end + gap
        start = start if twice else nearest if nearest >= 0 else dense.find(words, max(start, 0))
        if start < 0:
            raise InvalidInput(
                f"{type(splitter).__name__} made a chunk that is no piece of the text: {content[:60]!r}",
                hint="use a splitter that changes nothing but white space, or index its Documents without files",
            )
        end = start + len(words)
        yield where[start], where[end - 1] + 1


def _overlap_characters(splitter: "TextSplitter") -> int:
    """The most characters that two chunks can share; LangChain keeps the overlap and its unit to itself."""
    overlap = int(getattr(splitter, "_chunk_overlap", 0))
    return overlap if getattr(splitter, "_length_function", len) is len else overlap * CHARS_A_TOKEN


def _gap(splitter: "TextSplitter") -> int:
    """The most characters between two chunks: those of a separator that is not kept."""
    if getattr(splitter, "_keep_separator", False):
        return 0
    separators = getattr(splitter, "_separators", None) or [getattr(splitter, "_separator", "")]
    return max(len(separator) for separator in separators)


def _overlapping(atoms: Atoms, edges: list[int], *, overlap: int, max_tokens: int) -> Iterator[_Piece]:
    """Each chunk from edge to edge, but begun as many atoms earlier as the overlap, and the limit, have room for.

    None begins before the section or page of its own first words: these name the chunk.
    """
    for before, (first, last) in zip([edges[0], *edges], pairwise(edges), strict=False):
        begin = first
        while begin - 1 > before and atoms.starts[begin] not in atoms.parts:
            if atoms.size(begin - 1, first) > overlap or atoms.size(begin - 1, last) > max_tokens:
                break
            begin -= 1
        yield atoms.starts[begin], atoms.starts[last]


def _fitted(text: str, piece: _Piece, max_tokens: int, token_spans: TokenSpans) -> Iterator[_Piece]:
    """The piece without outer white space; halved while it has too many tokens.

    Blocks' token counts do not always add up to the chunk's: a tokenizer may see a blank, or half a word, otherwise.
    """
    content = text[slice(*piece)]
    start = piece[0] + len(content) - len(content.lstrip())
    end = piece[0] + len(content.rstrip())
    if start >= end:
        return
    tokens = token_spans(text[start:end])
    if len(tokens) <= max_tokens or end - start == 1:
        yield start, end
        return
    middle = start + tokens[len(tokens) // 2][0]
    middle = middle if start < middle < end else (start + end) // 2
    yield from _fitted(text, (start, middle), max_tokens, token_spans)
    yield from _fitted(text, (middle, end), max_tokens, token_spans)


def _distinct(pieces: Iterator[_Piece]) -> list[_Piece]:
    """The pieces without those that another one holds: halving a chunk can leave its parts inside an overlap."""
    kept: list[_Piece] = []
    for piece in pieces:
        if kept and piece[1] <= kept[-1][1]:
            continue
        while kept and piece[0] <= kept[-1][0]:
            kept.pop()
        kept.append(piece)
    return kept


def _spans(extract: Extract, pieces: list[_Piece]) -> list[Span]:
    paths = _paths(extract.headings)
    heads = [heading.start for heading in extract.headings]
    return [
        Span(
            start=start,
            end=end,
            section=_joined(paths[bisect_right(heads, start)], _record(extract, start, heads)),
            page=bisect_right(extract.pages, start) or None,
        )
        for start, end in pieces
    ]


def _joined(*names: str | None) -> str | None:
    return " › ".join(name for name in names if name) or None


def _record(extract: Extract, start: int, heads: list[int]) -> str | None:
    """The first line of the record that a chunk goes on with; None for a chunk that begins one."""
    number = bisect_right(extract.rows, start) - 1
    if number < 0:
        return None
    row = extract.rows[number]
    # A record may be of any length, and have any number of chunks.
    lines = [line.strip() for line in extract.text[row : min(start, row + 1_000)].splitlines() if line.strip()]
    above = {heading.title for heading in extract.headings[bisect_left(heads, row) : bisect_right(heads, row)]}
    line = next((line for line in lines if line not in above), "")
    return line if len(line) <= _RECORD else line[: _RECORD - 1] + "…"


def _paths(headings: tuple[Heading, ...]) -> list[str | None]:
    """The section path before the first heading (None) and from each heading on: "A › B › C"."""
    paths: list[str | None] = [None]
    above: list[Heading] = []
    for heading in headings:
        above = [*(outer for outer in above if outer.level < heading.level), heading]
        paths.append(" › ".join(outer.title for outer in above))
    return paths
