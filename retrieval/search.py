"""One search of `hits`: its arguments, checked before anything is paid for. The statements are in their own modules."""

from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filters import Filter
from howdah.retrieval.hybrid import HYBRID_OPTIONS, Hybrid
from howdah.retrieval.plans import SearchOptions, check_k
from howdah.retrieval.queries import check_number

SearchType = Literal["similarity", "similarity_score_threshold", "mmr", "hybrid", "lexical"]
SEARCH_TYPES: tuple[str, ...] = get_args(SearchType)
FETCH_K = 20


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Maximal marginal relevance: k are chosen among `fetch_k`. lambda_mult: 1 = closest only, 0 = spread only."""

    fetch_k: int = FETCH_K
    lambda_mult: float = 0.5

    def __post_init__(self) -> None:
        check_k(self.fetch_k, "fetch_k")
        check_number("lambda_mult", self.lambda_mult, 0, 1)


@dataclass(frozen=True, kw_only=True)
class Search:
    """What one search looks for, and how. `threshold` is a relevance in [0, 1]."""

    words: str
    k: int
    search_type: str
    filter: Filter | None = None
    how: Hybrid = field(default_factory=Hybrid)
    options: SearchOptions = field(default_factory=SearchOptions)
    spread: Spread | None = None
    threshold: float | None = None

    @classmethod
    def of(cls, words: str, *, k: int, search_type: str, filter: Filter | None, given: dict[str, Any]) -> Self:
        """From the arguments of `hits`; `given` are the settings. Raises InvalidInput for what this search does not take."""
        check_search_type(search_type)
        check_k(k)
        rest = dict(given)
        how = Hybrid(**_taken(rest, _WEIGHING.get(search_type, frozenset())))
        spread = Spread(**_taken(rest, Spread.__dataclass_fields__)) if search_type == "mmr" else None
        threshold = rest.pop("score_threshold", None) if search_type == "similarity_score_threshold" else None
        if search_type == "lexical" and rest:
            raise InvalidInput(
                f"unknown arguments of a lexical search: {', '.join(sorted(rest))}", hint="known ones: k1, b"
            )
        return cls(
            words=words, k=k, search_type=search_type, filter=filter, how=how, options=split_options(rest),
            spread=spread, threshold=threshold,
        )  # fmt: skip

    @property
    def by_meaning(self) -> bool:
        """Whether the query has to be embedded."""
        return self.search_type != "lexical"

    @property
    def rows(self) -> int:
        """How many rows the statement is to return."""
        return max(self.k, self.spread.fetch_k if self.spread else 0)

    @property
    def settings(self) -> dict[str, str]:
        """pgvector's settings for the statement."""
        if not self.by_meaning:
            return {}
        depth = self.how.rows(self.rows) if self.search_type == "hybrid" else self.rows
        return self.options.settings(depth, filtered=bool(self.filter))


_WEIGHING = {"hybrid": HYBRID_OPTIONS, "lexical": frozenset({"k1", "b"})}


def _taken(given: dict[str, Any], names: Any) -> dict[str, Any]:
    return {name: given.pop(name) for name in list(given) if name in names}


def check_search_type(name: str) -> None:
    if name not in SEARCH_TYPES:
        raise InvalidInput(f"search_type {name!r} is not known", hint=f"use one of {', '.join(SEARCH_TYPES)}")


def split_options(kwargs: dict[str, Any]) -> SearchOptions:
    """The search settings among a method's keyword arguments; unknown ones are an error, not ignored."""
    unknown = sorted(set(kwargs) - set(SearchOptions.__dataclass_fields__))
    if unknown:
        raise InvalidInput(
            f"unknown search arguments: {', '.join(unknown)}",
            hint=f"known ones: k, filter, {', '.join(SearchOptions.__dataclass_fields__)}",
        )
    return SearchOptions(**kwargs)
