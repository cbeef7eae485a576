"""What callers hand in, made storable: the rules at the top of values.py, one by one."""

import datetime as dt
import enum
import json
import types
import uuid
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.retrieval import values
from howdah.retrieval.errors import DimensionMismatch, InvalidInput

STORABLE = st.text(st.characters(codec="utf-8", exclude_characters="\x00"))


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Word(str, enum.Enum):  # noqa: UP042  the old spelling is what users have
    YES = "yes"


def stored(value: Any) -> Any:
    return json.loads(values.metadata_json({"k": value}))["k"]


class TestText:
    @pytest.mark.parametrize(("given_", "want"), [("a\x00b", "a\ufffdb"), ("a\ud800b", "a\ufffdb"), ("é😀", "é😀")])
    def test_one_code_point_for_one(self, given_: str, want: str):
        assert values.text(given_) == want

    @given(st.text(alphabet=st.characters(codec=None)))
    def test_anything_can_be_stored_and_keeps_its_length(self, given_: str):
        found = values.text(given_)
        found.encode()
        assert "\x00" not in found
        assert len(found) == len(given_)

    def test_one_string_is_not_a_list_of_strings(self):
        with pytest.raises(InvalidInput, match=r"one string and not a list.*write \['hello'\]"):
            values.texts("hello")

    def test_a_generator_is_read_once(self):
        assert values.texts(word for word in ["a", "b"]) == ["a", "b"]

    def test_what_is_no_string_is_named_by_its_place(self):
        with pytest.raises(InvalidInput, match="text 1 is NoneType"):
            values.texts(["a", None])  # type: ignore[list-item]


PLAIN = [
    (None, None),
    (True, True),
    (7, 7),
    (0.1, 0.1),
    (float("nan"), None),
    ("a\x00", "a\ufffd"),
    (dt.datetime(2024, 2, 29, 12, 30, tzinfo=dt.UTC), "2024-02-29T12:30:00+00:00"),
    (dt.date(2024, 2, 29), "2024-02-29"),
    (dt.time(1, 2, 3), "01:02:03"),
    (uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
    (Decimal("1.10"), "1.10"),
    (PurePosixPath("a/b"), "a/b"),
    (Colour.RED, "red"),
    (Level.HIGH, 3),
    (Word.YES, "yes"),
    ((1, "x"), [1, "x"]),
    ({4}, [4]),
    (frozenset({"q"}), ["q"]),
    (types.MappingProxyType({"a": (1,)}), {"a": [1]}),
    (np.int64(3), 3),
    (np.uint8(3), 3),
    (np.float32(0.5), 0.5),
    (np.float64("nan"), None),
    (np.bool_(True), True),
    (np.str_("s\x00"), "s\ufffd"),
    (np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
    (np.array(2.5), 2.5),
    (np.array([1.0, np.nan]), [1.0, None]),
    (np.datetime64("2024-02-29"), "2024-02-29"),
    (np.datetime64("2024-02-29T12:00:00", "ns"), "2024-02-29T12:00:00.000000000"),
    (np.datetime64("NaT"), None),
    (np.array(["2024-02-29", "NaT"], dtype="datetime64[ns]"), ["2024-02-29T00:00:00.000000000", None]),
]


class TestMetadata:
    @pytest.mark.parametrize(
        ("given_", "want"), PLAIN, ids=[f"{type(v).__name__}-{i}" for i, (v, _) in enumerate(PLAIN)]
    )
    def test_becomes_plain_json(self, given_: Any, want: Any):
        assert stored(given_) == want
        assert type(stored(given_)) is type(want)
        assert stored([{"deep": given_}]) == [{"deep": want}]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            (float("inf"), "is inf"),
            (np.float32("-inf"), "is -inf"),
            (b"x", "is bytes"),
            (object(), "is object"),
            (1j, "is complex"),
            (dt.timedelta(1), "is timedelta"),
            (10**5_000, "more than 4,000 digits"),
        ],
        ids=["inf", "numpy-inf", "bytes", "object", "complex", "timedelta", "huge"],
    )
    def test_what_json_has_no_form_for_is_named_with_its_place(self, wrong: Any, message: str):
        with pytest.raises(InvalidInput, match=rf"metadata of row 4\['a'\]\[1\] .*{message}|{message}"):
            values.metadata_json({"a": [0, wrong]}, row=4)

    def test_a_value_that_holds_itself_is_named(self):
        endless: dict[str, Any] = {}
        endless["again"] = endless
        with pytest.raises(InvalidInput, match=r"metadata of row 2.* nested too deeply, or holds itself"):
            values.metadata_json(endless, row=2)

    def test_keys_become_text(self):
        assert json.loads(values.metadata_json({1: "a", "b\x00": "c"})) == {"1": "a", "b\ufffd": "c"}
        with pytest.raises(InvalidInput, match="key of type tuple"):
            values.metadata_json({(1, 2): 3})

    def test_none_is_no_metadata_and_other_things_are_no_dict(self):
        assert values.metadata_json(None) == "{}"
        with pytest.raises(InvalidInput, match="metadata of row 0 is list and not a dict"):
            values.metadata_json([("a", 1)])  # type: ignore[arg-type]

    def test_the_input_is_left_alone(self):
        given_ = {"a": {"b": (1, dt.date(2024, 1, 1))}}
        values.metadata_json(given_)
        assert given_ == {"a": {"b": (1, dt.date(2024, 1, 1))}}

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | STORABLE,
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STORABLE, inner, max_size=3),
        )
    )
    def test_what_is_plain_json_already_comes_back_as_it_was(self, value: Any):
        assert stored(value) == value


