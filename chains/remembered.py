"""An answer as a chat message: it knows what it rests on, so that it can go when that is deleted."""

from langchain_core.messages import AIMessage

from howdah.chains.types import Answer
from howdah.retrieval.quoted import OURS


def as_message(answer: Answer, *, collection: str | None = None) -> AIMessage:
    """`answer` for a chat history. What it cites, and of which collection, is in metadata that no model is sent."""
    cited = [{"n": each.n, "id": each.id, "source": each.source} for each in answer.citations]
    told = {"citations": cited, "collection": collection, "trace": answer.trace}
    return AIMessage(answer.text, response_metadata={OURS: {k: v for k, v in told.items() if v is not None}})
