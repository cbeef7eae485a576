"""Freed memory goes back to the system."""

import subprocess
import sys

import pytest

from howdah.retrieval import memory

GROW = """
import threading
from pathlib import Path
from howdah.retrieval.memory import give_back

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

kept = []
def work():
    for number in range(60_000):
        piece = bytearray(4_000)
        if number % 2_000 == 0:
            kept.append(bytearray(600))  # between those that go, and at the heap's end
        held.append(piece)

before, held = resident(), []
threads = [threading.Thread(target=work) for _ in range(2)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
held.clear()
freed = resident()
give_back()
print(freed - before, resident() - before)
"""


@pytest.mark.skipif(memory._malloc_trim() is None, reason="this C library has no malloc_trim")
def test_what_threads_freed_is_given_back() -> None:
    ran = subprocess.run([sys.executable, "-c", GROW], capture_output=True, text=True, check=True)
    kept, left = map(int, ran.stdout.split())
    assert left < 40_000_000 < kept


def test_it_is_done_each_time_that_so_many_chunks_were_written(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    monkeypatch.setattr(memory, "give_back", lambda: done.append(1))
    freed = memory.Freed(every=100)
    counts = []
    for chunks in (60, 39, 1, 250, 99, 1):
        freed.after(chunks)
        counts.append(len(done))
    assert counts == [0, 0, 1, 2, 2, 3]
