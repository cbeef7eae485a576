"""Chunks of this project and of LangChain's RecursiveCharacterTextSplitter, side by side in one run.

472 questions over five corpora, with the spans that answer them (Chroma, "Evaluating Chunking Strategies for
Retrieval", 2024). All chunks of all corpora are embedded by the local model, and each question retrieves its best k.
Recall, precision and IoU are Chroma's, counted in characters as its code does; a part retrieved twice counts twice
against precision and IoU.

    python benchmarks/chunking.py [--tokens 256 ...] [--overlap 32 ...] [-k 5] [--data ../shared/data/chroma_chunking]
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpus import embedded
from langchain_text_splitters import RecursiveCharacterTextSplitter

from howdah.retrieval.chunking import MAX_TOKENS, OVERLAP, chunk, from_splitter, passage_text
from howdah.retrieval.embeddings import LocalEmbeddings
from howdah.retrieval.loaders import extract
from howdah.retrieval.types import Array, Extract, Span

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "chroma_chunking"
Chunker = Callable[[Extract], list[Span]]


@dataclass(frozen=True, kw_only=True)
class Question:
    corpus: str
    text: str
    references: list[tuple[int, int]]


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    chunks: int
    tokens: float
    seconds: float
    recall: float
    precision: float
    iou: float

    def __str__(self) -> str:
        scores = f"{self.recall:.3f} | {self.precision:.3f} | {self.iou:.4f}"
        return f"| {self.name} | {self.chunks:,} | {self.tokens:.0f} | {scores} | {self.seconds:.1f} |"


class Embedder:
    """The local model; a passage is embedded once, and kept in .bench for the next run."""

    def __init__(self) -> None:
        self.model = LocalEmbeddings()
        self.known: dict[str, Array] = {}

    def passages(self, texts: list[str]) -> Array:
        new = list(dict.fromkeys(text for text in texts if text not in self.known))
        if new:
            self.known.update(zip(new, embedded(new), strict=True))
        return np.stack([self.known[text] for text in texts])

    def questions(self, questions: list[Question]) -> Array:
        return np.array([self.model.embed_query(question.text) for question in questions], dtype=np.float32)

    def tokens(self, text: str) -> list[tuple[int, int]]:
        return self.model.token_spans(text)


def measured(
    name: str, chunker: Chunker, header: bool, k: int, corpora: dict[str, Extract], asked: list[Question], how: Embedder
) -> Row:
    begun = time.perf_counter()
    spans = [(corpus, span) for corpus, found in corpora.items() for span in chunker(found)]
    seconds = time.perf_counter() - begun
    contents = [corpora[corpus].text[span.start : span.end] for corpus, span in spans]
    titles = (corpora[corpus].title for corpus, _ in spans)
    headed = [
        passage_text(f"{name}.md", title, span.section, content)
        for (name, span), title, content in zip(spans, titles, contents, strict=True)
    ]
    vectors = how.passages(headed if header else contents)
    nearest = np.argsort(-(how.questions(asked) @ vectors.T), axis=1, kind="stable")[:, :k]
    scores = [score(question, [spans[n] for n in best]) for question, best in zip(asked, nearest, strict=True)]
    recall, precision, iou = np.mean(scores, axis=0)
    tokens = float(np.mean([len(how.tokens(content)) for content in contents]))
    return Row(
        name=name, chunks=len(spans), tokens=tokens, seconds=seconds, recall=recall, precision=precision, iou=iou
    )


def score(question: Question, retrieved: list[tuple[str, Span]]) -> tuple[float, float, float]:
    """Recall, precision and IoU of one question."""
    wanted = {n for start, end in question.references for n in range(start, end)}
    found = {
        n for corpus, s in retrieved if corpus == question.corpus for n in wanted.intersection(range(s.start, s.end))
    }
    length = sum(span.end - span.start for _, span in retrieved)
    return len(found) / len(wanted), len(found) / length, len(found) / (length + len(wanted) - len(found))


def chunkers(tokens: int, overlap: int, how: Embedder) -> Iterator[tuple[str, Chunker, bool]]:
    theirs = RecursiveCharacterTextSplitter(
        chunk_size=tokens, chunk_overlap=overlap, length_function=lambda text: len(how.tokens(text))
    )

    def ours(found: Extract) -> list[Span]:
        return chunk(found, max_tokens=tokens, overlap=overlap, token_spans=how.tokens)

    yield f"RecursiveCharacterTextSplitter {tokens}/{overlap}", lambda found: from_splitter(theirs, found), False
    yield f"Howdah {tokens}/{overlap}, no header", ours, False
    yield f"Howdah {tokens}/{overlap}", ours, True


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else "")
    parser.add_argument("--tokens", type=int, nargs="+", default=[MAX_TOKENS])
    parser.add_argument("--overlap", type=int, nargs="+", default=[OVERLAP])
    parser.add_argument("-k", type=int, default=5)
    parser.add_argument("--data", type=Path, default=DATA)
    given = parser.parse_args()
    if not given.data.exists():
        raise SystemExit(f"{given.data} is not here: give the folder of Chroma's chunking evaluation with --data")
    corpora = {path.stem: extract(path) for path in sorted((given.data / "corpora").glob("*.md"))}
    lines = (json.loads(line) for line in (given.data / "questions.jsonl").read_text(encoding="utf-8").splitlines())
    asked = [
        Question(corpus=q["corpus"], text=q["text"], references=[(r["start"], r["end"]) for r in q["references"]])
        for q in lines
    ]
    how = Embedder()
    print(f"| chunker (tokens/overlap) | chunks | mean tokens | recall@{given.k} | precision | IoU | seconds to cut |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for tokens in given.tokens:
        for overlap in given.overlap:
            for name, chunker, header in chunkers(tokens, overlap, how):
                print(measured(name, chunker, header, given.k, corpora, asked, how), flush=True)


if __name__ == "__main__":
    main()
