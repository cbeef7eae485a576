import gc
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from howdah.retrieval.errors import InvalidInput, LoadError
from howdah.retrieval.loaders.apart import Apart
from howdah.retrieval.loaders.job import Job
from howdah.retrieval.loaders.options import LoadOptions
from howdah.retrieval.types import Heading

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

BAD = """
import ctypes, os, signal, sys, time
from howdah.retrieval.errors import LoadError, PackageMissing
from howdah.retrieval.types import Extract

def parse(job):
    word, _, rest = job.content.decode().partition(" ")
    return globals()[word](job, rest)

def say(job, rest):
    return Extract(text=rest, media_type="text/plain")

def big(job, rest):
    return Extract(text="x" * int(rest), media_type="text/plain")

def hang(job, rest):
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
    ctypes.PyDLL(None).pause()  # with the GIL held, as native code has it

def sleep(job, rest):
    time.sleep(float(rest))
    return say(job, rest)

def eat(job, rest):
    kept = []
    while True:
        kept.append(bytearray(16 << 20))

def eat_native(job, rest):
    c = ctypes.CDLL(None)
    c.malloc.restype, c.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    c.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
    while True:
        c.memset(c.malloc(8 << 20), 1, 8 << 20)

def segfault(job, rest):
    ctypes.string_at(0)

def leave(job, rest):
    os._exit(int(rest))

def exits(job, rest):
    sys.exit("no")

def fail(job, rest):
    raise ZeroDivisionError("one\\ntwo")

def refuse(job, rest):
    raise LoadError(job.source, "is nothing", hint="try " + rest)

def missing(job, rest):
    raise PackageMissing("frobnicate", needed_for=job.source, install="pip install frobnicate")

def prints(job, rest):
    print("\\x00" * 100_000)
    os.write(1, b"noise" * 1000)
    os.write(2, b"noise" * 100_000)
    sys.stdin.read()
    return say(job, rest)

def odd(job, rest):
    class Local: pass
    return Extract(text="x", media_type="text/plain", metadata={"a": Local()})

class Evil:
    def __reduce__(self):
        return os.system, ("touch " + self.path,)

def evil(job, rest):
    Evil.path = rest
    return Extract(text="x", media_type="text/plain", metadata={"a": Evil()})

def fork(job, rest):
    pid = os.fork()
    if not pid:
        time.sleep(600)
    return Extract(text=str(pid), media_type="text/plain")

def who(job, rest):
    return Extract(text=f"{os.getpid()} {sys.argv} {dict(os.environ)}", media_type="text/plain")
"""


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bad")
    (folder / "howdah_bad_parsers.py").write_text(BAD)
    sys.path.insert(0, str(folder))
    yield "howdah_bad_parsers:parse"
    sys.path.remove(str(folder))


def jobs(*words: str) -> list[Job]:
    return [Job(content=word.encode(), source=f"docs/{n}") for n, word in enumerate(words)]


def children(pid: int | str = "self") -> set[int]:
    found = set()
    for task in Path(f"/proc/{pid}/task").iterdir():
        found |= {int(child) for child in (task / "children").read_text().split()}
    return found


def gone(*pids: int, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def alive(pid: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


@pytest.fixture(autouse=True)
def no_child_is_left():
    before = children()
    yield
    gc.collect()
    assert children() <= before


def verdicts(apart: Apart, *words: str) -> list[str]:
    return [str(found) if isinstance(found, LoadError) else found.text for _, found in apart.extracts(jobs(*words))]


ANEW = "the file may be damaged: open it in its own program and save a copy"
SPLIT = "split the file, or save a simpler copy of it"


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("hang", f"parsing took longer than 2 s and was stopped; {SPLIT}"),
        ("eat", f"parsing needed more than 1,000 MB of memory and was stopped; {SPLIT}"),
        ("eat_native", f"parsing needed more than 1,000 MB of memory and was stopped; {SPLIT}"),
        ("segfault", f"the parser crashed (signal 11); {ANEW}"),
        ("leave 3", f"the parser crashed (exit status 3); {ANEW}"),
        ("exits", f"the parser failed with SystemExit (no); {ANEW}"),
        ("fail", f"the parser failed with ZeroDivisionError (one two); {ANEW}"),
        ("refuse again", "is nothing; try again"),
    ],
)
def test_a_parser_that_goes_wrong_is_one_files_error_and_the_others_are_read(bad, word, reason):
    seconds = 2 if word == "hang" else 30
    with Apart(processes=1, seconds=seconds, megabytes=1_000, parse=bad) as apart:
        assert verdicts(apart, "say a", word, "say b", word, "say c") == [
            "a", f"docs/1: {reason}", "b", f"docs/3: {reason}", "c",
        ]  # fmt: skip


