"""One question as it was answered, and what is counted of it. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from howdah.chains.evaluation.cases import Case
from howdah.chains.evaluation.squad import contains, token_f1, unmarked
from howdah.chains.evaluation.support import repeated, supported, verbatim
from howdah.chains.types import Answer, AnswerChunk, Citation
from howdah.retrieval.types import Hit

# Every measure, in the order in which it is shown, and whether more is better.
MEASURES: Mapping[str, bool] = {
    "right": True,
    "contains_answer": True,
    "f1": True,
    "citation_precision": True,
    "citation_recall": True,
    "passage_found": True,
    "unsupported_generated": False,
    "unsupported_quoted": False,
    "false_refusals": False,
    "correct_refusals": True,
}


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A sentence of an answer, with the numbers of its citations. `quoted`: it is a passage's own, and no model's."""

    text: str
    n: tuple[int, ...]
    quoted: bool
    supported: bool


@dataclass(frozen=True, kw_only=True)
class Cited:
    """A citation, and whether it is right: its passage holds a gold answer, or it is of the gold place. None: not known."""

    n: int
    source: str | None
    start: int | None
    end: int | None
    quote: str
    right: bool | None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One question, what came, and the value of each measure that it has a value of.

    `chance` is what the bound for refusals goes by, None where no passage was found. `would_be_right`: whether the answer
    would be, had the question not been refused by the bound; None where even then there is none.
    """

    id: str
    question: str
    answers: Sequence[str]
    gold: str | None
    unanswerable: bool
    answer: str
    refused: bool
    model: str | None
    note: str | None
    sentences: Sequence[Sentence]
    citations: Sequence[Cited]
    chance: float | None
    would_be_right: bool | None
    ms: float
    values: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """What the bound made of a question: its chance, whether that refused it, and the answer that there is without a bound."""

    chance: float | None = None
    by_bound: bool = False
    forced: Answer | None = None


NOTHING_KNOWN = Refusal()


def outcome(case: Case, chunks: Sequence[AnswerChunk], *, ms: float, refusal: Refusal = NOTHING_KNOWN) -> Outcome:
    """Of the chunks that the chain streamed."""
    answer = Answer.from_chunks(chunks)
    sentences = _sentences(case, chunks, answer)
    cited = [_cited(case, citation, answer) for citation in answer.citations]
    return Outcome(
        id=case.id,
        question=case.question,
        answers=case.answers,
        gold=case.gold.id if case.gold else None,
        unanswerable=case.unanswerable,
        answer=answer.text,
        refused=answer.refused,
        model=answer.model,
        note=answer.note,
        sentences=sentences,
        citations=cited,
        chance=refusal.chance,
        would_be_right=_would_be(case, answer, refusal),
        ms=ms,
        values=_values(case, answer, sentences, cited),
    )


def right(case: Case, answer: Answer) -> bool:
    """Whether an answer ended as it should: an unanswerable question refused; else a gold answer given where one is known,
    else a right citation where the place is known, else any answer at all.
    """
    if case.unanswerable or answer.refused:
        return case.unanswerable and answer.refused
    if case.answers:
        return contains(unmarked(answer.text), case.answers)
    return case.gold is None or any(_right(case, each, answer) for each in answer.citations)


def _would_be(case: Case, answer: Answer, refusal: Refusal) -> bool | None:
    if refusal.by_bound and case.unanswerable:
        return False  # no answer to it is right
    shown = refusal.forced if refusal.by_bound else answer
    return None if shown is None or shown.refused else right(case, shown)


def _values(case: Case, answer: Answer, sentences: Sequence[Sentence], cited: Sequence[Cited]) -> dict[str, float]:
    """What can be counted of this question; a measure that it says nothing about is not there."""
    values: dict[str, float] = {"right": right(case, answer)}
    for name, quoted in (("unsupported_generated", False), ("unsupported_quoted", True)):
        values[name] = _share([not each.supported for each in sentences if each.quoted is quoted])
    if case.unanswerable:
        values["correct_refusals"] = answer.refused
        return _known(values)
    values["false_refusals"] = answer.refused
    text = "" if answer.refused else unmarked(answer.text)
    if case.answers:
        values |= {"contains_answer": contains(text, case.answers), "f1": token_f1(text, case.answers) if text else 0.0}
    if case.answers or case.gold:
        flags = [each.right is True for each in cited]
        values |= {
            "citation_precision": _share(flags),
            "citation_recall": any(flags),
            "passage_found": any(_holds(case, hit) for hit in answer.hits),
        }
    return _known(values)


def _known(values: Mapping[str, float]) -> dict[str, float]:
    return {name: float(values[name]) for name in MEASURES if not math.isnan(values.get(name, math.nan))}


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else math.nan


def _sentences(case: Case, chunks: Sequence[AnswerChunk], answer: Answer) -> list[Sentence]:
    kept: list[AnswerChunk] = []
    for chunk in chunks:
        kept = [chunk] if chunk.retracts else [*kept, chunk]
    cited = {each.n: each for each in answer.citations}
    return [
        Sentence(
            text=text,
            n=check.n,
            quoted=check.status == "quoted",
            supported=_supported(
                case, text, [cited[n] for n in check.n if n in cited], answer, check.status == "quoted"
            ),
        )
        for chunk in kept
        for check in chunk.checks
        if (text := unmarked(chunk.text)) and (check.n or check.status == "marked")
    ]


def _supported(case: Case, text: str, cited: Sequence[Citation], answer: Answer, quoted: bool) -> bool:
    """Of a quote: that it stands in what it cites, and that in the passage. Of a model's sentence: support.supported."""
    if quoted:
        return any(repeated(text, each.quote) and verbatim(each.quote, _passage(each, answer)) for each in cited)
    return supported(
        text,
        [each.quote for each in cited],
        question=case.question,
        golds=case.answers,
        is_gold=any(_right(case, each, answer) is True for each in cited),
    )


def _cited(case: Case, citation: Citation, answer: Answer) -> Cited:
    return Cited(
        n=citation.n,
        source=citation.source,
        start=citation.start,
        end=citation.end,
        quote=citation.quote,
        right=_right(case, citation, answer),
    )


def _right(case: Case, citation: Citation, answer: Answer) -> bool | None:
    if case.unanswerable:
        return False
    hit = next((hit for hit in answer.hits if hit.id == citation.id), None)
    if hit is None or not (case.answers or case.gold):
        return None
    return _holds(case, hit)


def _holds(case: Case, hit: Hit) -> bool:
    """Whether a passage holds a gold answer, or overlaps the gold place."""
    if contains(hit.content, case.answers):
        return True
    gold = case.gold
    if gold is None or gold.source not in (hit.source, *hit.also_in):
        return False
    if gold.span is None:
        return True
    if hit.source == gold.source and hit.start is not None and hit.end is not None:
        return hit.start < gold.span[1] and gold.span[0] < hit.end
    return case.quote is not None and verbatim(case.quote, hit.content)


def _passage(citation: Citation, answer: Answer) -> str:
    return next((hit.content for hit in answer.hits if hit.id == citation.id), "")


def to_json(one: Outcome) -> dict[str, Any]:
    """Everything by its name."""
    plain = {name: getattr(one, name) for name in one.__dataclass_fields__ if name not in ("sentences", "citations")}
    return {
        **plain,
        "answers": list(one.answers),
        "sentences": [vars(each) | {"n": list(each.n)} for each in one.sentences],
        "citations": [dict(vars(each)) for each in one.citations],
        "ms": round(one.ms, 1),
        "values": dict(one.values),
    }
