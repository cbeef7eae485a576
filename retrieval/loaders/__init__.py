"""Files in, text with headings, pages and titles out."""

from importlib import import_module as _import_module
from typing import TYPE_CHECKING as _TYPE_CHECKING

from howdah.retrieval.loaders.file import extract
from howdah.retrieval.loaders.folder import FoundFile, walk
from howdah.retrieval.loaders.kinds import Kind
from howdah.retrieval.loaders.options import LoadOptions

if _TYPE_CHECKING:
    from howdah.retrieval.loaders.langchain import FileLoader

__all__ = ["FileLoader", "FoundFile", "Kind", "LoadOptions", "extract", "walk"]


def __getattr__(name: str) -> object:
    """FileLoader when it is first asked for: LangChain takes longer to import than all the rest."""
    if name != "FileLoader":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _import_module("howdah.retrieval.loaders.langchain").FileLoader
