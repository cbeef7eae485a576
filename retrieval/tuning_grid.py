"""Which settings are tried for an index, in the order of the work that they make. Pure.

Of HNSW that work grows with ef_search, of bits with the candidates that are ranked anew, of IVFFlat with the probes: so the
first that meets a target is the cheapest, whatever a noisy clock says.
"""

from collections.abc import Iterator
from dataclasses import replace

from howdah.retrieval.collection import Spec
from howdah.retrieval.filtered import SCAN_TUPLES
from howdah.retrieval.kinds import BEAM, Form, Index, Method
from howdah.retrieval.plans import SearchOptions

_STEPS = (1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
_OVERSAMPLES = (3, 5, 10, 15, 20, 30, 40, 50, 75, 100)
_PROBES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 25, 32, 40, 50, 64, 80, 100, 128, 160, 200)
FARTHER = 20_000
"""hnsw.max_scan_tuples of a walk that goes on for longer; pgvector's own default."""


def efforts(index: Index, spec: Spec, k: int) -> list[SearchOptions]:
    """The settings along the index's own dial, least work first."""
    if index.method is Method.IVFFLAT:
        lists = index.options.get("lists", 100)
        return [SearchOptions(probes=probes) for probes in sorted({*(n for n in _PROBES if n < lists), lists})]
    if index.form is Form.BIT:
        return [
            _bits(oversample, k)
            for oversample in _OVERSAMPLES
            if oversample * k <= BEAM or oversample == min(_OVERSAMPLES)
        ]
    least = index.candidates(spec, k)
    beams = {min(max(round(step * k), least), BEAM) for step in _STEPS} | {BEAM}
    return [SearchOptions(ef_search=beam) for beam in sorted(beams)]


def _bits(oversample: int, k: int) -> SearchOptions:
    return SearchOptions(oversample=oversample, ef_search=min(oversample * k, BEAM))


def walks(options: SearchOptions, index: Index) -> Iterator[SearchOptions]:
    """Other ways for the same effort to go on where a filter leaves too few rows. The usual one is not among them."""
    yield replace(options, iterative_scan="off")
    if index.method is Method.IVFFLAT:
        return
    yield replace(options, iterative_scan="strict_order")
    yield replace(options, max_scan_tuples=FARTHER, scan_mem_multiplier=4)
    yield replace(options, max_scan_tuples=SCAN_TUPLES // 2)


def effort(options: SearchOptions) -> int:
    """A place on the dial: comparable between settings of one index."""
    return options.probes or options.ef_search or 0


def usual_walk(options: SearchOptions) -> bool:
    """Whether it leaves the iterative scan as it is without tuning."""
    return options.iterative_scan is None and options.max_scan_tuples is None and options.scan_mem_multiplier is None
