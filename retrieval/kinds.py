"""What kinds of index there are over embeddings: what each holds, how far it reaches, and what a search with it takes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from math import ceil, isqrt, sqrt
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from howdah.retrieval.collection import Metric, Spec

M, EF_CONSTRUCTION = 16, 128
FEW_LISTS, MANY_LISTS = 10, 32_768
BEAM = 1_000
"""The widest beam of an HNSW scan (ef_search); more candidates come from iterating, which is slower."""


class Method(Enum):
    """pgvector's access method, its storage parameters, and whether a build in parallel has to be sound (CVE-2026-3172)."""

    HNSW = "hnsw", ("m", "ef_construction"), True
    IVFFLAT = "ivfflat", ("lists",), False

    def __init__(self, label: str, options: tuple[str, ...], guarded: bool) -> None:
        self.label, self.options, self.guarded = label, options, guarded

    @classmethod
    def of(cls, label: str) -> "Method":
        return next(member for member in cls if member.label == label)


class Form(Enum):
    """The type that an index holds: bits a number, the most dimensions, and candidates a wanted row where it is coarser.

    Coarser than what the collection stores, it only finds candidates, and the true distance ranks them anew. 20 for bits
    is the pgvector manual's; half precision swaps near neighbours, if any, so that 2 are plenty.
    """

    VECTOR = "vector", 32, 2_000, 1
    HALFVEC = "halfvec", 16, 4_000, 2
    BIT = "bit", 1, 64_000, 20

    def __init__(self, type_name: str, bits: int, limit: int, oversample: int) -> None:
        self.type_name, self.bits, self.limit, self.oversample = type_name, bits, limit, oversample

    @classmethod
    def of(cls, type_name: str) -> "Form":
        return next(member for member in cls if member.type_name == type_name)

    @classmethod
    def directly(cls, spec: Spec) -> "Form":
        """The column itself."""
        return cls.of(spec.storage.type_name)

    def row_bytes(self, dimensions: int) -> int:
        return 8 + self.bits * dimensions // 8


@dataclass(frozen=True, kw_only=True)
class Index:
    """An index over a collection's embeddings. `options`: m and ef_construction, or lists."""

    method: Method
    form: Form
    options: Mapping[str, int] = field(default_factory=dict, hash=False)

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> "Index":
        """From the catalogs: `method`, `type` of what it holds, and `options` as in pg_class."""
        pairs = (item.split("=") for item in row["options"] or [])
        return cls(
            method=Method.of(row["method"]),
            form=Form.of(row["type"]),
            options={name: int(value) for name, value in pairs if value.isdigit()},
        )

    @property
    def kind(self) -> str:
        """hnsw, ivfflat or bits."""
        return "bits" if self.form is Form.BIT else self.method.label

    def reranks(self, spec: Spec) -> bool:
        """Whether it holds less than the collection does, so that its order is not the answer's."""
        return self.form is not Form.directly(spec)

    def candidates(self, spec: Spec, k: int, oversample: int | None = None) -> int:
        """How many rows a search takes from the index for k wanted ones; unless said, not more than one beam has."""
        if not self.reranks(spec):
            return k
        if oversample is not None:
            return oversample * k
        return max(k, min(self.form.oversample * k, BEAM))

    @property
    def probes(self) -> int:
        """Of an IVFFlat index, how many lists a search reads unless it says: twice the root of their number.

        The manual's root alone found 0.84 to 0.93 of ten neighbours among sentences of a real model, this 0.94 to 0.99.
        """
        lists = self.options.get("lists", 100)
        return min(ceil(2 * sqrt(lists)), lists)

    # -- its SQL

    def held(self, spec: Spec, schema: str, embedding: Composable) -> Composed:
        """What it holds of an embedding, be it the column or the query.

        Cosine's halves are of unit vectors: in half precision large numbers overflow, and small ones become a vector
        without a direction, which would be missing from the index.
        """
        if not self.reranks(spec):
            return SQL("{}").format(embedding)
        vector = Identifier(schema)
        if self.form is Form.BIT:
            return SQL("({}.binary_quantize({})::bit({}))").format(vector, embedding, Literal(spec.dimensions))
        if spec.metric is Metric.COSINE:
            embedding = SQL("{}.l2_normalize({})").format(vector, embedding)
        return SQL("({}::{}.halfvec({}))").format(embedding, vector, Literal(spec.dimensions))

    def order(self, spec: Spec, schema: str) -> Composed:
        """A row's distance to the query as the index sees it, which is what it can order by."""
        operator = SQL("<~>") if self.form is Form.BIT else spec.metric.operator
        return SQL("{} OPERATOR({}.{}) {}").format(
            self.held(spec, schema, SQL("c.embedding")),
            Identifier(schema),
            operator,
            self.held(spec, schema, SQL("%(embedding)s")),
        )

    def opclass(self, spec: Spec, schema: str) -> Identifier:
        suffix = "hamming_ops" if self.form is Form.BIT else spec.metric.opclass
        return Identifier(schema, f"{self.form.type_name}_{suffix}")

    def with_options(self) -> Composed:
        pairs = [SQL("{} = {}").format(Identifier(name), Literal(self.options[name])) for name in self.method.options]
        return SQL(", ").join(pairs)

    # -- what a build takes

    def build_memory(self, dimensions: int, rows: int) -> int:
        """Bytes of memory for a build: HNSW's graph, or what IVFFlat's k-means asks for and fails without.

        HNSW: value, neighbours of two levels and pgvector's own record; beyond maintenance_work_mem a build goes on, on
        disk and several times slower. IVFFlat (ivfkmeans.c): samples, twice the centres, their sums, and a bound for each
        pair of a sample and a centre.
        """
        value = self.form.row_bytes(dimensions)
        if self.method is Method.HNSW:
            return int(1.2 * rows * (value + 16 * 3 * self.options["m"] + 200))
        lists = self.options["lists"]
        room = max(50 * lists, 10_000)
        samples = min(room, rows)
        centres = lists * (2 * value + 4 * dimensions + 16)
        return int(1.1 * (room * (value + 16) + centres + 4 * lists * (samples + lists)))


def lists_for(rows: int) -> int:
    """rows / 1,000 up to a million rows, their root beyond (pgvector's manual); at least ten."""
    return min(max(rows // 1_000 if rows <= 1_000_000 else isqrt(rows), FEW_LISTS), MANY_LISTS)


def newest(rows: Iterable[Mapping[str, Any]] | None) -> Index | None:
    """The index that searches go by, of the catalogs' rows, newest first; None where there is none."""
    return next((Index.of(row) for row in rows or []), None)
