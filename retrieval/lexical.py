"""BM25 over the postings, as pure functions from a collection to a statement."""

from functools import lru_cache
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from howdah.retrieval import filtered
from howdah.retrieval.asked import ANYTHING, Asked
from howdah.retrieval.collection import Collection, table
from howdah.retrieval.queries import AND, PASSAGE
from howdah.retrieval.query import EVERY_ROW, Condition, Query
from howdah.retrieval.values import text

K1, B = 1.2, 0.75
MOST_WORDS = 256
"""Lexemes of a query that score; of more, the rarest. A page of text has fewer, a book that was pasted has thousands."""
WHOLE = 20_000
"""Bytes of a passage up to which its tsvector is whole (postings.words has the reckoning)."""


def lexical(
    collection: Collection, asked: Asked, *, k: int, where: Condition = EVERY_ROW, k1: float = K1, b: float = B
) -> Query:
    """The k chunks with the highest BM25 for any of the words, best first; equal scores in id order."""
    plain = where is EVERY_ROW and not (asked.phrases or asked.excluded)
    return Query(
        _plain_lexical(collection.id, collection.generation, collection.spec.config, k) if plain else _lexical(
            collection.id, collection.generation, _routed(collection, where),
            arm(collection, k, where, asked, routed=where is not EVERY_ROW),
        ),
        {**parameters(collection, asked.words, k1, b), **asked_parameters(collection, asked), **where.params},
    )  # fmt: skip


def _routed(collection: Collection, where: Condition) -> Composed:
    """The scores, and for a filter what decides on its way."""
    if where is EVERY_ROW:
        return bm25(collection.id, collection.spec.config)
    return SQL("{}, {}").format(filtered.route(collection.chunks, where), bm25(collection.id, collection.spec.config))


@lru_cache(maxsize=1_024)
def _plain_lexical(collection_id: int, generation: int, config: str, k: int) -> SQL:
    """The statement of a query that is words alone, as text: to put it together takes longer than to send it."""
    best = plain_arm(table("chunks", collection_id, generation), k)
    rendered: Any = _lexical(collection_id, generation, bm25(collection_id, config), best).as_string(None)
    return SQL(rendered)


def _lexical(collection_id: int, generation: int, bm25: Composed, best: Composed) -> Composed:
    return SQL("""
        WITH {bm25},
        best AS MATERIALIZED ({best})
        SELECT c.id, c.metadata, best.score / attainable.score AS score,
               best.score / attainable.score AS lexical, {passage}
        FROM best CROSS JOIN attainable
        JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.n = best.n
        JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = best.n
        LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
        ORDER BY best.score DESC, c.id
    """).format(
        bm25=bm25, best=best, passage=PASSAGE,
        chunks=table("chunks", collection_id, generation), passages=table("passages", collection_id),
    )  # fmt: skip


def plain_arm(chunks: Identifier, depth: int, *, beside: bool = False) -> Composed:
    """As `arm`, without conditions, of a collection by its table."""
    return _arm(chunks, depth, EVERY_ROW, numbers=EVERY_ROW.sql, beside=beside)


