"""What runs in the local chat model's process: xllamacpp's HTTP server, and a watch that ends it with its parent.

Run by its path in an isolated interpreter, never imported: it starts in half a second because it needs nothing of ours.
The order comes as one line of JSON on standard input, so that the key is in no process list and no environment.
"""

import json
import os
import sys
import threading
import time
from importlib import import_module
from typing import Any, NoReturn

WATCH = 0.5  # seconds between two looks at the parent


def main() -> NoReturn:
    ready, order = _take_stdout(), json.loads(_read_line())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    sys.path.append(order["site"])
    server = _serve(order)
    os.write(ready, (json.dumps({"address": server.listening_address}) + "\n").encode())
    os.close(ready)
    _silence()
    # Standard input alone is not enough: a fork of the parent holds its other end open. The kernel's own signal on a
    # parent's death is no use: it comes when the parent's thread ends that started us.
    while os.getppid() == order["parent"]:
        time.sleep(WATCH)
    os._exit(0)


def _take_stdout() -> int:
    """A descriptor for the answer; whatever else is printed goes to standard error."""
    answer = os.dup(1)
    os.dup2(2, 1)
    return answer


def _read_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 65_536)
        if not piece:
            os._exit(0)
        line += piece
    return line


def _end_with_stdin() -> NoReturn:
    while os.read(0, 1):
        pass
    os._exit(0)


def _silence() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _serve(order: dict[str, Any]) -> Any:
    xllamacpp: Any = import_module("xllamacpp")  # its stubs are empty

    params = xllamacpp.CommonParams()
    params.model.path = order["model"]
    params.api_keys = [order["key"]]
    # Older versions of xllamacpp listen on one address only.
    address = {"hostnames": ["127.0.0.1"]} if hasattr(params, "hostnames") else {"hostname": "127.0.0.1"}
    wanted = {
        **address,
        "port": 0,  # the system chooses a free one: no race
        "n_ctx": order["n_ctx"],
        "n_parallel": 1,
        "n_threads_http": 4,
        "cache_ram_mib": 0,  # else up to 8 GB of old prompts
        "fit_params": False,
        "warmup": False,
        "ui": False,
        "endpoint_slots": False,
        "cors_origins": "",
        "offline": True,
        "verbosity": 1,
    }
    for name, value in wanted.items():
        if hasattr(params, name):
            setattr(params, name, value)
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = order["threads"]
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
