"""How far something is: a bar on a terminal, a plain line now and then anywhere else."""

import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeElapsedColumn

from howdah.scripts import output

if TYPE_CHECKING:
    from howdah.retrieval.report import Progress as At

EVERY = 5.0
"""Seconds between two plain lines."""
SURE = 0.02
"""The share of the bytes from which on the rest is foretold."""


def bar(*counts: ProgressColumn) -> Progress:
    """A bar on stderr that goes when it is done; not drawn where stderr is no terminal. `counts` stand behind it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        *(counts or (MofNCompleteColumn(), TimeElapsedColumn())),
        console=output.ERR,
        transient=True,
        disable=not output.ERR.is_terminal,
    )


class Telling:
    """A bar with one task, or lines at least EVERY seconds apart."""

    def __init__(self, *counts: ProgressColumn, **fields: Any) -> None:
        self.began = self.said = time.monotonic()
        self.bar = bar(*counts)
        self.task = self.bar.add_task("Reading", total=None, **fields)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def line(self, text: str) -> None:
        """Say it, unless something was said just now."""
        if (now := time.monotonic()) - self.said >= EVERY:
            self.said = now
            output.note(text)


class LoadProgress(Telling):
    """Told of every source. What is left is foretold by the bytes of what is not known to be unchanged."""

    def __init__(self) -> None:
        counts, left = TextColumn("{task.fields[counts]}"), TextColumn("[dim]{task.fields[left]}")
        super().__init__(counts, TimeElapsedColumn(), left, counts="", left="")

    def __call__(self, at: "At") -> None:
        counts = f"{at.done:,} of {at.total:,} files, {at.chunks:,} chunks"
        left = self.left(at, time.monotonic())
        if self.bar.disable:
            self.line(counts + (f", {left}" if left else ""))
            return
        self.bar.update(
            self.task, description="Loading", total=at.to_read or at.total, counts=counts, left=left,
            completed=at.read if at.to_read else at.done,
        )  # fmt: skip

    def left(self, at: "At", now: float) -> str:
        """The time that the rest takes at the rate so far; nothing before there is a rate."""
        if at.to_read == 0 or at.read < SURE * at.to_read or at.read >= at.to_read:
            return ""
        return f"about {spoken((now - self.began) / at.read * (at.to_read - at.read))} left"

    def phase(self, description: str) -> None:
        """What goes on after the files."""
        self.bar.update(self.task, description=description, total=None, counts="", left="")


def spoken(seconds: float) -> str:
    """A duration as people say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5_400 else f"{seconds / 3_600:.1f} h"
