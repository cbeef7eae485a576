"""Which files there are: one walk over files and folders, in an order that depends on their names alone."""

import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from howdah.retrieval.errors import LoadError
from howdah.retrieval.loaders.gitignore import GitIgnore


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundFile:
    """A regular file. `source` is "root/relative/posix/path", the same on every machine: in Unicode's NFC form,
    with U+FFFD for bytes of a name that are not UTF-8.
    """

    path: Path
    root: str
    source: str


def walk(
    paths: Iterable[str | Path],
    *,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    root: str | None = None,
    gitignore: bool = False,
) -> Iterator[FoundFile | LoadError]:
    """Every file below `paths`, folders in name order, each file and each folder once.

    A path is a folder (its root name is its own, or `root`) or a file (its parent folder's name). Left out without
    a word: names that begin with a dot, FIFOs, sockets and devices, and links back into the folder being walked.
    What should have been read and cannot be comes as a LoadError in place of the file: a missing path, a folder
    that may not be listed, a dangling link, two files of one source.

    `include` and `exclude` are globs. One without a slash is held against each name on the way (`*.md`, `build`),
    one with a slash against the path below the root (`docs/**/*.md`). `gitignore` also leaves out what .gitignore files
    in these folders, and in the working tree around them, say. What is named outright is always included.
    """
    seen: dict[str, Path] = {}
    choice = _Choice(include=_Globs.of(include), exclude=_Globs.of(exclude), gitignore=gitignore)
    for found in _found(paths, choice, root):
        if isinstance(found, LoadError):
            yield found
        elif found.source not in seen:
            seen[found.source] = found.path
            yield found
        elif not seen[found.source].samefile(found.path):
            yield LoadError(
                found.source,
                f"two files have this source: {str(seen[found.source])!r} and {str(found.path)!r}",
                hint="load them in two runs with root names of their own (--root)",
            )


@dataclass(frozen=True, slots=True)
class _Globs:
    """`names` are held against single names, `paths` against whole relative paths."""

    names: re.Pattern[str] | None
    paths: re.Pattern[str] | None

    @classmethod
    def of(cls, globs: Sequence[str]) -> "_Globs":
        return cls(_any(g for g in globs if "/" not in g), _any(g.removeprefix("/") for g in globs if "/" in g))

    def match(self, relative: PurePosixPath) -> bool:
        by_name = self.names is not None and any(self.names.fullmatch(part) for part in relative.parts)
        return by_name or (self.paths is not None and self.paths.fullmatch(str(relative)) is not None)

    def __bool__(self) -> bool:
        return self.names is not None or self.paths is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    """What of a folder is wanted."""

    include: _Globs
    exclude: _Globs
    gitignore: bool

    def wants_file(self, relative: PurePosixPath) -> bool:
        return not self.include or self.include.match(relative)


class _Folder(NamedTuple):
    """A folder that was entered, and what lies in it."""

    path: Path
    relative: PurePosixPath
    rules: GitIgnore
    names: list[str]


