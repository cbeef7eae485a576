"""What a worker's answer, or its end, says about the file."""

import io
import pickle
import signal
from typing import Any

from howdah.retrieval.errors import HowdahError, LoadError, PackageMissing
from howdah.retrieval.loaders.child import Death, Limits
from howdah.retrieval.loaders.job import Job
from howdah.retrieval.types import Extract

_SAVE_ANEW = "the file may be damaged: open it in its own program and save a copy"
# What native code dies of when it is refused memory: abort (C++, Rust), a null pointer, a trap (PDFium).
_REFUSED = {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGTRAP, -signal.SIGILL}


def verdict(job: Job, answer: bytes | Death, limits: Limits) -> Extract | LoadError:  # noqa: PLR0911  a table of answers
    """The text, or a LoadError that says what happened."""
    if isinstance(answer, Death):
        return _of_death(job, answer, limits)
    match _unpickled(answer):
        case "extract", Extract() as found:
            return found
        case "error", LoadError() as error:
            return error
        case "error", PackageMissing() as error:
            return LoadError(job.source, error.message, hint=error.hint, lasting=False)
        case "error", HowdahError() as error:
            return LoadError(job.source, error.message, hint=error.hint)
        case "memory", None:
            return _memory(job, limits)
        case "raised", str(name), str(words):
            reason = f"the parser failed with {name}" + (f" ({words})" if words else "")
            return LoadError(job.source, reason, hint=_SAVE_ANEW)
        case other:
            return LoadError(job.source, f"the parser gave back what is no text ({other!r:.200})", hint=_SAVE_ANEW)


def _unpickled(answer: bytes) -> object:
    try:
        return _Answer(io.BytesIO(answer)).load()
    except (pickle.UnpicklingError, AttributeError, EOFError, ImportError, LookupError, TypeError, ValueError) as exc:
        return exc


def _of_death(job: Job, death: Death, limits: Limits) -> LoadError:
    if death.slow:
        reason = f"parsing took longer than {limits.seconds:g} s and was stopped"
        return LoadError(job.source, reason, hint="split the file, or save a simpler copy of it")
    if death.status in _REFUSED and death.peak > (limits.megabytes << 20) // 2:
        return _memory(job, limits)
    if death.status == -signal.SIGKILL:
        reason = "the parser was killed from outside (signal 9), probably for lack of memory"
        return LoadError(job.source, reason, hint="load it again with fewer processes", lasting=False)
    how = f"signal {-death.status}" if death.status < 0 else f"exit status {death.status}"
    return LoadError(job.source, f"the parser crashed ({how})", hint=_SAVE_ANEW)


def _memory(job: Job, limits: Limits) -> LoadError:
    reason = f"parsing needed more than {limits.megabytes:,} MB of memory and was stopped"
    return LoadError(job.source, reason, hint="split the file, or save a simpler copy of it")


_OURS = {"howdah.retrieval.errors", "howdah.retrieval.types"}
_VALUES = {
    ("datetime", "date"),
    ("datetime", "datetime"),
    ("datetime", "time"),
    ("datetime", "timedelta"),
    ("datetime", "timezone"),
    ("decimal", "Decimal"),
    ("uuid", "UUID"),
}


class _Answer(pickle.Unpickler):
    """Extracts, errors and the standard values of metadata: a worker that a file took over can have nothing else made."""

    def find_class(self, module: str, name: str) -> Any:
        found = super().find_class(module, name) if module in _OURS or (module, name) in _VALUES else None
        # What one of our modules has imported is not ours, nor is what hangs on a class of ours.
        if found is None or "." in name or (module in _OURS and found.__module__ != module):
            raise pickle.UnpicklingError(f"{module}.{name}")
        return found
