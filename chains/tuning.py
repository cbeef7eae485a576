"""What `howdah tune --refusal` does: the signs of many questions, a bound from it, and what the bound would have done."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from howdah.chains.calibrate import Interval, Learned, Point, Trial, cross_validated, curve, learn, share
from howdah.chains.extractive import candidates
from howdah.chains.questions import Question
from howdah.chains.refusal import STANDARD, Bound, bound_for, fingerprint
from howdah.chains.retrieve import as_hit
from howdah.chains.signs import Signs, read_signs
from howdah.retrieval import catalog
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.reranking import reranked

if TYPE_CHECKING:
    from howdah.retrieval.rerank import Reranker
    from howdah.retrieval.retriever import PGVectorRetriever
    from howdah.retrieval.vectorstore import PGVector

LEAST = 20  # questions of either kind
CLEARLY = 0.02  # more questions told apart rightly


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One question and what was found for it."""

    question: Question
    signs: Signs


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What a bound does to the questions: shares with 95 % intervals, refusals by kind."""

    threshold: float
    false_refusals: Interval
    refused: dict[str, Interval]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """The bound that was learned, with its effect on questions that it was not learned from; and that of the one before."""

    bound: Bound
    before: Effect | None
    after: Effect
    points: list[Point]
    chosen: Point


def gather(
    retriever: "PGVectorRetriever", reranker: "Reranker", questions: Sequence[Question], *, note: Callable[[int], None]
) -> list[Seen]:
    """The signs of each question, by the search and reranker of the chain; `note` is called with how many are done.

    A question whose document was left out does not count where another document says the same.
    """
    seen = []
    for number, question in enumerate(questions, start=1):
        filtered: dict[str, Any] = {"filter": dict(question.filter)} if question.filter else {}
        found = retriever.invoke(question.text, None, **filtered)
        hits = reranked(reranker, question.text, [as_hit(document) for document in found])
        if hits and not any(text in hit.content for text in question.held for hit in hits):
            sentences = candidates(hits)
            scores = reranker.scores(question.text, [each.text for each in sentences])
            seen.append(Seen(question=question, signs=read_signs(question.text, hits, sentences, scores)))
        note(number)
    return seen


def tune(seen: Sequence[Seen], reranker: "Reranker", *, rate: float, saved: Bound | None, embeddings: str) -> Tuned:
    """The bound of at most `rate` false refusals: by the standard weights, or by fitted ones where these refuse clearly more.

    Raises InvalidInput for too few questions of either kind.
    """
    found, kinds = [each.signs for each in seen], [each.question.answerable for each in seen]
    _check(kinds)
    weights, trials = _better(seen, rate=rate, known=_standard(reranker))
    learned = learn(found, kinds, rate=rate, weights=weights)
    bound = Bound(
        weights=learned.weights,
        bias=learned.bias,
        threshold=learned.threshold,
        reranker=fingerprint(reranker) or "",
        embeddings=embeddings,
    )
    after = _effect(seen, [trial.refused for trial in trials], learned.threshold)
    before = bound_for(reranker, saved=saved, embeddings=embeddings)
    points = curve([trial.chance for trial in trials], kinds)
    return Tuned(
        bound=replace(bound, learned=_about(seen, rate, after)),
        before=None if before is None else _effect(seen, [before.refuses(each) for each in found], before.threshold),
        after=after,
        points=points,
        chosen=_chosen(trials, kinds, learned.threshold),
    )


def save(store: "PGVector", bound: Bound | None) -> None:
    """Remember the bound on the store's collection; None goes back to the standard one."""
    found = store.store.get(store.collection_name)
    store.store.prepare_schema()
    store.store.execute(catalog.set_refusal(found, {} if bound is None else bound.to_json()))
    store.store.forget(store.collection_name)


def _check(kinds: Sequence[bool]) -> None:
    for wanted, name in ((True, "answerable"), (False, "unanswerable")):
        if (count := sum(kind is wanted for kind in kinds)) < LEAST:
            raise InvalidInput(
                f"there are {count} {name} questions and {LEAST} are needed",
                hint="give more with --questions FILE, or load more documents",
            )


def _standard(reranker: "Reranker") -> Learned | None:
    return Learned(weights=STANDARD.weights, bias=STANDARD.bias) if fingerprint(reranker) == STANDARD.reranker else None


def _better(seen: Sequence[Seen], *, rate: float, known: Learned | None) -> tuple[Learned | None, list[Trial]]:
    """Known weights, unless fitted ones refuse clearly more of the questions that they were not fitted to."""
    found, kinds = [each.signs for each in seen], [each.question.answerable for each in seen]
    groups = [each.question.group for each in seen]
    fitted = cross_validated(found, kinds, groups, rate=rate, weights=None)
    if known is None:
        return None, fitted
    plain = cross_validated(found, kinds, groups, rate=rate, weights=known)
    return (None, fitted) if _rightly(fitted, kinds) > _rightly(plain, kinds) + CLEARLY else (known, plain)


def _rightly(trials: Sequence[Trial], kinds: Sequence[bool]) -> float:
    """The share of unanswerable questions refused, less that of answerable ones."""
    refused = {
        kind: share([trial.refused for trial, its in zip(trials, kinds, strict=True) if its is kind])
        for kind in (True, False)
    }
    return refused[False].share - refused[True].share


def _effect(seen: Sequence[Seen], refused: Sequence[bool], threshold: float) -> Effect:
    flags: dict[str, list[bool]] = {}
    for each, its in zip(seen, refused, strict=True):
        flags.setdefault(each.question.kind, []).append(its)
    shares = {kind: share(its) for kind, its in flags.items()}
    return Effect(threshold=threshold, false_refusals=shares.pop("answerable"), refused=shares)


def _about(seen: Sequence[Seen], rate: float, after: Effect) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "questions": dict(Counter(each.question.kind for each in seen)),
        "rate": rate,
        "false_refusals": after.false_refusals.share,
        "refused": {kind: its.share for kind, its in after.refused.items()},
    }


def _chosen(trials: Sequence[Trial], kinds: Sequence[bool], threshold: float) -> Point:
    """What is answered, and wrongly, of the questions as they were tried."""
    answered = [kind for trial, kind in zip(trials, kinds, strict=True) if not trial.refused]
    return Point(threshold, len(answered) / len(trials), answered.count(False) / max(len(answered), 1))
