"""What the figures of a tuning suggest beyond the settings: another m, another kind of index, or none. Pure."""

import shlex
from collections.abc import Iterator

from howdah.retrieval.collection import Collection, Storage
from howdah.retrieval.kinds import EF_CONSTRUCTION, M
from howdah.retrieval.tuning_sample import denser
from howdah.retrieval.tuning_types import Build, TuningReport

QUICKER, SMALLER = 0.7, 0.7
"""Of the time, or of the size, that another index may have at most to be worth a word."""


def advice(report: TuningReport, collection: Collection) -> list[str]:
    """A sentence each, with the command to run."""
    if report.outcome == "exact":
        return [
            "an index is built from 10,000 chunks on (howdah db maintain); a smaller collection is searched exactly"
        ]
    found = list(_unmet(report, collection)) if report.outcome == "unmet" else []
    if report.sample is None or not report.sample.builds:
        return found
    base, *others = report.sample.builds
    return [*found, *_graphs(base, others, collection, report), *_kinds(base, others, collection, report)]


def _unmet(report: TuningReport, collection: Collection) -> Iterator[str]:
    best = max(report.points, key=lambda point: point.recall.low)
    yield (
        f"the most that any setting finds is {best.recall.mean:.4f} [{best.recall.low:.4f}, {best.recall.high:.4f}]:"
        " settings do not meet the target"
    )
    if best.recall.mean >= report.target > best.recall.low:
        yield "its mean does: more queries make the interval narrower, --queries FILE"
    if report.exact_ms is not None:
        command = f"howdah db maintain {_of(collection)}--index none"
        yield f"exact search finds all and takes {report.exact_ms:.0f} ms a search here: {command}, or exact=True in a search"
    if report.index is not None and report.index["kind"] == "ivfflat":
        yield f"HNSW finds more than IVFFlat in less time: howdah db maintain {_of(collection)}--index hnsw"
    elif report.sample is None and report.index is not None:
        yield f"a denser graph finds more: {_denser(report, collection)}"


def _graphs(base: Build, others: list[Build], collection: Collection, report: TuningReport) -> Iterator[str]:
    """Of the graphs with more neighbours or a wider build, the one that does most for the least."""
    graphs = [each for each in others if each.kind == base.kind and each.met]
    better = [each for each in graphs if not base.met or each.p50 < QUICKER * base.p50]
    best = min(better, key=lambda each: each.p50, default=None)
    rows = report.sample.rows if report.sample else 0
    if best is not None:
        gain = "meets the target" if not base.met else f"meets it in {best.p50 / base.p50:.0%} of the time"
        yield (
            f"on a sample of {rows:,} rows m={best.m}, ef_construction={best.ef_construction} {gain}, with an index of"
            f" {best.bytes / base.bytes:.0%} the size, built in {best.build_seconds / base.build_seconds:.1f} times the time:"
            f" {_rebuild(collection, best.m, best.ef_construction)}"
        )
    elif report.outcome == "unmet":
        told = "is too easy to tell" if base.met else "does not meet it either way"
        yield f"a sample of {rows:,} rows {told}; a denser graph finds more among all: {_denser(report, collection)}"
    elif graphs:
        yield (
            f"a larger m or ef_construction gains nothing worth its build: on a sample of {rows:,} rows m={base.m},"
            f" ef_construction={base.ef_construction} is as good"
        )


def _kinds(base: Build, others: list[Build], collection: Collection, report: TuningReport) -> Iterator[str]:
    for each in others:
        if each.kind == base.kind or each.bytes > SMALLER * base.bytes:
            continue
        size, told = f"{each.bytes / base.bytes:.0%}", _found(each)
        if each.kind == "bit":
            how = f"{told} with {each.oversample}·k candidates ranked anew" if each.met else f"at most {told}"
            command = (
                f"howdah db maintain {_of(collection)}--index bits" if each.met else "they are not for these vectors"
            )
            yield f"an index of bits is {size} of the size and finds {how}, p50 {each.p50 / base.p50:.1f} times: {command}"
        elif each.kind == "halfvec" and collection.spec.storage is Storage.VECTOR:
            yield (
                f"an index of halfvec is {size} of the size and finds {told}, p50 {each.p50 / base.p50:.1f} times: store the"
                " vectors as halfvec (howdah collections reembed --storage halfvec, or storage='halfvec' in a new collection)"
            )


def _found(build: Build) -> str:
    return f"{build.recall.mean:.4f} [{build.recall.low:.4f}, {build.recall.high:.4f}]"


def _rebuild(collection: Collection, m: int, ef_construction: int) -> str:
    kind = collection.index.kind if collection.index is not None else "hnsw"
    kind = kind if kind in ("hnsw", "bits") else "hnsw"
    return f"howdah db maintain {_of(collection)}--index {kind} --m {m} --ef-construction {ef_construction}"


def _denser(report: TuningReport, collection: Collection) -> str:
    index = report.index or {}
    return _rebuild(collection, *denser(index.get("m", M), index.get("ef_construction", EF_CONSTRUCTION)))


def _of(collection: Collection) -> str:
    return "" if collection.name == "docs" else f"-c {shlex.quote(collection.name)} "
