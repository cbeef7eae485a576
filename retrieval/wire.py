"""PostgreSQL's binary formats for what we send in bulk: vectors, arrays of vectors, COPY rows.

Formats: pgvector's vector_send and halfvec_send (int16 dimensions, int16 unused, numbers, big-endian), array_send and
COPY's tuple layout (PostgreSQL manual, COPY, Binary Format).
"""

import struct
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from howdah.retrieval.collection import Storage
from howdah.retrieval.types import Array

COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
COPY_TRAILER = struct.pack("!h", -1)
BLOCK = 1 << 18
_NULL = struct.pack("!i", -1)
_INT = struct.Struct("!i")
_INT4 = struct.Struct("!ii")
_INT8 = struct.Struct("!iq")


class Vec(bytes):
    """A vector in binary."""


class HalfVec(bytes):
    """A halfvec in binary."""


class VecArray(bytes):
    """A vector[] in binary."""


class HalfVecArray(bytes):
    """A halfvec[] in binary."""


PARAMETERS: dict[tuple[str, bool], type[bytes]] = {
    ("vector", False): Vec,
    ("vector", True): VecArray,
    ("halfvec", False): HalfVec,
    ("halfvec", True): HalfVecArray,
}


def encode(embeddings: Array, storage: Storage) -> list[bytes]:
    """Each row of `embeddings` (n, d) as the bytes of one vector."""
    n, d = embeddings.shape
    rows = np.zeros(n, dtype=[("dim", ">i2"), ("unused", ">i2"), ("numbers", storage.wire, (d,))])
    rows["dim"] = d
    rows["numbers"] = embeddings
    whole, size = rows.tobytes(), rows.dtype.itemsize
    return [whole[i * size : (i + 1) * size] for i in range(n)]


def vector(embedding: Array, storage: Storage) -> bytes:
    """One embedding (d,) as a query parameter."""
    return PARAMETERS[storage.type_name, False](encode(embedding.reshape(1, -1), storage)[0])


def vector_array(encoded: Sequence[bytes], storage: Storage, element_oid: int) -> bytes:
    """Encoded vectors as one array parameter."""
    header = struct.pack("!iiIii", 1, 0, element_oid, len(encoded), 1)
    body = b"".join(_INT.pack(len(item)) + item for item in encoded)
    return PARAMETERS[storage.type_name, True](header + body)


def decode(data: bytes) -> Array:
    """The numbers of a vector in binary (vector_send), as float32 (d,)."""
    return np.frombuffer(data, dtype=">f4", offset=4).astype(np.float32)


Field = int | bytes | None


def copy_blocks(rows: Iterable[bytes]) -> Iterator[bytes]:
    """COPY's data in blocks of some 256 KB."""
    block, size = [COPY_HEADER], 0
    for row in rows:
        block.append(row)
        size += len(row)
        if size > BLOCK:
            yield b"".join(block)
            block, size = [], 0
    yield b"".join([*block, COPY_TRAILER])


def field(value: bytes | None) -> bytes:
    return _NULL if value is None else _INT.pack(len(value)) + value


def int4(value: int | None) -> bytes:
    return _NULL if value is None else _INT4.pack(4, value)


def int8(value: int | None) -> bytes:
    return _NULL if value is None else _INT8.pack(8, value)


def text(value: str | None) -> bytes:
    return _NULL if value is None else field(value.encode())


def jsonb(value: str) -> bytes:
    return field(b"\x01" + value.encode())


def row(*fields: bytes) -> bytes:
    return struct.pack("!h", len(fields)) + b"".join(fields)
