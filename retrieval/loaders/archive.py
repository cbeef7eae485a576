"""ZIP archives as folders: each member a source of its own, within bounds of depth, number and size."""

import hashlib
import io
import os
import re
import stat
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from howdah.retrieval.errors import LoadError
from howdah.retrieval.loaders.containers import UNZIPPED, ZIP, damaged, is_archive
from howdah.retrieval.loaders.folder import FoundFile
from howdah.retrieval.loaders.kinds import RawFile
from howdah.retrieval.loaders.options import PLAIN, LoadOptions
from howdah.retrieval.loaders.package import LIMITS, Limits
from howdah.retrieval.loaders.text import storable

DEPTH = 3  # of archives in one another, the outermost counted
_AES = 99  # a compression method that stands for WinZip's encryption
_LEFT_OUT = {"__MACOSX", "Thumbs.db", "desktop.ini"}  # what systems add to folders for themselves
_DAMAGE = (BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError)


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A file in an archive. `steps` are the numbers of the members that lead to it, from the outermost archive in.

    `content_hash` is the SHA-256 of its bytes, which are not kept: `raw` reads them again. It can be pickled.
    """

    archive: Path
    root: str
    source: str
    name: PurePosixPath
    steps: tuple[int, ...]
    size: int
    content_hash: bytes
    options: LoadOptions = PLAIN

    def raw(self) -> RawFile:
        """The member's bytes. Raises LoadError where the archive is gone or is another by now."""
        try:
            stamp = self.archive.stat()
            inner = _opened(self.archive, stamp.st_mtime_ns, stamp.st_size, self.steps[:-1], self.options, os.getpid())
            data = _content(inner, inner.infolist()[self.steps[-1]], self.source, self.options)
        except (*_DAMAGE, IndexError) as exc:
            raise LoadError(self.source, f"cannot be read from its archive: {exc}", hint="load it once more") from exc
        if hashlib.sha256(data).digest() != self.content_hash:
            raise LoadError(self.source, "changed while it was being loaded", hint="load it once more")
        return RawFile(source=self.source, name=self.name, data=data, options=self.options)


def expanded(
    found: Iterable[FoundFile | LoadError], options: LoadOptions = PLAIN
) -> Iterator[FoundFile | Member | LoadError]:
    """The files of a walk, in their order, with an archive's members in its place, and an error in that of a damaged one."""
    for item in found:
        opens = _opens(item) if isinstance(item, FoundFile) else False
        if opens and isinstance(item, FoundFile):
            yield from members(item, options) if opens is True else [opens]
        else:
            yield item


def members(found: FoundFile, options: LoadOptions = PLAIN, *, limits: Limits = LIMITS) -> Iterator[Member | LoadError]:
    """The files of an archive and of the archives in it, as Members of "source/path/in/archive".

    Left out without a word: names that begin with a dot, what systems add for themselves, links. A member that cannot
    be read comes as a LoadError, and the rest goes on; past the limits of number and size the rest is one LoadError.
    """
    try:
        with ZipFile(found.path) as archive:
            yield from _Walk(found=found, options=options, limits=limits).below(archive, found.source, ())
    except _DAMAGE as exc:
        yield LoadError(found.source, f"is a damaged ZIP archive ({exc})", hint="test it with `unzip -t`")


def unpacked(file: RawFile) -> Iterator[RawFile | LoadError]:
    """The files of an archive that is at hand as bytes, such as one attached to a mail; archives in it are not opened."""
    try:
        with ZipFile(io.BytesIO(file.data)) as archive:
            walk = _Walk(found=None, options=file.options, limits=LIMITS)
            for _, path, source, data in walk.contents(archive, file.source):
                if isinstance(data, LoadError):
                    yield data
                else:
                    yield RawFile(source=source, name=path, data=data, options=file.options, depth=file.depth + 1)
    except _DAMAGE as exc:
        yield file.error(f"is a damaged ZIP archive ({exc})", hint="test it with `unzip -t`")


Content = tuple[int, PurePosixPath, str, bytes | LoadError]


