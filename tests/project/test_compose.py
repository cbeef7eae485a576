"""docker-compose.yml and .env.example fit each other, and what DESIGN promises of them."""

import io
import re
from typing import Any

import pytest
import yaml
from dotenv import dotenv_values

from tests.project.tree import ROOT, files

COMPOSE = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
EXAMPLE = (ROOT / ".env.example").read_text(encoding="utf-8")
POSTGRESQL_CONF = (ROOT / "deploy/postgresql.conf").read_text(encoding="utf-8")
SETTINGS = {
    "HOWDAH_DATABASE_URL",
    "DATABASE_URL",
    "PGHOST",
    "PGSERVICE",
    "HOWDAH_EMBEDDINGS",
    "HOWDAH_CHAT_MODEL",
    "OPENAI_API_KEY",
    "HOWDAH_OFFLINE",
    "HOWDAH_HOME",
    "HOWDAH_COLLECTION",
    "HOWDAH_PROMPTS",
    "LANGSMITH_TRACING",
    "LANGSMITH_API_KEY",
}


@pytest.fixture(scope="module")
def postgres() -> dict[str, Any]:
    return yaml.safe_load(COMPOSE)["services"]["postgres"]


def example(**values: str) -> dict[str, str | None]:
    """.env.example as it is read once `values` are filled in."""
    text = EXAMPLE
    for name, value in values.items():
        text = re.sub(rf"^{name}=.*$", f"{name}={value}", text, flags=re.MULTILINE)
    return dotenv_values(stream=io.StringIO(text), interpolate=True)


def setting(name: str) -> str:
    found = re.search(rf"^{name} = '?([^'\s#]+)", POSTGRESQL_CONF, re.MULTILINE)
    assert found, name
    return found[1]


def megabytes(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([kmg])b", size.lower()).groups()
    return int(number) * {"k": 1 / 1024, "m": 1, "g": 1024}[unit]


def test_compose_asks_for_what_the_example_gives() -> None:
    asked = dict(re.findall(r"\$\{(\w+):-([^}]*)\}", COMPOSE))
    assert {name: example()[name] for name in asked} == asked
    assert re.findall(r"\$\{(\w+):\?", COMPOSE) == ["POSTGRES_PASSWORD"]
    assert {name for name in example() if name.startswith("POSTGRES_")} == {*asked, "POSTGRES_PASSWORD"}


def test_there_is_no_default_password() -> None:
    assert example()["POSTGRES_PASSWORD"] == ""
    assert (
        len(re.findall(r"POSTGRES_PASSWORD", COMPOSE.partition("services:")[2])) == 3
    )  # its name, the value, the hint


def test_the_address_is_the_servers() -> None:
    url = example(POSTGRES_PASSWORD="s3cret", POSTGRES_PORT="5433")["HOWDAH_DATABASE_URL"]
    assert url == "postgresql://howdah:s3cret@127.0.0.1:5433/howdah"


def test_the_image_is_pinned_and_current_enough(postgres: dict[str, Any]) -> None:
    found = re.fullmatch(r"pgvector/pgvector:0\.8\.(\d+)-pg18-\w+", postgres["image"])
    assert found
    assert int(found[1]) >= 4


def test_only_loopback_is_published(postgres: dict[str, Any]) -> None:
    assert postgres["ports"] == ["127.0.0.1:${POSTGRES_PORT:-5432}:5432"]


def test_the_data_is_in_a_named_volume(postgres: dict[str, Any]) -> None:
    mounts = dict(volume.split(":")[:2] for volume in postgres["volumes"])
    assert mounts["data"] == "/var/lib/postgresql"
    assert "data" in yaml.safe_load(COMPOSE)["volumes"]
    ours = {source: target for source, target in mounts.items() if source.startswith("./")}
    assert ours == {"./deploy/postgresql.conf": "/etc/postgresql/postgresql.conf"}
    assert f"config_file={ours['./deploy/postgresql.conf']}" in postgres["command"]


def test_health_is_asked_by_tcp(postgres: dict[str, Any]) -> None:
    assert "pg_isready" in postgres["healthcheck"]["test"][1]
    assert "--host 127.0.0.1" in postgres["healthcheck"]["test"][1]


def test_an_index_build_fits_shared_memory(postgres: dict[str, Any]) -> None:
    assert megabytes(setting("maintenance_work_mem")) <= megabytes(postgres["shm_size"])
    assert setting("listen_addresses") == "*"


def test_the_example_has_every_setting_and_explains_it() -> None:
    named = set(re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert named >= SETTINGS
    blocks = re.split(r"\n\s*\n", EXAMPLE)
    assert all("# " in block.partition("=")[0] for block in blocks if re.search(r"^[# ]*[A-Z_]+=", block, re.MULTILINE))


def test_the_example_has_every_setting_that_the_program_reads() -> None:
    read = {
        name for path in files(".py", under=ROOT / "scripts") for name in settings_in(path.read_text(encoding="utf-8"))
    }
    named = set(re.findall(r"^(?:# )?([A-Z][A-Z_]+)=", EXAMPLE, re.MULTILINE))
    assert read - named == set()


def settings_in(code: str) -> set[str]:
    return set(re.findall(r"[\"'](HOWDAH_[A-Z_]+)[\"']", code))
