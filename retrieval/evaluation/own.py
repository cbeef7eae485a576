"""A user's own collection under test: what the qrels' ids mean in it, and which of them it does not hold."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from psycopg.sql import SQL

from howdah.retrieval import documents, queries
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.beir import TestSet
from howdah.retrieval.evaluation.ranking import BySource, Elsewhere, Gold, Range
from howdah.retrieval.query import Query

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector


class Own(NamedTuple):
    """How hits are named, the number of relevant ids, those of them that the collection does not hold, and its size."""

    named: BySource
    relevant: int
    absent: list[str]
    chunks: int
    documents: int


def own(store: "PGVector", tests: TestSet) -> Own:
    """Raises NotFound without the collection, InvalidInput where it holds nothing of what the qrels call relevant.

    Ids that are not there count as not found: a document that has gone is what an evaluation is to tell.
    """
    collection = store.store.get(store.collection_name)
    sources = {row["source"] for row in store.store.rows(documents.every_source(collection))}
    golds = {query: [Gold.of(id_, sources) for id_ in judged] for query, judged in tests.qrels.items()}
    wanted = {gold.id: gold.source for row in golds.values() for gold in row if gold.id in tests.relevant}
    rows = _api_rows(store, collection, sorted(set(wanted.values()) - sources))
    absent = sorted(id_ for id_, source in wanted.items() if source not in sources and source not in rows)
    if len(absent) == len(wanted):
        example = min(sources, default="notes/report.pdf")
        raise InvalidInput(
            f"collection {collection.name!r} holds none of the {len(wanted):,} relevant documents, for example {absent[0]!r}",
            hint=f"corpus-id is a source, such as {example!r}, or source#start-end; or name another --collection",
        )
    chunks = store.store.count(collection)
    named = BySource(golds, _elsewhere(store, collection))
    return Own(named=named, relevant=len(wanted), absent=absent, chunks=chunks, documents=len(sources))


def _api_rows(store: "PGVector", collection: Collection, ids: list[str]) -> set[str]:
    """Those of the ids that are rows added through the API."""
    return {row["id"] for row in store.store.rows(queries.by_ids(collection, ids))} if ids else set()


def _elsewhere(store: "PGVector", collection: Collection) -> Elsewhere:
    @lru_cache(maxsize=10_000)
    def ranges(source: str, text: str) -> Sequence[Range]:
        return [(row["start"], row["end"]) for row in store.store.rows(_same_text(collection, source, text))]

    return ranges


def _same_text(collection: Collection, source: str, text: str) -> Query:
    """Where in a document chunks with just this text lie."""
    return Query(
        SQL("""
            SELECT p.start_at AS "start", p.end_at AS "end" FROM howdah.documents AS d
            JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.document = d.id
            JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
            WHERE d.tenant = %(tenant)s AND d.collection = %(collection)s AND d.source = %(source)s
              AND p.content = %(text)s AND p.start_at IS NOT NULL
        """).format(chunks=collection.chunks, passages=collection.passages),
        {"tenant": collection.tenant, "collection": collection.id, "source": source, "text": text},
    )
