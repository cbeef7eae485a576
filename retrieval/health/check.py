"""What one check of the doctor says."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Status(Enum):
    """How bad it is: `warn` costs time, recall or safety one day; `fail` gives wrong answers, loses data or stops searches."""

    OK = "ok", 0
    WARN = "warn", 1
    FAIL = "fail", 2

    def __init__(self, label: str, rank: int) -> None:
        self.label, self.rank = label, rank


@dataclass(frozen=True, kw_only=True)
class Check:
    """One verdict. `subject` is the table or collection that it is about, "" for the server; `fix` is SQL, or a command line.

    `detail` is what was seen, and what it means where it is not good.
    """

    name: str
    status: Status
    detail: str
    fix: str = ""
    subject: str = ""


@dataclass(frozen=True)
class About:
    """The name of a check and its subject, from which verdicts are made."""

    name: str
    subject: str = ""

    def ok(self, detail: str) -> Check:
        return Check(name=self.name, subject=self.subject, status=Status.OK, detail=detail)

    def warn(self, detail: str, fix: str) -> Check:
        return Check(name=self.name, subject=self.subject, status=Status.WARN, detail=detail, fix=fix)

    def fail(self, detail: str, fix: str) -> Check:
        return Check(name=self.name, subject=self.subject, status=Status.FAIL, detail=detail, fix=fix)


def worst(checks: Iterable[Check]) -> Status:
    """The worst status among them; ok of none."""
    return max((check.status for check in checks), key=lambda status: status.rank, default=Status.OK)


MB, GB = 1 << 20, 1 << 30


def size(count: float) -> str:
    """Bytes as PostgreSQL's settings count them: a kB is 1,024 bytes."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1_024:
            return f"{count:.0f} {unit}" if unit in ("B", "kB") or count >= 10 else f"{count:.1f} {unit}"
        count /= 1_024
    return f"{count:.1f} TB"


def setting_size(count: float) -> str:
    """Bytes as the value of a setting: whole megabytes, upwards."""
    return f"{-(-int(count) // MB)}MB"
