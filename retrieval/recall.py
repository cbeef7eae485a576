"""What an index finds: the share of the true nearest neighbours, by exact search on the same rows."""

from howdah.retrieval import dense, upkeep
from howdah.retrieval.collection import Collection
from howdah.retrieval.plans import SearchOptions
from howdah.retrieval.query import Query
from howdah.retrieval.store import Store
from howdah.retrieval.wire import decode

K, MOST_QUERIES, FEWEST_QUERIES, PATIENCE = 10, 20, 3, 400_000


def index_recall(store: Store, collection: Collection, *, rows: int) -> float | None:
    """Recall@10 of a search with its usual settings, over a few of the collection's own rows, each without itself.

    In a large collection fewer rows are asked about, for each takes an exact scan. None where there is nothing to find.
    """
    count = min(max(PATIENCE // max(rows, 1), FEWEST_QUERIES), MOST_QUERIES)
    settings = SearchOptions().settings(K + 1, collection)
    found = wanted = 0
    for row in store.rows(upkeep.sample(collection, count)):
        embedding = decode(row["embedding"])
        exact = _others(store, dense.nearest(collection, embedding, k=K + 1, exact=True), {}, row["id"])
        usual = _others(store, dense.nearest(collection, embedding, k=K + 1), settings, row["id"])
        found, wanted = found + len(exact & usual), wanted + len(exact)
    return found / wanted if wanted else None


def _others(store: Store, query: Query, settings: dict[str, str], id_: str) -> set[str]:
    ids = [row["id"] for row in store.fetch(query, settings) if row["id"] != id_]
    return set(ids[:K])
