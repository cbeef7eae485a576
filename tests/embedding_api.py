"""A server on loopback that speaks OpenAI's embeddings protocol, and counts what it is asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from langchain_openai import OpenAIEmbeddings

Refusal = tuple[int, dict[str, str], str]
"""Status, headers, and what the API says."""


class Api:
    """`rule(number, texts)` runs inside each request, counted from 1, and refuses it or, with None, lets it pass."""

    def __init__(self) -> None:
        self.rule: Callable[[int, list[str]], Refusal | None] = lambda number, texts: None
        self.lock = threading.Lock()
        self.requests = self.in_flight = self.most_in_flight = 0
        self.arrived_beside: list[int] = []
        """For each request, how many were in flight when it came, itself counted."""
        self.answered: list[str] = []
        """Texts that were embedded, and would be on the bill."""
        self.url = ""

    def model(self, name: str = "text-embedding-3-small", **settings: Any) -> OpenAIEmbeddings:
        """Of LangChain, without retries of its own; texts are sent as they are."""
        settings = {"max_retries": 0, "check_embedding_ctx_length": False, **settings}
        return OpenAIEmbeddings(model=name, base_url=self.url, api_key="sk-nothing", **settings)

    def begin(self) -> int:
        with self.lock:
            self.requests += 1
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            self.arrived_beside.append(self.in_flight)
            return self.requests

    def end(self, texts: list[str]) -> None:
        """Before the answer is sent: the client may send its next request at once."""
        with self.lock:
            self.in_flight -= 1
            self.answered += texts


def vector(text: str) -> list[float]:
    """Of a text that is a number."""
    return [float(text), 1.0, 0.5]


@contextmanager
def serving() -> Iterator[Api]:
    api = Api()

    class Handler(BaseHTTPRequestHandler):
        # HTTP/1.0: each connection ends with its answer, so that no client keeps one open after its test.
        def do_POST(self) -> None:
            texts = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            refusal = None
            number = api.begin()
            try:
                refusal = api.rule(number, texts)
            finally:
                api.end([] if refusal else texts)
            if refusal:
                status, headers, words = refusal
                self.reply(status, headers, {"error": {"message": words, "type": "", "code": None}})
            else:
                data = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
                self.reply(200, {}, {"object": "list", "data": data, "model": "m", "usage": USAGE})

        def reply(self, status: int, headers: dict[str, str], body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Type": "application/json", "Content-Length": len(data)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *args: Any) -> None:
            """A client that is gone is what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    api.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()


USAGE = {"prompt_tokens": 1, "total_tokens": 1}
