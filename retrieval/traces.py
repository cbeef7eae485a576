"""Statements on `howdah.traces`, one row an answer, and the values that go into it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from psycopg.sql import SQL

from howdah.retrieval import values
from howdah.retrieval.cache_rows import WRITABLE
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.query import Query
from howdah.retrieval.schema import VERSION

DAYS = 30.0
MOST_DAYS = 36_500
EXPIRED = 1_000
"""Rows deleted in one statement."""

Outcome = Literal["answered", "refused", "cancelled", "failed"]
COLUMNS = SQL("""
    t.id, t.at, t.expires_at, t.erased_at, t.session, t.outcome, t.question, t.rewritten, t.answer, t.hits, t.citations,
    t.checks, t.details, (SELECT c.name FROM howdah.collections AS c WHERE c.tenant = t.tenant AND c.id = t.collection)
        AS collection
""")


@dataclass(frozen=True, kw_only=True)
class Trace:
    """How one answer came about. `rewritten` is None where the question was searched as it was asked.

    hits: {id, source, page, start, end, score, scores, ranks, shown}, best first; `ranks` counts from 1 among these hits,
    in each arm and before reranking. citations: {n, id, source, page, start, end, quote}. checks: {status, reason, n}.
    details: {search, prompt, model, tokens, timings_ms, note, error}, each where there is one.
    """

    id: str
    outcome: Outcome
    question: str
    collection: str | None = None
    session: str | None = None
    rewritten: str | None = None
    answer: str | None = None
    hits: Sequence[Mapping[str, Any]] = ()
    citations: Sequence[Mapping[str, Any]] = ()
    checks: Sequence[Mapping[str, Any]] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def check_days(days: float) -> float:
    """How long traces are kept. Raises InvalidInput for what is no length of time."""
    if isinstance(days, bool) or not isinstance(days, int | float) or not 0 < days <= MOST_DAYS:
        raise InvalidInput(f"days is {days!r} and must be a number above 0", hint=f"the default is {DAYS:g}")
    return float(days)


def insert(tenant: str, trace: Trace, *, days: float) -> Query:
    """Add the row, where the schema is this program's; it touches no row where it is not."""
    texts = {"question": trace.question, "rewritten": trace.rewritten, "answer": trace.answer}
    lists = {"hits": trace.hits, "citations": trace.citations, "checks": trace.checks, "details": trace.details}
    return Query(
        SQL("""
            INSERT INTO howdah.traces (tenant, id, expires_at, collection, session, outcome, question, rewritten, answer,
                                       hits, citations, checks, details)
            SELECT %(tenant)s, %(id)s, now() + %(kept)s,
                   (SELECT c.id FROM howdah.collections AS c WHERE c.tenant = %(tenant)s AND c.name = %(collection)s::text),
                   %(session)s, %(outcome)s, %(question)s, %(rewritten)s, %(answer)s, %(hits)s::text::jsonb,
                   %(citations)s::text::jsonb, %(checks)s::text::jsonb, %(details)s::text::jsonb
            WHERE {writable}
        """).format(writable=WRITABLE),
        {
            "tenant": tenant,
            "version": VERSION,
            "id": trace.id,
            "kept": timedelta(days=days),
            "collection": trace.collection,
            "session": trace.session,
            "outcome": trace.outcome,
            **{name: None if value is None else values.text(value) for name, value in texts.items()},
            **{name: values.json_text(_finite(value), where=name) for name, value in lists.items()},
        },
    )


def expire(tenant: str, *, most: int = EXPIRED) -> Query:
    """Delete up to `most` rows whose time is over; those that another process is deleting are left to it."""
    return Query(
        SQL("""
            DELETE FROM howdah.traces AS t WHERE t.ctid = ANY(ARRAY(
                SELECT t.ctid FROM howdah.traces AS t
                WHERE t.tenant = %(tenant)s AND t.expires_at < now() AND {writable}
                ORDER BY t.expires_at LIMIT %(most)s FOR UPDATE SKIP LOCKED))
        """).format(writable=WRITABLE),
        {"tenant": tenant, "version": VERSION, "most": most},
    )


def find(tenant: str, prefix: str) -> Query:
    """The rows whose id begins so, at most two; the newest one where `prefix` is empty."""
    return Query(
        SQL("""
            SELECT {columns} FROM howdah.traces AS t
            WHERE t.tenant = %(tenant)s AND starts_with(t.id, %(prefix)s) AND t.expires_at >= now()
            ORDER BY t.at DESC, t.id LIMIT CASE WHEN %(prefix)s = '' THEN 1 ELSE 2 END
        """).format(columns=COLUMNS),
        {"tenant": tenant, "prefix": prefix},
    )


def listing(tenant: str, limit: int | None) -> Query:
    """The newest traces, newest first, in a few words each."""
    return Query(
        SQL("""
            SELECT t.id, t.at, t.session, t.outcome, t.question, t.details ->> 'model' AS model,
                   (t.details #>> '{{timings_ms,total}}')::double precision AS ms, t.erased_at IS NOT NULL AS erased,
                   (SELECT c.name FROM howdah.collections AS c WHERE c.tenant = t.tenant AND c.id = t.collection) AS collection
            FROM howdah.traces AS t WHERE t.tenant = %(tenant)s AND t.expires_at >= now()
            ORDER BY t.at DESC, t.id LIMIT %(limit)s::bigint
        """).format(),
        {"tenant": tenant, "limit": limit},
    )


def passages(collection: Collection, ids: Sequence[str]) -> Query:
    """Section and beginning of those of these chunks that are still there."""
    return Query(
        SQL("""
            SELECT c.id, p.section, left(p.content, 400) AS content
            FROM {chunks} AS c JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
            WHERE c.tenant = %(tenant)s AND c.id = ANY(%(ids)s::text[])
        """).format(chunks=collection.chunks, passages=collection.passages),
        {"tenant": collection.tenant, "ids": list(ids)},
    )


def _finite(value: Any) -> Any:
    """Without the numbers that JSON has no form for: a score may be one, and is no reason to keep no trace."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {key: _finite(item) for key, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
    return value
