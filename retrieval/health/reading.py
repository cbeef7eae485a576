"""The only I/O of the checks: statements in READ ONLY transactions that neither wait for locks nor run for long."""

from dataclasses import dataclass
from typing import Any, Self

from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.sql import SQL, Composed, Literal

from howdah.retrieval.queries import set_local
from howdah.retrieval.query import Query
from howdah.retrieval.relations import shown

PATIENCE = {"statement_timeout": "10s", "lock_timeout": "2s"}
"""Of one statement. A check that takes longer says so instead of keeping the server busy."""
Row = dict[str, Any]


class Reader:
    """A connection in autocommit of which only reads go out."""

    def __init__(self, conn: Connection[Any]) -> None:
        self.conn = conn

    def rows(self, query: Query, settings: dict[str, str] | None = None) -> list[Row]:
        """The rows of a statement; `settings` hold for it alone."""
        with self.conn.transaction():
            self._begin({**PATIENCE, **(settings or {})})
            return self.conn.cursor(row_factory=dict_row).execute(*query, prepare=False).fetchall()

    def row(self, query: Query) -> Row:
        [found] = self.rows(query)
        return found

    def as_it_is(self, query: Query) -> list[Row]:
        """As `rows`, without settings of ours: for statements that look at the settings themselves."""
        with self.conn.transaction():
            self._begin({})
            return self.conn.cursor(row_factory=dict_row).execute(*query, prepare=False).fetchall()

    def plan(self, prepare: Composed, execute: Composed, settings: dict[str, str]) -> Row:
        """The top node of EXPLAIN's JSON, of a statement as a prepared one gets it; the statement is forgotten again."""
        with self.conn.transaction():
            self._begin({**PATIENCE, **settings})
            self.conn.execute(prepare, prepare=False)
            row = self.conn.cursor(row_factory=dict_row).execute(execute, prepare=False).fetchone()
            self.conn.execute("DEALLOCATE ALL", prepare=False)
        assert row is not None
        found: Row = row["QUERY PLAN"][0]["Plan"]
        return found

    def _begin(self, settings: dict[str, str]) -> None:
        self.conn.execute("SET TRANSACTION READ ONLY", prepare=False)
        if settings:
            self.conn.execute(*set_local(settings), prepare=False)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A row of pg_settings: where its value comes from decides what mends it."""

    name: str
    value: str
    unit: str | None
    source: str
    context: str
    default: str

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(**row)

    @property
    def bytes(self) -> int:
        """The value of a setting of memory."""
        return int(self.value) * _UNITS[self.unit or "B"]

    @property
    def number(self) -> float:
        return float(self.value)

    @property
    def on(self) -> bool:
        return self.value == "on"

    @property
    def server_wide(self) -> bool:
        """Whether only the server's own configuration sets it."""
        return self.context in ("postmaster", "sighup")

    @property
    def restarts(self) -> bool:
        return self.context == "postmaster"


_UNITS = {"B": 1, "kB": 1 << 10, "8kB": 8 << 10, "MB": 1 << 20, "GB": 1 << 30, "16MB": 16 << 20}


def settings() -> Query:
    return Query(
        SQL("SELECT name, setting AS value, unit, source, context, boot_val AS default FROM pg_settings"),
        {},
    )


@dataclass(frozen=True, kw_only=True)
class Whose:
    """Where settings are changed: the database and the role of the connection."""

    database: str
    role: str

    def set(self, setting: Setting, value: str) -> str:
        """SQL that gives the setting this value, for this database or, where it must be, for the server."""
        name, to = setting.name, Literal(value).as_string(None)
        if setting.server_wide:
            after = "-- then restart the server" if setting.restarts else "SELECT pg_reload_conf();"
            return f"ALTER SYSTEM SET {name} = {to}; {after}"
        return f"{self._at(setting)} SET {name} = {to};"

    def reset(self, setting: Setting, otherwise: str) -> str:
        """SQL that takes the value away where it was set; `otherwise` is the value to give where that does not help."""
        if setting.source == "client":
            return f"-- take {setting.name} out of options= in the database URL, or out of PGOPTIONS"
        if setting.source in ("database", "user", "database user"):
            return f"{self._at(setting)} RESET {setting.name};"
        return self.set(setting, otherwise)

    def _at(self, setting: Setting) -> str:
        database, role = shown(self.database), shown(self.role)
        if setting.source == "user":
            return f"ALTER ROLE {role}"
        if setting.source == "database user":
            return f"ALTER ROLE {role} IN DATABASE {database}"
        return f"ALTER DATABASE {database}"
