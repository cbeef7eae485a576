"""An independent count of a collection's words: from the passages' text alone, never from postings or statistics."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg.sql import SQL, Identifier

from howdah.retrieval.collection import Collection

PIECE = 200
"""Characters a piece: far below every limit of a tsvector."""


def pieces(text: str) -> Iterator[str]:
    """The text cut at white space."""
    words: list[str] = []
    for word in text.split():
        words.append(word)
        if sum(map(len, words)) > PIECE:
            yield " ".join(words)
            words = []
    yield " ".join(words)


def lexemes(conn: psycopg.Connection[Any], text: str, config: str = "english") -> Counter[str]:
    """How often each lexeme occurs, by to_tsvector on small pieces."""
    rows = conn.execute(
        "SELECT u.lexeme, sum(cardinality(u.positions)) FROM unnest(%s::text[]) AS piece,"
        " unnest(to_tsvector(%s::regconfig, piece)) AS u GROUP BY u.lexeme",
        [list(pieces(text)), config],
    ).fetchall()
    return Counter({lexeme: int(count) for lexeme, count in rows})


def words_of(collection: Collection, conn: psycopg.Connection[Any]) -> dict[int, Counter[str]]:
    """The lexemes of every chunk, by its number."""
    statement = SQL("SELECT n, title, section, content FROM {}").format(collection.passages)
    rows = conn.execute(statement).fetchall()
    return {n: lexemes(conn, "\n".join(filter(None, parts)), collection.spec.config) for n, *parts in rows}


def check(collection: Collection, url: str) -> None:
    """Postings, terms and statistics are exactly what a recount of the passages gives; passages and chunks belong together."""
    with psycopg.connect(url) as conn:
        numbers = {n for (n,) in conn.execute(SQL("SELECT n FROM {}").format(collection.chunks))}
        counted = words_of(collection, conn)
        assert counted.keys() == numbers
        want = {(n, lexeme, tf, words.total()) for n, words in counted.items() for lexeme, tf in words.items()}
        rows = conn.execute(SQL("SELECT n, lexeme, tf, dl FROM {}").format(collection.postings)).fetchall()
        assert set(rows) == want
        assert len(rows) == len(want)
        counts = conn.execute(
            SQL("SELECT lexeme, sum(df) FROM {} GROUP BY lexeme HAVING sum(df) <> 0").format(collection.terms)
        ).fetchall()
        assert dict(counts) == Counter(lexeme for words in counted.values() for lexeme in words)
        stats = conn.execute(
            "SELECT coalesce(sum(chunks), 0), coalesce(sum(length), 0) FROM howdah.corpus_stats WHERE collection = %s",
            [collection.id],
        ).fetchone()
        assert stats == (len(numbers), sum(words.total() for words in counted.values()))


def table(url: str, collection: Collection) -> list[tuple[Any, ...]]:
    """Everything that is stored, but for the numbers that rows happen to have."""
    with psycopg.connect(url) as conn:
        return conn.execute(
            SQL("""
                SELECT c.id, c.document, c.tenant, c.metadata::text, c.embedding::text, p.content, p.title, p.section, p.page,
                       p.ordinal, p.start_at, p.end_at, {words}
                FROM {chunks} AS c JOIN {passages} AS p USING (tenant, n) ORDER BY c.id
            """).format(
                chunks=collection.chunks,
                passages=collection.passages,
                words=SQL(
                    "p.tsv::text, (SELECT array_agg((lexeme, tf, dl)::text ORDER BY lexeme) FROM {} AS o WHERE o.n = c.n)"
                ).format(collection.postings)
                if collection.spec.lexical
                else Identifier("n"),
            )
        ).fetchall()
