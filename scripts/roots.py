"""Where this machine keeps the files behind a source, so that a terminal can link to them.

A source is "root/relative/path", the same on every machine; which folder a root is here is kept beside the data.
"""

import json
from collections.abc import Sequence
from pathlib import Path

FILE = "roots.json"


def remember(home: Path, paths: Sequence[Path], root: str | None) -> None:
    """Note the folders that were just loaded. A home that cannot be written to costs the links alone."""
    from howdah.retrieval.sources import root_names

    known = _read(home)
    for path in paths:
        folder = (path if path.is_dir() else path.parent).resolve()
        known[root_names([path], root)[0]] = str(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
        (home / FILE).write_text(json.dumps(known, indent=2), encoding="utf-8")
    except OSError:
        return


def folders(given: Sequence[str]) -> list[Path]:
    """The paths among what was given; the others are addresses."""
    from howdah.retrieval.loaders.web import is_url

    return [Path(item) for item in given if not is_url(item)]


def folder(home: Path, source: str) -> Path | None:
    """The folder that the source's root is on this machine, where that is known."""
    known = _read(home).get(source.partition("/")[0])
    return Path(known) if known is not None and Path(known).is_dir() else None


def locate(home: Path, source: str | None) -> Path | None:
    """The file behind a source, where it is on this machine."""
    root, _, relative = (source or "").partition("/")
    folder = _read(home).get(root)
    if folder is None or not relative:
        return None
    path = Path(folder) / relative
    return path if path.is_file() else None


def _read(home: Path) -> dict[str, str]:
    try:
        known = json.loads((home / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
