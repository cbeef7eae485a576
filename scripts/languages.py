"""A word of advice where the models on this machine, which read English, meet another language."""

from typing import TYPE_CHECKING

from howdah.scripts import output
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.vectorstore import PGVector

EMBEDDINGS = "ollama:bge-m3"  # on this machine, by Ollama; or openai:text-embedding-3-small
CHAT = "openai:gpt-5-mini"


def advise(session: Session, store: "PGVector", text: str) -> None:
    """Once a session: that `text` is in a language that the local models do not know, and which settings help."""
    from howdah.chains.language import language_of

    if session.advised or language_of(text) in (None, "en"):
        return
    advice = _advice(session, store)
    if advice:
        session.advised = True
        output.warn(advice)


def _advice(session: Session, store: "PGVector") -> str:
    from howdah.chains.models import Extractive
    from howdah.chains.rag import model_name
    from howdah.retrieval.embeddings import LocalEmbeddings

    model = session.chat_model
    small = not isinstance(model, Extractive) and "smollm2" in model_name(model).casefold()
    parts: list[str] = []
    if isinstance(store.embeddings, LocalEmbeddings):
        parts.append(
            "the local embedding model is made for English: for a collection in other languages set"
            f" HOWDAH_EMBEDDINGS={EMBEDDINGS}, or give it that model by:"
            f" howdah collections reembed {session.collection} --model {EMBEDDINGS}"
        )
    if small:
        parts.append(
            f"the local chat model is made for English: set HOWDAH_CHAT_MODEL={CHAT}, or extractive for quotes"
        )
    text = "; ".join(parts)
    return text[:1].upper() + text[1:]
