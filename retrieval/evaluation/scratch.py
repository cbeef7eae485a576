"""A test set's own documents in a collection that no list shows, named by its content and by what shapes it.

It is kept, so that the next evaluation of the same documents embeds nothing. It is filled under another name and gets its
own when it is whole: one that was interrupted is gone on with, and never searched.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

from psycopg.sql import SQL

from howdah.retrieval import catalog, upkeep, values
from howdah.retrieval.atoms import TokenSpans
from howdah.retrieval.chunking import MAX_TOKENS, OVERLAP, chunk, embedding_text
from howdah.retrieval.cutting import CHUNKER
from howdah.retrieval.embeddings import identity
from howdah.retrieval.errors import InvalidInput, NotFound
from howdah.retrieval.evaluation.beir import Document, Facts, TestSet, facts, read_corpus
from howdah.retrieval.evaluation.ranking import CORPUS_ID
from howdah.retrieval.evaluation.searching import Progress
from howdah.retrieval.maintenance import maintain
from howdah.retrieval.query import Query
from howdah.retrieval.store import Store
from howdah.retrieval.tokens import approximate_spans
from howdah.retrieval.types import Extract

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from howdah.retrieval.vectorstore import PGVector

MARK = "evaluation"
"""The key of a collection's metadata that says it is one of these."""
LOADING = " (loading)"
PAUSE, SAMPLE = 0.5, 2_000
BATCH = 256
"""Documents embedded and written at a time."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What else shapes the collection beside documents and model; None is the default of a new collection.

    `chunked`: documents go through the chunker; else each is one row, whatever its length.
    """

    storage: str | None = None
    config: str | None = None
    chunked: bool = False

    @property
    def cut(self) -> str:
        return f"{CHUNKER} {MAX_TOKENS}/{OVERLAP}" if self.chunked else "whole"


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """The collection, whole; `embedded` counts the documents that were written now."""

    name: str
    facts: Facts
    embedded: int
    seconds: float


Opens = Callable[[str], "PGVector"]
"""The collection of that name, as a PGVector with the model, storage and config that are wanted."""


def load(opens: Opens, tests: TestSet, shape: Shape, progress: Progress | None = None) -> Loaded:
    """The collection of the test set's documents; filled now, where it is not there from before."""
    began, corpus = time.perf_counter(), tests.corpus
    if corpus is None:
        raise InvalidInput(f"{tests.folder} has no documents of its own", hint="name the collection to search")
    found = facts(corpus)
    name = scratch_name(tests, found, shape, opens("any").embeddings)
    store = opens(name + LOADING)
    written = 0
    if store.store.find(name) is None:
        written = _fill(store, name, corpus, found, shape, progress)
    return Loaded(name=name, facts=found, embedded=written, seconds=time.perf_counter() - began)


def scratch_name(tests: TestSet, of: Facts, shape: Shape, embeddings: "Embeddings") -> str:
    """The folder's name and a digest of documents, model and shape."""
    parts = [of.sha256, identity(embeddings).name, shape.storage, shape.config, shape.cut]
    digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
    return f"evaluation {tests.folder.resolve().name[:80]} {digest}"


def _fill(store: "PGVector", name: str, corpus: Any, of: Facts, shape: Shape, progress: Progress | None) -> int:
    mark = {"corpus": of.sha256, "documents": len(of.ids), "rows": shape.cut, "folder": str(corpus.parent.resolve())}
    there, written = _there(store), 0
    missing = (document for document in read_corpus(corpus) if document.id not in there)
    spans: TokenSpans = getattr(store.embeddings, "token_spans", approximate_spans)
    while (batch := list(islice(missing, BATCH))) and store.store.find(name) is None:
        _write(store, [row for document in batch for row in rows(document, shape, spans)], mark)
        written += len(batch)
        if progress is not None:
            progress("Loading", len(there) + written, len(of.ids))
    while maintain(store).held_by is not None:  # another evaluation is at it: without its scales hybrid scores differ
        time.sleep(PAUSE)
    _steady(store)
    _publish(store, name)
    return written


