"""A conversation on a real database: small talk, what is in here, summaries, and answers that are remembered."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.documents import Document
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.runnables import RunnableConfig, RunnableGenerator
from langchain_core.runnables.history import RunnableWithMessageHistory

from howdah import AnswerChunk, PGVector, PGVectorRetriever, rag_chain, sync
from howdah.chains.chat import chat_chain
from howdah.chains.memory import Conversation, as_answer, last_answer, remembering
from howdah.chains.models import EXTRACTIVE
from howdah.chains.phrases import REFUSALS
from howdah.chains.transcript import markdown
from howdah.retrieval import holdings
from howdah.retrieval.conversations import PostgresHistory, export_conversation, list_conversations
from howdah.retrieval.errors import InvalidInput
from tests.scripted import ListRetriever, Scripted

MARS = """# Mars

Mars is the fourth planet from the Sun. It is named after the Roman god of war.

## Moons

The two moons of Mars are called Phobos and Deimos. Phobos orbits Mars three times a day.

## Water

Frozen water was found at the poles of Mars by several orbiters.
"""
FILES = {
    "mars.md": MARS,
    "jupiter.md": "# Jupiter\n\nJupiter has 95 known moons. Ganymede is the largest moon of Jupiter.\n",
    "old/mars.md": "# Mars\n\nAn older page about Mars said that canals cross the whole planet.\n",
}


@pytest.fixture(scope="module")
def store(module_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PGVector]:
    folder = tmp_path_factory.mktemp("files") / "planets"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    with PGVector(DeterministicFakeEmbedding(size=16), connection=module_url, collection_name="docs") as store:
        sync(store, [folder])
        yield store
        store.database.close()


@pytest.fixture
def chain(store: PGVector) -> Any:
    retriever = PGVectorRetriever(vectorstore=store, k=4, search_type="lexical")
    return chat_chain(rag_chain(retriever, EXTRACTIVE), store, EXTRACTIVE)


# -- what the chain answers by itself


async def test_small_talk_is_answered_in_its_language_and_searches_nothing(store: PGVector) -> None:
    retriever = ListRetriever(documents=[])
    chain = chat_chain(rag_chain(retriever, EXTRACTIVE), store, EXTRACTIVE)
    for said, answered in {
        "Hello!": "Hello!",
        "Danke schön": "Gern geschehen",
        "¡Adiós!": "¡Adiós!",
        "Bonjour": "Bonjour",
    }.items():
        answer = chain.invoke(said)
        assert answer.text.startswith(answered)
        assert (answer.refused, answer.citations, answer.hits) == (False, (), ())
        assert await chain.ainvoke({"question": said, "history": []}) == answer
        assert next(iter(chain.stream(said))).text == answer.text
    assert retriever.asked == []


@pytest.mark.parametrize(
    ("said", "answered"),
    [
        ("What is in here?", "Collection 'docs' holds 3 documents in "),
        ("Was gibt es hier?", "Die Sammlung 'docs' hat 3 Dokumente in "),
        ("¿Qué hay aquí?", "La colección 'docs' tiene 3 documentos en "),
        ("Qu'y a-t-il ici ?", "La collection 'docs' contient 3 documents en "),
    ],
)
async def test_what_is_in_here(chain: Any, said: str, answered: str) -> None:
    answer = chain.invoke(said)
    assert answer.text.startswith(answered)
    assert "planets/jupiter.md, planets/mars.md, planets/old/mars.md" in answer.text
    assert (await chain.ainvoke(said)).text == answer.text


async def test_nothing_is_in_here(store: PGVector, module_url: str) -> None:
    with PGVector(DeterministicFakeEmbedding(size=16), connection=module_url, collection_name="none") as empty:
        assert holdings.holdings(empty) == await holdings.aholdings(empty) == holdings.Holdings(collection="none")
        assert (holdings.names(empty), await holdings.anames(empty)) == ([], [])
        assert holdings.parts(empty, "mars.md").hits == (await holdings.aparts(empty, "mars.md")).hits == ()
        chain = chat_chain(rag_chain(ListRetriever(documents=[]), EXTRACTIVE), empty, EXTRACTIVE)
        assert chain.invoke("what is in here?").text == "Collection 'none' is empty. Load documents: howdah ingest PATH"


async def test_a_summary_is_of_the_named_document_alone(chain: Any) -> None:
    answer = chain.invoke("Summarise planets/mars.md")
    assert "- Mars is the fourth planet from the Sun. [1]" in answer.text
    assert "Phobos" in answer.text
    assert "canals" not in answer.text
    assert {cited.source for cited in answer.citations} == {"planets/mars.md"}
    assert all(MARS[cited.start : cited.end] == cited.quote for cited in answer.citations)
    assert (await chain.ainvoke("Fasse planets/mars.md zusammen")).text == answer.text
    for other in ("What does jupiter.md say?", "Worum geht es in jupiter?", "give me a summary of Jupiter"):
        assert chain.invoke(other).citations[0].source == "planets/jupiter.md"


async def test_an_ambiguous_name_lists_the_sources_and_an_unknown_one_the_nearest(chain: Any) -> None:
    several = chain.invoke("summarise mars.md")
    assert several.text == "Several sources are called 'mars.md': planets/mars.md, planets/old/mars.md. Which one?"
    assert chain.invoke("Résume jupyter.md").text == (
        "Il n’y a pas de source 'jupyter.md' dans cette collection. Les noms les plus proches : planets/jupiter.md."
    )
    assert (await chain.ainvoke("summarise mars.md")).text == several.text
    assert chain.invoke("summarise zzz.pdf").text == "There is no source 'zzz.pdf' in this collection."


@pytest.mark.parametrize(
    "question", ["How many moons has Jupiter?", "Summarise how many moons Jupiter has", "What is Ganymede about?"]
)
async def test_a_question_goes_to_the_chain(chain: Any, store: PGVector, question: str) -> None:
    plain = rag_chain(PGVectorRetriever(vectorstore=store, k=4, search_type="lexical"), EXTRACTIVE)
    assert chain.invoke(question) == plain.invoke(question) == await chain.ainvoke(question)
    assert [each.text for each in chain.stream(question)] == [each.text for each in plain.stream(question)]
    assert chain.invoke({"question": question, "k": 1}).hits == plain.invoke({"question": question, "k": 1}).hits


async def test_summarise_it_is_of_the_document_that_was_cited_last(chain: Any) -> None:
    conversation = Conversation(chain, InMemory())
    assert conversation.ask("How many moons has Jupiter?").citations[0].source == "planets/jupiter.md"
    answer = conversation.ask("Summarise it")
    assert {cited.source for cited in answer.citations} == {"planets/jupiter.md"}
    assert answer.text.startswith("- Jupiter has 95 known moons. [1]\n- Ganymede is")


async def test_rows_added_through_the_api_have_the_source_of_their_metadata(module_url: str) -> None:
    with PGVector(DeterministicFakeEmbedding(size=16), connection=module_url, collection_name="api") as store:
        texts = [
            "The mast of the ship is 31 metres tall.",
            "The keel of the ship was laid in 1859 at Poplar.",
            "Captain Moodie commanded it for twenty years.",
            "It never sailed again after the winter of 1881.",
        ]
        store.add_documents(
            [Document(texts[n], metadata={"source": "ship.txt", "start_index": 40 * n}) for n in (2, 0, 3, 1)]
        )
        store.add_documents([Document("Another ship altogether is in this file.", metadata={"source": "other.txt"})])
        chain = chat_chain(rag_chain(ListRetriever(documents=[]), EXTRACTIVE), store, EXTRACTIVE)
        answer = chain.invoke("summarise ship.txt")
        quotes = [cited.quote for cited in answer.citations]
        assert len(quotes) == 3
        assert quotes == [text for text in texts if text in quotes]  # in the order of start_index
        assert (await chain.ainvoke("summarise ship.txt")).text == answer.text


def test_a_model_sums_up_what_it_is_given(store: PGVector) -> None:
    model = Scripted(text="The two moons of Mars are Phobos and Deimos [2]. Mars has 95 moons [1].")
    chain = chat_chain(rag_chain(ListRetriever(documents=[]), model), store, model)
    answer = chain.invoke("summarise planets/mars.md")
    assert (answer.model, len(answer.citations)) == ("scripted", 1)
    assert answer.text == "The two moons of Mars are Phobos and Deimos. [1]"


def test_the_small_local_model_sums_up_nothing(store: PGVector) -> None:
    model = Scripted(text="Anything.", model_name="SmolLM2-135M-Instruct")
    chain = chat_chain(rag_chain(ListRetriever(documents=[]), model), store, model)
    assert chain.invoke("summarise planets/mars.md").model == "extractive"
    assert model.asked == []


def test_a_table_of_somebody_elses_has_no_documents_to_tell_of(store: PGVector, module_url: str) -> None:
    with store.database.connection() as conn:
        conn.execute("CREATE TABLE items (id text PRIMARY KEY, content text, embedding vector(16))")
    with PGVector.from_table("public.items", store.embeddings, connection=module_url) as table:
        retriever = ListRetriever(documents=[])
        chain = chat_chain(rag_chain(retriever, EXTRACTIVE), table, EXTRACTIVE)
        assert chain.invoke("what is in here?").text == REFUSALS["en"]
        assert chain.invoke("hello").text.startswith("Hello")
        assert retriever.asked == ["what is in here?"]
    with pytest.raises(InvalidInput, match="ListRetriever"):
        chat_chain(rag_chain(retriever, EXTRACTIVE), retriever, EXTRACTIVE)  # type: ignore[arg-type]


# -- memory


class InMemory(BaseChatMessageHistory):
    """A history without a database; LangChain's own is deprecated."""

    def __init__(self) -> None:
        self.messages = []

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        self.messages += messages

    def clear(self) -> None:
        self.messages = []


