"""EPUB: the chapters of a book in reading order."""

from collections.abc import Iterator
from posixpath import dirname as folder_of
from posixpath import join, normpath
from typing import Any
from urllib.parse import unquote
from zipfile import ZipFile

from howdah.retrieval.loaders.blocks import joined
from howdah.retrieval.loaders.kinds import Kind, RawFile
from howdah.retrieval.loaders.markup import blocks_of
from howdah.retrieval.loaders.package import opened, own_title, part, xml_of
from howdah.retrieval.types import Extract

_WHAT = "EPUB book"
_PAGES = (".htm", ".html", ".xhtml")


def read_epub(file: RawFile) -> Extract:
    """The text of the book's spine without its table of contents; the title is the book's own.

    Raises LoadError if it is damaged, protected, unpacks too far or has no text.
    """
    with opened(file, _WHAT) as package:
        names = set(package.namelist())
        listing = _listing(file, package, names)
        root = xml_of(part(package, listing) if listing else None, file=file)
        chapters = [*_spine(root, folder=folder_of(listing))] if root is not None else []
        chapters = [name for name in chapters if name in names] or sorted(n for n in names if n.endswith(_PAGES))
        protected = _protected(file, package)
        blocks = [block for name in chapters if name not in protected for block in blocks_of(file, package.read(name))]
        title = own_title(root)
    if not blocks and protected:
        raise file.error("is protected against copying (DRM)", hint="load a copy without protection")
    if not blocks:
        raise file.error("has no text", hint="if its pages are pictures, run it through an OCR program first")
    found = joined(blocks)
    return Extract(
        text=found.text, media_type=Kind.EPUB.value, title=title or found.first_title, headings=found.headings
    )


def _listing(file: RawFile, package: ZipFile, names: set[str]) -> str:
    """The path of the package document (OPF); empty if there is none."""
    container = xml_of(part(package, "META-INF/container.xml"), file=file)
    found = None if container is None else container.find(".//{*}rootfile")
    named = "" if found is None else str(found.get("full-path") or "")
    return named if named in names else next((name for name in sorted(names) if name.endswith(".opf")), "")


def _spine(root: Any, *, folder: str) -> Iterator[str]:
    items = {item.get("id"): item for item in root.iterfind(".//{*}manifest/{*}item")}
    for reference in root.iterfind(".//{*}spine/{*}itemref"):
        item = items.get(reference.get("idref"))
        if item is not None and "nav" not in (item.get("properties") or "").split():
            yield normpath(join(folder, unquote(item.get("href") or "")))


def _protected(file: RawFile, package: ZipFile) -> set[str]:
    """The members that encryption.xml names; fonts are often among them, and do no harm."""
    root = xml_of(part(package, "META-INF/encryption.xml"), file=file)
    return set() if root is None else {unquote(ref.get("URI") or "") for ref in root.iter("{*}CipherReference")}
