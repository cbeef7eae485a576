"""Nearest neighbours among the rows that a filter lets through: k of them whenever there are k, in one statement.

An HNSW index knows no filters: it hands over rows by distance and the filter drops what does not match. That is quick
where many rows match and hopeless where few do, or where those that match lie far from the query; and the planner cannot
tell, for it guesses the same share of rows for every jsonb condition. So the statement looks for itself:

1. `sampled` asks the filter about a hundred rows spread over the collection.
2. Where few of them match, `matching` collects the rows that do, up to CAP, and `few` searches those exactly.
3. Else `many` walks the index, farther than k so that its last rows count too, up to hnsw.max_scan_tuples.
4. `rescue` searches all matching rows exactly where the index came back short, or with rows that are farther away than
   the filter's share explains: so it is when it holds far from the query, where the walk picks up strays.

Each step is gated by a one-time filter, so what is not needed is not run.
"""

from psycopg.sql import SQL, Composable, Composed, Literal

from howdah.retrieval.query import Condition
from howdah.retrieval.reach import Reach

SAMPLE, COMMON = 100, 5
"""Rows that are asked, and how many of them must match for the index to be walked: below, exact search is as quick."""
CAP = 5_000
"""Matching rows that are searched exactly without a look at the index: some 5 ms."""
SCAN_TUPLES = 4_000
"""hnsw.max_scan_tuples: farther than this an exact search of what matches is quicker than the index."""
GOLDEN = 0.618033988749895


def walk(k: int) -> int:
    """Rows asked of the index for k: with more of them its walk goes on, and the first k are more often the right ones."""
    return k + max(20, k // 2)


def scan_tuples(k: int) -> int:
    """hnsw.max_scan_tuples for k rows of a filter that one row in twenty passes."""
    return max(SCAN_TUPLES, walk(k) * SAMPLE // COMMON)


def route(chunks: Composable, where: Condition, *, distance: Composable | None = None) -> Composed:
    """CTEs, among them sampled, share, matching and route (few: whether `matching` holds all rows that match).

    With a `distance`, sampled and matching have it for each row.
    """
    measured = SQL(", {} AS distance").format(distance) if distance is not None else SQL("")
    # Low-discrepancy places by the golden ratio: the same ones each time, in step with no pattern of the numbers.
    return SQL("""
        bounds AS MATERIALIZED (
            SELECT (SELECT n FROM {chunks} WHERE tenant = %(tenant)s ORDER BY n LIMIT 1) AS low,
                   (SELECT n FROM {chunks} WHERE tenant = %(tenant)s ORDER BY n DESC LIMIT 1) AS high
        ),
        sampled AS MATERIALIZED (
            SELECT asked.* FROM bounds, generate_series(1, {sample}) AS place CROSS JOIN LATERAL (
                SELECT {where} AS ok{measured} FROM {chunks} AS c
                WHERE c.tenant = %(tenant)s
                  AND c.n >= low + floor((place * {golden} - floor(place * {golden})) * (high - low + 1))::bigint
                ORDER BY c.n LIMIT 1
            ) AS asked
        ),
        share AS MATERIALIZED (SELECT count(*) FILTER (WHERE ok) AS ok FROM sampled),
        matching AS MATERIALIZED (
            SELECT c.n{with_distance} FROM {chunks} AS c
            WHERE c.tenant = %(tenant)s AND {where} AND (SELECT ok FROM share) < {common} LIMIT {cap} + 1
        ),
        route AS MATERIALIZED (
            SELECT (SELECT ok FROM share) < {common} AND (SELECT count(*) FROM matching) <= {cap} AS few
        )
    """).format(
        chunks=chunks,
        measured=measured,
        where=where.sql,
        with_distance=SQL("") if where.covered else measured,
        sample=Literal(SAMPLE),
        golden=SQL("{}::float8").format(Literal(GOLDEN)),
        common=Literal(COMMON),
        cap=Literal(CAP),
    )


def nearest(chunks: Composable, reach: Reach, where: Condition, *, k: int) -> Composed:
    """CTEs after `route`, of which the last, nearest (n, distance), holds the k nearest rows that match, unordered."""
    # coalesce hides the condition from other indexes and from guesses: the planner takes it for half of the rows.
    often = SQL("coalesce({}, false) AND NOT (SELECT few FROM route)").format(where.sql)
    doubtful = SQL("{} AND NOT (SELECT few FROM route) AND {}").format(where.sql, _doubtful(k))
    return SQL("""
        few AS MATERIALIZED ({few} ORDER BY distance LIMIT {k}),
        many AS MATERIALIZED ({many}),
        rescue AS MATERIALIZED ({rescue}),
        nearest AS MATERIALIZED (
            SELECT n, distance FROM (
                SELECT n, distance FROM few
                UNION ALL SELECT n, distance FROM rescue
                UNION ALL SELECT n, distance FROM many WHERE NOT EXISTS (SELECT FROM rescue)
            ) AS found ORDER BY distance LIMIT {k}
        )
    """).format(
        few=_few(chunks, reach.distance, where),
        many=reach.nearest(chunks, often, walk(k)),
        rescue=reach.exactly(chunks, doubtful, k),
        k=Literal(k),
    )


def _few(chunks: Composable, distance: Composable, where: Condition) -> Composed:
    """The collected rows with their distances. A covered filter's were found without the table, which is read now."""
    if not where.covered:
        return SQL("SELECT n, distance FROM matching WHERE (SELECT few FROM route)").format()
    return SQL("""
        SELECT matching.n, measured.distance FROM matching CROSS JOIN LATERAL (
            SELECT {distance} AS distance FROM {chunks} AS c WHERE c.tenant = %(tenant)s AND c.n = matching.n LIMIT 1
        ) AS measured WHERE (SELECT few FROM route)
    """).format(distance=distance, chunks=chunks)


def _doubtful(k: int) -> Composed:
    """Whether the index came back short, or its k-th row is not among the nearest as far as a sample can tell.

    Of a filter that knows nothing of distances, the k-th row that matches is the k / share-th of all; so many of the
    sampled rows are nearer as that is of the collection. Three times as many, and three more, are no accident.
    """
    return SQL("""
        ((SELECT count(*) FROM many) < {walk} OR
         (SELECT count(*) FROM sampled WHERE distance < (SELECT distance FROM many ORDER BY distance OFFSET {last} LIMIT 1))
         > (SELECT 3 + 3 * {expected} / (greatest(ok, 1) * (high - low + 1)) FROM share, bounds))
    """).format(walk=Literal(walk(k)), last=Literal(k - 1), expected=Literal(float(k * SAMPLE**2)))
