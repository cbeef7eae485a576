"""Chat histories: LangChain's interface, the order of concurrent appends, and the list of conversations."""

import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
    messages_from_dict,
)
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables.history import RunnableWithMessageHistory
from psycopg import errors
from psycopg.conninfo import make_conninfo

from howdah.retrieval import conversations
from howdah.retrieval.conninfo import Conninfo
from howdah.retrieval.conversations import PostgresHistory
from howdah.retrieval.database import Database
from howdah.retrieval.errors import InvalidInput, NotFound, SchemaMissing
from howdah.retrieval.messages import title_of
from howdah.retrieval.store import Store
from howdah.retrieval.store_async import AsyncStore

EVERY_KIND: list[BaseMessage] = [
    SystemMessage(content="Be brief."),
    HumanMessage([{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "data:,"}}]),
    AIMessage(
        "",
        tool_calls=[{"name": "look", "args": {"at": [1, 2.5, None]}, "id": "c1"}],
        usage_metadata={"input_tokens": 3, "output_tokens": 1, "total_tokens": 4},
        response_metadata={"finish_reason": "stop"},
        id="run-1",
    ),
    ToolMessage("a moon", tool_call_id="c1", artifact={"size": 3}),
    AIMessage("A moon 🌔 of “Jupiter” — $1 %s %(x)s {braces} \\u0041", name="bot", additional_kwargs={"n": [1]}),
    ChatMessage("ok", role="critic"),
]


def texts(history: PostgresHistory) -> list[str]:
    return [str(message.text) for message in history.messages]


# -- one conversation


def test_messages_of_every_kind_come_back_as_they_were(store: Store) -> None:
    history = PostgresHistory(store, "s")
    history.add_messages(EVERY_KIND)
    assert history.messages == EVERY_KIND
    assert PostgresHistory(store.database, "s").messages == EVERY_KIND


async def test_the_async_methods_do_the_same(database: Database) -> None:
    history = PostgresHistory(AsyncStore(database), "s", limit=2)
    await history.aadd_messages(EVERY_KIND)
    assert await history.aget_messages() == EVERY_KIND[-2:] == history.messages
    await history.aclear()
    assert await history.aget_messages() == []
    await database.aclose()


@pytest.mark.parametrize("id", ["a", "user 7/чат: 'x'; --", "0" * 1_000, "🌔", "%s"])
def test_any_text_is_a_session_id(store: Store, id: str) -> None:
    PostgresHistory(store, id).add_messages([HumanMessage("hello")])
    assert texts(PostgresHistory(store, id)) == ["hello"]
    assert [found.id for found in conversations.list_conversations(store)] == [id]


@pytest.mark.parametrize("id", ["", "0" * 1_001, "a\x00b", "\ud800", None])
def test_what_cannot_be_a_session_id_is_an_error(store: Store, id: Any) -> None:
    with pytest.raises(InvalidInput):
        PostgresHistory(store, id)


def test_the_constructor_does_no_io() -> None:
    nowhere = Database(Conninfo("postgresql://127.0.0.1:1/none?password=secret"))
    assert "secret" not in repr(PostgresHistory(nowhere, "s"))


