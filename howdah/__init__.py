"""Retrieval-augmented answers on PostgreSQL and pgvector.

These names are the promise; everything else may change. Each is imported when it is first used, so that
`import howdah` costs nothing.
"""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

if _TYPE_CHECKING:
    from howdah.chains import Answer, AnswerChunk, rag_agent, rag_chain
    from howdah.retrieval.errors import HowdahError, NotAdopted
    from howdah.retrieval.records import PGRecordManager
    from howdah.retrieval.retriever import PGVectorRetriever
    from howdah.retrieval.sync import sync
    from howdah.retrieval.types import Hit
    from howdah.retrieval.vectorstore import PGVector

__all__ = [
    "Answer",
    "AnswerChunk",
    "Hit",
    "HowdahError",
    "NotAdopted",
    "PGRecordManager",
    "PGVector",
    "PGVectorRetriever",
    "rag_agent",
    "rag_chain",
    "sync",
]

_HOME = {
    "Answer": "howdah.chains",
    "AnswerChunk": "howdah.chains",
    "Hit": "howdah.retrieval.types",
    "HowdahError": "howdah.retrieval.errors",
    "NotAdopted": "howdah.retrieval.errors",
    "PGRecordManager": "howdah.retrieval.records",
    "PGVector": "howdah.retrieval.vectorstore",
    "PGVectorRetriever": "howdah.retrieval.retriever",
    "rag_agent": "howdah.chains",
    "rag_chain": "howdah.chains",
    "sync": "howdah.retrieval.sync",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(_import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