def bm25(collection_id: int, config: str) -> Composed:
    """CTEs: the query's lexemes with their weight, the attainable score, and every matching chunk's BM25.

    Robertson and Zaragoza, 2009, with Lucene's idf, ln(1 + (N - df + 0.5) / (df + 0.5)). N, df and the average length are
    those of this statement's snapshot; a passage's length and term counts lie in the postings' index.
    """
    # bm25 is not MATERIALIZED: read once, it goes straight from the aggregate into the sort.
    return SQL("""
        corpus AS MATERIALIZED (
            SELECT sum(chunks)::float8 AS chunks, %(k1)s * (1 - %(b)s) AS fixed,
                   %(k1)s * %(b)s * sum(chunks)::float8 / nullif(sum(length), 0)::float8 AS slope
            FROM howdah.corpus_stats WHERE tenant = %(tenant)s AND collection = %(collection)s
        ),
        asked AS MATERIALIZED (
            SELECT lexeme FROM unnest(tsvector_to_array(howdah.tsv({config}::regconfig, %(words)s))) AS t (lexeme)
        ),
        counted AS MATERIALIZED (
            SELECT asked.lexeme, found.df FROM asked CROSS JOIN LATERAL (
                SELECT coalesce(sum(o.df), 0) AS df FROM {terms} AS o
                WHERE o.tenant = %(tenant)s AND o.lexeme = asked.lexeme
            ) AS found
        ),
        rarest AS (
            SELECT lexeme, df FROM counted WHERE (SELECT count(*) FROM asked) <= {most}
            UNION ALL
            (SELECT lexeme, df FROM counted WHERE (SELECT count(*) FROM asked) > {most} AND df > 0
             ORDER BY df, lexeme LIMIT {most})
        ),
        terms AS MATERIALIZED (
            SELECT lexeme, df, (%(k1)s + 1) * ln(1 + (chunks - df + 0.5) / (df + 0.5)) AS weight FROM corpus CROSS JOIN rarest
        ),
        attainable AS MATERIALIZED (SELECT coalesce(sum(weight), 0) AS score FROM terms),
        bm25 AS (
            SELECT o.n, sum(w.weight / (1 + (corpus.fixed + corpus.slope * o.dl) / o.tf)) AS score
            FROM terms AS w CROSS JOIN corpus
            JOIN {postings} AS o ON o.tenant = %(tenant)s AND o.lexeme = w.lexeme
            WHERE w.df > 0
            GROUP BY o.n
        )
    """).format(
        postings=table("postings", collection_id), terms=table("terms", collection_id),
        config=Literal(config), most=Literal(MOST_WORDS),
    )  # fmt: skip


def arm(
    collection: Collection, depth: int, where: Condition, asked: Asked = ANYTHING, *, routed: bool = False,
    beside: bool = False,
) -> Composed:  # fmt: skip
    """The `depth` best rows of bm25 that match `where` and `asked`, as (n, score), best first.

    `routed`: the statement has the CTEs of `filtered.route`, which hold all rows that match where these are few.
    `beside`: it has a CTE by_meaning as well, whose rows come first, whatever their score.
    """
    numbers = _numbers(collection, asked)
    if routed:
        numbers = SQL("{} AND ((SELECT NOT few FROM route) OR c.n IN (SELECT n FROM matching))").format(numbers)
    return _arm(collection.chunks, depth, where, numbers=numbers, beside=beside)


def _arm(chunks: Composable, depth: int, where: Condition, *, numbers: Composable, beside: bool = False) -> Composed:
    first = SQL("c.n IN (SELECT n FROM by_meaning)") if beside else SQL("false")
    best = SQL(
        "SELECT c.n, c.score, {} AS first FROM bm25 AS c WHERE {} ORDER BY first DESC, c.score DESC, c.n"
    ).format(first, numbers)
    if where is EVERY_ROW:
        return best + SQL(" LIMIT {}").format(Literal(depth))
    # Down from the best, and no further than it takes: to look all of them up costs more than to score them.
    return SQL("""
        SELECT best.n, best.score, best.first FROM ({best} OFFSET 0) AS best
        CROSS JOIN LATERAL (
            SELECT FROM {chunks} AS c WHERE c.tenant = %(tenant)s AND c.n = best.n AND {where} OFFSET 0
        ) AS kept
        ORDER BY best.first DESC, best.score DESC, best.n LIMIT {depth}
    """).format(best=best, chunks=chunks, where=where.sql, depth=Literal(depth))


def parameters(collection: Collection, words: str, k1: float, b: float) -> dict[str, Any]:
    return {
        "tenant": collection.tenant,
        "collection": collection.id,
        "words": text(words),
        "k1": float(k1),
        "b": float(b),
    }


# -- phrases and exclusions


def condition(collection: Collection, asked: Asked) -> Condition:
    """That a chunk `c` holds every phrase and nothing that is excluded; EVERY_ROW where there is neither.

    A passage of over 20,000 bytes holds a phrase if it holds all of the phrase's words, since its tsvector may stop before
    the phrase; for the same reason it is excluded by a word wherever that stands, and by a phrase where the tsvector
    shows it. Phrases of stop words alone ask for nothing.
    """
    if asked.phrases and asked.excluded:
        return Condition(
            _listed(collection) + AND + _lacks(collection), asked_parameters(collection, asked), served=True
        )
    if asked.phrases:
        return Condition(_listed(collection), asked_parameters(collection, asked), served=True)
    if asked.excluded:
        return Condition(_lacks(collection), asked_parameters(collection, asked))
    return EVERY_ROW