class TestIds:
    def test_missing_ones_are_made_and_given_ones_kept(self):
        made, fresh = values.ids(None, 3)
        assert fresh
        assert len(set(made)) == 3
        mixed, fresh = values.ids(["a", None], 2)
        assert mixed[0] == "a"
        assert not fresh
        assert uuid.UUID(mixed[1])
        assert values.ids([None, None], 2)[1]

    def test_numbers_and_uuids_are_their_text(self):
        assert values.ids([7, uuid.UUID(int=1)], 2)[0] == ["7", str(uuid.UUID(int=1))]  # type: ignore[list-item]

    @pytest.mark.parametrize("wrong", ["", True, 1.5, b"x", "a\x00", "\udfff", "x" * 1_001, "é" * 501])
    def test_what_is_no_id_is_named(self, wrong: Any):
        with pytest.raises(InvalidInput, match=r"^id "):
            values.ids([wrong], 1)

    def test_the_limit_is_in_bytes(self):
        assert values.ids(["é" * 500], 1)[0] == ["é" * 500]

    def test_unequal_lengths_are_named(self):
        with pytest.raises(InvalidInput, match="ids has 1 items and texts has 2"):
            values.ids(["a"], 2)

    @pytest.mark.parametrize("function", [lambda: values.ids("ab", 2), lambda: values.wanted_ids("ab")])
    def test_one_string_is_not_a_list_of_its_letters(self, function: Any):
        with pytest.raises(InvalidInput, match="ids is one string, 'ab'"):
            function()

    def test_ids_that_no_row_can_have_are_not_looked_for(self):
        assert values.wanted_ids(["a", "b\x00", "\ud800", uuid.UUID(int=1), 3]) == ["a", str(uuid.UUID(int=1)), "3"]
        with pytest.raises(InvalidInput, match="id None is NoneType"):
            values.wanted_ids([None])


def check(array: Any, *, dimensions: int | None = None, cosine: bool = True, count: int = 1) -> np.ndarray:
    return values.embeddings(array, count=count, dimensions=dimensions, collection="c", cosine=cosine)


class TestEmbeddings:
    def test_lists_and_arrays_become_single_precision(self):
        for given_ in ([[1, 2]], np.ones((1, 2)), [np.ones(2)], ((0.5, 0.5),)):
            assert check(given_).dtype == np.float32
            assert check(given_).shape == (1, 2)

    def test_none_at_all_is_fine(self):
        assert check([], count=0, dimensions=5).shape == (0, 5)

    def test_wrong_dimensions_have_their_error(self):
        with pytest.raises(DimensionMismatch, match="embedding has 2 dimensions but collection 'c' stores 3") as caught:
            check([[1, 2]], dimensions=3)
        assert (caught.value.got, caught.value.want) == (2, 3)

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ([[1, 2], [1]], r"not one table of numbers \(lengths \[1, 2\]\)"),
            ([["a", "b"], ["c", "d"]], "not one table"),
            ([1, 2], "1 axes"),
            ([[[1]], [[2]]], "3 axes"),
            ([[], []], "have 0 dimensions"),
            ([[1, 2], [3, float("nan")]], "embedding 1 holds NaN"),
            ([[float("inf"), 2], [3, 4]], "embedding 0 holds NaN or infinity"),
            ([[1e300, 1], [1, 1]], "embedding 0 holds NaN or infinity"),
            ([[1, 1], [0, 0]], "embedding 1 is all zeros"),
            ([[1, 1], [1e-30, 0]], "embedding 1 is all zeros"),
            ([[1, 1], [1e30, 0]], "embedding 1 is too long for a cosine"),
        ],
    )
    def test_unusable_ones_are_named_by_their_place(self, wrong: Any, message: str):
        with pytest.raises(InvalidInput, match=message):
            check(wrong, count=2)

    def test_too_many_dimensions_are_named(self):
        with pytest.raises(InvalidInput, match="16,001 dimensions and can have from 1 to 16,000"):
            check(np.ones((1, 16_001)))

    def test_zero_is_a_place_though_not_a_direction(self):
        assert check([[0, 0]], cosine=False).tolist() == [[0, 0]]
        assert values.query_embedding([0, 0], dimensions=2, collection="c", cosine=False).tolist() == [0, 0]

    def test_the_count_must_be_the_texts(self):
        with pytest.raises(InvalidInput, match="embeddings has 1 items and texts has 2"):
            check([[1]], count=2)

    def test_half_precision_has_its_range(self):
        values.fits_halfvec(np.array([[65_504.0, -65_504]], dtype=np.float32))
        with pytest.raises(InvalidInput, match=r"holds 70000 and halfvec goes up to 65,504; .*storage='vector'"):
            values.fits_halfvec(np.array([[1, -70_000]], dtype=np.float32))

    def test_what_rounds_to_zero_has_no_cosine(self):
        tiny = np.array([[1e-9, 1e-9]], dtype=np.float32)
        values.fits_halfvec(tiny)
        with pytest.raises(InvalidInput, match="embedding 0 is all zeros"):
            values.fits_halfvec(tiny, cosine=True)

    def test_a_querys_embedding_is_checked_alike(self):
        with pytest.raises(InvalidInput, match="all zeros"):
            values.query_embedding([0, 0], dimensions=2, collection="c")
        with pytest.raises(InvalidInput, match="halfvec goes up to"):
            values.query_embedding([1e6, 0], dimensions=2, collection="c", half=True)
        with pytest.raises(DimensionMismatch):
            values.query_embedding([1, 0], dimensions=3, collection="c")
