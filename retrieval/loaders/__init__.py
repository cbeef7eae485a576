"""Files in, text with headings, pages and titles out."""

from howdah.retrieval.loaders.file import FileLoader, extract
from howdah.retrieval.loaders.folder import FoundFile, walk
from howdah.retrieval.loaders.kinds import Kind
from howdah.retrieval.loaders.options import LoadOptions

__all__ = ["FileLoader", "FoundFile", "Kind", "LoadOptions", "extract", "walk"]
