"""The chain: a question in, an answer whose every sentence is held by a passage out."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from langchain_core.documents import Document
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda

from howdah.chains.answering import Answering
from howdah.chains.asking import Asking, bounded
from howdah.chains.context import format_context
from howdah.chains.draft import Policy
from howdah.chains.history import HISTORY_TOKENS, trimming
from howdah.chains.models import Extractive, is_small
from howdah.chains.prompts import checked, load_prompt
from howdah.chains.reply import Verify
from howdah.chains.retrieve import retrieving
from howdah.chains.rewrite import rewriting
from howdah.chains.searched import Searched
from howdah.chains.select import Selection, selecting
from howdah.chains.small import ROOM, excerpt
from howdah.chains.traced import keeping
from howdah.chains.turn import Turn, read
from howdah.chains.types import Answer
from howdah.chains.verify import STRICT, USUAL
from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.rerank import Reranker
from howdah.retrieval.tracing import Traces

if TYPE_CHECKING:
    from howdah.retrieval.store import Store
    from howdah.retrieval.vectorstore import PGVector

T = TypeVar("T")

SMALL_CONTEXT = ROOM
CONTEXT = 12_000
_TAKES = {"context", "question"}, {"history"}


def rag_chain(
    retriever: Runnable[str, list[Document]],
    model: Runnable[LanguageModelInput, AIMessage] | Extractive,
    *,
    prompt: ChatPromptTemplate | None = None,
    prompts: str | Path | None = None,
    reranker: Reranker | None = None,
    min_score: float | None = None,
    passages: int = 6,
    context: int | None = None,
    history_tokens: int = HISTORY_TOKENS,
    trace: "PGVector | Store | Traces | None" = None,
    unsupported: Policy = "repair",
    verify: Verify = "before",
    timeout: float | None = 60.0,
) -> Runnable[str | Mapping[str, Any], Answer]:
    """A Runnable from a question, or `{"question", "history", "filter", "k"}`, to an Answer; streamed, to AnswerChunks.

    Args:
        retriever: Any LangChain retriever. Offsets and pages are as good as the metadata of its Documents.
        model: A chat model, or EXTRACTIVE for verified quotes without one.
        prompt: Takes `context` and `question`, and `history` (messages) if it likes. Default: prompts/answer.md, or
            answer_small.md for the small local model.
        prompts: A folder whose files come before our own prompts of the same name.
        reranker: Orders the passages, decides on refusal, and finds the sentence to quote.
        min_score: A best passage that scores lower (by the reranker, else by the retriever) is a refusal, and the
            model is not asked. Default: the bound that `howdah tune --refusal` learned for the collection, else the
            standard one (refusal.py), else bounds on scores and shared words (select.py).
        passages: The most that the model sees.
        context: Characters of them, markup included. Default: 12,000; 300 for the small local model, which sees the best
            sentence and its neighbours (small.py).
        history_tokens: The most of the history that is looked at, newest exchanges first; 0 looks at none.
        trace: Where each answer's trace is kept, 30 days or as `Traces(store, days=…)` says; None keeps none.
        unsupported: What becomes of a sentence that its own citation does not hold. "repair": another passage that holds
            it is cited instead, else it is dropped. "drop": it is dropped. "mark": as "repair", but what no passage holds
            is shown with [unsupported] behind it; never a number or a link that no passage holds.
        verify: "before": a sentence is streamed when it is verified. "after": tokens are streamed as they come, and a
            chunk with `retracts` replaces them by the verified answer.
        timeout: Seconds that the model may take for its first token, and for each next one. None: no limit.

    """
    if timeout is not None and not timeout > 0:
        raise InvalidInput(f"timeout is {timeout!r} and must be seconds above 0", hint="None waits for ever")
    writes = None if isinstance(model, Extractive) else _runnable(model)
    name = None if writes is None else model_name(writes)
    small = is_small(name)
    limit = context or (SMALL_CONTEXT if small else CONTEXT)
    asked = checked(prompt, *_TAKES) if prompt else load_prompt("answer_small" if small else "answer", folder=prompts)
    selection = Selection(min_score=min_score, passages=passages, limit=limit)
    searched = Searched(retriever)
    chain = (
        RunnableLambda(read, name="read")
        | trimming(writes, history_tokens)
        | rewriting(
            None if small or writes is None else bounded(writes, timeout), load_prompt("rewrite", folder=prompts)
        )
        | retrieving(retriever)
        | selecting(selection, reranker, searched)
        | RunnableLambda(chosen, name="chosen")
        | Answering(
            asking=None
            if writes is None
            else Asking(prompting=_variables(limit, small=small) | asked, model=writes, timeout=timeout),
            name=name,
            reranker=reranker,
            searched=searched,
            bar=STRICT if small else USUAL,
            small=small,
            policy=_one_of("unsupported", unsupported, Policy),
            verify=_one_of("verify", verify, Verify),
        )
    )
    prompted = "own" if prompt else "answer_small" if small else "answer"
    return keeping(
        chain, trace, name="rag_chain", retriever=retriever, prompt=(prompted, asked), model=name, reranker=reranker,
        min_score=min_score,
    )  # fmt: skip


def chosen(turn: Turn) -> Turn:
    """As it is: tracers hear of a step when the next has taken all of it, so they know what was chosen of an answer that is
    never finished.
    """
    return turn


def model_name(model: Runnable[Any, Any]) -> str:
    """What a model calls itself; of one with retries or bound arguments, what is inside."""
    for attribute in ("model_name", "model", "model_id", "deployment_name"):
        if isinstance(name := getattr(model, attribute, None), str) and name:
            return name
    inner = getattr(model, "bound", None) or getattr(model, "runnable", None)
    return model_name(inner) if isinstance(inner, Runnable) else type(model).__name__


def _runnable(model: Runnable[LanguageModelInput, AIMessage]) -> Runnable[LanguageModelInput, AIMessage]:
    if not isinstance(model, Runnable):
        raise InvalidInput(
            f"model is a {type(model).__name__} and must be a chat model or EXTRACTIVE",
            hint="howdah.chains.models.load_chat_model makes one from a name",
        )
    return model


def _variables(limit: int, *, small: bool) -> Runnable[Turn, dict[str, Any]]:
    """What a prompt is rendered with."""

    def variables(turn: Turn) -> dict[str, Any]:
        room = limit >> turn.narrowed
        shown = turn.hits[: turn.shown]
        context = excerpt(turn, room) if small else format_context(shown, question=turn.query, limit=room)
        return {"context": context, "question": turn.query, "history": list(turn.history)}

    return RunnableLambda(variables, name="format")


def _one_of(name: str, value: T, kind: object) -> T:
    """`value` if the Literal `kind` has it."""
    if value not in get_args(kind):
        raise InvalidInput(f"{name} is {value!r} and must be one of {', '.join(map(repr, get_args(kind)))}")
    return value
