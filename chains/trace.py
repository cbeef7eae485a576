"""What an answer's trace is made of: the chain is watched as LangChain's own tracers watch it, and goes as without.

Every step's outcome reaches the Recorder, so an answer that failed or was cancelled is traced as far as it came.
"""

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from howdah.chains.turn import Turn, milliseconds
from howdah.chains.types import Answer, Citation
from howdah.retrieval.traces import Outcome, Trace
from howdah.retrieval.types import Hit

_COUNTED = ("input_tokens", "output_tokens", "total_tokens")
_STEPS = frozenset({"rewrite", "answer"})  # that may ask a model


class Recorder(BaseCallbackHandler):
    """What happened to one question. `about` says what is the same for each: collection, search and prompt."""

    run_inline = True  # it only remembers, so an async chain need not send it to a thread

    def __init__(self, about: Mapping[str, Any], session: str | None = None) -> None:
        self.id = secrets.token_hex(5)
        self._about, self._session = about, session
        self._turn: Turn | None = None
        self._question = ""
        self._found: tuple[Hit, ...] = ()
        self._runs: dict[UUID, tuple[str, UUID | None]] = {}
        self._tokens: dict[str, Counter[str]] = {}

    @property
    def began(self) -> bool:
        """Whether there is a question yet: what the chain refused to read is nothing to trace."""
        return self._turn is not None

    def on_chain_start(
        self, serialized: Any, inputs: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> None:
        self._runs[run_id] = (str(kwargs.get("name") or ""), parent_run_id)

    def on_chain_end(self, outputs: Any, **kwargs: Any) -> None:
        if isinstance(outputs, Turn):
            self._turn = outputs
            self._question = self._question or outputs.question  # an agent's searches have questions of their own
            known = {hit.id for hit in self._found}  # in the retriever's own order: reranking comes later
            self._found += tuple(hit for hit in outputs.hits if hit.id not in known)

    def on_chat_model_start(self, *args: Any, **kwargs: Any) -> None:
        """Nothing, where LangChain would write the messages down."""

    def on_llm_end(self, response: LLMResult, *, parent_run_id: UUID | None = None, **kwargs: Any) -> None:
        counted = self._tokens.setdefault(self._step(parent_run_id), Counter())
        for generation in (one for several in response.generations for one in several):
            message = generation.message if isinstance(generation, ChatGeneration) else None
            usage = message.usage_metadata if isinstance(message, AIMessage) else None
            counted.update({name: usage[name] for name in _COUNTED if name in usage} if usage else {})  # type: ignore[literal-required]

    def _step(self, run: UUID | None) -> str:
        """The step of the chain that a run is part of."""
        name = ""
        while run is not None and name not in _STEPS:
            name, run = self._runs.get(run, ("", None))
        return name if name in _STEPS else "answer"

    def trace(self, answer: Answer, *, broken: BaseException | None = None) -> Trace:
        """The trace of `answer`, or of as much of it as there was when `broken` ended it."""
        turn = cast("Turn", self._turn)
        timings = {**turn.timings, **answer.timings}
        timings.setdefault("total", milliseconds(turn.began))
        citing = {citation.id for citation in answer.citations}
        return Trace(
            id=self.id,
            outcome=_outcome(answer, broken),
            question=self._question,
            collection=self._about["collection"],
            session=self._session,
            rewritten=turn.query if turn.query != self._question else None,
            answer=answer.text or None,
            hits=described(
                answer.hits or turn.hits, self._found, shown=0 if turn.refused else turn.shown, cited=citing
            ),
            citations=[_placed(citation) for citation in answer.citations],
            checks=[{"status": check.status, "reason": check.reason, "n": list(check.n)} for check in answer.checks],
            details=self._details(turn, answer, timings, broken),
        )

    def _details(
        self, turn: Turn, answer: Answer, timings: Mapping[str, float], broken: BaseException | None
    ) -> dict[str, Any]:
        search = dict(self._about["search"])
        search |= {name: value for name, value in (("k", turn.k), ("filter", turn.filter)) if value is not None}
        found = {
            "collection": self._about["collection"],
            "search": search,
            "history": len(turn.history),
            "prompt": self._about["prompt"],
            "asked": self._about["model"],
            "model": answer.model,
            "tokens": {step: dict(counted) for step, counted in self._tokens.items() if counted},
            "timings_ms": {name: round(ms, 2) for name, ms in timings.items()},
            "note": answer.note,
            "error": type(broken).__name__ if isinstance(broken, Exception) else None,  # its text may hold documents
        }
        plain = json.loads(json.dumps(found, default=str))
        return {name: value for name, value in plain.items() if value not in (None, {})}


def about(
    retriever: Runnable[Any, Any], *, prompt: Mapping[str, str], model: str | None, **options: Any
) -> dict[str, Any]:
    """What is the same for every question of a chain."""
    given = dict(getattr(retriever, "search_kwargs", None) or {})
    search = {
        "type": getattr(retriever, "search_type", None) or type(retriever).__name__,
        "k": given.pop("k", None) or getattr(retriever, "k", None),
        "filter": given.pop("filter", None),
        **options,
    }
    store = getattr(retriever, "vectorstore", None)
    return {
        "collection": getattr(store, "collection_name", None),
        "search": {name: value for name, value in search.items() if value is not None},
        "prompt": dict(prompt),
        "model": model,
    }


def prompt_version(prompt: ChatPromptTemplate) -> str:
    """Changes with every letter of the prompt, and with nothing else."""
    return hashlib.sha256(prompt.pretty_repr().encode("utf-8", "surrogatepass")).hexdigest()[:12]


def described(
    hits: Sequence[Hit], found: Sequence[Hit], *, shown: int, cited: frozenset[str] | set[str]
) -> list[dict[str, Any]]:
    """`hits` without their text: places, scores, and the rank that each arm gave them among `found`."""
    ranks = {
        "retrieved": [hit.id for hit in found],
        **{arm: _ranked(hits, arm) for arm in ("dense", "lexical", "rerank")},
    }
    return [
        {
            "id": hit.id,
            "source": hit.source,
            "page": hit.page,
            "start": hit.start,
            "end": hit.end,
            "score": hit.score,
            "scores": dict(hit.scores),
            "ranks": {arm: ids.index(hit.id) + 1 for arm, ids in ranks.items() if hit.id in ids},
            "shown": place < shown,
            "cited": hit.id in cited,
            **({"also_in": list(hit.also_in)} if hit.also_in else {}),
        }
        for place, hit in enumerate(hits)
    ]


def _ranked(hits: Sequence[Hit], arm: str) -> list[str]:
    """Ids in an arm's own order; what it gave nothing it did not find."""
    scored = [hit for hit in hits if hit.scores.get(arm, 0.0) > 0]
    return [hit.id for hit in sorted(scored, key=lambda hit: -hit.scores[arm])]


def _outcome(answer: Answer, broken: BaseException | None) -> Outcome:
    if broken is None:
        return "refused" if answer.refused else "answered"
    return "failed" if isinstance(broken, Exception) else "cancelled"


def _placed(citation: Citation) -> dict[str, Any]:
    kept = ("n", "id", "source", "page", "start", "end", "quote")
    return {name: getattr(citation, name) for name in kept}
