"""Chat histories in PostgreSQL: LangChain's interface to one conversation, and what is done with all of them.

Reads need no more than SELECT, so they work on a read-only server, and find nothing where there are no tables.
"""

from collections.abc import Sequence
from typing import Any

from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.messages import BaseMessage

from howdah.retrieval import messages as statements
from howdah.retrieval import values
from howdah.retrieval.database import Database
from howdah.retrieval.errors import InvalidInput, NotFound
from howdah.retrieval.messages import Conversation, Session
from howdah.retrieval.query import Query
from howdah.retrieval.store import GONE, Row, Store
from howdah.retrieval.store_async import AsyncStore


class PostgresHistory(BaseChatMessageHistory):
    """The messages of one conversation, sync and async. The constructor does no I/O.

    The conversation is made by its first message, and takes its title from the first human one unless `title` is given;
    a title that it has already stays. `add_messages` writes all of its messages or none, and those of one call stay
    together when several writers append at once.

    Args:
        store: a Store, an AsyncStore, or a Database.
        session_id: any text of 1 to 1,000 bytes.
        limit: `messages` gives only the newest so many, in their order; the others stay stored.
        collection: the collection that the conversation is about, for the list.
        tenant: with a Database alone; a store brings its own.
    """

    def __init__(
        self,
        store: Store | AsyncStore | Database,
        session_id: str,
        *,
        title: str | None = None,
        limit: int | None = None,
        collection: str | None = None,
        tenant: str = "",
    ) -> None:
        if isinstance(store, Database):
            database = store
        elif isinstance(store, Store | AsyncStore):
            database, tenant = store.database, store.tenant
        else:
            raise InvalidInput(
                f"store is {type(store).__name__} and must be a Store or a Database", hint="a PGVector has one: .store"
            )
        self._store = store if isinstance(store, Store) else Store(database, tenant=tenant)
        self._astore = store if isinstance(store, AsyncStore) else AsyncStore(database, tenant=tenant)
        self._session = Session(
            tenant=tenant,
            id=values.check_id(session_id),
            title=statements.check_title(title) if title is not None else None,
            collection=collection,
        )
        self._limit = statements.check_limit(limit)

    def __repr__(self) -> str:
        return f"PostgresHistory({self.session_id!r} in {self._store.database.conninfo.place})"

    @property
    def session_id(self) -> str:
        return self._session.id

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # LangChain declares an attribute
        """The messages, oldest first; the newest `limit` of them where there is a limit."""
        return statements.from_rows(self._store.rows_if_there(self._newest()))

    async def aget_messages(self) -> list[BaseMessage]:
        return statements.from_rows(await self._astore.rows_if_there(self._newest()))

    def _newest(self) -> Query:
        return statements.newest(self._session.tenant, self._session.id, self._limit)

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append the messages, all or none. Raises InvalidInput, with nothing written, for what JSON has no form for."""
        if query := self._append(messages):
            self._store.prepare_schema()
            self._store.execute(query)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        if query := self._append(messages):
            await self._astore.prepare_schema()
            await self._astore.execute(query)

    def _append(self, messages: Sequence[BaseMessage]) -> Query | None:
        found = list(messages)
        return statements.append(self._session, found) if found else None

    def clear(self) -> None:
        """Delete the conversation, its messages and its title with it; the next message begins it anew."""
        delete_conversation(self._store, self._session.id)

    async def aclear(self) -> None:
        await adelete_conversation(self._astore, self._session.id)


def list_conversations(store: Store, *, limit: int | None = None) -> list[Conversation]:
    """The tenant's conversations, the one that was written to last first."""
    query = statements.listing(store.tenant, statements.check_limit(limit))
    return [Conversation(**row) for row in store.rows_if_there(query)]


def export_conversation(store: Store, id: str) -> dict[str, Any]:
    """One conversation as plain JSON types, `messages` in LangChain's dict form. Raises NotFound."""
    return _exported(store.rows_if_there(statements.whole(store.tenant, id)), id)


def rename_conversation(store: Store, id: str, title: str) -> None:
    """Give the conversation another title. Raises NotFound."""
    if not _changed(store, statements.rename(store.tenant, id, statements.check_title(title))):
        raise _not_found(id)


def delete_conversation(store: Store, id: str) -> bool:
    """Delete the conversation and its messages; False where there is none."""
    return bool(_changed(store, statements.remove(store.tenant, id)))


async def alist_conversations(store: AsyncStore, *, limit: int | None = None) -> list[Conversation]:
    """As `list_conversations`."""
    query = statements.listing(store.tenant, statements.check_limit(limit))
    return [Conversation(**row) for row in await store.rows_if_there(query)]


async def aexport_conversation(store: AsyncStore, id: str) -> dict[str, Any]:
    """As `export_conversation`."""
    return _exported(await store.rows_if_there(statements.whole(store.tenant, id)), id)


async def arename_conversation(store: AsyncStore, id: str, title: str) -> None:
    """As `rename_conversation`."""
    if not await _achanged(store, statements.rename(store.tenant, id, statements.check_title(title))):
        raise _not_found(id)


async def adelete_conversation(store: AsyncStore, id: str) -> bool:
    """As `delete_conversation`."""
    return bool(await _achanged(store, statements.remove(store.tenant, id)))


def _exported(rows: list[Row], id: str) -> dict[str, Any]:
    if not rows:
        raise _not_found(id)
    return statements.exported(rows[0])


def _not_found(id: str) -> NotFound:
    return NotFound(f"there is no conversation {id!r}", hint="run: howdah chat --list")


def _changed(store: Store, query: Query) -> int:
    try:
        return store.execute(query)
    except GONE:
        return 0


async def _achanged(store: AsyncStore, query: Query) -> int:
    try:
        return await store.execute(query)
    except GONE:
        return 0
