"""What every test stands on: an environment without the user's servers, keys and settings."""

import os
import re
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

ROOT = Path(__file__).resolve().parent.parent
# NO_PROXY goes with the proxies: left alone it would excuse loopback from a proxy that a test sets on purpose.
USERS_OWN = re.compile(
    r"HOWDAH_.*|PG.*|DATABASE_URL|.*_API_KEY|LANGSMITH_.*|LANGCHAIN_.*|(https?|all|no)_proxy", re.IGNORECASE
)

# At import, so before any test module, fixture or library can read them.
for name in [name for name in os.environ if USERS_OWN.fullmatch(name)]:
    del os.environ[name]

# No deadlines: they measure the machine's other work, and pytest-timeout catches what hangs.
settings.register_profile("dev", deadline=None, database=DirectoryBasedExampleDatabase(ROOT / ".hypothesis"))
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if "CI" in os.environ else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--drills", action="store_true", help="run each drill in full, not its short version")


@pytest.fixture(scope="session", autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Settings may lie in ./.env, so no test runs where a developer keeps one."""
    os.chdir(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture(scope="session")
def full_drill(request: pytest.FixtureRequest) -> bool:
    """Whether a drill runs in full (`make drills`) or in its short version (`make test`)."""
    return bool(request.config.getoption("--drills"))
