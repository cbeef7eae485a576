"""Which network addresses are public, and a connection to nothing else."""

import contextlib
import ipaddress
import socket
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Not public either, whatever `is_global` of this Python's version says: 6to4 and its relays, Teredo, documentation.
_NOT_PUBLIC = [
    ipaddress.ip_network(network)
    for network in ("192.0.0.0/24", "192.88.99.0/24", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")  # all that is given out (RFC 4291, IANA)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class NotPublic(Exception):
    """The host has no public address; `address` is one that it has."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


def is_public(address: Address) -> bool:
    """Whether anybody may be reached there. An IPv4 address inside an IPv6 one is looked at as what it is."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in network for network in _NOT_PUBLIC)


def resolved(host: str, port: int, *, allow_private: bool) -> list[str]:
    """The addresses of `host` that may be connected to, in the system's order.

    The system also reads "2130706433", "0x7f.1" and "127.1" as addresses, so it is asked first and then judged.

    Raises NotPublic where there is none, OSError (gaierror) where the name is not known.
    """
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    public = [name for name in dict.fromkeys(found) if allow_private or is_public(ipaddress.ip_address(name))]
    if not public:
        raise NotPublic(found[0])
    return public


class Guarded(httpcore.NetworkBackend):
    """Connections to addresses that were checked, until a deadline.

    The name is resolved once and the connection goes to the address itself, so that a name server cannot answer the
    check and the connection differently. The deadline holds for the whole exchange: a server that sends a byte now and
    then never runs into a time limit for a single read.
    """

    def __init__(self, *, allow_private: bool, deadline: float) -> None:
        self._allow_private, self._deadline, self._backend = allow_private, deadline, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        with _unreachable():
            addresses = resolved(host, port, allow_private=self._allow_private)
        for address in addresses[:-1]:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._connected(address, port, timeout)
        return self._connected(addresses[-1], port, timeout)

    def _connected(self, address: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        stream = self._backend.connect_tcp(address, port, timeout=left(self._deadline, timeout))
        return _Timed(stream, self._deadline)


class _Timed(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream, self._deadline = stream, deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, left(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, left(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: "ssl.SSLContext",
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._stream.start_tls(ssl_context, server_hostname, left(self._deadline, timeout))
        return _Timed(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@contextlib.contextmanager
def _unreachable() -> Iterator[None]:
    try:
        yield
    except (OSError, UnicodeError) as exc:  # UnicodeError: a label that is too long or empty
        raise httpcore.ConnectError(getattr(exc, "strerror", None) or str(exc)) from exc


def left(deadline: float, timeout: float | None) -> float:
    """Seconds until the deadline, at most `timeout`. Raises httpcore.ReadTimeout where none are left."""
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise httpcore.ReadTimeout("the deadline")
    return seconds if timeout is None else min(seconds, timeout)