@dataclass(frozen=True, kw_only=True)
class _Walk:
    """One root folder on its way; `folders` are those entered so far, by device and inode."""

    top: Path
    root: str
    choice: _Choice
    folders: set[tuple[int, int]] = field(default_factory=set)

    def __iter__(self) -> Iterator[FoundFile | LoadError]:
        """Folder by folder without recursion: no tree is too deep."""
        rules = GitIgnore()
        try:
            if self.choice.gitignore:
                rules = GitIgnore.above(self.top)
        except OSError as exc:
            yield _failure(portable(exc.filename or str(self.top)), exc)
        ways = [self.opened(self.top, PurePosixPath(), rules)]
        while ways:
            found = next(ways[-1], None)
            if found is None:
                ways.pop()
            elif isinstance(found, _Folder):
                ways.append(self.entries(found))
            else:
                yield found

    def opened(
        self, path: Path, relative: PurePosixPath, rules: GitIgnore
    ) -> Iterator[FoundFile | LoadError | _Folder]:
        try:
            status = path.stat()
            # Read whole and closed before the first yield: a caller may stop in between.
            names = sorted(os.listdir(path))  # noqa: PTH208 (sorted by name alone, cheaper than Path objects)
        except OSError as exc:
            yield _failure(self.source(relative), exc)
            return
        if (status.st_dev, status.st_ino) in self.folders:
            return
        self.folders.add((status.st_dev, status.st_ino))
        try:
            if self.choice.gitignore:
                rules = rules.below(path)
        except OSError as exc:
            yield _failure(self.source(relative / ".gitignore"), exc)
        yield _Folder(path, relative, rules, names)

    def entries(self, folder: _Folder) -> Iterator[FoundFile | LoadError | _Folder]:
        for name in folder.names:
            if not name.startswith("."):
                yield from self.entry(folder, name)

    def entry(self, folder: _Folder, name: str) -> Iterator[FoundFile | LoadError | _Folder]:
        path, relative = folder.path / name, folder.relative / name
        if self.choice.exclude.match(relative):
            return
        try:
            mode = path.stat().st_mode
        except OSError as exc:
            if self.choice.wants_file(relative) and not folder.rules.leaves_out(path, folder=False):
                yield _failure(self.source(relative), exc)
            return
        if folder.rules.leaves_out(path, folder=stat.S_ISDIR(mode) and not path.is_symlink()):
            return
        if stat.S_ISDIR(mode):
            if not (path.is_symlink() and path.resolve().is_relative_to(self.top)):
                yield from self.opened(path, relative, folder.rules)
        elif stat.S_ISREG(mode) and self.choice.wants_file(relative):
            yield FoundFile(path=path, root=self.root, source=self.source(relative))

    def source(self, relative: PurePosixPath) -> str:
        return portable(str(PurePosixPath(self.root) / relative))


def _found(paths: Iterable[str | Path], choice: _Choice, root: str | None) -> Iterator[FoundFile | LoadError]:
    for given in paths:
        try:
            path = Path(given).resolve(strict=True)
            mode = path.stat().st_mode
        except (OSError, RuntimeError) as exc:  # RuntimeError: a link to itself, before Python 3.13
            yield _failure(portable(str(given)), exc)
            continue
        if stat.S_ISDIR(mode):
            name = root or portable(path.name) or "root"
            yield from _Walk(top=path, root=name, choice=choice)
        elif stat.S_ISREG(mode):
            name = root or portable(path.parent.name) or "root"
            yield FoundFile(path=path, root=name, source=f"{name}/{portable(path.name)}")
        else:
            yield LoadError(portable(str(given)), "is neither a file nor a folder", hint="give a file or a folder")


def _failure(source: str, exc: Exception) -> LoadError:
    reason = getattr(exc, "strerror", None) or str(exc)
    return LoadError(source, f"cannot be read: {reason}", hint="check that it exists and that you may read it")


def portable(name: str) -> str:
    return unicodedata.normalize("NFC", os.fsencode(name).decode("utf-8", errors="replace"))


def _any(globs: Iterable[str]) -> re.Pattern[str] | None:
    patterns = [_regex(unicodedata.normalize("NFC", glob)) for glob in globs]
    return re.compile("|".join(patterns), re.DOTALL) if patterns else None


def _regex(glob: str) -> str:
    """`*` and `?` stop at a slash, `**/` is any number of folders, `[...]` is a set of characters."""
    tokens = re.split(r"(\*\*/|\*\*|\*|\?|\[!?\]?[^\]/]*\])", glob)
    return "".join(_TOKENS.get(token) or _set(token) or re.escape(token) for token in tokens)


_TOKENS = {"**/": r"(?:[^/]+/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


def _set(token: str) -> str | None:
    if len(token) < 3 or token[0] != "[" or token[-1] != "]":
        return None
    body = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
    return f"[^{body[1:]}]" if body.startswith("!") else f"[{body}]"