async def test_answers_are_kept_with_their_citations_sync_and_async(chain: Any, store: PGVector) -> None:
    conversation = Conversation(chain, PostgresHistory(store.store, "kept", collection="docs"))
    conversation.ask("Hello!")
    first = conversation.ask("How many moons has Jupiter?")
    second = await conversation.aask("How many moons has Jupiter?", k=1)
    history = PostgresHistory(store.store, "kept").messages
    assert [message.type for message in history] == ["human", "ai"] * 3
    for place, answer in ((3, first), (5, second)):
        kept = as_answer(history[place])
        assert (kept.text, kept.citations, kept.refused, kept.model) == (
            answer.text,
            answer.citations,
            False,
            "extractive",
        )
    assert as_answer(history[1]).text.startswith("Hello!")
    assert "collection" not in history[3].response_metadata["howdah"]
    conversation.ask("thanks")
    assert last_answer(PostgresHistory(store.store, "kept").messages) == as_answer(history[5])
    listed = next(each for each in list_conversations(store.store) if each.id == "kept")
    assert (listed.title, listed.messages) == ("How many moons has Jupiter?", 8)  # small talk gives no title


def test_a_transcript_shows_what_was_cited(chain: Any, store: PGVector) -> None:
    conversation = Conversation(chain, PostgresHistory(store.store, "told", collection="docs"))
    answer = conversation.ask("How many moons has Jupiter?")
    page = markdown(export_conversation(store.store, "told"))
    assert page.startswith("# How many moons has Jupiter?\n\nConversation told, collection docs, 2 messages, ")
    assert f"**You**\n\nHow many moons has Jupiter?\n\n**Howdah**\n\n{answer.text}\n" in page
    assert f"> [1] planets/jupiter.md: “{answer.citations[0].quote}”" in page


