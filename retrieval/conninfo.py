"""Where the database is: connection strings read, completed and shown without their secrets."""

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from howdah.retrieval.errors import InvalidInput

Pooler = Literal["auto", "no", "yes", "prepared"]
POOLER_WORDS: dict[str, Pooler] = {"true": "yes", "1": "yes", "yes": "yes", "false": "no", "0": "no", "no": "no"}
SECRETS = ("password", "sslpassword")
HINT = "write it as postgresql://user:password@host:5432/database"


@dataclass(frozen=True)
class Conninfo:
    """A libpq connection string, and whether a transaction-mode pooler stands before the server.

    `pooler`: auto = find out; yes = no start-up options and no prepared statements; prepared = a pooler that supports
    prepared statements (PgBouncer from 1.21 with max_prepared_statements); no = a direct connection.
    """

    text: str
    pooler: Pooler = "auto"

    def __repr__(self) -> str:
        return f"Conninfo({self.shown!r}, pooler={self.pooler!r})"

    @property
    def shown(self) -> str:
        """The connection string without its secrets."""
        parts = {k: v for k, v in conninfo_to_dict(self.text).items() if k not in SECRETS}
        return make_conninfo("", **parts)

    @property
    def has_secret(self) -> bool:
        return any(conninfo_to_dict(self.text).get(name) for name in SECRETS)

    @property
    def place(self) -> str:
        """Host and database in a few words, for messages."""
        parts = conninfo_to_dict(self.text)
        host = parts.get("host") or parts.get("hostaddr") or parts.get("service") or "the default host"
        port = f":{parts['port']}" if parts.get("port") else ""
        return f"database {str(parts.get('dbname') or parts.get('user') or '')!r} on {host}{port}"

    def redact(self, message: str) -> str:
        """`message` without this string's secrets, whole or URL-encoded."""
        for name, value in conninfo_to_dict(self.text).items():
            if name in SECRETS and value:
                encoded = urlencode({"": str(value)})[1:]
                message = message.replace(str(value), "***").replace(encoded, "***")
        return message


def parse(url: str) -> Conninfo:
    """A connection string of any usual spelling: postgres://, postgresql://, postgresql+psycopg://, key=value.

    Raises InvalidInput when libpq does not understand it; the message never holds the string, which may have a password.
    """
    text, pooler = url.strip(), "auto"
    if "://" in text:
        text, pooler = _split_url(text)
    try:
        parsed = conninfo_to_dict(text)
    except psycopg.ProgrammingError as exc:
        reason = re.sub(r'"[^"]*"', '"…"', str(exc).strip())
        raise InvalidInput(f"the database URL cannot be read ({reason})", hint=HINT) from None
    if not parsed:
        raise InvalidInput("the database URL is empty", hint=HINT)
    return Conninfo(text, _pooler(pooler))


def _split_url(url: str) -> tuple[str, str]:
    scheme, rest = url.split("://", 1)
    if not re.fullmatch(r"postgres(ql)?(\+\w+)?", scheme):
        raise InvalidInput(f"the database URL begins with {scheme!r} and not with 'postgresql'", hint=HINT)
    parts = urlsplit("postgresql://" + rest)
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    pooler = next((value for key, value in pairs if key == "pooler"), "auto")
    query = urlencode([(key, value) for key, value in pairs if key != "pooler"])
    return urlunsplit(parts._replace(query=query)), pooler


def _pooler(word: str) -> Pooler:
    if word in ("auto", "prepared"):
        return word  # type: ignore[return-value]
    if word.lower() not in POOLER_WORDS:
        raise InvalidInput(f"pooler={word!r} is not known", hint="write pooler=true, pooler=false or pooler=prepared")
    return POOLER_WORDS[word.lower()]


def with_options(conninfo: Conninfo, settings: dict[str, str]) -> str:
    """The connection string with session settings as start-up options, after the user's own, and sane timeouts."""
    parts = conninfo_to_dict(conninfo.text)
    options = " ".join([str(parts.get("options") or ""), *(f"-c {k}={v}" for k, v in settings.items())]).strip()
    extra = {"options": options} if settings else {}
    timeout = {} if parts.get("connect_timeout") else {"connect_timeout": "10"}
    name = {} if parts.get("application_name") else {"application_name": "howdah"}
    return make_conninfo(conninfo.text, **extra, **timeout, **name)
