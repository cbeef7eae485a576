"""Our binary formats against pgvector-python's own, and against psycopg's."""

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.pq import Format
from psycopg.types.numeric import Int4BinaryDumper, Int8BinaryDumper

from howdah.retrieval import wire
from howdah.retrieval.collection import Storage

try:  # 0.5
    from pgvector import HalfVector, Vector
except ImportError:  # 0.3.6
    from pgvector.utils import HalfVector, Vector  # type: ignore[no-redef]

THEIRS = {Storage.VECTOR: Vector, Storage.HALFVEC: HalfVector}
SMALL_FLOATS = st.floats(-64_992, 64_992, width=16, allow_nan=False)


@pytest.mark.parametrize("storage", list(Storage))
@given(rows=st.integers(1, 5).flatmap(lambda d: st.lists(st.lists(SMALL_FLOATS, min_size=d, max_size=d), min_size=1)))
def test_a_vector_is_pgvectors_own(storage: Storage, rows: list[list[float]]):
    ours = wire.encode(np.array(rows, dtype=np.float32), storage)
    assert ours == [bytes(THEIRS[storage](row).to_binary()) for row in rows]


@pytest.mark.parametrize("storage", list(Storage))
@pytest.mark.parametrize("dimensions", [1, 384, 16_000])
def test_at_any_length(storage: Storage, dimensions: int):
    array = np.random.default_rng(0).normal(size=(2, dimensions)).astype(np.float32)
    for row, ours in zip(array, wire.encode(array, storage), strict=True):
        assert ours == bytes(THEIRS[storage](row).to_binary())
        assert len(ours) == 4 + storage.width * dimensions


def test_a_parameters_class_says_its_type():
    one = np.ones(3, dtype=np.float32)
    assert type(wire.vector(one, Storage.VECTOR)) is wire.Vec
    assert type(wire.vector(one, Storage.HALFVEC)) is wire.HalfVec
    encoded = wire.encode(one.reshape(1, -1), Storage.HALFVEC)
    assert type(wire.vector_array(encoded, Storage.HALFVEC, 9)) is wire.HalfVecArray
    assert type(wire.vector_array(encoded, Storage.VECTOR, 9)) is wire.VecArray


def test_the_input_array_is_left_alone():
    array = np.ones((2, 2), dtype=np.float32)
    wire.encode(array, Storage.HALFVEC)
    assert array.dtype == np.float32
    assert array.tolist() == [[1, 1], [1, 1]]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_decode_turns_encode_back(numbers: list[float]):
    array = np.array([numbers], dtype=np.float32)
    back = wire.decode(wire.encode(array, Storage.VECTOR)[0])
    assert back.dtype == np.float32
    assert np.array_equal(back, array[0])


def test_an_array_has_array_sends_header():
    data = bytes(wire.vector_array([b"abcd", b"ef"], Storage.VECTOR, 4_000_000_000))
    dimensions, nulls, oid, length, lower = struct.unpack_from("!iiIii", data)
    assert (dimensions, nulls, oid, length, lower) == (1, 0, 4_000_000_000, 2, 1)
    assert data[20:] == b"\0\0\0\x04abcd\0\0\0\x02ef"


@given(st.integers(-(2**31), 2**31 - 1))
def test_integers_are_psycopgs(number: int):
    four = bytes(Int4BinaryDumper(int, Transformer()).dump(number))
    eight = bytes(Int8BinaryDumper(int, Transformer()).dump(number))
    assert Int4BinaryDumper.format == Format.BINARY
    assert wire.int4(number) == struct.pack("!i", 4) + four
    assert wire.int8(number) == struct.pack("!i", 8) + eight


def test_null_is_minus_one():
    minus_one = struct.pack("!i", -1)
    assert wire.int4(None) == wire.int8(None) == wire.text(None) == wire.field(None) == minus_one


@given(st.text())
def test_text_and_json_count_bytes(value: str):
    value = value.encode("utf-8", "replace").decode()
    encoded = value.encode()
    assert wire.text(value) == struct.pack("!i", len(encoded)) + encoded
    assert wire.jsonb(value) == struct.pack("!i", len(encoded) + 1) + b"\x01" + encoded


def test_a_copy_is_header_rows_trailer_in_blocks():
    rows = [wire.row(wire.int4(i), wire.text("x" * 1_000)) for i in range(1_000)]
    blocks = list(wire.copy_blocks(iter(rows)))
    whole = b"".join(blocks)
    assert whole.startswith(b"PGCOPY\n\xff\r\n\0" + bytes(8))
    assert whole == wire.COPY_HEADER + b"".join(rows) + b"\xff\xff"
    assert len(blocks) > 2
    assert all(len(block) <= wire.BLOCK + 2_000 for block in blocks)
    assert b"".join(wire.copy_blocks(iter([]))) == wire.COPY_HEADER + wire.COPY_TRAILER
