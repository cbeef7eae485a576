"""Which index a collection is to have, by what was wished and what it is, and why, in a few words."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from howdah.retrieval.collection import Metric, Spec
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.kinds import EF_CONSTRUCTION, FEW_LISTS, MANY_LISTS, Form, Index, M, Method, lists_for
from howdah.retrieval.queries import check_whole

POLICIES = ("auto", "hnsw", "ivfflat", "bits", "none")
THRESHOLD, THRESHOLD_OUTSIDE = 10_000, 2_000
"""Chunks from which "auto" builds an index: there an exact scan takes three times as long (docs/indexes.md). Vectors that
lie outside their rows, since they do not fit a page, take ten times as long to read."""
FEW = 1_000
"""Rows below which IVFFlat has nothing to find its lists among."""
ENOUGH_BITS = 1_024


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What was said about a collection's index; it is remembered. None: the default."""

    policy: str = "auto"
    m: int | None = None
    ef_construction: int | None = None
    lists: int | None = None

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InvalidInput(f"index {self.policy!r} is not known", hint=f"use one of {', '.join(POLICIES)}")
        for name, (low, high, policies) in _OPTIONS.items():
            value = getattr(self, name)
            if value is None:
                continue
            check_whole(name, value, low, high)
            if self.policy not in policies:
                raise InvalidInput(
                    f"{name} has no meaning for index {self.policy!r}", hint=f"it belongs to {', '.join(policies)}"
                )
        if self.ef_construction is not None and self.ef_construction < 2 * (self.m or M):
            raise InvalidInput(
                f"ef_construction is {self.ef_construction} and must be at least 2·m = {2 * (self.m or M)}"
            )

    @property
    def options(self) -> dict[str, int]:
        return {name: value for name, value in asdict(self).items() if name in _OPTIONS and value is not None}

    def changed(self, policy: str | None, options: Mapping[str, int | None]) -> "Wish":
        """With what is said now. A policy brings its own options; options alone are added to what was said before."""
        said: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
        return replace(self, **said) if policy is None else Wish(policy=policy, **said)

    def check(self, rows: int) -> None:
        """Raise InvalidInput for an IVFFlat index over too few rows: its lists would be those of nothing."""
        if self.policy == "ivfflat" and (lacking := self.lacks(rows)) is not None:
            raise InvalidInput(
                lacking, hint="load first and build then, or use index='hnsw', which grows with its rows"
            )

    def lacks(self, rows: int) -> str | None:
        """What is missing for an IVFFlat index."""
        if rows < FEW:
            return f"an IVFFlat index finds its lists among the rows and there are {rows:,}: it needs {FEW:,}"
        if self.lists is not None and self.lists > rows // FEW_LISTS:
            return f"lists is {self.lists:,} for {rows:,} rows, fewer than {FEW_LISTS} a list"
        return None


_GRAPHS = ("auto", "hnsw", "bits")
_OPTIONS = {
    "m": (2, 100, _GRAPHS),
    "ef_construction": (4, 1_000, _GRAPHS),
    "lists": (1, MANY_LISTS, ("ivfflat",)),
}


@dataclass(frozen=True, kw_only=True)
class Choice:
    """The index to have, or none; why; and `warning` where it is not what was wished."""

    index: Index | None
    why: str
    warning: str | None = None


def threshold_for(spec: Spec) -> int:
    return THRESHOLD if spec.inline else THRESHOLD_OUTSIDE


def choose(wish: Wish, spec: Spec, *, rows: int, threshold: int) -> Choice:
    """The index for so many rows."""
    if wish.policy == "none":
        return Choice(index=None, why="none was asked for: every search is exact")
    if wish.policy == "auto" and rows < threshold:
        return Choice(index=None, why=f"{rows:,} chunks: below {threshold:,} an exact search is quick enough")
    if wish.policy == "bits":
        return _bits(wish, spec, "asked for")
    if wish.policy == "ivfflat":
        return _ivfflat(wish, spec, rows)
    return _hnsw(wish, spec)


def _hnsw(wish: Wish, spec: Spec) -> Choice:
    size, form, directly = _size(spec), _form(spec), Form.directly(spec)
    if form is None and wish.policy == "auto":
        return _bits(wish, spec, f"{spec.dimensions:,} dimensions: above what HNSW indexes ({Form.HALFVEC.limit:,})")
    if form is None:
        return _too_many(spec, "HNSW", "use index='bits' or 'auto'")
    if form is directly:
        why = f"{size}: HNSW directly (up to {form.limit:,})"
    else:
        why = f"{size}: above what HNSW indexes ({directly.limit:,}), so as {form.type_name}"
        why += f" with exact re-ranking of {form.oversample}·k candidates"
    return Choice(index=_graph(wish, form), why=why)


def _ivfflat(wish: Wish, spec: Spec, rows: int) -> Choice:
    form, lists = _form(spec), wish.lists or lists_for(rows)
    if form is None:
        return _too_many(spec, "IVFFlat", "use index='bits' or 'auto'")
    if (lacking := wish.lacks(rows)) is not None:
        return Choice(index=None, why=lacking, warning=lacking)
    index = Index(method=Method.IVFFLAT, form=form, options={"lists": lists})
    held = "" if form is Form.directly(spec) else f" as {form.type_name} with exact re-ranking"
    return Choice(index=index, why=f"asked for: {lists:,} lists{held}, of which a search reads {index.probes:,}")


def _bits(wish: Wish, spec: Spec, reason: str) -> Choice:
    if spec.metric is Metric.L2:
        lengths = "bits keep directions and no lengths, which L2 needs"
        if (form := _form(spec)) is not None:
            why = f"{reason}, but {lengths}: HNSW instead"
            return Choice(index=_graph(wish, form), why=why, warning=why)
        why = f"{reason}, and {lengths}: every search is exact"
        return Choice(index=None, why=why, warning=f"{why}; use a model of fewer dimensions, or cosine")
    why = f"{reason}, so bits" if reason != "asked for" else "asked for: bits"
    why += f" with exact re-ranking of {Form.BIT.oversample}·k candidates"
    few = spec.dimensions < ENOUGH_BITS
    warning = (
        f"{spec.dimensions:,} bits tell few vectors apart: from {ENOUGH_BITS:,} dimensions on bits pay" if few else None
    )
    return Choice(index=_graph(wish, Form.BIT), why=why, warning=warning)


def _too_many(spec: Spec, method: str, hint: str) -> Choice:
    why = f"{_size(spec)} are beyond what {method} indexes ({Form.HALFVEC.limit:,}): every search scans all rows"
    return Choice(index=None, why=why, warning=f"{why}; {hint}")


def _size(spec: Spec) -> str:
    return f"{spec.dimensions:,} dimensions of {spec.storage.type_name}"


def _form(spec: Spec) -> Form | None:
    """The finest form in which all numbers of an embedding can be indexed."""
    return next((form for form in (Form.directly(spec), Form.HALFVEC) if spec.dimensions <= form.limit), None)


def _graph(wish: Wish, form: Form) -> Index:
    m = wish.m or M
    ef_construction = wish.ef_construction or max(EF_CONSTRUCTION, 2 * m)
    return Index(method=Method.HNSW, form=form, options={"m": m, "ef_construction": ef_construction})
