"""What a sync is given, as one stream of sources: files found on disk, or LangChain Documents."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from langchain_core.documents import Document

from howdah.retrieval import values
from howdah.retrieval.errors import InvalidInput, LoadError
from howdah.retrieval.loaders import FoundFile, LoadOptions, extract, walk
from howdah.retrieval.loaders.archive import Member, expanded
from howdah.retrieval.loaders.file import read
from howdah.retrieval.loaders.folder import portable
from howdah.retrieval.loaders.options import PLAIN
from howdah.retrieval.types import Extract

LOADER = "loader 2"
DOCUMENTS_ROOT = "documents"
SEPARATOR = "\n\n"


@dataclass(frozen=True, kw_only=True)
class Source:
    """One document to be. `read` gives its text; it is called only where the content hash is new."""

    root: str
    source: str
    content_hash: bytes
    read: Callable[[], Extract]
    size: int | None = None
    modified_at: datetime | None = None


Given = Iterable[str | Path | Document] | str | Path


def split(given: Given) -> tuple[list[Path], list[Document]]:
    """Paths and Documents apart; one path alone will do."""
    if isinstance(given, str | Path):
        given = [given]
    paths: list[Path] = []
    documents: list[Document] = []
    for item in given:
        if isinstance(item, Document):
            documents.append(item)
        elif isinstance(item, str | Path):
            paths.append(Path(item))
        else:
            raise InvalidInput(f"sync takes paths and Documents, got {type(item).__name__}")
    return paths, documents


def of_paths(
    paths: list[Path],
    *,
    root: str | None,
    include: tuple[str, ...] = (),
    exclude: tuple[str, ...] = (),
    options: LoadOptions = PLAIN,
) -> Iterator[Source | LoadError]:
    """Every file below `paths`, also those in archives, as a Source, or the reason why it cannot be one."""
    for found in expanded(walk(paths, root=root, include=include, exclude=exclude), options):
        if isinstance(found, Member):
            yield _of_member(found)
        else:
            yield found if isinstance(found, LoadError) else _of_file(found, options)


def _of_member(found: Member) -> Source:
    return Source(
        root=found.root,
        source=values.text(found.source),
        content_hash=found.content_hash,
        read=lambda: read(found.raw()),
        size=found.size,
    )


def _of_file(found: FoundFile, options: LoadOptions) -> Source | LoadError:
    try:
        stat = found.path.stat()
        with found.path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
    except OSError as exc:
        return LoadError(found.source, f"cannot be read ({exc.strerror or exc})", hint="check its permissions")
    return Source(
        root=found.root,
        source=values.text(found.source),
        content_hash=digest,
        read=lambda: extract(found.path, source=found.source, options=options),
        size=stat.st_size,
        modified_at=datetime.fromtimestamp(stat.st_mtime, tz=UTC),
    )


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
            content_hash=bytes.fromhex(_digest(*group)),
            read=_reader(group),
        )


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