def test_callbacks_get_the_conversations_id_and_messages_the_collection(store: PGVector) -> None:
    seen: list[Any] = []

    def answer(inputs: Any, config: RunnableConfig) -> Any:
        seen.append((config["metadata"], config["configurable"]))
        for _ in inputs:
            yield AnswerChunk(text="Yes.", timings={"total": 1.0})

    history = PostgresHistory(store.store, "traced")
    conversation = Conversation(RunnableGenerator(answer), history, collection="docs")
    conversation.ask("Is it so?", config={"metadata": {"user": "7"}})
    assert seen == [({"session_id": "traced", "user": "7"}, {"session_id": "traced"})]
    assert history.messages[1].response_metadata == {"howdah": {"refused": False, "model": None, "collection": "docs"}}


async def test_what_was_stopped_is_kept_as_far_as_it_came(store: PGVector) -> None:
    text = "Jupiter has 95 known moons [1]. Ganymede is the largest moon of Jupiter [1]."
    retriever = PGVectorRetriever(vectorstore=store, k=4, search_type="lexical")
    chain = rag_chain(retriever, Scripted(text=text))
    for conversation in (Conversation(chain, InMemory()), Conversation(chain, PostgresHistory(store.store, "stopped"))):
        for chunk in (chunks := conversation.stream("How many moons has Jupiter?")):
            if chunk.text:
                break
        chunks.close()
        question, answer = conversation.history.messages
        assert (question.text, answer.text) == ("How many moons has Jupiter?", "Jupiter has 95 known moons. [1]")
        assert as_answer(answer).note == "stopped before its end"
        async for chunk in (achunks := conversation.astream("How many moons has Jupiter?")):
            if chunk.text:
                break
        await achunks.aclose()
        assert (await conversation.history.aget_messages())[3].text == answer.text
    await store.database.aclose()


