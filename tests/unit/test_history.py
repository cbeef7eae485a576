"""Long conversations cut by tokens: whole exchanges, the newest, and never an answer without its question."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder

from howdah.chains import rag_chain
from howdah.chains.history import approximately, counter, trimmed
from howdah.retrieval.errors import InvalidInput
from tests.scripted import Scripted
from tests.unit.test_chain import QUESTION, TRUE, retriever


def words(messages: list[BaseMessage]) -> int:
    """A counter that a test can count with: one token a word."""
    return sum(len(message.text.split()) for message in messages)


def pair(number: int, length: int = 4) -> list[BaseMessage]:
    return [HumanMessage(f"q{number} " * length), AIMessage(f"a{number} " * length)]


def said(messages: list[BaseMessage]) -> list[str]:
    return [message.text.split()[0] for message in messages]


LONG = [message for number in range(10) for message in pair(number)]


def test_the_newest_exchanges_stay_whole() -> None:
    assert trimmed(LONG, 80, words) == LONG
    assert said(trimmed(LONG, 16, words)) == ["q8", "a8", "q9", "a9"]
    # 20 words hold the answer a7 as well, but not its question.
    assert said(trimmed(LONG, 20, words)) == ["q8", "a8", "q9", "a9"]


def test_a_system_message_stays() -> None:
    assert said(trimmed([SystemMessage("s s"), *LONG], 12, words)) == ["s", "q9", "a9"]


def test_a_tools_result_is_not_parted_from_its_call() -> None:
    call = AIMessage("c c c c", tool_calls=[{"name": "search", "args": {}, "id": "1"}])
    history = [*pair(1), HumanMessage("q2 q2"), call, ToolMessage("t t t", tool_call_id="1"), AIMessage("a2 a2")]
    assert said(trimmed(history, 12, words)) == ["q2", "c", "t", "a2"]
    assert said(trimmed(history, 8, words)) == ["q2", "a2"]


def test_an_exchange_that_is_too_long_is_cut() -> None:
    kept = trimmed([*pair(1), HumanMessage("why " * 3), AIMessage("because " * 5_000)], 40, words)
    assert [message.type for message in kept] == ["human", "ai"]
    assert kept[0].text.split() == ["why"] * 3
    assert 20 < words(kept) <= 40


def test_nothing_is_kept_where_nothing_is_wanted_or_asked() -> None:
    assert trimmed(LONG, 0, words) == []
    assert trimmed([], 10, words) == []
    assert trimmed([AIMessage("a " * 50)], 10, words) == []


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), max_size=8).map(
        lambda sizes: [
            m for n, (q, a) in enumerate(sizes) for m in (HumanMessage(f"q{n} " * q), AIMessage(f"a{n} " * a))
        ]
    ),
    st.integers(0, 60),
)
def test_whatever_is_said_it_fits_and_begins_with_a_question(history: list[BaseMessage], tokens: int) -> None:
    kept = trimmed(history, tokens, words)
    assert words(kept) <= tokens
    assert [message.type for message in kept] == ["human", "ai"] * (len(kept) // 2)


def test_the_models_own_encoder_counts_where_it_was_given() -> None:
    count = counter(Scripted(custom_get_token_ids=lambda text: list(range(len(text)))))
    assert count([HumanMessage("12345")]) == 5 + 4
    assert counter(Scripted()) is counter(None) is approximately
    assert counter(Scripted(custom_get_token_ids=lambda _text: []).with_retry()) is not approximately


def test_the_approximation_is_no_less_than_common_tokenizers_give() -> None:
    """Counted with OpenAI's o200k_base: 9 tokens, 11, and 7 (https://platform.openai.com/tokenizer)."""
    assert approximately([HumanMessage("The quick brown fox jumps over the lazy dog")]) >= 9
    assert approximately([HumanMessage("Wie lange gilt die Garantie für Reparaturen?")]) >= 11
    assert approximately([HumanMessage("桅杆有多高？我不知道" * 10)]) >= 70


@pytest.mark.parametrize("wrong", [-1, True, 1.5, None])
def test_a_number_of_tokens(wrong: Any) -> None:
    with pytest.raises(InvalidInput, match="history_tokens"):
        rag_chain(retriever("x"), Scripted(), history_tokens=wrong)


async def test_the_chain_looks_at_the_newest_of_a_long_history() -> None:
    prompt = ChatPromptTemplate.from_messages(
        [MessagesPlaceholder("history", optional=True), ("human", "{context} {question}")]
    )
    model = Scripted(text=TRUE)
    chain = rag_chain(retriever("The mast is 31 metres tall."), model, prompt=prompt, history_tokens=60)
    history = [message for number in range(200) for message in pair(number)]
    chain.invoke({"question": QUESTION, "history": history})
    assert model.asked[-1][0].text.startswith("q198")
    await chain.ainvoke({"question": QUESTION, "history": history})
    assert model.asked[-1][0].text.startswith("q198")
    assert len(model.asked[-1]) == 5
