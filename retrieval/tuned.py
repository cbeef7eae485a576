"""What `howdah tune` has saved with a collection: how its searches walk the index, and how hybrid search weighs its arms."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from howdah.retrieval.kinds import BEAM, Form, Index, Method

if TYPE_CHECKING:
    from howdah.retrieval.collection import Collection

VERSION = 1
SETTINGS = frozenset(
    {"ef_search", "probes", "oversample", "iterative_scan", "max_scan_tuples", "scan_mem_multiplier"}
)  # fmt: skip
USUAL_BEAM = 100
"""ef_search of a search that says nothing and was not tuned."""


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """Settings that were measured for searches of up to `k` rows through this very index.

    With another index, or vectors of another `generation` (embedding model), they are idle: nothing was measured there.
    `learned` says from what, for people to read.
    """

    settings: Mapping[str, Any]
    k: int
    index: Index
    generation: int = 0
    learned: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def fits(self, collection: "Collection") -> bool:
        return self.index == collection.index and self.generation == collection.generation

    def at(self, k: int) -> dict[str, Any]:
        """The settings of a search of k rows. Beyond those that were measured the usual effort is the least."""
        found = dict(self.settings)
        if "oversample" in found:
            found["oversample"] = max(1, min(found["oversample"], BEAM // k))
        if k <= self.k:
            return found
        if "ef_search" in found:
            found["ef_search"] = max(found["ef_search"], USUAL_BEAM)
        if "probes" in found:
            found["probes"] = max(found["probes"], self.index.probes)
        return found

    def to_json(self) -> dict[str, Any]:
        index = {"method": self.index.method.label, "form": self.index.form.type_name, **self.index.options}
        return {
            "version": VERSION,
            "settings": dict(self.settings),
            "k": self.k,
            "index": index,
            "generation": self.generation,
            "learned": dict(self.learned),
        }

    @classmethod
    def of(cls, saved: Mapping[str, Any] | None) -> "Tuned | None":
        """From what a collection remembers; None for what another version of Howdah has saved."""
        if not saved or saved.get("version") != VERSION or not set(saved["settings"]) <= SETTINGS:
            return None
        options = dict(saved["index"])
        method, form = Method.of(options.pop("method")), Form.of(options.pop("form"))
        return cls(
            settings=saved["settings"],
            k=saved["k"],
            index=Index(method=method, form=form, options=options),
            generation=saved["generation"],
            learned=saved["learned"],
        )


def tuned_for(collection: "Collection", k: int) -> dict[str, Any]:
    """What was saved for a search of k rows, where it still holds."""
    tuned = collection.tuned
    return tuned.at(k) if tuned is not None and tuned.fits(collection) else {}


def learned_weight(saved: Mapping[str, Any] | None) -> float | None:
    """The weight of a hybrid search that `howdah tune --weights` has saved."""
    return float(saved["weight"]) if saved and saved.get("version") == VERSION else None
