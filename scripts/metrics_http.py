"""A small HTTP server for one page, /metrics: few requests at a time, each with a time-out."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, cast

from howdah.retrieval.errors import DependencyMissing, InvalidInput

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

PATIENCE = 5.0
"""Seconds that a client may be silent while it sends or reads."""
AT_ONCE = 8
"""Requests that are answered at the same time; more are sent away."""


class Server(ThreadingHTTPServer):
    """Serves a registry. A request's thread ends with the program, or when its client was silent for too long."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, registry: Any, host: str, port: int) -> None:
        self.registry = registry
        self.places = threading.BoundedSemaphore(AT_ONCE)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """As the base class, where there is a place; else the connection is closed at once."""
        if not self.places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: a client that goes away is no news."""


class Handler(BaseHTTPRequestHandler):
    """GET and HEAD of /metrics."""

    timeout = PATIENCE
    server_version = "howdah"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(whole=True)

    def do_HEAD(self) -> None:
        self._answer(whole=False)

    def _answer(self, *, whole: bool) -> None:
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        path = self.path.partition("?")[0]
        if path != "/metrics":
            return self._send(404, "text/plain; charset=utf-8", b"The figures are at /metrics\n", whole=whole)
        return self._send(200, CONTENT_TYPE_LATEST, generate_latest(cast("Server", self.server).registry), whole=whole)

    def _send(self, status: int, kind: str, body: bytes, *, whole: bool) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if whole:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a scrape a few times a minute for ever is no news."""


def serve(registry: "CollectorRegistry", host: str, port: int) -> Server:
    """A server that is bound to its address and does not serve yet. InvalidInput or DependencyMissing where it cannot be."""
    try:
        return Server(registry, host, port)
    except socket.gaierror as exc:
        raise InvalidInput(
            f"--listen {host!r} is not an address ({exc.strerror})", hint="for example --listen 9187"
        ) from exc
    except OSError as exc:
        raise DependencyMissing(
            f"{host}:{port} cannot be listened at: {exc.strerror}",
            hint="choose another port, or end what listens there",
        ) from exc
