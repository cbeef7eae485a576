"""Files, folders and web pages as LangChain Documents."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

from howdah.retrieval.errors import LoadError
from howdah.retrieval.loaders.archive import Member, expanded
from howdah.retrieval.loaders.file import extract, read
from howdah.retrieval.loaders.folder import walk
from howdah.retrieval.loaders.options import PLAIN, LoadOptions
from howdah.retrieval.loaders.web import Web
from howdah.retrieval.types import Extract


class FileLoader(BaseLoader):
    """Files and folders as LangChain Documents, one a file, in the order of `walk`; archives are folders.

    Metadata: source ("root/relative/path"), title, media_type, and what the format adds (page_count, ...).
    `on_error` is called with each file that cannot be read, and the rest is loaded; without it the first one raises.
    """

    def __init__(
        self,
        *paths: str | Path,
        include: Sequence[str] = (),
        exclude: Sequence[str] = (),
        gitignore: bool = False,
        on_error: Callable[[LoadError], None] | None = None,
        options: LoadOptions = PLAIN,
    ) -> None:
        self.paths, self.include, self.exclude, self.on_error = paths, include, exclude, on_error
        self.gitignore, self.options = gitignore, options

    def lazy_load(self) -> Iterator[Document]:
        files = walk(self.paths, include=self.include, exclude=self.exclude, gitignore=self.gitignore)
        for found in expanded(files, self.options):
            try:
                if isinstance(found, LoadError):
                    raise found
                if isinstance(found, Member):
                    content = read(found.raw())
                else:
                    content = extract(found.path, source=found.source, options=self.options)
            except LoadError as error:
                if self.on_error is None:
                    raise
                self.on_error(error)
            else:
                yield _document(found.source, content)


class WebLoader(BaseLoader):
    """Pages of the web as LangChain Documents, one a page, in the order given.

    Metadata: source (the address), title, media_type, url (where redirects ended), fetched_at, and etag and last_modified
    where the site names them. `web` says how pages are fetched. `on_error` is called with each page that cannot be had,
    and the rest is loaded; without it the first one raises.
    """

    def __init__(
        self,
        *urls: str,
        web: Web | None = None,
        on_error: Callable[[LoadError], None] | None = None,
        options: LoadOptions = PLAIN,
    ) -> None:
        self.urls, self.web, self.on_error, self.options = urls, web or Web(), on_error, options

    def lazy_load(self) -> Iterator[Document]:
        for url in self.urls:
            try:
                page = self.web.fetch(url, options=self.options)
                content = read(page.file)
            except LoadError as error:
                if self.on_error is None:
                    raise
                self.on_error(error)
            else:
                yield _document(page.file.source, content, **page.metadata)


def _document(source: str, content: Extract, **more: str) -> Document:
    metadata = {**content.metadata, **more, "source": source, "title": content.title, "media_type": content.media_type}
    return Document(page_content=content.text, metadata=metadata)
