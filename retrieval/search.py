"""One search of `hits`: its arguments, checked before anything is paid for. The statements are in their own modules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self, get_args

from howdah.retrieval.asked import Asked, parse
from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.filters import Filter
from howdah.retrieval.fusion import Fusion
from howdah.retrieval.hybrid import HYBRID_OPTIONS, THRESHOLD, Hybrid
from howdah.retrieval.neighbours import AROUND_OPTIONS, Around
from howdah.retrieval.plans import MAX_K, SearchOptions, check_k
from howdah.retrieval.queries import check_number
from howdah.retrieval.reranking import Ranker, ranker_of
from howdah.retrieval.types import Array

SearchType = Literal["similarity", "similarity_score_threshold", "mmr", "hybrid", "lexical"]
SEARCH_TYPES: tuple[str, ...] = get_args(SearchType)
FETCH_K = 20
RERANK_DEPTH = 20
"""Hits that a reranker sees. More cost time and gained nothing in benchmarks/rerank.py."""

FURTHER, FACTOR = 3, 8
"""How often a search reads further down where equal texts left too few rows, and how many times as many rows each time."""

AT_ONCE = 8
"""Queries that are embedded at the same time."""


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
    """What one search looks for, and how. `threshold` is the least score of a hit, or in similarity_score_threshold the least
    relevance; in [0, 1].

    What is done, in this order: the statement's best `rows`, equal texts of documents made one, a bound on relevance, the
    ranker's order, a bound on scores, the choice for variety, the first k, and what stands around them.
    """

    words: str
    k: int
    search_type: str
    filter: Filter | None = None
    how: Hybrid = field(default_factory=Hybrid)
    options: SearchOptions = field(default_factory=SearchOptions)
    spread: Spread | None = None
    threshold: float | None = None
    ranker: Ranker | None = None
    rerank_depth: int = RERANK_DEPTH
    around: Around | None = None
    strict: bool = True
    further: int = 0
    embedding: Any = field(default=None, compare=False)

    @classmethod
    def of(
        cls,
        words: str,
        *,
        k: int,
        search_type: str,
        filter: Filter | None,
        given: dict[str, Any],
        embedding: Any = None,
    ) -> Self:
        """From the arguments of `hits`; `given` are the settings. Raises InvalidInput for what this search does not take."""
        check_search_type(search_type)
        check_k(k)
        rest = dict(given)
        if search_type == "lexical" and embedding is not None:
            raise InvalidInput(
                "a lexical search takes no embedding", hint="leave it out, or choose another search_type"
            )
        own: dict[str, Any] = {
            "how": Hybrid(**_taken(rest, _WEIGHING.get(search_type, frozenset()))),
            "spread": _spread(search_type, rest),
            "around": Around.of(_taken(rest, AROUND_OPTIONS)),
            "embedding": embedding,
            **_reranking(rest),
        }
        if search_type in _WITH_THRESHOLD:
            ranked = own["ranker"] is not None
            given_one = rest.pop("score_threshold", None)
            own["threshold"] = check_threshold(given_one, own["how"], search_type=search_type, ranked=ranked)
        check_variety(own)
        if search_type == "lexical" and rest:
            unknown = f"unknown arguments of a lexical search: {', '.join(sorted(rest))}"
            raise InvalidInput(unknown, hint="known ones: k1, b, and those that all searches take")
        return cls(words=words, k=k, search_type=search_type, filter=filter, options=split_options(rest), **own)

    @property
    def asked(self) -> Asked:
        """The words taken apart: what scores, what must stand, what must not."""
        asked = parse(self.words)
        return asked if self.strict else replace(asked, phrases=())

    @property
    def embedded(self) -> str:
        """The text to embed, and to rerank by: what is excluded has no meaning that is looked for."""
        return self.asked.words if self.search_type in ("hybrid", "lexical") else self.words

    @property
    def by_meaning(self) -> bool:
        """Whether the query's vector takes part."""
        return self.search_type != "lexical"

    @property
    def to_embed(self) -> bool:
        """Whether its words have to be embedded."""
        return self.by_meaning and self.embedding is None

    def vector(self, known: Mapping[str, Array]) -> Any:
        """Its query's vector (d,): the one given, or that of its words among `known`; None where it searches by words."""
        return known[self.embedded] if self.to_embed else self.embedding

    @property
    def candidates(self) -> int:
        """How many rows the k are chosen among."""
        candidates = self.rerank_depth if self.ranker else self.spread.fetch_k if self.spread else 0
        return max(self.k, candidates)

    @property
    def rows(self) -> int:
        """How many rows the statement is to return: more than the candidates where it reads `further`."""
        times: int = FACTOR**self.further
        return min(self.candidates * times, MAX_K)

    @property
    def vectors(self) -> bool:
        """Whether the rows are to come with their embeddings."""
        return self.spread is not None

    def settings(self, collection: Collection) -> dict[str, str]:
        """pgvector's settings for the statement."""
        if not self.by_meaning:
            return {}
        depth = self.how.rows(self.rows) if self.search_type == "hybrid" else self.rows
        return self.options.settings(depth, collection, filtered=bool(self.filter))