def asked_parameters(collection: Collection, asked: Asked) -> dict[str, Any]:
    given = {"phrases": asked.phrases, "excluded": asked.excluded}
    found = {name: [text(phrase) for phrase in phrases] for name, phrases in given.items() if phrases}
    return {"tenant": collection.tenant, **found}


def _listed(collection: Collection) -> Composed:
    """The numbers as an array: a vector search then begins with these rows and looks at no other."""
    return SQL("c.n = ANY (ARRAY({}))").format(_holding(collection))


def _numbers(collection: Collection, asked: Asked) -> Composable:
    """As `condition`, by hash tables: for rows of which most are looked at."""
    parts: list[Composable] = []
    if asked.phrases:
        parts.append(SQL("(c.n IN ({})) IS TRUE").format(_holding(collection)))  # bare, it would become a join
    if asked.excluded:
        parts.append(_lacks(collection))
    return AND.join(parts) if parts else EVERY_ROW.sql


def _holding(collection: Collection) -> Composed:
    return SQL("""
        WITH wanted AS MATERIALIZED (
            SELECT string_agg('(' || query::text || ')', ' & ')::tsquery AS query,
                   (SELECT tsvector_to_array(to_tsvector({config}::regconfig, array_to_string(%(phrases)s::text[], ' '))))
                   AS lexemes
            FROM unnest(%(phrases)s::text[]) AS phrase, phraseto_tsquery({config}::regconfig, phrase) AS query
            WHERE numnode(query) > 0
        )
        SELECT p.n FROM wanted CROSS JOIN LATERAL (
            SELECT p.n FROM {passages} AS p WHERE p.tenant = %(tenant)s AND p.tsv @@ wanted.query OFFSET 0
        ) AS p
        UNION ALL
        SELECT p.n FROM wanted CROSS JOIN LATERAL (
            SELECT o.n FROM {postings} AS o WHERE o.tenant = %(tenant)s AND o.dl > 200
                AND o.lexeme = (SELECT lexeme FROM unnest(lexemes) AS lexeme ORDER BY length(lexeme) DESC LIMIT 1)
            OFFSET 0
        ) AS o
        JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = o.n AND octet_length(p.content) > {whole}
        WHERE cardinality(lexemes) = (SELECT count(*) FROM {postings} AS a
                                      WHERE a.tenant = %(tenant)s AND a.lexeme = ANY (lexemes) AND a.n = o.n)
        UNION ALL
        SELECT p.n FROM {passages} AS p WHERE p.tenant = %(tenant)s AND (SELECT query IS NULL FROM wanted)
    """).format(
        config=Literal(collection.spec.config), passages=collection.passages, postings=collection.postings,
        whole=Literal(WHOLE),
    )  # fmt: skip


def _lacks(collection: Collection) -> Composed:
    return SQL("""
        c.n NOT IN (
            WITH unwanted AS MATERIALIZED (
                SELECT tsvector_to_array(to_tsvector({config}::regconfig, phrase)) AS lexemes,
                       phraseto_tsquery({config}::regconfig, phrase) AS query
                FROM unnest(%(excluded)s::text[]) AS phrase
            )
            SELECT o.n FROM unwanted CROSS JOIN LATERAL (
                SELECT o.n FROM {postings} AS o WHERE o.tenant = %(tenant)s AND o.lexeme = lexemes[1] OFFSET 0
            ) AS o WHERE cardinality(lexemes) = 1
            UNION ALL
            SELECT p.n FROM unwanted CROSS JOIN LATERAL (
                SELECT p.n FROM {passages} AS p WHERE p.tenant = %(tenant)s AND p.tsv @@ query OFFSET 0
            ) AS p WHERE cardinality(lexemes) > 1
        )
    """).format(config=Literal(collection.spec.config), passages=collection.passages, postings=collection.postings)
