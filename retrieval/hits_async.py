"""PGVector's own searches, asynchronous; one for one those of `hits_sync`."""

from typing import Any

from howdah.retrieval.filters import Filter
from howdah.retrieval.search import Search, SearchType
from howdah.retrieval.types import Hit
from howdah.retrieval.vectorstore_async import AsyncMethods


class AsyncHits(AsyncMethods):
    """Searches beyond LangChain's interface."""

    async def ahits(
        self, query: str, *, k: int = 8, search_type: SearchType = "hybrid", filter: Filter | None = None, **kwargs: Any
    ) -> list[Hit]:
        """The k best chunks as Hits, best first, with scores and where they come from.

        hybrid takes weight (0 words only, 1 vectors only), depth, k1 and b; lexical takes k1 and b; mmr takes fetch_k
        and lambda_mult; similarity_score_threshold takes score_threshold, a relevance in [0, 1]. All but lexical take
        SearchOptions.
        """
        search = Search.of(query, k=k, search_type=search_type, filter=filter, given=kwargs)
        if await self._afound() is None:
            return []
        embedding = await self._aembed(query) if search.by_meaning else None
        rows = await self._asearch(lambda found: self._statement(found, search, embedding), search.settings)
        return self._chosen(search, rows, embedding)
