"""`howdah search QUERY`: the passages that fit best, with their scores."""

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.search import SearchType
    from howdah.retrieval.types import Hit
    from howdah.retrieval.vectorstore import PGVector


class Mode(StrEnum):
    """Search types by their short names."""

    HYBRID = "hybrid"
    DENSE = "dense"
    LEXICAL = "lexical"


SEARCH_TYPES: "dict[Mode, SearchType]" = {Mode.HYBRID: "hybrid", Mode.DENSE: "similarity", Mode.LEXICAL: "lexical"}


def command(
    query: Annotated[str, typer.Argument(help="What to look for.", show_default=False)],
    collection: flags.Collection = None,
    k: flags.K = 10,
    mode: Annotated[Mode, typer.Option(help="By words and meaning, by meaning, or by words.")] = Mode.HYBRID,
    filter_json: flags.FilterJson = None,
    rerank: Annotated[bool, typer.Option("--rerank", help="Order by the local cross-encoder.")] = False,
    as_json: flags.Json = False,
) -> int:
    """Find passages."""
    session = Session(collection_flag=collection, as_json=as_json)
    store = session.vectors()
    timings: dict[str, float] = {}
    hits = _search(store, query, k=k, mode=mode, given=flags.read_filter(filter_json), timings=timings, deeper=rerank)
    if rerank:
        hits = _reranked(session, query, hits, timings)[:k]
    if as_json:
        output.put_json(_json(session.collection, hits, timings))
    else:
        _show(session, hits)
    return 0


def _search(
    store: "PGVector",
    query: str,
    *,
    k: int,
    mode: Mode,
    given: dict[str, Any] | None,
    timings: dict[str, float],
    deeper: bool,
) -> "list[Hit]":
    from howdah.retrieval.search import RERANK_DEPTH

    began = time.perf_counter()
    depth = max(k, RERANK_DEPTH) if deeper else k
    hits = store.hits(query, k=depth, search_type=SEARCH_TYPES[mode], filter=given)
    timings["search"] = (time.perf_counter() - began) * 1_000
    return hits


def _reranked(session: Session, query: str, hits: "list[Hit]", timings: dict[str, float]) -> "list[Hit]":
    from howdah.retrieval.rerank import LocalReranker
    from howdah.retrieval.reranking import reranked

    began = time.perf_counter()
    found = reranked(session.reranker or LocalReranker(), query, hits)
    timings["rerank"] = (time.perf_counter() - began) * 1_000
    return found


def _json(collection: str, hits: "list[Hit]", timings: dict[str, float]) -> dict[str, Any]:
    from howdah.chains.types import hit_to_dict

    return {
        "collection": collection,
        "hits": [hit_to_dict(hit) for hit in hits],
        "timings_ms": {name: round(ms, 1) for name, ms in timings.items()},
    }


def _show(session: Session, hits: "list[Hit]") -> None:
    if not hits:
        output.note(empty(session))
    for number, hit in enumerate(hits, start=1):
        scores = " ".join(f"{name} {score:.2f}" for name, score in hit.scores.items())
        output.OUT.print(
            f"[bold]{number}. {session.place(hit.source, hit.section, hit.page)}[/]  "
            f"[cyan]{hit.score:.3f}[/] [dim]({scores})[/]"
        )
        output.OUT.print(f"   {output.escape(_snippet(hit.content))}")
        output.also_in(hit.also_in)


def empty(session: Session) -> str:
    """Why there is no hit, and the next step."""
    name = session.collection
    if session.store.find(name) is None:
        return f"There is no collection {name!r} yet. Load documents: howdah ingest PATH"
    count = session.store.count(session.store.get(name))
    return f"Collection {name!r} is empty. Load documents: howdah ingest PATH" if count == 0 else "Nothing found."


def _snippet(text: str, width: int = 240) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("search")
