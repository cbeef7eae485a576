"""Pages of the web as files: fetched politely, within limits, and from nobody's private network."""

import email.utils
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote

import httpcore
import httpx

from howdah.retrieval.errors import InvalidInput, LoadError
from howdah.retrieval.loaders.addresses import NotPublic
from howdah.retrieval.loaders.kinds import RawFile, is_pdf, is_wide
from howdah.retrieval.loaders.options import PLAIN, LoadOptions
from howdah.retrieval.loaders.robots import SIZE, Robots
from howdah.retrieval.loaders.web_get import CONNECT, REDIRECTS, Answer, TooLarge, Unreadable, WebLimits, get

HOPS = 5
PATIENCE = 60.0
"""Seconds that a site may ask to wait before the next attempt or the next page."""
_AGAIN = {429, 500, 502, 503, 504}
_SUFFIXES = {
    "application/xhtml+xml": ".html",
    "text/csv": ".csv",
    "text/html": ".html",
    "text/markdown": ".md",
    "text/tab-separated-values": ".tsv",
    "text/x-markdown": ".md",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class WebPage:
    """What was fetched. `file` is for `read`; `url` is where the redirects ended, in ASCII."""

    file: RawFile
    url: str
    metadata: dict[str, Any] = field(default_factory=dict)


def is_url(given: object) -> bool:
    """Whether this is the address of a web page and not a path."""
    return isinstance(given, str) and given[:8].lower().startswith(("http://", "https://"))


class Web:
    """Fetches pages; keeps what each site's robots.txt says. Threads may share one.

    Args:
        allow_private: also fetch from loopback, private and other addresses that are not public. By default they are
            refused, also where a redirect leads there: a page must not make this machine read its own network.
        offline: fetch nothing.
        robots: keep to robots.txt.
        seconds: how long one request may take, to its last byte.
        megabytes: how large a page may be, unpacked.
        attempts: how often a page is asked for that fails in a way that passes (429, 5xx, a broken connection).
        sleep: how to wait between attempts; for tests.

    The system's proxies are not used. Raises InvalidInput for limits that are not positive.
    """

    def __init__(
        self,
        *,
        allow_private: bool = False,
        offline: bool = False,
        robots: bool = True,
        seconds: float = 60,
        megabytes: int = 50,
        attempts: int = 4,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        for name, value in (("seconds", seconds), ("megabytes", megabytes), ("attempts", attempts)):
            if not value > 0:
                raise InvalidInput(f"{name} must be positive, got {value!r}")
        self.offline, self.attempts, self.megabytes = offline, attempts, megabytes
        self._limits = WebLimits(allow_private=allow_private, seconds=seconds, size=megabytes << 20)
        self._robots = Robots(self._robots_txt, "howdah") if robots else None
        self._sleep, self._lock, self._last = sleep, threading.Lock(), dict[str, float]()

    def fetch(self, url: str, *, options: LoadOptions = PLAIN) -> WebPage:
        """The page's bytes, its type told by what it holds. Raises LoadError, in one sentence, where there is no page."""
        source, _, _ = url.partition("#")
        if self.offline:
            raise LoadError(source, "is on the web, and this run is offline", hint="give a saved copy of it")
        answer, last = self._followed(source, _parsed(source, source), check=True)
        if answer.status != HTTPStatus.OK:
            raise _not_ok(source, answer.status)
        if not answer.data:
            raise LoadError(source, "is empty (0 bytes)")
        metadata = {
            "url": str(last),
            "fetched_at": datetime.now(UTC).isoformat(timespec="seconds"),
            **{key: answer.headers[name] for key, name in _KEPT.items() if name in answer.headers},
        }
        name, data = PurePosixPath(_name(last, answer)), _in_utf8(answer)
        return WebPage(
            file=RawFile(source=source, name=name, data=data, options=options), url=str(last), metadata=metadata
        )

    def _followed(self, source: str, url: httpx.URL, *, check: bool) -> tuple[Answer, httpx.URL]:
        """The answer at the end of the redirects, and where that was. `check`: each hop against robots.txt."""
        for _ in range(HOPS + 1):
            if check:
                self._ask_robots(source, url)
            answer = self._persistent(source, url, first=None if check else SIZE)
            if answer.status not in REDIRECTS or "location" not in answer.headers:
                return answer, url
            url = _parsed(source, answer.headers["location"], base=url)
        raise LoadError(source, f"redirects more than {HOPS} times", hint="give the address where it ends")

    def _ask_robots(self, source: str, url: httpx.URL) -> None:
        if self._robots is None:
            return
        site = f"{url.scheme}://{url.netloc.decode('ascii')}"
        try:
            allowed = self._robots.allow(site, str(url))
        except LoadError as exc:
            raise LoadError(source, exc.reason, hint=exc.hint) from exc
        if not allowed:
            reason = f"{site}/robots.txt does not allow programs to read it"
            raise LoadError(source, reason, hint="ask its owner, or save it from a browser")
        with self._lock:
            now, pause = time.monotonic(), min(self._robots.pause(site), PATIENCE)
            wait = max(0.0, self._last.get(site, -pause) + pause - now)
            self._last[site] = now + wait
        if wait:
            self._sleep(wait)

    def _persistent(self, source: str, url: httpx.URL, *, first: int | None) -> Answer:
        """The answer, after as many attempts as it takes. Raises LoadError where the last one fails too."""
        for attempt in range(1, self.attempts):
            wait = 0.5 * 2**attempt
            try:
                answer = self._got(source, url, first=first)
            except _Passing:
                self._sleep(wait)
                continue
            if answer.status not in _AGAIN:
                return answer
            wait = _retry_after(answer) or wait
            if wait > PATIENCE:
                raise LoadError(source, f"its site asks to come back in {wait:,.0f} s", hint="load it again then")
            self._sleep(wait)
        return self._got(source, url, first=first)

    def _got(self, source: str, url: httpx.URL, *, first: int | None) -> Answer:
        try:
            return get(str(url), self._limits, first=first)
        except NotPublic as exc:
            reason = f"leads to {exc.address}, which is not a public address"
            raise LoadError(source, reason, hint="allow_private=True loads it, where you trust that network") from exc
        except TooLarge as exc:
            raise LoadError(source, f"is larger than {self.megabytes:,} MB", hint="download it and split it") from exc
        except Unreadable as exc:
            raise LoadError(source, f"came {exc}", hint="save it from a browser") from exc
        except httpcore.TimeoutException as exc:
            connecting = isinstance(exc, httpcore.ConnectTimeout) and self._limits.seconds > CONNECT
            seconds = CONNECT if connecting else self._limits.seconds
            reason = f"its site did not answer in full within {seconds:g} s"
            raise LoadError(source, reason, hint="try it in a browser, or load it again later") from exc
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as exc:
            reason = f"cannot be fetched: {' '.join(str(exc).split())[:200] or type(exc).__name__}"
            raise _Passing(source, reason, hint="check the address, or load it again later") from exc

    def _robots_txt(self, url: str) -> str:
        """RFC 9309: where there is no such file all is allowed, and while a site cannot give it nothing is."""
        answer, _ = self._followed(url, httpx.URL(url), check=False)
        if answer.status == HTTPStatus.OK:
            return answer.data.decode("utf-8-sig", errors="replace")
        if answer.status in _AGAIN or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            reason = f"{url} answered {answer.status}, and before it is read nothing else may be"
            raise LoadError(url, reason, hint="load it again later")
        return ""


_KEPT = {"etag": "etag", "last_modified": "last-modified"}


class _Passing(LoadError):
    """What may go better the next time."""


def fetch(url: str, *, options: LoadOptions = PLAIN, web: Web | None = None) -> RawFile:
    """The page as a file for `read`, by `web` or with the defaults. Raises LoadError where there is no page."""
    return (web or Web()).fetch(url, options=options).file


def _parsed(source: str, url: str, *, base: httpx.URL | None = None) -> httpx.URL:
    try:
        parsed = (base.join(url) if base else httpx.URL(url)).copy_with(fragment=None)
    except (httpx.InvalidURL, UnicodeError, ValueError) as exc:
        raise LoadError(source, f"is no web address: {exc}", hint="give it as https://host/path") from exc
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise LoadError(source, f"leads to {str(parsed)[:200]!r}, which is no http or https address")
    if parsed.userinfo:
        bare = str(parsed.copy_with(username=None, password=None))
        reason = "holds a user name, which would be stored with the document"
        raise LoadError(bare, reason, hint="save the page from a browser")
    return parsed


def _not_ok(source: str, status: int) -> LoadError:
    try:
        words = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        words = str(status)
    needs_login = status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    hint = "save it from a browser that is logged in" if needs_login else "check the address, or load it again later"
    return LoadError(source, f"its site answered {words}", hint=hint)


def _retry_after(answer: Answer) -> float | None:
    """Seconds to wait, from a number or a date; None where the site names none."""
    given = answer.headers.get("retry-after", "").strip()
    if given.isdecimal():
        return float(given[:9])
    try:
        when = email.utils.parsedate_to_datetime(given)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _name(url: httpx.URL, answer: Answer) -> str:
    """A file name whose ending says what the site says it is; without a path of its own a page has the site's name."""
    last = unquote(url.path.rstrip("/").rpartition("/")[2]).replace("/", "_").replace("\0", "")
    suffix = _SUFFIXES.get(_type(answer), "" if last else ".txt")
    named = (suffix, ".htm", ".markdown") if suffix else ("",)
    return last if last.lower().endswith(named) else (last or url.host) + suffix


def _type(answer: Answer) -> str:
    return answer.headers.get("content-type", "").partition(";")[0].strip().lower()


def _in_utf8(answer: Answer) -> bytes:
    """The bytes, in UTF-8 where they are not and the site names an encoding that fits. The bytes' own signs win."""
    _, _, label = answer.headers.get("content-type", "").lower().partition("charset=")
    label = label.partition(";")[0].strip(" \"'")
    text = _type(answer).startswith("text/") or _type(answer).endswith(("xml", "json"))
    if not label or not text or is_wide(answer.data) or is_pdf(answer.data):
        return answer.data
    try:
        answer.data.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    else:
        return answer.data
    try:
        # As browsers have it: pages that say Latin-1 are Windows-1252.
        return answer.data.decode(
            {"iso-8859-1": "cp1252", "latin-1": "cp1252", "latin1": "cp1252"}.get(label, label)
        ).encode()
    except (UnicodeError, LookupError):
        return answer.data