@pytest.mark.parametrize("wrong", [0, -1, True, "3"])
def test_a_limit_is_a_number_from_one(store: Store, wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        PostgresHistory(store, "s", limit=wrong)


def test_a_limit_gives_the_newest_in_order_and_keeps_the_others(store: Store) -> None:
    PostgresHistory(store, "s").add_messages([HumanMessage(str(number)) for number in range(10)])
    assert texts(PostgresHistory(store, "s", limit=3)) == ["7", "8", "9"]
    assert texts(PostgresHistory(store, "s", limit=99)) == texts(PostgresHistory(store, "s"))


def test_what_postgresql_cannot_store_becomes_a_replacement_character(store: Store) -> None:
    history = PostgresHistory(store, "s")
    history.add_messages([HumanMessage("a\x00b\ud800", additional_kwargs={"k\x00": float("nan")})])
    (message,) = history.messages
    assert (message.text, message.additional_kwargs) == ("a�b�", {"k�": None})
    assert [found.title for found in conversations.list_conversations(store)] == ["a�b�"]


def test_nothing_is_written_where_one_message_has_no_form_in_json(store: Store) -> None:
    history = PostgresHistory(store, "s")
    with pytest.raises(InvalidInput, match="message 1"):
        history.add_messages([HumanMessage("a"), ToolMessage("b", tool_call_id="c", artifact=object())])
    with pytest.raises(InvalidInput, match="message 0 is str"):
        history.add_messages(["a"])  # type: ignore[list-item]
    assert (history.messages, conversations.list_conversations(store)) == ([], [])


def test_no_messages_make_no_conversation(store: Store) -> None:
    PostgresHistory(store, "s").add_messages([])
    assert conversations.list_conversations(store) == []


def test_clearing_removes_everything_and_nothing_else(store: Store) -> None:
    for name in ("s", "other"):
        PostgresHistory(store, name).add_messages([HumanMessage(f"hello {name}")])
    PostgresHistory(store, "s").clear()
    PostgresHistory(store, "s").clear()
    assert [found.id for found in conversations.list_conversations(store)] == ["other"]
    PostgresHistory(store, "s").add_messages([HumanMessage("again")])
    assert conversations.export_conversation(store, "s")["title"] == "again"


def test_tenants_do_not_see_each_other(database: Database) -> None:
    PostgresHistory(database, "s", tenant="a").add_messages([HumanMessage("of a")])
    PostgresHistory(Store(database, tenant="b"), "s").add_messages([HumanMessage("of b")])
    assert texts(PostgresHistory(Store(database, tenant="a"), "s")) == ["of a"]
    assert conversations.delete_conversation(Store(database, tenant="b"), "s")
    assert (
        conversations.list_conversations(Store(database, tenant="b")),
        conversations.list_conversations(Store(database)),
    ) == ([], [])
    assert len(conversations.list_conversations(Store(database, tenant="a"))) == 1


# -- several writers


def test_concurrent_appends_keep_each_writers_order_and_calls_together(store: Store) -> None:
    def write(writer: int) -> None:
        history = PostgresHistory(store.database, "s")
        for turn in range(10):
            history.add_messages([HumanMessage(f"{writer} {turn} {part}") for part in range(3)])

    threads = [threading.Thread(target=write, args=[writer]) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    said = texts(PostgresHistory(store, "s"))
    assert len(said) == 240
    assert all(said[place].rsplit(" ", 1)[0] == said[place + 2].rsplit(" ", 1)[0] for place in range(0, 240, 3))
    for writer in range(8):
        assert [text for text in said if text.startswith(f"{writer} ")] == [
            f"{writer} {turn} {part}" for turn in range(10) for part in range(3)
        ]


def test_a_writer_waits_for_the_one_before_it(store: Store, url: str) -> None:
    history = PostgresHistory(store, "s")
    history.add_messages([HumanMessage("first")])
    with store.database.connection() as conn, conn.transaction():
        conn.execute("UPDATE howdah.conversations SET updated_at = now() WHERE id = 's'")
        thread = threading.Thread(target=history.add_messages, args=[[AIMessage("third")]])
        thread.start()
        thread.join(timeout=0.3)
        assert thread.is_alive()
        conn.execute(
            "INSERT INTO howdah.messages (conversation, message) SELECT 's', jsonb_set(message, '{data,content}', '\"second\"')"
            " FROM howdah.messages WHERE conversation = 's'"
        )
    thread.join()
    assert texts(history) == ["first", "second", "third"]


# -- servers


def test_it_works_behind_a_pooler(url: str) -> None:
    database = Database(Conninfo(url, pooler="yes"))
    history = PostgresHistory(database, "s")
    for number in range(12):
        history.add_messages([HumanMessage(str(number))])
    assert texts(history) == [str(number) for number in range(12)]
    with database.connection() as conn:
        assert conn.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
    database.close()


def test_a_read_only_server_is_read(store: Store, url: str) -> None:
    PostgresHistory(store, "s").add_messages([HumanMessage("hello")])
    database = Database(Conninfo(make_conninfo(url, options="-c default_transaction_read_only=on")))
    history = PostgresHistory(database, "s")
    assert texts(history) == ["hello"]
    assert [found.title for found in conversations.list_conversations(Store(database))] == ["hello"]
    assert conversations.export_conversation(Store(database), "s")["messages"][0]["type"] == "human"
    with pytest.raises(errors.ReadOnlySqlTransaction):
        history.add_messages([HumanMessage("no")])
    database.close()


@pytest.fixture
def without_schema(blank_url: str) -> Iterator[Database]:
    database = Database(Conninfo(blank_url))
    with psycopg.connect(blank_url, autocommit=True) as conn:
        conn.execute("CREATE EXTENSION vector")
    yield database
    database.close()


async def test_without_tables_there_is_nothing_to_read_and_writing_says_what_to_run(without_schema: Database) -> None:
    store, astore = Store(without_schema), AsyncStore(without_schema)
    history = PostgresHistory(without_schema, "s")
    assert (
        history.messages,
        conversations.list_conversations(store),
        conversations.delete_conversation(store, "s"),
    ) == ([], [], False)
    assert (await history.aget_messages(), await conversations.alist_conversations(astore)) == ([], [])
    with pytest.raises(SchemaMissing, match="howdah db migrate"):
        history.add_messages([HumanMessage("hello")])
    with pytest.raises(SchemaMissing, match="howdah db migrate"):
        await history.aadd_messages([HumanMessage("hello")])
    await without_schema.aclose()


# -- all conversations


@pytest.mark.parametrize(
    ("messages", "title"),
    [
        ([AIMessage("Hello!"), HumanMessage(" What\n is  it? "), HumanMessage("no")], "What is it?"),
        ([HumanMessage("word " * 40)], "word " * 15 + "word…"),
        ([HumanMessage("x" * 200)], "x" * 79 + "…"),
        ([HumanMessage([{"type": "image_url", "image_url": {"url": "data:,"}}])], None),
        ([AIMessage("Hello!")], None),
    ],
)
def test_a_title_is_the_beginning_of_the_first_question(messages: list[BaseMessage], title: str | None) -> None:
    assert title_of(messages) == title
    assert len(title or "") <= 80


def test_a_title_comes_late_is_kept_and_can_be_changed(store: Store) -> None:
    history = PostgresHistory(store, "s", collection="docs")
    for message in (AIMessage("Hello!"), HumanMessage("What is it?"), HumanMessage("And then?")):
        history.add_messages([message])
    PostgresHistory(store, "s", title="Another").add_messages([AIMessage("Yes.")])
    (found,) = conversations.list_conversations(store)
    assert (found.title, found.messages, found.collection) == ("What is it?", 4, "docs")
    conversations.rename_conversation(store, "s", "  About\nit ")
    history.add_messages([HumanMessage("More?")])
    assert conversations.export_conversation(store, "s")["title"] == "About it"
    with pytest.raises(InvalidInput):
        conversations.rename_conversation(store, "s", " ")
    with pytest.raises(NotFound):
        conversations.rename_conversation(store, "none", "title")


def test_a_given_title_comes_before_the_question(store: Store) -> None:
    PostgresHistory(store, "s", title="Ours").add_messages([HumanMessage("What is it?")])
    assert [found.title for found in conversations.list_conversations(store)] == ["Ours"]


def test_the_list_begins_with_what_was_written_last(store: Store) -> None:
    for name in ("a", "b", "a", "c", "b"):
        PostgresHistory(store, name).add_messages([HumanMessage(name)])
    assert [(found.id, found.messages) for found in conversations.list_conversations(store)] == [
        ("b", 2),
        ("c", 1),
        ("a", 2),
    ]
    assert [found.id for found in conversations.list_conversations(store, limit=1)] == ["b"]


async def test_an_export_is_whole_and_sync_and_async_agree(database: Database) -> None:
    store, astore = Store(database), AsyncStore(database)
    PostgresHistory(store, "s").add_messages(EVERY_KIND)
    exported = conversations.export_conversation(store, "s")
    assert set(exported) == {"id", "title", "collection", "created_at", "updated_at", "messages"}
    assert messages_from_dict(exported["messages"]) == EVERY_KIND
    assert await conversations.aexport_conversation(astore, "s") == exported
    assert await conversations.alist_conversations(astore) == conversations.list_conversations(store)
    await conversations.arename_conversation(astore, "s", "new")
    assert conversations.export_conversation(store, "s")["title"] == "new"
    assert (
        await conversations.adelete_conversation(astore, "s"),
        await conversations.adelete_conversation(astore, "s"),
    ) == (True, False)
    for failing in (
        conversations.aexport_conversation(astore, "s"),
        conversations.arename_conversation(astore, "s", "x"),
    ):
        with pytest.raises(NotFound, match="no conversation 's'"):
            await failing
    with pytest.raises(NotFound, match="no conversation 's'"):
        conversations.export_conversation(store, "s")
    await database.aclose()


# -- LangChain

deprecated = pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")


def chain(store: Store, *replies: str) -> RunnableWithMessageHistory:
    prompt = ChatPromptTemplate.from_messages([MessagesPlaceholder("history"), ("human", "{question}")])
    return RunnableWithMessageHistory(
        prompt | GenericFakeChatModel(messages=iter(map(AIMessage, replies))),
        lambda session_id: PostgresHistory(store, session_id),
        input_messages_key="question",
        history_messages_key="history",
    )


@deprecated
def test_it_serves_runnable_with_message_history(store: Store) -> None:
    asked = chain(store, "one", "two")
    config: Any = {"configurable": {"session_id": "s"}}
    assert asked.invoke({"question": "first?"}, config).text == "one"
    assert "".join(str(piece.text) for piece in asked.stream({"question": "second?"}, config)) == "two"
    assert texts(PostgresHistory(store, "s")) == ["first?", "one", "second?", "two"]
    assert conversations.export_conversation(store, "s")["title"] == "first?"


@deprecated
async def test_it_serves_runnable_with_message_history_async(store: Store) -> None:
    asked = chain(store, "one", "two")
    config: Any = {"configurable": {"session_id": "s"}}
    await asked.ainvoke({"question": "first?"}, config)
    await asked.ainvoke({"question": "second?"}, config)
    assert texts(PostgresHistory(store, "s")) == ["first?", "one", "second?", "two"]
    await store.database.aclose()
