"""Settings: a command's flag, then the environment, then ./.env, then the default. Nothing else reads the environment."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import load_dotenv

URLS = ("HOWDAH_DATABASE_URL", "DATABASE_URL")
_TRACING = ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2", "LANGCHAIN_TRACING")
_SHOWN = {
    "HOWDAH_HOME": "home", "HOWDAH_COLLECTION": "collection", "HOWDAH_EMBEDDINGS": "embeddings",
    "HOWDAH_CHAT_MODEL": "chat_model", "HOWDAH_OFFLINE": "offline", "HOWDAH_PROMPTS": "prompts",
    "HOWDAH_IDLE_MINUTES": "idle_minutes", "HOWDAH_CACHE_MB": "cache_mb", "HOWDAH_TRACE": "trace_days",
    "HOWDAH_SLOW_MS": "slow_ms",
    "OPENAI_API_KEY": "openai_key", "LANGSMITH_TRACING": "langsmith_tracing", "LANGSMITH_API_KEY": "langsmith_key",
}  # fmt: skip
"""Variable: the field of Settings that it sets. A key's field says only whether there is one."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment says. `database_url` None is the embedded server; a model None was not named.

    `database_source` is the variable that the URL came from; `trace_days` 0 keeps no traces, `slow_ms` None logs no search.
    """

    database_url: str | None
    database_source: str | None
    embeddings: str | None
    chat_model: str | None
    openai_key: bool
    offline: bool
    home: Path | None
    collection: str
    prompts: Path | None
    idle_minutes: float
    cache_mb: float
    trace_days: float
    slow_ms: float | None
    langsmith_tracing: bool
    langsmith_key: bool
    file_passwords: tuple[str, ...] = field(repr=False)


@dataclass(frozen=True)
class Origins:
    """Where each variable came from: those of the environment, as it was before ./.env was read."""

    environment: frozenset[str]
    flag: str | None = None

    def with_flag(self, flag: str) -> "Origins":
        """As this, with the database named by a flag."""
        return Origins(self.environment, flag)

    def of(self, settings: Settings) -> dict[str, dict[str, object]]:
        """The value of each setting and where it came from: a flag, environment, .env or default. No secrets."""
        found = {
            name: {"value": getattr(settings, field), "from": self._of(name)} for name, field in _SHOWN.items()
        }  # fmt: skip
        return {
            "database": {"value": settings.database_source or "embedded", "from": self._of_database(settings)},
            **found,
        }

    def _of(self, name: str) -> str:
        if name in self.environment:
            return "environment"
        return ".env" if os.environ.get(name) else "default"

    def _of_database(self, settings: Settings) -> str:
        if self.flag is not None or settings.database_source is None:
            return f"flag {self.flag}" if self.flag else "default"
        return self._of(settings.database_source)


def origins() -> Origins:
    """To be asked before `read`, which puts what ./.env says into the environment."""
    return Origins(frozenset(name for name, value in os.environ.items() if value))


def read() -> Settings:
    """The settings of this process; ./.env is read, but not searched for in the folders above."""
    load_dotenv(Path.cwd() / ".env", override=False)
    url, source = _database()
    home, prompts = os.environ.get("HOWDAH_HOME"), os.environ.get("HOWDAH_PROMPTS")
    return Settings(
        database_url=url,
        database_source=source,
        embeddings=os.environ.get("HOWDAH_EMBEDDINGS") or None,
        chat_model=os.environ.get("HOWDAH_CHAT_MODEL") or None,
        openai_key=bool(os.environ.get("OPENAI_API_KEY")),
        offline=os.environ.get("HOWDAH_OFFLINE", "") not in ("", "0"),
        home=Path(home).expanduser() if home else None,
        collection=os.environ.get("HOWDAH_COLLECTION") or "docs",
        prompts=Path(prompts).expanduser() if prompts else None,
        idle_minutes=_number("HOWDAH_IDLE_MINUTES", "10", "minutes"),
        cache_mb=_number("HOWDAH_CACHE_MB", "1000", "megabytes"),
        trace_days=_days("HOWDAH_TRACE"),
        slow_ms=_number("HOWDAH_SLOW_MS", "0", "milliseconds") or None,
        langsmith_tracing=any(os.environ.get(name, "").casefold() in ("true", "1") for name in _TRACING),
        langsmith_key=any(os.environ.get(name) for name in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY")),
        file_passwords=tuple(line for line in os.environ.get("HOWDAH_FILE_PASSWORDS", "").splitlines() if line),
    )


def _number(name: str, default: str, unit: str) -> float:
    from howdah.retrieval.errors import InvalidInput

    text = os.environ.get(name) or default
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise InvalidInput(f"{name} is {text!r} and must be a number of {unit}", hint=f"the default is {default}")
    return number


def _days(name: str) -> float:
    """A number of days, or "off", which is none."""
    return 0.0 if os.environ.get(name, "").strip().casefold() == "off" else _number(name, "30", "days, or off")


def wants_traceback() -> bool:
    """Whether an unforeseen error is shown with its traceback."""
    return os.environ.get("HOWDAH_TRACEBACK", "") not in ("", "0")


def _database() -> tuple[str | None, str | None]:
    for name in URLS:
        if os.environ.get(name):
            return os.environ[name], name
    for name, key in (("PGSERVICE", "service"), ("PGHOST", "host")):
        if os.environ.get(name):
            value = os.environ[name].replace("\\", "\\\\").replace("'", "\\'")
            return f"{key}='{value}'", name  # libpq takes the other PG* variables itself
    return None, None
