"""What a collection remembers of a change of its embedding model: how far it is, and which table holds the other vectors."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from howdah.retrieval.collection import Collection, Storage

FILLING, SWITCHED, RETURNED = "filling", "switched", "returned"
"""The other model's vectors are made; they are in use, and the former ones kept; the former ones are in use again."""


@dataclass(frozen=True, kw_only=True)
class Generation:
    """One model's vectors of a collection. `number` tells their table, `scales` what was measured of them."""

    number: int
    model: str
    dimensions: int
    storage: str
    scales: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, collection: Collection) -> "Generation":
        """The one in use."""
        spec = collection.spec
        return cls(
            number=collection.generation, model=spec.model, dimensions=spec.dimensions,
            storage=spec.storage.type_name, scales=dict(collection.scales),
        )  # fmt: skip

    def same(self, other: "Generation") -> bool:
        """Whether both hold the same vectors in the same type."""
        return (self.model, self.dimensions, self.storage) == (other.model, other.dimensions, other.storage)

    def within(self, collection: Collection) -> Collection:
        """The collection as it is with these vectors in use; its index is not known."""
        spec = replace(
            collection.spec, model=self.model, dimensions=self.dimensions, storage=Storage.of(self.storage)
        )  # fmt: skip
        return replace(collection, generation=self.number, spec=spec, scales=dict(self.scales), index=None)


@dataclass(frozen=True, kw_only=True)
class Reembedding:
    """A change of the model. `other` are the vectors that are not in use."""

    stage: str
    other: Generation

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Reembedding | None":
        """From a collection's settings."""
        found = settings.get("reembedding")
        return cls(stage=found["stage"], other=Generation(**found["other"])) if found else None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
