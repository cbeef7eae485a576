"""What a sync is given, as a list of sources: files found on disk or in archives, or LangChain Documents."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from langchain_core.documents import Document

from howdah.retrieval import values
from howdah.retrieval.errors import InvalidInput, LoadError
from howdah.retrieval.known import Known
from howdah.retrieval.loaders import FoundFile, LoadOptions
from howdah.retrieval.loaders.archive import Member, expanded
from howdah.retrieval.loaders.folder import portable
from howdah.retrieval.loaders.job import Job
from howdah.retrieval.loaders.kinds import RawFile
from howdah.retrieval.loaders.options import PLAIN
from howdah.retrieval.loaders.web import Web, is_url
from howdah.retrieval.types import Extract

DOCUMENTS_ROOT = "documents"
SEPARATOR = "\n\n"
RACY = timedelta(seconds=2)
"""A file changed so shortly ago may change again within one tick of its clock: its time is not noted, so that the next
sync looks at its content."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One document to be: `job` is what a worker does for its text, made when it is wanted; or its `text` is at hand."""

    root: str
    source: str
    digest: Callable[[], bytes]
    job: Callable[[], Job] | None = None
    text: Callable[[], Extract] | None = None
    size: int | None = None
    modified_at: datetime | None = None

    @cached_property
    def content_hash(self) -> bytes:
        """The SHA-256 of the content, found when it is first asked for. Raises LoadError where it cannot be read."""
        return self.digest()


Given = Iterable[str | Path | Document] | str | Path


def split(given: Given) -> tuple[list[Path], list[str], list[Document]]:
    """Paths, addresses of web pages and Documents apart; one path alone will do."""
    if isinstance(given, str | Path):
        given = [given]
    paths: list[Path] = []
    urls: list[str] = []
    documents: list[Document] = []
    for item in given:
        if isinstance(item, Document):
            documents.append(item)
        elif isinstance(item, str) and is_url(item):
            urls.append(item)
        elif isinstance(item, str | Path):
            paths.append(Path(item))
        else:
            raise InvalidInput(f"sync takes paths, addresses and Documents, got {type(item).__name__}")
    return paths, urls, documents


def of_files(
    files: Iterable[FoundFile | LoadError], known: Mapping[str, Known], options: LoadOptions = PLAIN
) -> Iterator[Source | LoadError]:
    """Every file of a walk, also those in archives, as a Source, or the reason why it cannot be one.

    The hash of a file whose size and time are those of `known` is taken from there.
    """
    for found in expanded(files, options):
        if isinstance(found, Member):
            yield _of_member(found)
        else:
            yield found if isinstance(found, LoadError) else _of_file(found, known, options)


def _of_member(found: Member) -> Source:
    return Source(
        root=found.root,
        source=values.text(found.source),
        digest=lambda: found.content_hash,
        job=lambda: Job(content=found, source=found.source, options=found.options),
        size=found.size,
    )


def _of_file(found: FoundFile, known: Mapping[str, Known], options: LoadOptions) -> Source | LoadError:
    source = values.text(found.source)
    try:
        stat = found.path.stat()
    except OSError as exc:
        return _unreadable(source, exc)
    modified_at = datetime.fromtimestamp(stat.st_mtime, tz=UTC)
    before = known.get(source)
    same = before is not None and before.stamp == (stat.st_size, modified_at)
    return Source(
        root=found.root,
        source=source,
        digest=(lambda: before.content_hash) if before is not None and same else lambda: _digest_of(found.path, source),
        job=lambda: Job(content=found.path, source=source, options=options),
        size=stat.st_size,
        modified_at=None if datetime.now(UTC) - modified_at < RACY else modified_at,
    )


def _digest_of(path: Path, source: str) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as exc:
        raise _unreadable(source, exc) from exc


def _unreadable(source: str, exc: OSError) -> LoadError:
    return LoadError(source, f"cannot be read ({exc.strerror or exc})", hint="check its permissions", lasting=False)


def of_urls(urls: Iterable[str], *, root: str | None, web: Web | None, options: LoadOptions) -> Iterator[Source]:
    """Web pages as Sources, each fetched once, when its content is first asked for."""
    web = web or Web()
    for url in dict.fromkeys(values.text(url.partition("#")[0]) for url in urls):
        page = _Page(web, url, options)
        yield Source(
            root=root or urlsplit(url).hostname or "web", source=url, digest=page.digest, job=page.job,
        )  # fmt: skip


class _Page:
    """A page that is fetched when it is first wanted, and let go of when it is handed to a worker."""

    def __init__(self, web: Web, url: str, options: LoadOptions) -> None:
        self.web, self.url, self.options = web, url, options
        self.file: RawFile | None = None

    def fetched(self) -> RawFile:
        if self.file is None:
            try:
                self.file = self.web.fetch(self.url, options=self.options).file
            except LoadError as error:
                error.lasting = False
                raise
        return self.file

    def digest(self) -> bytes:
        return hashlib.sha256(self.fetched().data).digest()

    def job(self) -> Job:
        file, self.file = self.fetched(), None
        return Job(content=file.data, source=self.url, name=str(file.name), options=self.options)


def root_names(paths: list[Path], root: str | None) -> list[str]:
    """The roots that these paths belong to, as `walk` names them."""
    return list(dict.fromkeys(root or name for path in paths for name in _names(path)[:1]))


def whole_roots(paths: list[Path], root: str | None) -> list[str]:
    """Of these roots, those that stand before us as a whole and may be pruned.

    A root of which single files are given is not; nor is one that a path which is not there may have belonged to.
    """
    folders = {root or _names(path)[0] for path in paths if path.is_dir()}
    missing = {name for path in paths if not path.exists() for name in ([root] if root else _names(path))}
    return [name for name in root_names(paths, root) if name in folders - missing]


def _names(path: Path) -> list[str]:
    """What `walk` may call the root of this path, the likeliest first; a missing one could be a folder or a file."""
    resolved = path.resolve()
    own, above = portable(resolved.name) or "root", portable(resolved.parent.name) or "root"
    return [own] if path.is_dir() else [above] if path.exists() else [own, above]


def of_documents(documents: list[Document], *, root: str | None) -> Iterator[Source]:
    """Documents as Sources: those of one metadata["source"] are one document, joined by a blank line."""
    groups: dict[str, list[Document]] = {}
    for document in documents:
        source = document.metadata.get("source") or document.id or _digest(document)[:32]
        groups.setdefault(values.text(str(source)), []).append(document)
    for source, group in groups.items():
        yield Source(
            root=root or DOCUMENTS_ROOT,
            source=source,
            digest=_digester(group),
            text=_reader(group),
        )


def _digester(group: list[Document]) -> Callable[[], bytes]:
    return lambda: bytes.fromhex(_digest(*group))


def _reader(group: list[Document]) -> Callable[[], Extract]:
    return lambda: _joined(group)


def _joined(group: list[Document]) -> Extract:
    texts = values.texts(document.page_content for document in group)
    starts = [0]
    for text in texts[:-1]:
        starts.append(starts[-1] + len(text) + len(SEPARATOR))
    metadata = json.loads(values.metadata_json(group[0].metadata))
    extracted = Extract(
        text=SEPARATOR.join(texts), media_type=str(metadata.get("media_type", "text/plain")), metadata=metadata
    )
    if len(group) > 1 and all("page" in document.metadata for document in group):
        extracted = replace(extracted, pages=tuple(starts))
    title = metadata.get("title")
    return replace(extracted, title=title if isinstance(title, str) and title else None)


def _digest(*documents: Document) -> str:
    parts = [[document.page_content, values.metadata_json(document.metadata)] for document in documents]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
