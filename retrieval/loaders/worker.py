"""The process in which files are parsed: what hangs, eats memory or crashes does so here and is cut off.

Run by its path, never imported: it brings the standard library alone until it knows where the parent found the rest.
Orders come on standard input, each a length of 8 bytes and a pickle, so that passwords are in no process list and no
environment; answers go back on what was standard output. A parser that prints, prints into nothing.
"""

import gc
import json
import os
import pickle
import pkgutil
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, NoReturn

LENGTH = 8
GRACE = 10  # seconds after which a worker ends itself, where its parent did not do so
FILES = 2_000
"""After this many files a worker makes way for a fresh one, or earlier when it has grown: native code leaks."""
GROWN, TRIMMED = 40 << 20, 16 << 20
"""Bytes beyond what its parsers take: what makes it way for a fresh one, and what makes it give back what it freed."""
MEMORY = pickle.dumps(("memory", None))


def main() -> NoReturn:
    orders, answers = _take_pipes()
    start = json.loads(_frame(orders) or os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    _die_with(start["parent"])
    sys.path[:] = start["path"]
    # One file at a time in each worker: threads of its own would only take the cores of the others, and address space.
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))
    parse = pkgutil.resolve_name(start["parse"])
    limited = _limit(start["megabytes"] << 20)
    _silence()
    _send(answers, pickle.dumps(("ready", limited)))
    _serve(orders, answers, parse, start["seconds"] + GRACE)
    os._exit(0)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Standard input and output under descriptors that no parser knows."""
    orders, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    return orders, answers


def _silence() -> None:
    os.dup2(1, 2)


def _frame(orders: BinaryIO) -> bytes | None:
    """The next order; None where the parent has gone or has no more."""
    length = orders.read(LENGTH)
    if len(length) < LENGTH:
        return None
    size = int.from_bytes(length, "big")
    data = orders.read(size)
    return data if len(data) == size else None


def _send(answers: BinaryIO, data: bytes, *, last: bool = False) -> None:
    answers.write(len(data).to_bytes(LENGTH, "big"))
    answers.write(b"." if last else b"+")
    answers.write(data)
    answers.flush()


def _die_with(parent: int) -> None:
    """Have the kernel end this process with its parent, even in the middle of native code.

    Its signal comes when the parent's thread ends that started us; that thread lives as long as this worker is used.
    Where there is no such call, a closed pipe ends the worker between two files and the alarm within one.
    """
    if sys.platform == "linux":
        with suppress(ImportError, OSError, AttributeError):
            import ctypes

            ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(0)


def _limit(room: int) -> bool:
    """Bound the address space to what is in use now and `room` bytes; whether the system took the limit."""
    try:
        import resource

        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the document
        wanted, hard = _address_space() + room, resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard != resource.RLIM_INFINITY:
            wanted = min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_AS, (wanted, wanted))
    except (ImportError, ValueError, OSError):
        return False
    return True


def _address_space() -> int:
    return _pages(0)


def _held() -> int:
    """Bytes of memory that are this process's own: code that was read in from libraries is not."""
    return _pages(1) - _pages(2)


def _pages(field: int) -> int:
    """Bytes of address space (0), of memory (1) and of files in memory (2); 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123
            return int(file.read().split()[field]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _serve(orders: BinaryIO, answers: BinaryIO, parse: Callable[[Any], Any], seconds: float) -> None:
    modules, settled, last, files = 0, 0, False, 0
    while not last and (order := _frame(orders)) is not None:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = _answer(parse, order)
        signal.setitimer(signal.ITIMER_REAL, 0)
        files += 1
        if len(sys.modules) != modules:  # a format that is new to it: its parser stays
            modules, settled = len(sys.modules), _settle()
        elif _held() > settled + TRIMMED:
            _settle()
        last = answer is MEMORY or files >= FILES or _held() > settled + GROWN
        _send(answers, answer, last=last)


def _settle() -> int:
    """Give back what was freed, what stands in cycles with it; how much is held then."""
    from howdah.retrieval.memory import give_back

    gc.collect()
    give_back()
    return _held()


def _answer(parse: Callable[[Any], Any], order: bytes) -> bytes:
    from howdah.retrieval.errors import HowdahError

    try:
        return pickle.dumps(("extract", parse(pickle.loads(order))))  # noqa: S301 (the parent's own)
    except MemoryError:
        return MEMORY
    except HowdahError as exc:
        return pickle.dumps(("error", exc))
    except BaseException as exc:  # noqa: BLE001 (also SystemExit: a parser's bug must not end the load)
        return pickle.dumps(("raised", type(exc).__name__, " ".join(str(exc).split())[:200]))


if __name__ == "__main__":
    main()
