"""What must hold of a collection at any moment, counted anew from its tables."""

from collections import Counter

from psycopg.sql import SQL

from howdah.retrieval.collection import Collection
from howdah.retrieval.query import Query
from howdah.retrieval.store import Store


def rows(store: Store, sql: str, collection: Collection) -> list[dict]:
    statement = SQL(sql).format(
        chunks=collection.chunks, passages=collection.passages, postings=collection.postings, terms=collection.terms,
        id=collection.id,
    )  # fmt: skip
    return store.rows(Query(statement, {}))


def check_whole(store: Store, name: str) -> None:
    """Chunks, passages, postings, terms, statistics and documents agree with each other; every quote is where it says."""
    collection = store.find(name)
    assert collection is not None
    assert orphans(store, collection) == {"passages": 0, "chunks": 0, "documents": 0}
    assert misquoted(store, collection) == []
    if collection.spec.lexical:
        assert posted(store, collection) == recounted(store, collection)
        assert frequencies(store, collection) == Counter(lexeme for _, lexeme in recounted(store, collection))
    stats = rows(
        store,
        "SELECT sum(chunks)::int AS chunks, sum(length)::int AS length FROM howdah.corpus_stats WHERE collection = {id}",
        collection,
    )[0]
    length = sum(recounted(store, collection).values()) if collection.spec.lexical else 0
    count = rows(store, "SELECT count(*) AS n FROM {chunks}", collection)[0]["n"]
    assert (stats["chunks"] or 0, stats["length"] or 0) == (count, length)


def orphans(store: Store, collection: Collection) -> dict[str, int]:
    """Chunks without a passage or without their document, passages without a chunk, documents without chunks."""
    return rows(
        store,
        """
        SELECT (SELECT count(*) FROM {passages} AS p WHERE NOT EXISTS (SELECT FROM {chunks} AS c WHERE c.n = p.n)) AS passages,
               (SELECT count(*) FROM {chunks} AS c WHERE NOT EXISTS (SELECT FROM {passages} AS p WHERE c.n = p.n)
                  OR (document IS NOT NULL AND document NOT IN (SELECT id FROM howdah.documents))) AS chunks,
               (SELECT count(*) FROM howdah.documents AS d WHERE d.collection = {id}
                  AND NOT EXISTS (SELECT FROM {chunks} AS c WHERE c.document = d.id)) AS documents
        """,
        collection,
    )[0]


def misquoted(store: Store, collection: Collection) -> list[str]:
    found = rows(
        store,
        """
        SELECT c.id, p.content, p.start_at, p.end_at, d.text FROM {chunks} AS c JOIN {passages} AS p USING (n)
        JOIN howdah.documents AS d ON d.id = c.document
        """,
        collection,
    )
    return [row["id"] for row in found if row["text"][row["start_at"] : row["end_at"]] != row["content"]]


def posted(store: Store, collection: Collection) -> Counter[tuple[int, str]]:
    found = rows(store, "SELECT n, lexeme, tf FROM {postings}", collection)
    return Counter({(row["n"], row["lexeme"]): row["tf"] for row in found})


def frequencies(store: Store, collection: Collection) -> dict[str, int]:
    """The lexemes' document frequencies, as the terms' rows add up."""
    found = rows(
        store, "SELECT lexeme, sum(df)::int AS df FROM {terms} GROUP BY lexeme HAVING sum(df) <> 0", collection
    )
    return {row["lexeme"]: row["df"] for row in found}


def recounted(store: Store, collection: Collection) -> Counter[tuple[int, str]]:
    """Term counts from the passages themselves (short ones: a tsvector counts them all)."""
    found = rows(
        store,
        "SELECT p.n, u.lexeme, cardinality(u.positions) AS tf FROM {passages} AS p, unnest(p.tsv) AS u",
        collection,
    )
    return Counter({(row["n"], row["lexeme"]): row["tf"] for row in found})


def contents(store: Store, name: str) -> dict[str, list[tuple[object, ...]]]:
    """source: its chunks in order, with everything but row numbers and vectors."""
    collection = store.find(name)
    if collection is None:
        return {}
    found = rows(
        store,
        """
        SELECT d.source, c.id, p.ordinal, p.start_at, p.end_at, p.page, p.title, p.section, p.content, c.metadata::text
        FROM {chunks} AS c JOIN {passages} AS p USING (n) JOIN howdah.documents AS d ON d.id = c.document
        ORDER BY d.source, p.ordinal
        """,
        collection,
    )
    by_source: dict[str, list[tuple[object, ...]]] = {}
    for row in found:
        by_source.setdefault(row["source"], []).append(tuple(row.values())[1:])
    return by_source


def numbers(store: Store, name: str) -> dict[str, int]:
    """Chunk id: its row number."""
    collection = store.find(name)
    return {row["id"]: row["n"] for row in rows(store, "SELECT id, n FROM {chunks}", collection)} if collection else {}
