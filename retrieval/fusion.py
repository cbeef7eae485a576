"""How the two arms' scores become one, as SQL over CTEs by_words (n, score) and by_meaning (n, score).

`scaled`, the default, maps each arm by a scale that belongs to the collection and the query, so that a score means the same
whatever else was found. The others map an arm by the list that it returned, best known from the literature; their scores
are good for ranking that list and for nothing else.
"""

from enum import Enum

from psycopg.sql import SQL, Composed


class Fusion(Enum):
    """The name, and one row's share of its arm in [0, 1], by window functions over that arm's list.

    minmax: (s - min) / (max - min). dbsf: distribution-based score fusion, (s - (mean - 3 sd)) / (6 sd), clipped (Mazzeschi,
    2023). rrf: reciprocal rank fusion, 1 / (rrf_k + rank) with ranks from 1 (Cormack, Clarke and Büttcher, 2009).
    """

    SCALED = "scaled", None
    MINMAX = (
        "minmax",
        SQL("coalesce((score - min(score) OVER ()) / nullif(max(score) OVER () - min(score) OVER (), 0), 1)"),
    )
    DBSF = (
        "dbsf",
        SQL("""least(greatest(coalesce(
            0.5 + (score - avg(score) OVER ()) / nullif(6 * stddev_samp(score) OVER (), 0), 0.5), 0), 1)"""),
    )
    RRF = "rrf", SQL("1 / (%(rrf_k)s::float8 + row_number() OVER (ORDER BY score DESC, n))")

    def __init__(self, label: str, share: SQL | None) -> None:
        self.label, self.share = label, share

    @classmethod
    def of(cls, label: str) -> "Fusion | None":
        return next((member for member in cls if member.label == label), None)

    def arms(self) -> Composed:
        """CTEs words and meaning (n, share)."""
        assert self.share is not None
        arm = "SELECT n, {share} AS share FROM"
        return SQL(
            "words AS MATERIALIZED (" + arm + " by_words), meaning AS MATERIALIZED (" + arm + " by_meaning)"
        ).format(share=self.share)
