"""PGVector's own searches, which return Hits; `hits_async` holds their twins."""

from typing import Any

from howdah.retrieval.filters import Filter
from howdah.retrieval.search import Search, SearchType
from howdah.retrieval.types import Hit
from howdah.retrieval.vectorstore_sync import SyncMethods


class SyncHits(SyncMethods):
    """Searches beyond LangChain's interface."""

    def hits(
        self, query: str, *, k: int = 8, search_type: SearchType = "hybrid", filter: Filter | None = None, **kwargs: Any
    ) -> list[Hit]:
        """The k best chunks as Hits, best first, with scores and where they come from.

        hybrid takes weight (0 words only, 1 vectors only), depth, k1 and b; lexical takes k1 and b; mmr takes fetch_k
        and lambda_mult; similarity_score_threshold takes score_threshold, a relevance in [0, 1]. All but lexical take
        SearchOptions.
        """
        search = Search.of(query, k=k, search_type=search_type, filter=filter, given=kwargs)
        if self._found() is None:
            return []
        embedding = self._embed(query) if search.by_meaning else None
        rows = self._search(lambda found: self._statement(found, search, embedding), search.settings)
        return self._chosen(search, rows, embedding)
