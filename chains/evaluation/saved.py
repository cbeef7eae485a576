"""A saved evaluation of answers: its settings and every question's outcome; and whether a new one is worse."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from howdah.chains.evaluation.outcome import MEASURES, Outcome, to_json
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.verdict import Gate, Verdict, judge

FORMAT = "howdah eval answers 1"
GATE = "right"


@dataclass(frozen=True, kw_only=True)
class Saved:
    """`values` are each question's, by its id; `asked` its text, for an id may be reused."""

    path: Path
    about: Mapping[str, Any]
    values: Mapping[str, Mapping[str, float]]
    asked: Mapping[str, str]

    def of(self, outcomes: Sequence[Outcome], metric: str) -> dict[str, float]:
        """Its values of a measure, of the questions that these outcomes are of, too."""
        ids = [each.id for each in outcomes if self.asked.get(each.id) == each.question]
        return {id_: self.values[id_][metric] for id_ in ids if metric in self.values[id_]}


def save(path: Path, about: Mapping[str, Any], summary: Mapping[str, Any], outcomes: Sequence[Outcome]) -> None:
    """Write all of it as one JSON object. Raises InvalidInput where the file cannot be written."""
    rows = [to_json(each) for each in outcomes]
    text = json.dumps({"format": FORMAT, "about": about, **summary, "rows": rows}, ensure_ascii=False, indent=1)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written ({error.strerror})", hint="give --save another file") from error


def load(path: Path) -> Saved:
    """Raises InvalidInput for what `save` has not written."""
    hint = "give a file that howdah eval answers --save has written"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInput(f"the baseline {path} cannot be read ({error})", hint=hint) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise InvalidInput(f"{path} is no saved evaluation of answers", hint=hint)
    rows = found["rows"]
    return Saved(
        path=path,
        about=found["about"],
        values={row["id"]: row["values"] for row in rows},
        asked={row["id"]: row["question"] for row in rows},
    )


def compare(outcomes: Sequence[Outcome], baseline: Saved, gate: Gate) -> Verdict:
    """By the questions that both have asked and that have a value of the gate's measure in both.

    Of a measure of which less is better the values are taken as negative: a drop is always worse. Raises InvalidInput
    for an unknown measure, and where there is no such question.
    """
    if gate.metric not in MEASURES:
        raise InvalidInput(f"there is no measure {gate.metric!r}", hint=f"there are {', '.join(MEASURES)}")
    sign = 1 if MEASURES[gate.metric] else -1
    pairs = [
        (sign * each.values[gate.metric], sign * baseline.values[each.id][gate.metric])
        for each in outcomes
        if baseline.asked.get(each.id) == each.question
        and gate.metric in each.values
        and gate.metric in baseline.values[each.id]
    ]
    if not pairs:
        raise InvalidInput(
            f"{baseline.path} has no question with {gate.metric!r} in common with this run",
            hint="compare runs of the same questions",
        )
    ours, theirs = zip(*pairs, strict=True)
    return judge(ours, theirs, gate, baseline=str(baseline.path))
