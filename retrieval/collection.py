"""A collection as its row in `howdah.collections` describes it: names, types and operators of its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

import numpy as np
from psycopg.sql import SQL, Composed, Identifier

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.promoted import Promoted

if TYPE_CHECKING:
    from howdah.retrieval.kinds import Index
    from howdah.retrieval.reembed_state import Reembedding
    from howdah.retrieval.tuned import Tuned

SCHEMA = "howdah"
INLINE = 7_000
"""Bytes up to which a vector fits a page with its row."""

UNKNOWN_MODEL = "unknown"
"""Spec.model of rows that were adopted without saying who had embedded them: any model may search them."""


def table(kind: str, collection_id: int, generation: int = 0) -> Identifier:
    """One of a collection's own tables: chunks, passages, postings or terms.

    Each change of the embedding model puts the chunks into a table of another `generation` (see `reembed`).
    """
    return Identifier(SCHEMA, f"{kind}_{collection_id}_{generation}" if generation else f"{kind}_{collection_id}")


class Storage(Enum):
    """How embeddings are kept: PostgreSQL type, bytes a dimension, and the number format on the wire."""

    HALFVEC = "halfvec", 2, ">f2"
    VECTOR = "vector", 4, ">f4"

    def __init__(self, type_name: str, width: int, wire: str) -> None:
        self.type_name, self.width, self.wire = type_name, width, np.dtype(wire)

    @classmethod
    def of(cls, name: str) -> "Storage":
        return next(member for member in cls if member.type_name == name)

    def row_bytes(self, dimensions: int) -> int:
        return 8 + self.width * dimensions


class Metric(Enum):
    """pgvector's operator and operator-class suffix, and the score (higher is better) made from `distance`."""

    COSINE = "cosine", SQL("<=>"), "cosine_ops", SQL("1 - distance")
    L2 = "l2", SQL("<->"), "l2_ops", SQL("-distance")
    INNER_PRODUCT = "inner_product", SQL("<#>"), "ip_ops", SQL("-distance")

    def __init__(self, label: str, operator: SQL, opclass: str, score: SQL) -> None:
        self.label, self.operator, self.opclass, self.score = label, operator, opclass, score

    def distance(self, vector_schema: str) -> Composed:
        """A row's distance to the query; the operator is qualified, since its schema may be off the search path."""
        return SQL("c.embedding OPERATOR({}.{}) %(embedding)s").format(Identifier(vector_schema), self.operator)

    def relevance(self, distance: float) -> float:
        """Relevance in [0, 1] of a distance: cosine (1 + cos) / 2, L2 1 / (1 + d), inner product of unit vectors (1 + ip) / 2.

        Raises InvalidInput for an inner product beyond 1: the vectors are not of unit length and have no such scale.
        """
        if self is Metric.COSINE:
            return min(max(1 - distance / 2, 0.0), 1.0)
        if self is Metric.L2:
            return 1 / (1 + distance)
        if abs(distance) > 1.001:
            raise InvalidInput(
                f"relevance of inner products is defined for unit vectors only, got {-distance:.4g}",
                hint="normalise the embeddings, or give relevance_score_fn",
            )
        return min(max((1 - distance) / 2, 0.0), 1.0)

    @classmethod
    def of(cls, label: str) -> "Metric":
        return next(member for member in cls if member.label == label)


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What a collection is to be; everything a CREATE needs but its name and id.

    `lexical=False` leaves the words out: no tsvector, no postings. `config` is a PostgreSQL text-search configuration.
    `promoted` are the metadata keys that have a column and an index of their own.
    """

    model: str
    dimensions: int
    storage: Storage = Storage.HALFVEC
    metric: Metric = Metric.COSINE
    lexical: bool = True
    language: str = "english"
    config: str = "english"
    metadata: Mapping[str, Any] = field(default_factory=dict, hash=False)
    hidden: bool = False
    promoted: Mapping[str, Promoted] = field(default_factory=dict, hash=False)

    @property
    def inline(self) -> bool:
        """Whether embeddings lie in their rows, where an exact scan reads them without a detour."""
        return self.storage.row_bytes(self.dimensions) <= INLINE


@dataclass(frozen=True, kw_only=True)
class Collection:
    """One collection. `vector_schema` is where the vector extension lives in this database.

    `index` is the one that searches go by, as it was when the collection was looked up; None where there is none.
    `generation` tells which table holds the chunks, `former` which models' vectors it had before, and `reembedding` is a
    change of the model that is under way or can be taken back. `refusal` is the bound that `howdah tune` saved, `tuned` how
    its searches walk the index, and `weight` that of a hybrid search's vectors.
    """

    id: int
    tenant: str
    name: str
    spec: Spec
    vector_schema: str
    schema_version: int
    scales: Mapping[str, float] = field(default_factory=dict)
    index: "Index | None" = None
    generation: int = 0
    former: Sequence[str] = ()
    reembedding: "Reembedding | None" = None
    refusal: Mapping[str, Any] | None = None
    tuned: "Tuned | None" = None
    weight: float | None = None

    @property
    def dimensions(self) -> int:
        return self.spec.dimensions

    @property
    def c0(self) -> float:
        """The mean cosine of random pairs: where the dense scale begins. 0 until it has been measured."""
        return min(self.scales.get("c0", 0.0), 0.99)

    @property
    def promoted(self) -> Mapping[str, Promoted]:
        return self.spec.promoted

    @property
    def chunks(self) -> Identifier:
        return table("chunks", self.id, self.generation)

    @property
    def chunks_name(self) -> str:
        """The table's name without its schema; those of its indexes begin with it."""
        return f"chunks_{self.id}_{self.generation}" if self.generation else f"chunks_{self.id}"

    @property
    def passages(self) -> Identifier:
        return table("passages", self.id)

    @property
    def postings(self) -> Identifier:
        return table("postings", self.id)

    @property
    def terms(self) -> Identifier:
        return table("terms", self.id)

    @property
    def index_name(self) -> str:
        return f"{self.chunks_name}_embedding_hnsw"

    @property
    def metadata_index_name(self) -> str:
        return f"{self.chunks_name}_metadata"

    @property
    def embedding_type(self) -> Composed:
        return Identifier(self.vector_schema, self.spec.storage.type_name) + SQL("")

    @property
    def opclass(self) -> Identifier:
        return Identifier(self.vector_schema, f"{self.spec.storage.type_name}_{self.spec.metric.opclass}")
