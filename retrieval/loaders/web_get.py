"""One GET of one address, within limits of time and size; what follows from the answer is decided in `web`."""

import functools
import time
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import httpcore

from howdah.retrieval.loaders.addresses import Guarded

if TYPE_CHECKING:
    import ssl

CONNECT = 15.0  # seconds
_PIECE = 1 << 16


class TooLarge(Exception):
    """More bytes than allowed, sent or unpacked."""


class Unreadable(Exception):
    """A body that is packed in a way that was not asked for, or damaged."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A whole answer. `headers` have lower-case names; of a repeated one the last counts."""

    status: int
    headers: dict[str, str]
    data: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class WebLimits:
    """What one request may reach and cost."""

    allow_private: bool
    seconds: float
    size: int


def get(url: str, limits: WebLimits, *, first: int | None = None) -> Answer:
    """The answer of `url`, which is an absolute http or https URL in ASCII; `first`: only so many bytes of it.

    The body of a redirect is not read.

    Raises NotPublic, TooLarge, Unreadable, and what httpcore raises (TimeoutException where the time is over).
    """
    deadline = time.monotonic() + limits.seconds
    guard = Guarded(allow_private=limits.allow_private, deadline=deadline)
    headers = [
        ("Host", _host(url)),
        ("User-Agent", user_agent()),
        ("Accept", "text/html,application/xhtml+xml,text/*;q=0.9,*/*;q=0.8"),
        ("Accept-Encoding", "gzip"),
    ]
    timeouts = {"timeout": {"connect": CONNECT}}
    with (
        httpcore.ConnectionPool(ssl_context=_certificates(), network_backend=guard) as pool,
        pool.stream("GET", url, headers=headers, extensions=timeouts) as response,
    ):
        found = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
        if response.status in REDIRECTS:
            return Answer(status=response.status, headers=found, data=b"")
        if first is None and _announced(found) > limits.size:
            raise TooLarge
        pieces = _unpacked(response.iter_stream(), found.get("content-encoding", ""))
        data = _bounded(pieces, limits.size) if first is None else _beginning(pieces, first)
        return Answer(status=response.status, headers=found, data=data)


REDIRECTS = {301, 302, 303, 307, 308}


def user_agent() -> str:
    """Who is asking, as robots.txt and logs have it."""
    try:
        return f"howdah/{version('howdah')}"
    except PackageNotFoundError:
        return "howdah"


@functools.cache
def _certificates() -> "ssl.SSLContext":
    import httpx

    return httpx.create_ssl_context()


def _host(url: str) -> str:
    return url.split("/", 3)[2]


def _announced(headers: dict[str, str]) -> int:
    length = headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _beginning(pieces: Iterable[bytes], size: int) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) >= size:
            break
    return bytes(data[:size])


def _bounded(pieces: Iterable[bytes], size: int) -> bytes:
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > size:
            raise TooLarge
    return bytes(data)


def _unpacked(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The body's bytes, in pieces of at most 64 KB each however small they were packed."""
    if encoding.strip().lower() in {"", "identity"}:
        yield from pieces
        return
    if encoding.strip().lower() not in {"gzip", "x-gzip", "deflate"}:
        raise Unreadable(f"packed as {encoding[:40]!r}")
    packer = zlib.decompressobj(wbits=47)  # gzip or zlib, whichever it is
    try:
        for piece in pieces:
            rest = piece
            while rest and not packer.eof:
                yield packer.decompress(rest, _PIECE)
                rest = packer.unconsumed_tail
    except zlib.error as exc:
        raise Unreadable("damaged on the way") from exc
    if not packer.eof:
        raise Unreadable("damaged on the way")
