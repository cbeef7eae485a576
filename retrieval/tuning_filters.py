"""Filters to tune an index with: those that were given, or metadata values that many, some and few rows have."""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Literal

from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filters import Filter, compile_filter
from howdah.retrieval.query import Condition, Query
from howdah.retrieval.store import Store
from howdah.retrieval.tuning_types import Workload

ALL = Workload(name="all rows")
SAMPLED, WANTED, APART = 1_000, (0.5, 0.1, 0.02), 2.5
"""Rows that are looked at, the shares of rows that filters are to let through, and how far off (a factor) one may be."""


def workloads(store: Store, collection: Collection, given: Sequence[Filter], *, rows: int, k: int) -> list[Workload]:
    """All rows, and the filters: those given, else some that the metadata suggests, which let k rows or more through.

    Raises InvalidInput for a given filter that no row passes.
    """
    filters = list(given) or suggested([row["metadata"] for row in store.rows(_metadata(collection))])
    counts = [store.rows(_matching(collection, compile_filter(each, collection=collection)))[0] for each in filters]
    found = [ALL]
    for each, count in zip(filters, counts, strict=True):
        if given and not count["rows"]:
            raise InvalidInput(f"no row of the collection passes the filter {json.dumps(each)}", hint="leave it out")
        if given or count["rows"] >= k:
            name = json.dumps(each, ensure_ascii=False)
            found.append(Workload(name=name, filter=each, share=min(count["rows"] / max(rows, 1), 1.0)))
    return found


def suggested(metadata: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Filters by equality with shares nearest to WANTED among these rows, each at most half of the one before."""
    counts = Counter((key, value) for row in metadata for key, value in row.items() if isinstance(value, str | int))
    found: list[dict[str, Any]] = []
    last = math.inf
    for wanted in WANTED:
        shares = {pair: count / len(metadata) for pair, count in counts.items() if count < len(metadata) * last / 2}
        off = {pair: abs(math.log(share / wanted)) for pair, share in shares.items()}
        near = [pair for pair, by in off.items() if by <= math.log(APART)]
        if near:
            key, value = min(near, key=lambda pair: (off[pair], str(pair)))
            last = shares[key, value]
            found.append({key: value})
    return found


def _metadata(collection: Collection) -> Query:
    return Query(
        SQL("""
            WITH bounds AS (SELECT min(n) AS low, max(n) AS high FROM {chunks} WHERE tenant = %(tenant)s)
            SELECT found.metadata FROM bounds, generate_series(0, {count} - 1) AS place CROSS JOIN LATERAL (
                SELECT c.metadata FROM {chunks} AS c
                WHERE c.tenant = %(tenant)s AND c.n >= low + place * (high - low) / {count} ORDER BY c.n LIMIT 1
            ) AS found
        """).format(chunks=collection.chunks, count=Literal(SAMPLED)),
        {"tenant": collection.tenant},
    )


def _matching(collection: Collection, where: Condition) -> Query:
    return Query(
        SQL("SELECT count(*) AS rows FROM {} AS c WHERE c.tenant = %(tenant)s AND {}").format(
            collection.chunks, where.sql
        ),
        {"tenant": collection.tenant, **where.params},
    )