@dataclass(kw_only=True)
class _Walk:
    """One outermost archive on its way; `members` and `unpacked` (bytes) are those met so far, in all archives within it."""

    found: FoundFile | None
    options: LoadOptions
    limits: Limits
    members: int = 0
    unpacked: int = 0
    sources: set[str] = field(default_factory=set)

    def below(self, archive: ZipFile, source: str, steps: tuple[int, ...]) -> Iterator[Member | LoadError]:
        for number, path, inner, data in self.contents(archive, source):
            if isinstance(data, LoadError):
                yield data
            elif not is_archive(io.BytesIO(data)):
                yield self.member(inner, path, (*steps, number), data)
            elif len(steps) + 2 > DEPTH:
                yield LoadError(inner, f"lies more than {DEPTH} archives deep", hint="unpack the outer ones")
            else:
                with ZipFile(io.BytesIO(data)) as nested:
                    yield from self.below(nested, inner, (*steps, number))

    def member(self, source: str, path: PurePosixPath, steps: tuple[int, ...], data: bytes) -> Member:
        assert self.found is not None
        return Member(
            archive=self.found.path,
            root=self.found.root,
            source=source,
            name=path,
            steps=steps,
            size=len(data),
            content_hash=hashlib.sha256(data).digest(),
            options=self.options,
        )

    def contents(self, archive: ZipFile, source: str) -> Iterator[Content]:
        """Number, path, source and bytes of each member, or why it has none."""
        for number, info in enumerate(archive.infolist()):
            path, inner = _path(info), f"{source}/{_shown(info)}"
            if path is not None and (info.is_dir() or _is_left_out(path, info)):
                continue
            if excess := self.excess(info):
                yield number, PurePosixPath(), source, LoadError(source, excess, hint="unpack it and load the folder")
                return
            yield number, path or PurePosixPath(), inner, self.content(archive, info, path, inner)

    def excess(self, info: ZipInfo) -> str | None:
        self.members, self.unpacked = self.members + 1, self.unpacked + info.file_size
        if self.members > self.limits.members:
            return f"has more than {self.limits.members:,} members; those from {_shown(info)!r} on are not read"
        if self.unpacked > self.limits.total_bytes:
            most = f"{self.limits.total_bytes >> 20:,} MB"
            return f"unpacks to more than {most}; the members from {_shown(info)!r} on are not read"
        return None

    def content(self, archive: ZipFile, info: ZipInfo, path: PurePosixPath | None, source: str) -> bytes | LoadError:
        if path is None:
            return LoadError(source, "has a path that leads out of its archive", hint="unpack it by hand, with care")
        if source in self.sources:
            return LoadError(source, "is in its archive more than once; the first is read")
        self.sources.add(source)
        if excess := self.limits.excess_of(info):
            self.unpacked -= info.file_size
            return LoadError(source, excess, hint="if it is what it should be, unpack it and load the folder")
        try:
            return _content(archive, info, source, self.options)
        except LoadError as error:
            return error


def _content(archive: ZipFile, info: ZipInfo, source: str, options: LoadOptions) -> bytes:
    """The bytes of a member. Raises LoadError if it is damaged, or none of the passwords opens it."""
    if info.compress_type == _AES:
        raise LoadError(source, "is encrypted by AES, which is not read", hint="unpack the archive and load the folder")
    encrypted = info.flag_bits & 1
    for password in options.passwords if encrypted else [""]:
        try:
            return archive.read(info, pwd=password.encode() if encrypted else None)
        except NotImplementedError as exc:
            raise LoadError(source, f"is packed in a way that is not read ({exc})", hint="pack it again") from exc
        except (RuntimeError, *_DAMAGE) as exc:
            # A wrong password passes for right one time in 256, and then gives damage.
            if not encrypted:
                raise LoadError(source, f"is damaged in its archive ({exc})", hint="test it with `unzip -t`") from exc
    raise RawFile(source=source, name=PurePosixPath(source), data=b"", options=options).locked()


# The last archive stays open: its directory is read once for all its members, and a nested one is unpacked once.
@lru_cache(maxsize=1)
def _opened(path: Path, _time: int, _size: int, steps: tuple[int, ...], options: LoadOptions, _process: int) -> ZipFile:
    archive = ZipFile(path)
    for step in steps:
        with archive:
            data = _content(archive, archive.infolist()[step], str(path), options)
        archive = ZipFile(io.BytesIO(data))
    return archive


def _opens(found: FoundFile) -> bool | LoadError:
    """Whether it is an archive. A damaged ZIP file is an error now: found later, its members would seem to be gone."""
    try:
        if not stat.S_ISREG(found.path.stat().st_mode):
            return False
        with found.path.open("rb") as file:
            if file.read(4) != ZIP:
                return False
            try:
                ZipFile(file).close()
            except UNZIPPED as exc:
                return damaged(found.source, found.path.read_bytes(), exc)
            return is_archive(file)
    except OSError:
        return False


def _path(info: ZipInfo) -> PurePosixPath | None:
    """The member's path below its archive; None for one that leads out of it."""
    name = _shown(info)
    if name.startswith("/") or re.match(r"[A-Za-z]:", name) or ".." in name.split("/"):
        return None
    return PurePosixPath(name)


def _shown(info: ZipInfo) -> str:
    """The member's name, with slashes, in Unicode's NFC form."""
    return unicodedata.normalize("NFC", storable(_decoded(info).replace("\\", "/")))


def _decoded(info: ZipInfo) -> str:
    """By the flag for UTF-8; without it as UTF-8 all the same, else as the packing system wrote names in its day."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    raw = info.filename.encode("cp437")
    for encoding in ("utf-8", "cp1252") if info.create_system == 3 else ("utf-8",):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return info.filename


def _is_left_out(path: PurePosixPath, info: ZipInfo) -> bool:
    mode = info.external_attr >> 16 if info.create_system == 3 else 0
    special = stat.S_IFMT(mode) not in {0, stat.S_IFREG}
    return special or any(part.startswith(".") or part in _LEFT_OUT for part in path.parts)
