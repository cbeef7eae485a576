"""Small talk: what is no question to the documents, and what only begins like it."""

import pytest

from howdah.chains.smalltalk import REPLIES, smalltalk

SAID = {
    "greeting": [
        "Hi",
        "hello!",
        "Hey there",
        "Good morning.",
        "Hallo",
        "¡Hola!",
        "Hi, how are you?",
        "你好",
        "HELLO HOWDAH",
    ],
    "thanks": [
        "Thanks!",
        "thank you so much",
        "ok, thanks",
        "Great. Thank you, that's all",
        "Vielen Dank",
        "merci beaucoup",
        "thx 🙏",
    ],
    "goodbye": ["bye", "Good night!", "See you later", "Tschüss", "adiós"],
    "contents": [
        "What is in here?",
        "what's in here",
        "What’s in this collection?",
        "What documents do you have?",
        "list the documents",
        "Show me all files",
        "What can I ask you about?",
        "What do you know?",
        "Was gibt es hier?",
    ],
}
QUESTIONS = [
    "",
    "Hi, how do I install it?",
    "Thanks, and what about Windows?",
    "hello world example",
    "What is in the index of the book?",
    "Who said goodbye?",
    "What do you know about BM25?",
    "What documents does the court need?",
    "high",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in SAID.items() for text in texts])
def test_recognised(kind: str, text: str) -> None:
    assert smalltalk(text) == kind


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question_is_a_question(text: str) -> None:
    assert smalltalk(text) is None


def test_replies_claim_nothing() -> None:
    assert set(REPLIES) == set(SAID) - {"contents"}  # what is in here is for the collection to say
