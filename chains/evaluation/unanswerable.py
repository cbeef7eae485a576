"""Questions that a collection does not answer, made in two ways that are told with each.

swapped: a question of the collection in which one name is another's, from another document; no passage speaks of all that
it then speaks of. They are near misses, as hard as a wrong premise. foreign: a question about something else.
Neither is a proof: no passage holds all of a question's words, but one may answer it in other words. A person should look.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from howdah.chains.evaluation import english
from howdah.chains.evaluation.drafts import Draft, Origin
from howdah.chains.evaluation.making import spoken_of
from howdah.chains.foreign import FOREIGN
from howdah.retrieval import drawn

if TYPE_CHECKING:
    from howdah.retrieval.collection import Collection
    from howdah.retrieval.store import Store

_NAME = re.compile(r"`[^`]+`|(?<=[a-z,] )[A-Z][\w-]+(?: [A-Z][\w-]+)*")


def unanswerable(store: "Store", found: "Collection", drafts: Sequence[Draft], count: int, seed: int) -> list[Draft]:
    """Up to `count`: half swapped, as far as there are names to swap, the rest foreign. The seed decides which."""
    draw = random.Random(seed)  # noqa: S311  no secret: the same questions every time
    swapped = _unheld(store, found, _swapped(drafts, draw), count // 2)
    foreign = [_draft(text, "foreign") for text in draw.sample(FOREIGN, len(FOREIGN))]
    chosen = [*swapped, *_unheld(store, found, iter(foreign), count - len(swapped))]
    return [replace(draft, id=f"u{number:04}") for number, draft in enumerate(chosen, start=1)]


def _swapped(drafts: Sequence[Draft], draw: random.Random) -> Iterator[Draft]:
    """Each question with one of its names replaced by one of the same kind from a question about another document."""
    for draft in draw.sample(drafts, len(drafts)):
        names = [name for name in _NAME.findall(draft.question) if not _in_a_list(name, draft.question)]
        others = [
            name
            for other in drafts
            if other.origin.document != draft.origin.document
            for name in _NAME.findall(other.question)
            if name not in draft.context and _kind(name) == _kind(names[0] if names else "")
        ]
        if names and others:
            new = draw.choice(others)
            yield _draft(draft.question.replace(names[0], new), "swapped", made=draft.question)


def _in_a_list(name: str, question: str) -> bool:
    """Whether a name is one of several, so that the question is hardly about it."""
    return f"{name}," in question or f", {name}" in question or f"{name} or" in question or f"or {name}" in question


def _kind(name: str) -> tuple[bool, bool, int]:
    """Code or not, an option or a call or neither, and of how many words: what may stand in the same place."""
    bare = name.strip("`")
    return name.startswith("`"), bare.startswith("-"), len(bare.split())


def _unheld(store: "Store", found: "Collection", drafts: Iterator[Draft], count: int) -> list[Draft]:
    """The first `count` of which no passage holds all the words."""
    kept: list[Draft] = []
    for draft in drafts:
        if len(kept) >= count:
            break
        words = [spoken_of(draft.question)]
        if draft.question in {each.question for each in kept} or english.points_elsewhere(draft.question):
            continue
        if not found.spec.lexical or not store.rows(drawn.together(found, words, most=1))[0]["documents"]:
            kept.append(draft)
    return kept


def _draft(question: str, how: str, *, made: str = "") -> Draft:
    return Draft(
        id="",
        question=question,
        unanswerable=True,
        origin=Origin(by="rule" if how == "swapped" else "list", form=how),
        made={"question": made} if made else {},
    )