_WITH_THRESHOLD = ("similarity_score_threshold", "hybrid", "lexical")
_WEIGHING = {"hybrid": HYBRID_OPTIONS, "lexical": frozenset({"k1", "b"})}


def _spread(search_type: str, given: dict[str, Any]) -> Spread | None:
    """The choice for variety, which `mmr` always makes and the others where lambda_mult is given."""
    found = _taken(given, Spread.__dataclass_fields__) if search_type in ("mmr", "hybrid", "lexical") else {}
    if search_type != "mmr" and "fetch_k" in found and "lambda_mult" not in found:
        raise InvalidInput("fetch_k is given without lambda_mult", hint="lambda_mult=0.5 chooses among fetch_k results")
    return Spread(**found) if found or search_type == "mmr" else None


def _reranking(given: dict[str, Any]) -> dict[str, Any]:
    ranker = ranker_of(given.pop("rerank", None))
    depth = given.pop("rerank_depth", None)
    if depth is None:
        return {"ranker": ranker}
    if ranker is None:
        raise InvalidInput("rerank_depth is given without rerank", hint="rerank=True takes the local cross-encoder")
    return {"ranker": ranker, "rerank_depth": check_k(depth, "rerank_depth")}


def _taken(given: dict[str, Any], names: Any) -> dict[str, Any]:
    return {name: given.pop(name) for name in list(given) if name in names}


def check_threshold(
    threshold: float | str | None, how: Hybrid, *, search_type: str, ranked: bool = False
) -> float | None:
    """A threshold in [0, 1], on scores that mean something by themselves; "default" is the one of hybrid scores.

    `ranked`: the scores are a reranker's.
    """
    if threshold is None:
        return None
    if isinstance(threshold, str):
        if threshold == "default" and search_type == "hybrid" and ranked:
            raise InvalidInput(
                'score_threshold="default" is one of hybrid scores, and rerank gives others',
                hint="write a number from 0 to 1, or leave rerank out",
            )
        if threshold != "default" or search_type != "hybrid":
            raise InvalidInput(
                f"score_threshold is {threshold!r} in a {search_type} search",
                hint='write a number from 0 to 1, or "default" in a hybrid search',
            )
        threshold = THRESHOLD
    check_number("score_threshold", threshold, 0, 1)
    if how.fused is not Fusion.SCALED and not ranked:
        raise InvalidInput(
            f"score_threshold={threshold} with fusion={how.fusion!r}: its scores depend on what else was found",
            hint="leave fusion out, whose scale is the collection's own",
        )
    return threshold


def check_variety(own: dict[str, Any]) -> None:
    if own["spread"] is not None and own["ranker"] is None and own["how"].fused is not Fusion.SCALED:
        raise InvalidInput(
            f"lambda_mult with fusion={own['how'].fusion!r}: its scores depend on what else was found",
            hint="leave fusion out, whose scale is that of the similarity, or give rerank",
        )


def loosened(
    pairs: Sequence[tuple[Search, Array | None]], pages: Sequence[Sequence[Any]]
) -> dict[int, tuple[Search, Array | None]]:
    """place: the search whose phrases need not stand, where nothing was found that holds them. Their words still score."""
    return {
        place: (replace(search, strict=False), embedding)
        for place, (search, embedding) in enumerate(pairs)
        if not pages[place] and search.search_type in ("hybrid", "lexical") and search.asked.phrases
    }


def no_text(queries: object) -> None:
    if isinstance(queries, str):
        raise InvalidInput("queries is one string and not a list of them", hint=f"write [{queries[:20]!r}]")


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
