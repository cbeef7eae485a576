"""The local chat model for real: its process, its port, its key, and what becomes of it when others die."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from langchain_core.messages import HumanMessage

from howdah.chains import local_server
from howdah.chains.local_server import SERVER, LocalServer
from howdah.chains.models import load_chat_model, local_model_available
from howdah.retrieval.errors import InvalidInput, ModelUnavailable

pytestmark = pytest.mark.skipif(not local_model_available(), reason="the local chat model is not installed")

QUESTION = "What is the capital of France? Answer with one word."
LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")


@pytest.fixture(scope="module", autouse=True)
def _ended():
    yield
    SERVER.stop()


@pytest.fixture
def chat():
    return load_chat_model("local").bind(max_completion_tokens=12)


@pytest.fixture
def address():
    return SERVER.address()


def gone(pid, *, within):
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def start_elsewhere(script):
    """A program that prints the server's process number and waits to be killed."""
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    return process, int(process.stdout.readline())


# -- answers


def test_it_answers_within_bounds_and_repeats_itself(chat):
    since = time.monotonic()
    first = chat.invoke(QUESTION)
    assert time.monotonic() - since < 60
    assert first.content.strip()
    assert first.usage_metadata["output_tokens"] <= 12
    assert chat.invoke(QUESTION).content == first.content
    assert "".join(chunk.content for chunk in chat.stream(QUESTION)) == first.content


def test_two_event_loops_one_after_the_other(chat):
    async def both():
        streamed = [chunk.content async for chunk in chat.astream(QUESTION)]
        return (await chat.ainvoke(QUESTION)).content, "".join(streamed)

    one, other = asyncio.run(both()), asyncio.run(both())
    assert one == other
    assert one[0] == one[1] != ""


async def test_the_event_loop_goes_on_while_the_server_starts(chat):
    SERVER.stop()
    task, ticks = asyncio.create_task(chat.ainvoke(QUESTION)), 0
    while SERVER.pid is None:
        await asyncio.sleep(0.005)
        ticks += 1
    assert ticks >= 10
    assert (await task).content


def test_a_stream_that_is_left_does_not_keep_the_next_waiting():
    model = load_chat_model("local").bind(stop=["never"])
    stream = model.stream("Write a long story about a dog.")
    assert next(chunk.content for chunk in stream if chunk.content)
    stream.close()
    since = time.monotonic()
    model.bind(max_completion_tokens=2).invoke("Hi")
    assert time.monotonic() - since < 20


def test_a_prompt_beyond_the_context_is_refused_in_one_sentence(chat):
    with pytest.raises(InvalidInput, match=r"4096 tokens.*refused this input"):
        chat.invoke("word " * 5000)


def test_tokens_are_counted_by_the_model_itself_without_a_download():
    model = load_chat_model("local")
    assert 2 <= model.get_num_tokens("Hello, world!") <= 6
    assert model.get_num_tokens_from_messages([HumanMessage("Hello, world!")]) > model.get_num_tokens("Hello, world!")


# -- nothing of the user's


def test_proxies_and_openai_settings_do_not_matter(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "OPENAI_PROXY", "OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.setenv(name.lower(), "http://127.0.0.1:9")
    own = {"OPENAI_API_KEY": "sk-own", "OPENAI_ORG_ID": "org-own", "OPENAI_PROJECT_ID": "project-own"}
    own |= {"OPENAI_CUSTOM_HEADERS": "X-Own: header-own\nAuthorization: Bearer own", "LANGSMITH_GATEWAY": "true"}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    model, seen = load_chat_model("local"), []
    model.http_client.event_hooks["request"].append(seen.append)

    async def keep(request):
        seen.append(request)

    model.http_async_client.event_hooks["request"].append(keep)
    assert model.invoke(QUESTION, max_completion_tokens=3).content
    assert asyncio.run(model.ainvoke(QUESTION, max_completion_tokens=3)).content
    assert len(seen) == 2
    for request in seen:
        assert request.url.host == "127.0.0.1"
        assert "own" not in str([(name, value) for name, value in request.headers.items()])


@LINUX
def test_it_listens_on_loopback_alone(address):
    descriptors = Path(f"/proc/{SERVER.pid}/fd")
    targets = [str(entry.readlink()) for entry in descriptors.iterdir()]
    sockets = {target[8:-1] for target in targets if target.startswith("socket:")}
    lines = [
        line.split() for name in ("tcp", "tcp6") for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    listening = {fields[1] for fields in lines if fields[3] == "0A" and fields[9] in sockets}
    assert listening == {f"0100007F:{address.port:04X}"}


def test_the_key_is_asked_for_and_is_nowhere_to_be_read(address):
    url, body = f"http://127.0.0.1:{address.port}", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
    with httpx.Client(trust_env=False) as client:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer local"}):
            assert client.post(f"{url}/v1/chat/completions", json=body, headers=headers).status_code == 401
            assert client.get(f"{url}/slots", headers=headers).status_code in {401, 404}
        right = {"Authorization": f"Bearer {address.key}"}
        assert client.post(f"{url}/v1/chat/completions", json=body, headers=right, timeout=60).status_code == 200
    assert address.key not in repr(address)
    if Path("/proc/self").exists():
        for name in ("cmdline", "environ"):
            assert address.key.encode() not in Path(f"/proc/{SERVER.pid}/{name}").read_bytes()


# -- life and death


def test_nothing_starts_before_the_first_call_and_many_first_calls_start_one(monkeypatch):
    SERVER.stop()
    model = load_chat_model("local")
    assert SERVER.pid is None
    started, start = [], local_server._start
    monkeypatch.setattr(local_server, "_start", lambda path: started.append(path) or start(path))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: model.invoke("Hi", max_completion_tokens=2).content, range(8)))
    assert len(set(answers)) == len(started) == 1