async def test_what_failed_is_not_kept(store: PGVector) -> None:
    class Failing(ListRetriever):
        def _get_relevant_documents(self, query: str, *, run_manager: Any) -> list[Document]:
            raise RuntimeError("down")

    conversation = Conversation(rag_chain(Failing(documents=[]), EXTRACTIVE), InMemory())
    with pytest.raises(RuntimeError, match="down"):
        conversation.ask("How many moons has Jupiter?")
    with pytest.raises(RuntimeError, match="down"):
        await conversation.aask("How many moons has Jupiter?")
    assert conversation.history.messages == []


async def test_what_failed_half_way_is_not_kept() -> None:
    def half(inputs: Any) -> Any:
        yield AnswerChunk(text="Half an")
        raise RuntimeError("down")

    async def ahalf(inputs: Any) -> Any:
        yield AnswerChunk(text="Half an")
        raise RuntimeError("down")

    conversation = Conversation(RunnableGenerator(half, ahalf), InMemory())
    with pytest.raises(RuntimeError, match="down"):
        list(conversation.stream("How many moons has Jupiter?"))
    with pytest.raises(RuntimeError, match="down"):
        await conversation.aask("How many moons has Jupiter?")
    assert conversation.history.messages == []


def test_a_conversation_that_goes_on_twice_at_once_loses_nothing_and_parts_no_pair(chain: Any, store: PGVector) -> None:
    def talk(name: str) -> None:
        conversation = Conversation(chain, PostgresHistory(store.store, "both", limit=20))
        for number in range(6):
            conversation.ask(f"How many moons has Jupiter, asks {name} in turn {number}?")

    threads = [threading.Thread(target=talk, args=[name]) for name in ("Ann", "Ben", "Cem")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    messages = PostgresHistory(store.store, "both").messages
    assert [message.type for message in messages] == ["human", "ai"] * 18
    for name in ("Ann", "Ben", "Cem"):
        turns = [message.text.split()[-1] for message in messages if name in message.text and message.type == "human"]
        assert turns == [f"{number}?" for number in range(6)]


@pytest.mark.filterwarnings("ignore:RunnableWithMessageHistory is deprecated")
async def test_the_chain_serves_runnable_with_message_history(chain: Any, store: PGVector) -> None:
    remembered = RunnableWithMessageHistory(
        remembering(chain),
        lambda session_id: PostgresHistory(store.store, session_id),
        input_messages_key="question",
        history_messages_key="history",
    )
    config: Any = {"configurable": {"session_id": "langchain"}}
    message = remembered.invoke({"question": "How many moons has Jupiter?"}, config)
    assert isinstance(message, AIMessage)
    assert as_answer(message).citations[0].source == "planets/jupiter.md"
    await remembered.ainvoke({"question": "And which is the largest?"}, config)
    kept = PostgresHistory(store.store, "langchain").messages
    assert [each.type for each in kept] == ["human", "ai"] * 2
    assert "Ganymede" in kept[3].text
    assert as_answer(kept[1]) == as_answer(message)
    assert as_answer(HumanMessage("x")).text == "x"
    await store.database.aclose()