def test_the_order_is_that_of_the_jobs(bad):
    with Apart(processes=2, parse=bad) as apart:
        words = ["sleep 0.3", "say b", "sleep 0.1", "segfault", *(f"say {n}" for n in range(50))]
        given = jobs(*words)
        found = list(apart.extracts(given))
    assert [job for job, _ in found] == given
    assert [getattr(text, "text", "") for _, text in found] == ["0.3", "b", "0.1", "", *map(str, range(50))]


def test_a_missing_package_is_the_files_error_until_it_is_there(bad):
    with Apart(processes=1, parse=bad) as apart:
        [(_, error)] = apart.extracts(jobs("missing"))
        assert isinstance(error, LoadError)
        assert "frobnicate" in error.reason
        assert not error.lasting
        assert verdicts(apart, "say a") == ["a"]


def test_one_job_alone_gives_its_text_or_raises(bad):
    with Apart(processes=1, parse=bad) as apart:
        assert apart.extract(jobs("say a")[0]).text == "a"
        with pytest.raises(LoadError, match="is nothing") as caught:
            apart.extract(jobs("refuse again")[0])
        assert (caught.value.source, caught.value.hint) == ("docs/0", "try again")


def test_what_a_parser_prints_or_reads_does_no_harm(bad, capfd):
    with Apart(processes=1, parse=bad) as apart:
        assert verdicts(apart, "prints a", "say b") == ["a", "b"]
    assert capfd.readouterr() == ("", "")


def test_big_jobs_and_results_go_through(bad):
    with Apart(processes=2, parse=bad) as apart:
        texts = verdicts(apart, "big 50000000", "say " + "y" * 20_000_000, "big 3")
    assert [len(text) for text in texts] == [50_000_000, 20_000_000, 3]


def test_a_result_that_is_no_extract_of_ours_is_not_made_in_this_process(bad, tmp_path):
    with Apart(processes=1, parse=bad) as apart:
        evil, odd, good = verdicts(apart, f"evil {tmp_path / 'made'}", "odd", "say a")
    assert evil.startswith("docs/0: the parser gave back what is no text (UnpicklingError('posix.system'))")
    assert not (tmp_path / "made").exists()
    assert odd.startswith("docs/1: the parser failed with ")
    assert good == "a"