def test_a_server_that_died_is_started_anew(chat):
    chat.invoke("Hi")
    before = SERVER.pid
    os.kill(before, signal.SIGKILL)
    assert chat.invoke("Hi").content
    assert SERVER.pid not in {before, None}


def test_a_server_that_dies_while_it_answers_is_a_named_error():
    model = load_chat_model("local").bind(stop=["never"])
    stream = model.stream("Write a long story about a cat.")
    assert next(chunk.content for chunk in stream if chunk.content)
    os.kill(SERVER.pid, signal.SIGKILL)
    with pytest.raises(ModelUnavailable, match="asking the local chat model failed"):
        list(stream)


def test_a_model_that_cannot_be_loaded_says_why(tmp_path, monkeypatch):
    bad = tmp_path / "SmolLM2-135M-Instruct.gguf"
    bad.write_bytes(b"GGUF of another kind")
    monkeypatch.setattr(local_server, "_model_file", lambda: bad)
    with pytest.raises(ModelUnavailable, match=r"ended while it was loading: .*; use another one"):
        LocalServer().address()


def test_a_model_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(local_server, "PATIENCE", 0.01)
    with pytest.raises(ModelUnavailable, match="did not load within"):
        LocalServer().address()


def test_the_thread_that_started_it_may_end():
    SERVER.stop()
    thread = threading.Thread(target=SERVER.address)
    thread.start()
    thread.join()
    pid = SERVER.pid
    time.sleep(1.2)  # longer than the child's watch
    assert SERVER.pid == pid


@LINUX
@pytest.mark.parametrize("fork", [False, True], ids=["alone", "while a fork lives on"])
def test_it_dies_with_its_parent_even_on_kill_9(fork):
    script = "import os, time\nfrom howdah.chains.local_server import SERVER\nSERVER.address()\npid = SERVER.pid\n"
    # Our own forks let go of the pipe; one that a C library made would not.
    hold = "os.dup(SERVER._running.process.stdin.fileno())\nif os.fork() == 0: time.sleep(20); os._exit(0)\n"
    script += hold if fork else ""
    process, pid = start_elsewhere(f"{script}print(pid, flush=True)\ntime.sleep(60)")
    assert not gone(pid, within=0.2)
    process.kill()
    assert gone(pid, within=5)
    process.wait()
    process.stdout.close()


@LINUX
def test_it_ends_with_its_program_in_silence():
    script = "from howdah.chains.local_server import SERVER\nSERVER.address()\nprint(SERVER.pid)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert gone(int(done.stdout), within=2)
    assert done.stderr == ""


@LINUX
def test_a_fork_has_a_server_of_its_own():
    script = """
import os
from howdah.chains.local_server import SERVER
from howdah.chains.models import load_chat_model
model = load_chat_model("local")
ask = lambda: model.invoke("Hi", max_completion_tokens=2).content
one, parents = ask(), SERVER.pid
child = os.fork()
if child == 0:
    same = ask() == one and SERVER.pid not in (parents, None)
    SERVER.stop()
    os._exit(0 if same else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert ask() == one and SERVER.pid == parents
"""
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@LINUX
def test_another_address_of_loopback_is_refused(address):
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.2", address.port), timeout=2):
        pass
