"""Where the database is: connection strings read, completed and shown without their secrets."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, Self
from urllib.parse import quote, quote_plus, unquote

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from howdah.retrieval.errors import InvalidInput

Pooler = Literal["auto", "no", "yes", "prepared"]
POOLER_WORDS: dict[str, Pooler] = {
    "auto": "auto", "prepared": "prepared",
    "true": "yes", "1": "yes", "yes": "yes", "on": "yes",
    "false": "no", "0": "no", "no": "no", "off": "no",
}  # fmt: skip
SECRETS = ("password", "sslpassword", "scram_client_key", "scram_server_key", "oauth_client_secret")
HINT = "write it as postgresql://user:password@host:5432/database"
ENCODE = "in a password write / as %2F, @ as %40, : as %3A and % as %25"


@dataclass(frozen=True)
class Conninfo:
    """A libpq connection string, and whether a transaction-mode pooler stands before the server.

    `pooler`: auto = find out; yes = no start-up options and no prepared statements; prepared = a pooler that supports
    prepared statements (PgBouncer from 1.21 with max_prepared_statements); no = the session is ours alone.
    """

    text: str
    pooler: Pooler = "auto"

    def __repr__(self) -> str:
        return f"Conninfo({self.shown!r}, pooler={self.pooler!r})"

    @cached_property
    def parts(self) -> Mapping[str, Any]:
        return conninfo_to_dict(self.text)

    @property
    def shown(self) -> str:
        """The connection string without its secrets."""
        return make_conninfo("", **{name: value for name, value in self.parts.items() if name not in SECRETS})

    @property
    def has_secret(self) -> bool:
        return bool(self._secrets)

    @property
    def _secrets(self) -> list[str]:
        return [str(self.parts[name]) for name in SECRETS if self.parts.get(name)]

    @property
    def place(self) -> str:
        """Host and database in a few words, for messages."""
        parts = self.parts
        host = parts.get("host") or parts.get("hostaddr")
        where = f"on {host}" if host else f"of service {parts['service']!r}" if parts.get("service") else ""
        name = parts.get("dbname") or parts.get("user")
        database = f"database {name!r}" if name else "the default database"
        return f"{database} {where or 'on the default host'}{':' + str(parts['port']) if parts.get('port') else ''}"

    def redact(self, message: str) -> str:
        """`message` without this string's secrets, plain or URL-encoded."""
        for secret in self._secrets:
            for spelling in (secret, quote(secret, safe=""), quote(secret), quote_plus(secret)):
                message = message.replace(spelling, "***")
        return message

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        if self.has_secret:
            raise TypeError(
                "a connection string that holds a password is not pickled: keep it in PGPASSWORD or ~/.pgpass"
            )
        return type(self), (self.text, self.pooler)


def parse(url: str) -> Conninfo:
    """A connection string of any usual spelling: postgres://, postgresql://, postgresql+driver://, key=value.

    Raises InvalidInput when libpq does not understand it; neither the message nor the exception's context holds the
    string, which may have a password.
    """
    text, word = url.strip(), "auto"
    if match := re.match(r"([a-zA-Z][\w+.-]*)://", text):
        text, word = _read_url(match[1], text[match.end() :])
    parsed, reason = _understood(text)
    if parsed is None:
        raise InvalidInput(f"the database URL cannot be read ({reason})", hint=HINT)
    if not text:
        raise InvalidInput("the database URL is empty", hint=HINT)
    if not all(port.isdigit() for port in str(parsed.get("port") or "0").split(",") if port):
        raise InvalidInput("the database URL has a port that is not a number", hint=ENCODE)
    return Conninfo(text, _pooler(word))


def _understood(text: str) -> tuple[dict[str, Any] | None, str]:
    """What libpq makes of the string, or None and why not, in words that do not quote it."""
    if "\x00" in text:
        return None, "it has a NUL character"
    try:
        return conninfo_to_dict(text), ""
    except psycopg.ProgrammingError as exc:
        return None, re.sub(r'".*"', '"…"', str(exc).strip(), flags=re.DOTALL)
    except UnicodeError:
        return None, "it is not UTF-8"


def _read_url(scheme: str, rest: str) -> tuple[str, str]:
    """The URL as libpq spells it, and the value of its `pooler` parameter.

    Nothing is decoded and encoded again: passwords may hold what URL libraries take for the end of the host, and libpq
    knows no "+" for a space.
    """
    if not re.fullmatch(r"postgres(ql)?(\+\w+)?", scheme, re.IGNORECASE):
        raise InvalidInput(f"the database URL begins with {scheme[:20]!r} and not with 'postgresql'", hint=HINT)
    before_path = rest.partition("/")[0]
    userinfo, at, _ = before_path.rpartition("@")
    head, _, query = rest[len(userinfo + at) :].partition("?")
    if "@" in head:
        raise InvalidInput("the database URL has an @ after its first /", hint=ENCODE)
    userinfo = userinfo.replace("@", "%40")  # libpq would end it at the first and show the rest as the host
    driver = scheme.partition("+")[2].lower()
    parameters = [_parameter(item, driver) for item in query.split("&") if item]
    word = next((unquote(value) for name, _, value in parameters if name == "pooler"), "auto")
    kept = "&".join("".join(item) for item in parameters if item[0] != "pooler")
    text = f"postgresql://{userinfo}{at}{head}" + (f"?{kept}" if kept else "")
    return text.replace(" ", "%20"), word


def _parameter(item: str, driver: str) -> tuple[str, str, str]:
    """One name=value of the query. SQLAlchemy's URLs, which name a driver, write "+" for a space; asyncpg says ssl."""
    name, equals, value = item.partition("=")
    if driver:
        value = value.replace("+", "%20")
    return ("sslmode" if driver == "asyncpg" and name == "ssl" else name), equals, value


def _pooler(word: str) -> Pooler:
    if word.lower() not in POOLER_WORDS:
        raise InvalidInput(
            f"the database URL says pooler={word[:20]!r}", hint="write pooler=true, pooler=false or pooler=prepared"
        )
    return POOLER_WORDS[word.lower()]


def with_options(conninfo: Conninfo, settings: Mapping[str, str]) -> str:
    """The connection string with session settings as start-up options, and sane timeouts.

    The user's own options come after ours, and win: those in the string, else libpq's defaults (PGOPTIONS, a service).
    """
    parts = conninfo.parts
    extra = {}
    if settings:
        own = str(parts.get("options") or _default("options"))
        extra["options"] = " ".join([*(f"-c {name}={value}" for name, value in settings.items()), own]).strip()
    if not parts.get("connect_timeout") and not _default("connect_timeout"):
        extra["connect_timeout"] = "10"
    if not parts.get("fallback_application_name"):
        extra["fallback_application_name"] = "howdah"
    return make_conninfo(conninfo.text, **extra)


def _default(keyword: str) -> str:
    """What libpq takes where the string says nothing."""
    found = next((option.val for option in pq.Conninfo.get_defaults() if option.keyword == keyword.encode()), None)
    return found.decode(errors="replace") if found else ""
