"""What the benchmarks count with: cutting real text, measures of a ranking, differences between two systems."""

import math
import re
from itertools import pairwise
from types import ModuleType

import numpy as np
import pytest

from tests.benchmark_modules import benchmark_module
from tests.project.tree import ROOT, files


@pytest.fixture(scope="module")
def benchmark_modules() -> dict[str, ModuleType]:
    return {name: benchmark_module(name) for name in ("beir", "corpus", "timing")}


@pytest.fixture
def beir(benchmark_modules):
    return benchmark_modules["beir"]


@pytest.fixture
def corpus(benchmark_modules):
    return benchmark_modules["corpus"]


PROSE = " ".join(f"Sentence {n} has some words in it{',' if n % 3 else '.'}" for n in range(400))


def test_without_offset_the_chunks_cover_a_text_once(corpus):
    spans = list(corpus.cut(PROSE, 0))
    assert spans[0][0] == 0
    assert spans[-1][1] == len(PROSE)
    assert all(one[1] == other[0] for one, other in pairwise(spans))
    assert all(corpus.SHORTEST <= end - start < 2 * corpus.SIZE for start, end in spans)


@pytest.mark.parametrize("offset", [0, 100, 200, 350])
def test_chunks_begin_with_a_word(corpus, offset):
    starts = [start for start, _ in corpus.cut(PROSE, offset)]
    assert all(start == 0 or PROSE[start - 1] == " " for start in starts)
    assert abs(starts[0] - offset) <= corpus.NEAR


def test_each_pass_begins_elsewhere(corpus):
    offsets = list(corpus.offsets())
    assert offsets[:4] == [0, corpus.SIZE // 2, corpus.SIZE // 4, 3 * corpus.SIZE // 4]
    assert len(set(offsets)) == len(offsets)


def test_vectors_are_kept_and_found_again(corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(corpus, "CACHE", tmp_path)
    names = [corpus.digest(text) for text in ("a", "ü", "a b")]
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    corpus.keep(names[:2], vectors[:2])
    corpus.keep(names[2:], vectors[2:])
    found = corpus.known()
    assert [found[name].tolist() for name in names] == vectors.tolist()
    assert [path.suffix for path in corpus.shards().iterdir()] == [".npz", ".npz"]


def test_ndcg_is_the_formula(beir):
    relevant = {"a": 1, "b": 2}
    gained = 2 / math.log2(2) + 1 / math.log2(4)
    ideal = 2 / math.log2(2) + 1 / math.log2(3)
    assert beir.ndcg(["b", "x", "a"], relevant, 10) == pytest.approx(gained / ideal)
    assert beir.ndcg(["b", "x", "a"], relevant, 2) == pytest.approx(2 / ideal)
    assert beir.ndcg([], relevant, 10) == beir.ndcg(["x"], {}, 10) == 0
    assert beir.recall(["x", "a"], relevant, 2) == 0.5


def test_a_difference_has_the_interval_of_its_mean(beir):
    rng = np.random.default_rng(1)
    theirs = rng.random(400)
    noise = rng.normal(0.02, 0.1, size=400)
    found = beir.difference(theirs + noise, theirs)
    error = 1.96 * noise.std() / math.sqrt(400)
    assert found.mean == pytest.approx(noise.mean())
    assert (found.low, found.high) == pytest.approx((noise.mean() - error, noise.mean() + error), abs=0.002)
    assert found.p < 0.05
    assert beir.difference(theirs, theirs) == (0, 0, 0, 1)


def test_ways_are_taken_in_turn_and_each_item_has_its_median(benchmark_modules):
    calls: list[str] = []
    ways = {name: lambda item, name=name: calls.append(f"{name}{item}") for name in "ab"}
    taken = benchmark_modules["timing"].in_turn(ways, [1, 2], repeats=3)
    assert calls[4:12] == ["a1", "a2", "b1", "b2"] * 2
    assert len(calls) == 4 * 4  # a warm-up and three repeats
    assert {name: len(each) for name, each in taken.items()} == {"a": 2, "b": 2}


def test_the_pages_commands_exist():
    named = [name for page in files(".md") for name in re.findall(r"BENCH=(\w+)", page.read_text(encoding="utf-8"))]
    scripts = {
        path.stem for path in files(".py", under=ROOT / "benchmarks") if "\ndef main()" in path.read_text("utf-8")
    }
    assert "peers" in named
    assert set(named) - scripts <= {"name"}
