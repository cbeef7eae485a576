"""An evaluation as files: JSON with every query's values, and beside it runs and qrels as trec_eval reads them."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.beir import Qrels, TestSet
from howdah.retrieval.evaluation.evaluate import Run
from howdah.retrieval.evaluation.intervals import LEVEL, ROUNDS, SEED, Interval
from howdah.retrieval.evaluation.measures import Cutoffs, Rankings

FORMAT = "howdah retrieval evaluation 1"


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was evaluated, on what, and what came of it.

    `corpus` says what was searched: {"kind": "beir", "sha256", …} or {"kind": "collection", "name", …}. `settings` are those
    of the whole run, beside each configuration's own.
    """

    tests: TestSet
    corpus: Mapping[str, Any]
    model: str
    cutoffs: Cutoffs
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    created: str
    runs: Sequence[Run]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it, with each query's values."""
        tests = self.tests
        return {
            "format": FORMAT,
            "created": self.created,
            "versions": dict(self.versions),
            "model": self.model,
            "corpus": dict(self.corpus),
            "queries": {"count": len(tests.queries), "sha256": tests.queries_hash},
            "qrels": {"file": str(tests.qrels_file), "split": tests.split, "sha256": tests.qrels_hash},
            "settings": {
                **asdict(self.cutoffs),
                **self.settings,
                "bootstrap": {"rounds": ROUNDS, "seed": SEED, "level": LEVEL},
            },
            "runs": [{**run_to_dict(run), "per_query": run.values} for run in self.runs],
        }


def run_to_dict(run: Run) -> dict[str, Any]:
    """One configuration's figures, without its queries."""
    return {
        "label": run.how.label,
        "mode": run.how.mode,
        "settings": dict(run.how.settings),
        "filter": run.how.filter,
        "metrics": {name: _interval(its) for name, its in run.metrics.items()},
        "latency_ms": {name: round(value, 3) for name, value in run.searched.latency._asdict().items()},
        "found_nothing": len(run.empty),
    }


def _interval(its: Interval) -> dict[str, float]:
    return {name: round(value, 6) for name, value in its._asdict().items()}


def check_target(path: Path, baseline: Path | None) -> None:
    """Before anything is paid for: that `path` can be written, and is not the baseline, which a worse run must not replace."""
    if not path.resolve().parent.is_dir():
        raise InvalidInput(f"there is no folder {str(path.parent)!r} to save in", hint="make it, or name another file")
    if path.is_dir():
        raise InvalidInput(f"{str(path)!r} is a folder", hint=f"name a file, such as {path / 'run.json'}")
    if baseline is not None and path.resolve() == baseline.resolve():
        raise InvalidInput(
            f"{str(path)!r} is the baseline, and would be replaced by what is compared with it",
            hint="save to another file, and move it there when the run is to be the new baseline",
        )


def save(path: Path, evaluation: Evaluation) -> list[Path]:
    """Write the JSON file, and beside it NAME.qrels and a .trec file a configuration. Returns all of them."""
    value, qrels = evaluation.to_dict(), path.with_suffix(".qrels")
    files = _run_files(path, [run.how.label for run in evaluation.runs])
    value["qrels"]["trec"] = qrels.name
    for run, entry, file in zip(evaluation.runs, value["runs"], files, strict=True):
        entry["trec"] = file.name
        _write(file, trec_run(run.searched.rankings, tag=_slug(run.how.label)))
    _write(qrels, trec_qrels(evaluation.tests.qrels))
    _write(path, [json.dumps(value, ensure_ascii=False, indent=1)])
    return [path, qrels, *files]


def _run_files(path: Path, labels: Sequence[str]) -> list[Path]:
    if len(labels) == 1:
        return [path.with_suffix(".trec")]
    names = [_slug(label) for label in labels]
    unique = [name if names.count(name) == 1 else f"{name}-{place}" for place, name in enumerate(names, start=1)]
    return [path.with_suffix(f".{name}.trec") for name in unique]


def _slug(label: str) -> str:
    return re.sub(r"[^\w.=-]+", "-", label).strip("-")[:80]


def _write(path: Path, lines: Iterable[str]) -> None:
    beside = path.with_name(f"{path.name}.part")
    try:
        beside.write_text("\n".join([*lines, ""]), encoding="utf-8")
        beside.replace(path)
    except OSError as exc:
        raise InvalidInput(
            f"cannot write {str(path)!r} ({exc.strerror})", hint="name a file that can be written"
        ) from exc


# -- TREC's formats: columns between blanks, so that no name may hold one


def trec_run(rankings: Rankings, *, tag: str) -> list[str]:
    """query Q0 document rank score tag; scores with the nine digits that a number in single precision needs."""
    return [
        f"{trec_name(query)} Q0 {trec_name(found.id)} {rank} {found.score:.9g} {tag}"
        for query, ranking in rankings.items()
        for rank, found in enumerate(ranking, start=1)
    ]


def trec_qrels(qrels: Qrels) -> list[str]:
    return [
        f"{trec_name(query)} 0 {trec_name(id_)} {gain}" for query, row in qrels.items() for id_, gain in row.items()
    ]


def trec_name(name: str) -> str:
    """White space as %20 and the like, and % itself; every other name as it is."""
    return re.sub(r"[\s%]", lambda match: "".join(f"%{byte:02X}" for byte in match[0].encode()), name)
