"""Settings: a command's flag, then the environment, then ./.env, then the default. Nothing else reads the environment."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from dotenv import load_dotenv

URLS = ("HOWDAH_DATABASE_URL", "DATABASE_URL")


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
    file_passwords: tuple[str, ...] = field(repr=False)


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
