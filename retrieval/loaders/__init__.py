"""Files in, text with headings, pages and titles out."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from howdah.retrieval.loaders.file import extract
from howdah.retrieval.loaders.folder import FoundFile, walk
from howdah.retrieval.loaders.kinds import Kind
from howdah.retrieval.loaders.options import LoadOptions

if _TYPE_CHECKING:
    from howdah.retrieval.loaders.langchain import FileLoader, WebLoader

__all__ = ["FileLoader", "FoundFile", "Kind", "LoadOptions", "WebLoader", "extract", "walk"]


def __getattr__(name: str) -> object:
    """LangChain's loaders when they are first asked for: it takes longer to import than all the rest."""
    if name not in {"FileLoader", "WebLoader"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_import_module("howdah.retrieval.loaders.langchain"), name)
