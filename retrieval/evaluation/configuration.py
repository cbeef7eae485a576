"""One way to search, written as a line: a mode and its settings, `hybrid weight=0.3 rerank`."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from howdah.retrieval.errors import InvalidFilter, InvalidInput
from howdah.retrieval.filters import Filter
from howdah.retrieval.fusion import Fusion
from howdah.retrieval.search import Search, SearchType

MODES: dict[str, SearchType] = {"hybrid": "hybrid", "dense": "similarity", "lexical": "lexical"}
HOW = """write a mode and its settings, as in "hybrid weight=0.3 rerank", "dense exact" or "lexical k1=1.2"; filter= comes last"""

_Kind = Callable[[str], Any]
SWITCHES = ("rerank", "exact")
SETTINGS: dict[str, _Kind] = {
    **dict.fromkeys(("weight", "k1", "b", "rrf_k", "lambda_mult"), float),
    **dict.fromkeys(("depth", "dense_depth", "lexical_depth", "rerank_depth", "fetch_k"), int),
    **dict.fromkeys(("ef_search", "probes", "oversample", "max_scan_tuples"), int),
    **dict.fromkeys(("fusion", "iterative_scan"), str),
}
"""What may follow a mode, as name=value. Which of them the mode takes is what the search itself says."""
FIRST_ONLY = ("rerank", "rerank_depth", "lambda_mult", "fetch_k")
"""What makes the first k another choice than the search's own order."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """A mode (hybrid, dense or lexical), its settings by the names of `PGVector.hits`, and a metadata filter."""

    mode: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    filter: Filter | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidInput(f"{self.mode!r} is no mode of search", hint=f"one of {', '.join(MODES)}; {HOW}")
        self.search("anything", k=1)

    @property
    def search_type(self) -> SearchType:
        return MODES[self.mode]

    @property
    def label(self) -> str:
        """As it would be written, settings in the order of their names; this names it in tables and files."""
        parts = [_written(name, value) for name, value in sorted(self.settings.items())]
        given = [f"filter={json.dumps(self.filter, ensure_ascii=False)}"] if self.filter else []
        return " ".join([self.mode, *parts, *given])

    @property
    def plain(self) -> dict[str, Any]:
        """The settings without those that choose among the search's best: in what order everything is found."""
        return {name: value for name, value in self.settings.items() if name not in FIRST_ONLY}

    def search(self, words: str, *, k: int) -> Search:
        """The search that it is. Raises InvalidInput for a setting that the mode does not take, or out of its range."""
        return Search.of(words, k=k, search_type=self.search_type, filter=self.filter, given=dict(self.settings))


def configurations(
    lines: Sequence[str], *, settings: Mapping[str, Any] | None = None, filter: Filter | None = None
) -> list[Configuration]:
    """The configurations that the lines say, each with `settings` and `filter` where it does not say otherwise.

    A setting of hybrid search alone (weight, fusion) is left out of the others. Raises InvalidInput for two that are the
    same, and for a setting that none of them takes.
    """
    given = [_parsed(line) for line in lines]
    shared = {name: value for name, value in (settings or {}).items() if value is not None}
    modes = {mode for mode, _, _ in given}
    if (names := sorted(_HYBRID_ONLY & shared.keys())) and "hybrid" not in modes:
        raise InvalidInput(f"{', '.join(names)} belongs to hybrid search, which is not among the modes")
    found = [
        Configuration(mode=mode, settings={**_fitting(shared, mode), **own}, filter=own_filter or filter)
        for mode, own, own_filter in given
    ]
    if (again := _repeated(each.label for each in found)) is not None:
        raise InvalidInput(f"{again!r} is there twice", hint="name every configuration once")
    return found


_HYBRID_ONLY = {"weight", "fusion"}


def _fitting(shared: Mapping[str, Any], mode: str) -> dict[str, Any]:
    return {name: value for name, value in shared.items() if mode == "hybrid" or name not in _HYBRID_ONLY}


def _written(name: str, value: object) -> str:
    return name if value is True else f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"


def _parsed(line: str) -> tuple[str, dict[str, Any], Filter | None]:
    words, comma, condition = f" {line}".partition(" filter=")
    mode, *rest = words.split() or [""]
    return mode, dict(_setting(word, line) for word in rest), _filter(condition) if comma else None


def _setting(word: str, line: str) -> tuple[str, Any]:
    name, equals, value = word.partition("=")
    if not equals and name in SWITCHES:
        return name, True
    if not equals or name not in SETTINGS:
        known = ", ".join([*SWITCHES, *(f"{each}=…" for each in SETTINGS)])
        raise InvalidInput(f"{word!r} in {line!r} is no setting of a search", hint=f"known ones: {known}, filter=…")
    if name == "fusion" and Fusion.of(value) is None:
        raise InvalidInput(f"fusion {value!r} is not known", hint=f"one of {', '.join(each.label for each in Fusion)}")
    try:
        return name, SETTINGS[name](value)
    except ValueError:
        raise InvalidInput(f"{word!r} in {line!r}: {value!r} is not a number", hint=HOW) from None


def _filter(text: str) -> Filter:
    try:
        given = json.loads(text)
    except json.JSONDecodeError as exc:
        raise InvalidFilter(f"filter={text} is not JSON ({exc.msg} at character {exc.pos})", hint=HOW) from None
    if not isinstance(given, dict):
        raise InvalidFilter(f"filter={text} is not a JSON object", hint=HOW)
    return given


def _repeated(labels: Iterable[str]) -> str | None:
    return next((label for label, count in Counter(labels).items() if count > 1), None)
