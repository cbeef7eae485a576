"""robots.txt of each site (RFC 9309), read once."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from howdah.retrieval.errors import PackageMissing
from howdah.retrieval.loaders.text import INSTALL

if TYPE_CHECKING:
    from protego import Protego

SIZE = 512_000
"""Bytes of a robots.txt that count; RFC 9309 wants at least 500 KiB."""


class Robots:
    """What sites allow this program to fetch. `read` gives a site's robots.txt as text. Threads may share one."""

    def __init__(self, read: Callable[[str], str], agent: str) -> None:
        self._read, self._agent, self._lock = read, agent, threading.Lock()
        self._sites: dict[str, Protego] = {}

    def allow(self, site: str, url: str) -> bool:
        """Whether `url` of `site` ("https://host:port") may be fetched."""
        return self._rules(site).can_fetch(url, self._agent)

    def pause(self, site: str) -> float:
        """Seconds that the site asks to wait between two requests."""
        return float(self._rules(site).crawl_delay(self._agent) or 0)

    def _rules(self, site: str) -> "Protego":
        with self._lock:
            known = self._sites.get(site)
        if known is None:
            known = _parser().parse(self._read(f"{site}/robots.txt"))
            with self._lock:
                self._sites[site] = known
        return known


def _parser() -> "type[Protego]":
    try:
        from protego import Protego
    except ImportError as exc:
        raise PackageMissing("protego", needed_for="reading robots.txt", install=INSTALL) from exc
    return Protego
