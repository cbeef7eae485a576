"""Citations against what PostgreSQL holds: in real files of every kind each quote stands at its offsets, on its page."""

import random
from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from psycopg.sql import SQL

from howdah import PGVector, PGVectorRetriever, sync
from howdah.chains import Answer, rag_chain
from howdah.chains.models import EXTRACTIVE
from howdah.chains.sentences import sentences
from howdah.chains.words import facts
from howdah.retrieval.errors import DatabaseUnavailable
from howdah.retrieval.loaders import extract
from howdah.retrieval.plans import annotated
from howdah.retrieval.query import Query
from howdah.retrieval.types import Hit
from tests.scripted import ListRetriever, Scripted

FILES = Path(__file__).parents[3] / "shared" / "data" / "files" / "good"
KINDS = (
    ".c",
    ".docx",
    ".eml",
    ".epub",
    ".html",
    ".ipynb",
    ".md",
    ".nxml",
    ".odt",
    ".pdf",
    ".pptx",
    ".rst",
    ".rtf",
    ".tsv",
    ".txt",
)
PAGED = (".pdf", ".pptx")
CHUNKS = 12  # of each file


@pytest.fixture(scope="module")
def loaded(module_url: str) -> Iterator[PGVector]:
    with PGVector(DeterministicFakeEmbedding(size=8), connection=module_url, collection_name="files") as store:
        sync(store, [path for path in sorted(FILES.iterdir()) if path.suffix in KINDS])
        yield store
        store.database.close()


@pytest.fixture(scope="module")
def texts(loaded: PGVector) -> dict[str, str]:
    rows = loaded.store.rows(Query(SQL("SELECT source, text FROM howdah.documents"), {}))
    return {row["source"]: row["text"] for row in rows}


def ask(store: PGVector, hit: Hit, said: str | None) -> Answer:
    """About one chunk, which is found; a model says `said`, else it is quoted."""
    found = ListRetriever(documents=[annotated(hit)])
    return rag_chain(found, EXTRACTIVE if said is None else Scripted(text=said), min_score=0.0).invoke("What is said?")


def misspelt(sentence: str, rng: random.Random) -> str:
    """One letter of one long word left out, and white space and quotation marks of another kind."""
    words = sentence.split()
    long = [place for place, word in enumerate(words) if word.isalpha() and word.islower() and len(word) > 6]
    if long:
        place = rng.choice(long)
        words[place] = words[place][:3] + words[place][4:]
    return "  ".join(words).replace("’", "'").replace("“", '"')


@pytest.mark.skipif(not FILES.exists(), reason="the data folder shared/data/files is not here")
def test_every_quote_of_real_files_is_the_stored_documents_own_text(loaded: PGVector, texts: dict[str, str]) -> None:
    rng = random.Random(5)
    held: dict[str, int] = dict.fromkeys(("verbatim", "misspelt", "quoted"), 0)
    kinds: set[str] = set()
    for hit in sampled(loaded.matching(), rng):
        assert hit.source is not None
        pages = extract(FILES / Path(hit.source).name).pages if hit.source.endswith(PAGED) else ()
        spans = [each for each in sentences(hit.content) if len(facts(hit.content[slice(*each)]).content) > 3]
        span = rng.choice(spans) if spans else None
        own = hit.content[span.start : span.end] if span else ""
        for kind, said in (("verbatim", own), ("misspelt", misspelt(own, rng)), ("quoted", None)):
            answer = ask(loaded, hit, said)
            held[kind] += answer.model == ("extractive" if said is None else "scripted")
            for cited in answer.citations:
                assert cited.start is not None
                assert texts[hit.source][cited.start : cited.end] == cited.quote != ""
                assert cited.page == (bisect_right(pages, cited.start) if pages else None)
                kinds.add(Path(hit.source).suffix)
    assert len(kinds) > 10
    assert held["quoted"] > 200
    assert held["verbatim"] > 0.8 * held["quoted"]
    assert held["misspelt"] > 0.6 * held["quoted"]


def sampled(hits: list[Hit], rng: random.Random) -> Iterator[Hit]:
    """Some chunks of every file."""
    by_source: dict[str | None, list[Hit]] = {}
    for hit in hits:
        by_source.setdefault(hit.source, []).append(hit)
    for of_one in by_source.values():
        yield from rng.sample(of_one, min(CHUNKS, len(of_one)))


@pytest.mark.skipif(not FILES.exists(), reason="the data folder shared/data/files is not here")
def test_a_quote_of_a_wider_hit_has_its_own_page(loaded: PGVector, texts: dict[str, str]) -> None:
    path = FILES / "layout-parser-paper-fast.pdf"
    pages = extract(path).pages
    later = [hit for hit in loaded.matching({"source": {"$like": f"%{path.name}"}}) if hit.page and hit.page > 1]
    assert later
    retriever = PGVectorRetriever(vectorstore=loaded, k=20, search_type="lexical", search_kwargs={"window": 2})
    answered = 0
    for hit in later[:10]:
        words = " ".join(hit.content.split()[:12])
        answer = rag_chain(retriever, EXTRACTIVE, min_score=0.0).invoke(
            {"question": words, "filter": {"source": hit.source}}
        )
        for cited in answer.citations:
            answered += 1
            assert texts[str(cited.source)][cited.start : cited.end] == cited.quote
            assert cited.page == bisect_right(pages, cited.start or 0)
    assert answered > 3


async def test_a_database_that_is_down_is_named(url: str) -> None:
    down = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"
    with PGVector(DeterministicFakeEmbedding(size=8), connection=down, collection_name="docs") as store:
        chain = rag_chain(PGVectorRetriever(vectorstore=store), Scripted(text="x"))
        with pytest.raises(DatabaseUnavailable):
            chain.invoke("How tall is the mast?")
        with pytest.raises(DatabaseUnavailable):
            await chain.ainvoke("How tall is the mast?")
