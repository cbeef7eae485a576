"""Are follow-up questions told from those that stand alone, and does the rewritten one hold the words that it needs?

Sixty conversations of our own, in English, German, Spanish and French. The rules were tuned on the odd lines of
followups.jsonl and never looked at the even ones; both are shown. No model, no database:

    python benchmarks/followups.py
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from howdah.chains.followups import stands_alone
from howdah.chains.rewrite import language_spoken, standalone

FILE = Path(__file__).with_suffix(".jsonl")


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question with what was said before it; `words` must be in it once it stands alone, `unwanted` must not."""

    line: int
    lang: str
    question: str
    history: tuple[BaseMessage, ...]
    alone: bool
    words: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()

    @property
    def told(self) -> bool:
        return stands_alone(self.question, spoken=language_spoken(self.history)) == self.alone

    @property
    def query(self) -> str:
        return standalone(self.question, self.history)

    @property
    def complete(self) -> bool:
        held = self.query.casefold()
        return all(word.casefold() in held for word in self.words) and not any(w in held for w in self.unwanted)


def cases() -> Iterator[Case]:
    """Every question of a conversation but the first."""
    for number, line in enumerate(FILE.read_text(encoding="utf-8").splitlines(), start=1):
        conversation = json.loads(line)
        history: list[BaseMessage] = []
        for turn in conversation["turns"]:
            if history and not turn.get("small"):
                yield Case(
                    line=number,
                    lang=conversation["lang"],
                    question=turn["q"],
                    history=tuple(history),
                    alone=turn["alone"],
                    words=tuple(turn.get("words", ())),
                    unwanted=tuple(turn.get("not", ())),
                )
            history += [HumanMessage(turn["q"]), AIMessage(turn.get("a", "It is in the documents. [1]"))]


def firsts() -> Iterator[str]:
    """The first questions, which all stand alone."""
    for line in FILE.read_text(encoding="utf-8").splitlines():
        yield json.loads(line)["turns"][0]["q"]


def share(found: list[bool]) -> float:
    return sum(found) / len(found)


def main() -> None:
    every = list(cases())
    print(f"first questions that stand alone: {share([stands_alone(each) for each in firsts()]):.1%}")
    for name, part in (
        ("tuned on (odd lines)", [each for each in every if each.line % 2]),
        ("never looked at (even lines)", [each for each in every if not each.line % 2]),
        ("all", every),
    ):
        follow = [each for each in part if not each.alone]
        alone = [each for each in part if each.alone]
        print(
            f"{name}: {len(part)} questions; told rightly {share([each.told for each in part]):.1%}"
            f" (follow-ups {share([each.told for each in follow]):.1%} of {len(follow)},"
            f" others {share([each.told for each in alone]):.1%} of {len(alone)});"
            f" rewritten with all words {share([each.complete for each in follow]):.1%}"
        )
    for each in every:
        if each.line % 2 and not (each.told and each.complete):
            print(f"  {each.line} {each.question!r} -> {each.query!r}{'' if each.told else '  (told wrongly)'}")


if __name__ == "__main__":
    main()
