"""A saved evaluation as the baseline of another one: the same queries, judgements and documents, or no comparison."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.evaluation.evaluate import Run
from howdah.retrieval.evaluation.saved import FORMAT, Evaluation
from howdah.retrieval.evaluation.verdict import Gate, Verdict, judge

WANTED = "a baseline is a file that howdah eval retrieval DIR --save FILE has written"
DEEP = ("map",)
"""Measures whose names do not say how many documents they look at."""


@dataclass(frozen=True)
class Baseline:
    """What `save` wrote."""

    path: Path
    value: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Baseline":
        """Raises InvalidInput for anything that is not such a file."""
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
        except OSError as exc:
            raise InvalidInput(f"cannot read the baseline {str(path)!r} ({exc.strerror})", hint=WANTED) from exc
        except ValueError as exc:
            raise InvalidInput(f"the baseline {str(path)!r} is not JSON ({exc})", hint=WANTED) from None
        if not isinstance(value, dict) or value.get("format") != FORMAT or not value.get("runs"):
            raise InvalidInput(f"{str(path)!r} is not a saved evaluation of retrieval", hint=WANTED)
        return cls(path, value)

    def check(self, now: Evaluation, gate: Gate) -> None:
        """Raise InvalidInput where queries, judgements or documents are others, or the gate's measure was not taken.

        Of a user's own collection the documents may have changed: whether that harmed is the question.
        """
        was, is_ = self.value, now.to_dict()
        pairs = {
            "queries": (was["queries"]["sha256"], is_["queries"]["sha256"]),
            "judgements (qrels)": (was["qrels"]["sha256"], is_["qrels"]["sha256"]),
            "documents": (_documents(was["corpus"]), _documents(is_["corpus"])),
        }
        for what, (before, after) in pairs.items():
            if before != after:
                raise InvalidInput(
                    f"the baseline {str(self.path)!r} was measured on other {what}: no comparison would mean anything",
                    hint="measure both on the same test set; save a new baseline with --save",
                )
        self._check_metric(now, gate.metric)

    def _check_metric(self, now: Evaluation, metric: str) -> None:
        known = list(self.value["runs"][0]["metrics"])
        if metric not in now.cutoffs.names:
            raise InvalidInput(
                f"{metric!r} is not measured in this run", hint=f"--metric is one of {', '.join(now.cutoffs.names)}"
            )
        if metric not in known:
            raise InvalidInput(
                f"the baseline {str(self.path)!r} has no {metric}",
                hint=f"it has {', '.join(known)}: see -k and --depth",
            )
        depth = self.value["settings"]["depth"]
        if metric in DEEP and depth != now.cutoffs.depth:
            raise InvalidInput(
                f"the baseline's {metric} looked at {depth} documents, this run's at {now.cutoffs.depth}",
                hint=f"run it with --depth {depth}",
            )

    def verdict(self, run: Run, gate: Gate) -> Verdict:
        """Of one configuration against the baseline's of the same label, else against the baseline's first."""
        theirs = self.values(run, gate.metric)
        return judge(run.column(gate.metric), list(theirs.values()), gate, baseline=self._entry(run)["label"])

    def values(self, run: Run, metric: str) -> dict[str, float]:
        """The baseline's value of each query that the run has asked, in its order."""
        entry = self._entry(run)
        return {query: entry["per_query"][query][metric] for query in run.values}

    def _entry(self, run: Run) -> dict[str, Any]:
        """The baseline's run of the same label, else its first."""
        runs: list[dict[str, Any]] = self.value["runs"]
        return next((each for each in runs if each["label"] == run.how.label), runs[0])


def _documents(corpus: dict[str, Any]) -> tuple[str, Any]:
    """What has to be the same: a test set's own documents; of a user's collection only that it is one."""
    return corpus["kind"], corpus.get("sha256")
