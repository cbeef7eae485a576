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

    if not session.advised and language_of(text) not in (None, "en"):
        _advise(session, [*_of_embeddings(session, store), *_of_chat(session)])


def advise_of_documents(session: Session, store: "PGVector", language: str | None) -> None:
    """The same of documents that were loaded; `language` is its English name, or a text-search configuration."""
    if language not in (None, "english", "simple"):
        _advise(session, _of_embeddings(session, store))


def _advise(session: Session, parts: list[str]) -> None:
    if parts and not session.advised:
        session.advised = True
        text = "; ".join(parts)
        output.warn(text[:1].upper() + text[1:])


def _of_embeddings(session: Session, store: "PGVector") -> list[str]:
    from howdah.retrieval.embeddings import LocalEmbeddings

    if not isinstance(store.embeddings, LocalEmbeddings):
        return []
    return [
        f"the local embedding model is made for English: for documents in other languages set HOWDAH_EMBEDDINGS={EMBEDDINGS}"
        f" and load them into a new collection, or run: howdah collections reembed {session.collection} --model {EMBEDDINGS}"
    ]


def _of_chat(session: Session) -> list[str]:
    from howdah.chains.models import Extractive, is_small
    from howdah.chains.rag import model_name

    model = session.chat_model
    if isinstance(model, Extractive) or not is_small(model_name(model)):
        return []
    return [f"the local chat model is made for English: set HOWDAH_CHAT_MODEL={CHAT}, or extractive for quotes"]
