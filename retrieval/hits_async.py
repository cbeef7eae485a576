"""PGVector's own searches, asynchronous; one for one those of `hits_sync`."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from howdah.retrieval import neighbours, queries
from howdah.retrieval.advice import advise
from howdah.retrieval.collection import Collection
from howdah.retrieval.filters import Filter, compile_filter
from howdah.retrieval.pages import Pages
from howdah.retrieval.query import Query
from howdah.retrieval.reranking import areranked
from howdah.retrieval.rows import hit
from howdah.retrieval.search import AT_ONCE, Search, SearchType, no_text
from howdah.retrieval.similar import Like, no_such, similar_hits
from howdah.retrieval.slow import Ran
from howdah.retrieval.types import Array, Hit, Vector
from howdah.retrieval.vectorstore_async import AsyncMethods
from howdah.retrieval.vectorstore_base import Answer, Row


class AsyncHits(AsyncMethods):
    """Searches beyond LangChain's interface."""

    async def ahits(
        self, query: str, *, k: int = 8, search_type: SearchType = "hybrid", filter: Filter | None = None,
        embedding: Vector | None = None, **kwargs: Any,
    ) -> list[Hit]:  # fmt: skip
        """The k best chunks as Hits, best first, with scores and where they come from.

        hybrid takes weight (0 words only, 1 vectors only), depth, k1 and b; lexical takes k1 and b;
        similarity_score_threshold takes score_threshold, a relevance in [0, 1]. All but lexical take SearchOptions,
        and `embedding` (d,), the query's vector where the caller has it already.

        mmr takes fetch_k and lambda_mult, and hybrid and lexical do too: the k are then chosen for variety among the
        search's fetch_k best (see `mmr_by_scores`). All take rerank (True, a reranker, or a LangChain document
        compressor) and rerank_depth, how many hits it sees; and window (chunks on either side of a hit) or
        parent="section", with max_characters (see `widened`).

        Chunks of documents with exactly the same content are one hit, the best of them, and its `also_in` names the other
        documents; rows added through the API stay apart.
        """
        search = Search.of(query, k=k, search_type=search_type, filter=filter, given=kwargs, embedding=embedding)
        return (await self._aanswers([search]))[0]

    async def ahits_many(
        self, queries: Sequence[str], *, k: int = 8, search_type: SearchType = "hybrid", filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[list[Hit]]:  # fmt: skip
        """The answers to many queries, in their order, each what `hits` gives: one round trip for all statements.

        Queries are embedded as queries, 8 at a time, equal ones once.
        """
        no_text(queries)
        return await self._aanswers(
            [Search.of(query, k=k, search_type=search_type, filter=filter, given=kwargs) for query in queries]
        )

    async def asimilar_to(
        self,
        ids: Sequence[str],
        *,
        k: int = 8,
        negative: Sequence[str] = (),
        filter: Filter | None = None,
        **kwargs: Any,
    ) -> list[Hit]:
        """The k chunks most like the stored ones with these ids, best first; the given ones are left out.

        Of several ids the mean counts; `negative` are ids to keep away from (see `similar`). `kwargs` are SearchOptions.
        Nothing is embedded, and no embedding is sent. Raises NotFound for ids that are not there.
        """
        wanted = Like.of(ids, negative, k=k, filter=filter, given=kwargs)

        async def ask(collection: Collection) -> tuple[Collection, list[Row]]:
            query, local, began = wanted.statement(collection), wanted.settings(collection), time.perf_counter()
            rows = await self.astore.fetch(query, local)
            ran = Ran("similar_to", k, filter, query, local, time.perf_counter() - began)
            await self._anoted(timing, ran)
            return collection, rows

        with self.database.tally.search(self._wanted.name, "similar_to") as timing:
            asked = await self._aon_collection(ask, otherwise=None)
        if asked is None:
            raise no_such(wanted.given, self._wanted.name)
        return similar_hits(asked[1], asked[0])

    async def _aanswers(self, searches: Sequence[Search]) -> list[list[Hit]]:
        """The hits of each search; all have the same settings."""
        if not searches or await self._afound() is None:
            return [[] for _ in searches]

        async def ask(collection: Collection) -> tuple[Collection, list[Array | None], list[list[Row]]]:
            embeddings = await self._aembedded(searches, collection)
            pairs = list(zip(searches, embeddings, strict=True))
            began = time.perf_counter()
            pages = await self._apages(collection, pairs)
            seconds = (time.perf_counter() - began) / len(searches)
            advise(collection, searches[0].filter, seconds)
            await self._anoted(timing, self._ran(collection, pairs[0], seconds, len(searches)))
            return collection, embeddings, pages

        with self.database.tally.search(self._wanted.name, searches[0].search_type, times=len(searches)) as timing:
            asked = await self._aon_collection(ask, otherwise=None)
            await self._aflush()
            return [[] for _ in searches] if asked is None else await self._afinished(searches, *asked)

    async def _afinished(
        self,
        searches: Sequence[Search],
        collection: Collection,
        embeddings: Sequence[Array | None],
        pages: list[list[Row]],
    ) -> list[list[Hit]]:
        """The hits of the rows that were found: what is done with them in this process."""
        found = []
        for search, embedding, rows in zip(searches, embeddings, pages, strict=True):
            hits = self._candidates(search, rows)
            if search.ranker is not None:
                hits = await areranked(search.ranker, search.embedded, hits)
            found.append(self._chosen(collection, search, hits, Answer(rows, embedding)))
        return await self._awidened(collection, searches[0].around, found)

    async def _apages(self, collection: Collection, pairs: Sequence[tuple[Search, Array | None]]) -> list[list[Row]]:
        """The rows of each search, each text of documents once: one round trip, and more where `Pages` wants more."""
        pages = Pages(pairs)
        while wanted := pages.wanted:
            statements = [self._statement(collection, *pair) for pair in wanted]
            pages.take(await self.astore.fetch_many(statements, wanted[0][0].settings(collection)))
        return pages.distinct()

    async def _aembedded(self, searches: Sequence[Search], collection: Collection) -> list[Array | None]:
        """Each search's embedding, where it is by meaning."""
        words = list(dict.fromkeys(search.embedded for search in searches if search.to_embed))
        free = asyncio.Semaphore(AT_ONCE)

        async def embed(each: str) -> Array:
            async with free:
                return await self._aembed(each, collection)

        tasks = [asyncio.ensure_future(embed(each)) for each in words]
        try:
            vectors = await asyncio.gather(*tasks)
        finally:
            for task in tasks:  # the first failure ends them all
                task.cancel()
        if any(search.by_meaning and not search.to_embed for search in searches):
            self._wanted.check_own(collection)
        known = dict(zip(words, vectors, strict=True))
        return [search.vector(known) for search in searches]

    async def _awidened(
        self, collection: Collection, how: neighbours.Around | None, answers: list[list[Hit]]
    ) -> list[list[Hit]]:
        ids = sorted({hit.id for hits in answers for hit in hits})
        if how is None or not ids:
            return answers
        rows = await self.astore.fetch(neighbours.around(collection, ids, how))
        near = {row["id"]: row for row in rows}
        return [neighbours.widened(hits, [near[hit.id] for hit in hits if hit.id in near], how) for hits in answers]

    async def amatching(self, filter: Filter | None = None) -> list[Hit]:
        """Every chunk that the filter is true for, in id order; all without one. Nothing was searched: scores are 0."""

        async def build(found: Collection) -> Query:
            return queries.matching(found, compile_filter(filter, collection=found))

        rows = await self._asearch(build, lambda _: {}, filter, mode="matching", k=0)
        return [hit(row) for row in rows]
