"""Which index a collection gets, and the words for it."""

import re

import pytest

from howdah.retrieval.choosing import THRESHOLD, THRESHOLD_OUTSIDE, Choice, Wish, choose, threshold_for
from howdah.retrieval.collection import Collection, Metric, Spec, Storage
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.kinds import Form, Index, Method, lists_for
from howdah.retrieval.plans import SearchOptions

ROWS = 50_000


def spec(dimensions: int, storage: str = "halfvec", metric: str = "cosine") -> Spec:
    return Spec(model="m", dimensions=dimensions, storage=Storage.of(storage), metric=Metric.of(metric))


def chosen(of: Spec, policy: str = "auto", *, rows: int = ROWS, **options: int) -> Choice:
    return choose(Wish(policy=policy, **options), of, rows=rows, threshold=threshold_for(of))


@pytest.mark.parametrize("metric", ["cosine", "l2", "inner_product"])
@pytest.mark.parametrize(
    ("dimensions", "storage", "form"),
    [
        (384, "halfvec", Form.HALFVEC),
        (3_072, "halfvec", Form.HALFVEC),
        (4_000, "halfvec", Form.HALFVEC),
        (2_000, "vector", Form.VECTOR),
        (2_001, "vector", Form.HALFVEC),
        (3_072, "vector", Form.HALFVEC),
        (4_000, "vector", Form.HALFVEC),
    ],
)
def test_auto_is_hnsw_over_all_numbers_as_far_as_it_reaches(
    dimensions: int, storage: str, form: Form, metric: str
) -> None:
    choice = chosen(spec(dimensions, storage, metric))
    assert choice.index is not None
    assert (choice.index.method, choice.index.form, choice.warning) == (Method.HNSW, form, None)


@pytest.mark.parametrize("storage", ["halfvec", "vector"])
@pytest.mark.parametrize("dimensions", [4_001, 8_000, 16_000])
def test_beyond_it_is_bits_or_exact_where_bits_say_nothing(dimensions: int, storage: str) -> None:
    for metric in ("cosine", "inner_product"):
        choice = chosen(spec(dimensions, storage, metric))
        assert choice.index is not None
        assert (choice.index.kind, choice.warning) == ("bits", None)
    choice = chosen(spec(dimensions, storage, "l2"))
    assert choice.index is None
    assert "lengths" in str(choice.warning)


@pytest.mark.parametrize(
    ("of", "policy", "why"),
    [
        (spec(3_072), "auto", "3,072 dimensions of halfvec: HNSW directly (up to 4,000)"),
        (
            spec(3_072, "vector"),
            "auto",
            "3,072 dimensions of vector: above what HNSW indexes (2,000), so as halfvec with exact re-ranking of 2·k candidates",
        ),
        (
            spec(8_000),
            "auto",
            "8,000 dimensions: above what HNSW indexes (4,000), so bits with exact re-ranking of 20·k candidates",
        ),
        (
            spec(8_000, metric="l2"),
            "auto",
            "8,000 dimensions: above what HNSW indexes (4,000), and bits keep directions and no lengths, which L2 needs:"
            " every search is exact",
        ),
        (spec(384), "none", "none was asked for: every search is exact"),
        (spec(384), "ivfflat", "asked for: 50 lists, of which a search reads 15"),
        (spec(1_536), "bits", "asked for: bits with exact re-ranking of 20·k candidates"),
        (
            spec(1_536, metric="l2"),
            "bits",
            "asked for, but bits keep directions and no lengths, which L2 needs: HNSW instead",
        ),
        (
            spec(8_000),
            "hnsw",
            "8,000 dimensions of halfvec are beyond what HNSW indexes (4,000): every search scans all rows",
        ),
    ],
)
def test_the_reason_in_words(of: Spec, policy: str, why: str) -> None:
    assert chosen(of, policy).why == why


def test_auto_waits_for_rows_and_less_for_vectors_beside_their_rows() -> None:
    for of, threshold in ((spec(384), THRESHOLD), (spec(8_000), THRESHOLD_OUTSIDE)):
        few, enough = chosen(of, rows=threshold - 1), chosen(of, rows=threshold)
        assert few.index is None
        assert few.why == f"{threshold - 1:,} chunks: below {threshold:,} an exact search is quick enough"
        assert enough.index is not None