def _steady(store: "PGVector") -> None:
    """Take c0 from chunks that the same documents always give: from random ones no load has quite the scores of another."""
    store.store.forget(store.collection_name)
    collection = store.store.get(store.collection_name)
    found = store.store.rows(upkeep.steady_mean_cosine(collection, SAMPLE))[0]["c0"]
    if found is not None:
        c0 = upkeep.c0_of(round(found, 4))
        store.store.execute(catalog.set_scales(collection, {**collection.scales, "c0": c0}))


def _publish(store: "PGVector", name: str) -> None:
    """Give the whole collection its name; where another evaluation was quicker, ours is not needed."""
    try:
        store.store.rename(store.collection_name, name)
    except (InvalidInput, NotFound):
        if store.store.find(name) is None:
            raise
        store.delete_collection()


def _there(store: "PGVector") -> set[str]:
    """Documents that an interrupted load has written."""
    collection = store.store.find(store.collection_name)
    if collection is None:
        return set()
    query = Query(
        SQL("SELECT DISTINCT metadata ->> %(key)s AS id FROM {} WHERE tenant = %(tenant)s").format(collection.chunks),
        {"key": CORPUS_ID, "tenant": collection.tenant},
    )
    return {row["id"] for row in store.store.rows(query)}


@dataclass(frozen=True)
class Row:
    """One chunk of a document: what is embedded and searched, under an id of its own."""

    id: str
    text: str
    metadata: Mapping[str, Any]


def rows(document: Document, shape: Shape, token_spans: TokenSpans) -> list[Row]:
    """The document's rows, title ahead of the text; one without any text is a row, too, that only its title finds."""
    metadata = {**document.metadata, CORPUS_ID: document.id}
    if not shape.chunked:
        texts = [f"{document.title} {document.text}".strip()]
    else:
        extract = Extract(text=document.text, media_type="text/plain")
        spans = chunk(extract, token_spans=token_spans)
        cut = [embedding_text(document.title, None, document.text[span.start : span.end]) for span in spans]
        texts = cut or [document.title]
    return [Row(f"{number}#{document.id}", text or "-", metadata) for number, text in enumerate(texts)]


def _write(store: "PGVector", batch: Sequence[Row], mark: Mapping[str, Any]) -> None:
    texts = values.texts(row.text for row in batch)
    vectors = store._cache_of(None).passages(store.store, texts).vectors
    if store.store.find(store.collection_name) is None:
        spec = replace(store._new_spec(list(vectors), texts), hidden=True, metadata={MARK: dict(mark)})
        store.store.create(store.collection_name, spec)
    store.add_embeddings(texts, vectors.tolist(), [row.metadata for row in batch], [row.id for row in batch])


# -- what is kept


def listing(store: Store) -> list[dict[str, Any]]:
    """The collections kept for evaluations: name, folder, model, chunks, bytes, created_at and whether they are whole."""
    found = store.rows_if_there(_listing(store.tenant))
    return [{**row, "whole": not row["name"].endswith(LOADING)} for row in found]


def _listing(tenant: str) -> Query:
    return Query(
        SQL("""
            SELECT c.name, c.metadata #>> ARRAY[%(mark)s, 'folder'] AS folder, c.model, c.created_at,
                   coalesce((SELECT sum(chunks) FROM howdah.corpus_stats AS s
                             WHERE s.tenant = c.tenant AND s.collection = c.id), 0)::bigint AS chunks,
                   (SELECT coalesce(sum(pg_total_relation_size(to_regclass(format('howdah.%%I', part || '_' || c.id)))), 0)
                    FROM unnest(ARRAY['chunks', 'passages', 'postings', 'terms']) AS part)::bigint AS bytes
            FROM howdah.collections AS c
            WHERE c.tenant = %(tenant)s AND c.hidden AND c.metadata ? %(mark)s ORDER BY c.created_at, c.name
        """),
        {"tenant": tenant, "mark": MARK},
    )


def drop(store: Store, names: Sequence[str]) -> None:
    """Drop the named ones. Raises NotFound, before any is dropped, for a name that is not one of them."""
    kept = {row["name"] for row in listing(store)}
    for name in names:
        if name not in kept:
            raise NotFound(f"no evaluation has made a collection {name!r}", hint="run: howdah eval corpora")
    for name in names:
        store.drop(name)
