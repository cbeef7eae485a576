"""Rows of the search statements, read by name."""

from typing import Any

from howdah.retrieval.types import Hit

_ARMS = ("dense", "lexical")


def hit(row: dict[str, Any]) -> Hit:
    """The Hit of one row; a plain nearest-neighbour row's own score is its dense one."""
    scores = {arm: float(row[arm]) for arm in _ARMS if row.get(arm) is not None}
    if not scores and "distance" in row:
        scores = {"dense": float(row["score"])}
    return Hit(
        id=row["id"],
        content=row["content"],
        metadata=row["metadata"],
        score=float(row["score"]),
        scores=scores,
        source=row["source"],
        title=row["title"],
        section=row["section"],
        page=row["page"],
        start=row["start"],
        end=row["end"],
        also_in=row.get("also_in", ()),
    )