def test_few_bits_are_a_warning() -> None:
    assert "384 bits tell few vectors apart" in str(chosen(spec(384), "bits").warning)
    assert chosen(spec(1_536), "bits").warning is None


@pytest.mark.parametrize(
    ("rows", "lists"),
    [(1_000, 10), (10_000, 10), (50_000, 50), (1_000_000, 1_000), (4_000_000, 2_000), (10**12, 32_768)],
)
def test_lists_are_those_of_the_manual(rows: int, lists: int) -> None:
    assert lists_for(rows) == lists


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"policy": "btree"}, "'btree' is not known"),
        ({"policy": "ivfflat", "m": 16}, "m has no meaning for index 'ivfflat'"),
        ({"policy": "auto", "lists": 10}, "lists has no meaning for index 'auto'"),
        ({"policy": "none", "m": 16}, "m has no meaning for index 'none'"),
        ({"policy": "hnsw", "m": 1}, "m is 1 and must be a whole number from 2 to 100"),
        ({"policy": "hnsw", "ef_construction": 2_000}, "from 4 to 1,000"),
        ({"policy": "hnsw", "m": 40, "ef_construction": 64}, "at least 2·m = 80"),
        ({"policy": "ivfflat", "lists": 40_000}, "from 1 to 32,768"),
        ({"policy": "ivfflat", "lists": 2.5}, "whole number"),
    ],
)
def test_what_cannot_be_is_named(said: dict, message: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(message)):
        Wish(**said)


def test_a_policy_brings_its_own_options_and_options_alone_add_to_it() -> None:
    wish = Wish(policy="hnsw", m=24, ef_construction=200)
    assert wish.changed(None, {"m": 32, "lists": None}).options == {"m": 32, "ef_construction": 200}
    assert wish.changed("bits", {"m": None}).options == {}
    large = chosen(spec(384), "hnsw", m=90).index
    assert large is not None
    assert large.options == {"m": 90, "ef_construction": 180}, "pgvector wants 2·m"


# -- what a search takes from it


def collection(of: Spec, index: Index | None) -> Collection:
    return Collection(id=1, tenant="", name="c", spec=of, vector_schema="public", schema_version=1, index=index)


@pytest.mark.parametrize(
    ("k", "given", "candidates", "ef_search"),
    [
        (1, {}, 20, None),
        (10, {}, 200, "200"),
        (100, {}, 1_000, "1000"),
        (1_500, {}, 1_500, "1000"),
        (10, {"oversample": 50}, 500, "500"),
        (10, {"oversample": 5, "ef_search": 300}, 50, "300"),
    ],
)
def test_bits_are_asked_for_more_candidates(k: int, given: dict, candidates: int, ef_search: str | None) -> None:
    bits = Index(method=Method.HNSW, form=Form.BIT)
    assert bits.candidates(spec(3_000), k, given.get("oversample")) == candidates
    found = SearchOptions(**given).settings(k, collection(spec(3_000), bits))
    assert found == ({} if ef_search is None else {"hnsw.ef_search": ef_search})


def test_ivfflat_reads_twice_the_root_of_its_lists() -> None:
    index = Index(method=Method.IVFFLAT, form=Form.HALFVEC, options={"lists": 50})
    assert SearchOptions().settings(10, collection(spec(384), index)) == {"ivfflat.probes": "15"}
    assert SearchOptions(probes=3).settings(10, collection(spec(384), index)) == {"ivfflat.probes": "3"}


def test_the_planner_is_told_of_vectors_beside_their_rows() -> None:
    bits = Index(method=Method.HNSW, form=Form.BIT)
    assert SearchOptions().settings(1, collection(spec(8_000), bits)) == {"enable_sort": "off"}
    assert SearchOptions(exact=True).settings(1, collection(spec(8_000), bits)) == {}
    assert SearchOptions().settings(1, collection(spec(8_000), None)) == {}


@pytest.mark.parametrize("given", [{"probes": 0}, {"oversample": 1.5}, {"oversample": 1_001}, {"probes": True}])
def test_search_options_out_of_range_are_named(given: dict) -> None:
    with pytest.raises(InvalidInput, match=f"{next(iter(given))} is .* whole number from 1"):
        SearchOptions(**given)
