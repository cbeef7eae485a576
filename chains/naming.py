"""Which document a person means by a name: its source, the end of one, a file's name without its ending, or a title. Pure."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePosixPath
from unicodedata import normalize

from howdah.retrieval.holdings import Name

_QUOTES = " \t\"'`“”„«»‘’<>"
_NEAR = 0.55  # similarity of two names, in [0, 1]
_SHOWN = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Named:
    """The sources that a name fits, and where there is none the nearest ones."""

    sources: tuple[str, ...] = ()
    nearest: tuple[str, ...] = ()


def named(name: str, known: Sequence[Name], *, titles: bool) -> Named:
    """By the strictest way in which any fits; `titles` are looked at last, if at all."""
    wanted = _folded(name)
    ways: list[Callable[[Name], bool]] = [
        lambda each: normalize("NFC", each.source).casefold() == wanted,
        lambda each: normalize("NFC", each.source).casefold().endswith(f"/{wanted}"),
        lambda each: _loose(PurePosixPath(each.source).stem) == _loose(wanted),
        lambda each: titles and each.title is not None and _loose(each.title) == _loose(wanted),
    ]
    for fits in ways:
        if found := tuple(each.source for each in known if fits(each)):
            return Named(sources=found)
    return Named(nearest=_nearest(_loose(wanted), known))


def looks_like_a_file(name: str) -> bool:
    """Whether `name` can only be meant as a source: it has an ending or a slash, and no white space but in quotes."""
    bare = name.strip(_QUOTES)
    quoted = name.strip()[:1] in _QUOTES[2:] and name.strip()[-1:] in _QUOTES[2:]
    return bool(re.search(r"\.\w{1,5}$|/", bare)) and (quoted or not re.search(r"\s", bare))


def _nearest(wanted: str, known: Sequence[Name]) -> tuple[str, ...]:
    loose = {_loose(PurePosixPath(each.source).stem): each.source for each in reversed(known)}
    loose |= {_loose(each.title): each.source for each in reversed(known) if each.title}
    stem = _loose(PurePosixPath(wanted.replace(" ", "_")).stem) if "." in wanted else wanted
    holding = [name for name in loose if stem and stem in name][:_SHOWN]
    near = [*holding, *get_close_matches(stem, loose, n=_SHOWN, cutoff=_NEAR)]
    return tuple(dict.fromkeys(loose[name] for name in near))[:_SHOWN]


def _folded(name: str) -> str:
    return normalize("NFC", name).strip(_QUOTES).strip("/").casefold()


def _loose(name: str) -> str:
    """Hyphens, underscores and blanks are the same."""
    return re.sub(r"[\s_-]+", " ", normalize("NFC", name).casefold()).strip()