def test_an_extract_comes_back_whole(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.md")
    path.write_text("# Top\n\ntext\n")
    with Apart(processes=1) as apart:
        found = apart.extract(Job(content=path, source="docs/a.md"))
    assert found.headings == (Heading(start=0, level=1, title="Top"),)
    assert (found.text, found.title, found.media_type) == ("# Top\n\ntext\n", "Top", "text/markdown")


def test_a_relative_path_is_the_callers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.html").write_text("<html><body><p>words</p></body></html>")
    with Apart(processes=1) as apart:
        assert apart.extract(Job(content=Path("a.html"), source="a.html")).text == "words"


def test_memory_is_given_back_and_jobs_are_not_read_far_ahead(bad):
    """The bound: 8 jobs a process are read ahead, and no more than 32 MiB of results wait for the caller."""
    taken = []

    def counted():
        for job in jobs(*["big 10000000"] * 40):
            taken.append(job.source)
            yield job

    with Apart(processes=2, parse=bad) as apart:
        found = apart.extracts(counted())
        next(found)
        time.sleep(1)
        line = found.gi_frame.f_locals["line"]
        assert len(taken) <= 16
        assert 20_000_000 <= line._held <= 32 * 2**20 + 2 * 10_000_100
        assert len(list(found)) == 39
        assert line._held == 0


def test_nothing_is_started_before_there_is_a_job_and_no_more_than_there_are_jobs(bad):
    before = children()
    with Apart(processes=4, parse=bad) as apart:
        assert list(apart.extracts([])) == []
        assert children() == before
        assert verdicts(apart, "say a") == ["a"]
        assert len(children() - before) == 1
        assert verdicts(apart, "say a", "say b", "say c")
        assert len(children() - before) <= 3


def test_threads_share_the_workers(bad):
    before = children()
    results = {}

    def load(name):
        results[name] = verdicts(apart, *(f"say {name}{n}" for n in range(30)), "segfault")

    with Apart(processes=2, parse=bad) as apart:
        threads = [threading.Thread(target=load, args=(name,), daemon=True) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(children() - before) <= 2
    assert {name: texts[:30] for name, texts in results.items()} == {
        name: [f"{name}{n}" for n in range(30)] for name in "abcd"
    }


def test_two_loads_in_turns_do_not_wait_for_each_other(bad):
    with Apart(processes=1, parse=bad) as apart:
        one, two = (apart.extracts(jobs(*["big 20000000"] * 6)) for _ in range(2))
        assert [(len(a.text), len(b.text)) for (_, a), (_, b) in zip(one, two, strict=True)] == [(20_000_000,) * 2] * 6


def test_a_load_that_is_left_early_leaves_nothing_and_the_next_one_works(bad):
    with Apart(processes=2, parse=bad) as apart:
        for _, found in apart.extracts(jobs(*(f"say {n}" for n in range(100)))):
            assert found.text == "0"
            break
        assert verdicts(apart, "say a") == ["a"]


def test_closing_ends_what_runs_and_an_apart_can_be_used_again(bad):
    apart = Apart(processes=1, parse=bad)
    failures = []

    def load():
        try:
            verdicts(apart, "sleep 60", "sleep 60")
        except Exception as exc:
            failures.append(str(exc))

    thread = threading.Thread(target=load)
    thread.start()
    time.sleep(0.5)
    began = time.monotonic()
    apart.close()
    thread.join()
    assert time.monotonic() - began < 5
    assert "closed meanwhile" in failures[0]
    assert verdicts(apart, "say a") == ["a"]
    apart.close()
    apart.close()


def test_one_that_is_forgotten_ends_its_workers(bad):
    before = children()
    apart = Apart(processes=1, parse=bad)
    verdicts(apart, "say a")
    workers = children() - before
    assert len(workers) == 1
    del apart
    gc.collect()
    assert gone(*workers)


def test_what_a_parser_started_goes_with_it(bad):
    with Apart(processes=1, parse=bad) as apart:
        [grandchild] = verdicts(apart, "fork")
        assert alive(int(grandchild))
    assert gone(int(grandchild))


def test_a_worker_that_dies_between_two_files_is_nobodys_failure(bad):
    before = children()
    with Apart(processes=1, parse=bad) as apart:
        verdicts(apart, "say a")
        [worker] = children() - before
        os.kill(worker, 9)
        time.sleep(0.1)
        assert verdicts(apart, "say b") == ["b"]


def test_a_worker_that_has_grown_makes_way_for_a_fresh_one(bad):
    before = children()
    with Apart(processes=1, parse=bad) as apart:
        verdicts(apart, "say a")
        first = children() - before
        verdicts(apart, "say b")
        assert children() - before == first
        verdicts(apart, "eat", "say c")
        assert children() - before != first


def test_passwords_are_in_no_argument_and_no_environment(bad):
    options = LoadOptions(passwords=("correct horse",))
    with Apart(processes=1, parse=bad) as apart:
        job = Job(content=b"who", source="docs/a", options=options)
        said = apart.extract(job).text
        worker = said.split()[0]
        assert (
            b"horse" not in Path(f"/proc/{worker}/cmdline").read_bytes() + Path(f"/proc/{worker}/environ").read_bytes()
        )
    assert "horse" not in said + repr(job) + repr(options)


@pytest.mark.parametrize("wrong", [{"seconds": 0}, {"megabytes": -1}, {"processes": 0}])
def test_limits_must_be_positive(wrong):
    with pytest.raises(InvalidInput, match="must be positive, got "):
        Apart(**wrong)


def test_a_worker_brings_neither_langchain_nor_numpy():
    code = "import howdah.retrieval.loaders.job, sys; print({'numpy', 'langchain_core'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


SCRIPT = """
import sys, threading, os, time
sys.path.insert(0, {folder!r})
from howdah.retrieval.loaders.apart import Apart
from howdah.retrieval.loaders.job import Job
print("imported", flush=True)
apart = Apart(processes=2, parse="howdah_bad_parsers:parse")
jobs = [Job(content=word.encode(), source=word) for word in {words!r}]
{body}
"""
PLAIN_LOOP = "for job, found in apart.extracts(jobs): print(found.text, flush=True)"


def script(bad_folder, *words: str, body: str = PLAIN_LOOP) -> str:
    return SCRIPT.format(folder=bad_folder, words=list(words), body=body)


@pytest.fixture
def folder(bad):
    """Where the bad parsers lie."""
    return next(entry for entry in sys.path if (Path(entry) / "howdah_bad_parsers.py").exists())


def started(code: str, **options) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", code], stdout=-1, stderr=-1, text=True, **options)


def workers_of(process: subprocess.Popen, *, count: int) -> set[int]:
    deadline = time.monotonic() + 20
    while len(found := children(process.pid)) < count and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(0.3)  # until they are at work
    return found


def test_workers_die_with_a_parent_that_is_killed(folder):
    process = started(script(folder, "hang", "sleep 100"))
    workers = workers_of(process, count=2)
    assert len(workers) == 2
    process.kill()
    process.communicate()
    assert gone(*workers, seconds=5)


def test_ctrl_c_is_one_keyboard_interrupt_and_nothing_is_left(folder):
    process = started(script(folder, "hang", "sleep 100"), start_new_session=True)
    workers = workers_of(process, count=2)
    began = time.monotonic()
    os.killpg(process.pid, 2)
    _, errors = process.communicate(timeout=20)
    assert time.monotonic() - began < 5
    assert errors.count("KeyboardInterrupt") == errors.count("Traceback") == 1
    assert process.returncode == -2
    assert gone(*workers)


def test_a_script_from_standard_input_and_one_without_a_main_guard_work(folder, tmp_path):
    code = script(folder, "say a", "say b")
    done = subprocess.run([sys.executable], input=code, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("imported\na\nb\n", "")
    (tmp_path / "html.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "main.py").write_text(code)
    done = subprocess.run([sys.executable, str(tmp_path / "main.py")], capture_output=True, text=True, check=False)
    assert "shadowed" in done.stderr, "the parent itself imports the user's html.py, as Python does"
    (tmp_path / "html.py").unlink()
    done = subprocess.run([sys.executable, str(tmp_path / "main.py")], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("imported\na\nb\n", "")


def test_a_daemon_thread_may_load_and_the_program_ends_while_it_does(folder):
    body = textwrap.dedent(f"""
        def load():
            {PLAIN_LOOP}
        thread = threading.Thread(target=load, daemon=True)
        thread.start()
        time.sleep(1.5)
    """)
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", script(folder, "say a", "sleep 100", body=body)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert time.monotonic() - began < 10
    assert (done.stdout, done.stderr) == ("imported\na\n", "")


def test_a_fork_starts_workers_of_its_own_and_leaves_the_parents_alone(folder):
    body = textwrap.dedent("""
        import gc
        def pid():
            return apart.extract(jobs[0]).text.split()[0]
        mine = pid()
        if not os.fork():
            forks = pid()
            del apart
            gc.collect()
            os._exit(0 if forks != mine else 1)
        print(os.wait()[1], pid() == mine)
    """)
    code = script(folder, "who", body=body)
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("imported\n0 True\n", "")


def test_a_fork_that_forgets_one_leaves_the_parents_workers_alone(folder):
    body = textwrap.dedent("""
        import gc
        def pid():
            return apart.extract(jobs[0]).text.split()[0]
        mine = pid()
        if not os.fork():
            del apart
            gc.collect()
            os._exit(0)
        print(os.wait()[1], pid() == mine)
    """)
    code = script(folder, "who", body=body)
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("imported\n0 True\n", "")
