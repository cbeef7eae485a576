"""Small talk: what is no question to the documents, and what only begins like it."""

import pytest

from howdah.chains.phrases import REFUSALS, refusal
from howdah.chains.smalltalk import SmallTalk, reply, smalltalk

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
    small = smalltalk(text)
    assert small is not None
    assert small.kind == kind


@pytest.mark.parametrize("text", QUESTIONS)
def test_a_question_is_a_question(text: str) -> None:
    assert smalltalk(text) is None


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("Hello there!", "en", "Hello!"),
        ("Guten Morgen", "de", "Hallo!"),
        ("¡Hola! ¿Qué tal?", "es", "¡Hola!"),
        ("Bonjour !", "fr", "Bonjour"),
        ("vielen dank", "de", "Gern"),
        ("Muchas gracias", "es", "De nada"),
        ("merci beaucoup", "fr", "Je vous en prie"),
        ("au revoir", "fr", "Au revoir"),
        ("你好", "en", "Hello!"),
    ],
)
def test_it_is_answered_in_its_language(text: str, language: str, said: str) -> None:
    small = smalltalk(text)
    assert small is not None
    assert small.language == language
    assert (reply(small) or "").startswith(said)


@pytest.mark.parametrize("text", ["What is in here?", "Was gibt es hier?", "¿Qué hay aquí?", "Qu'y a-t-il ici ?"])
def test_what_is_in_here_is_for_the_collection_to_say(text: str) -> None:
    small = smalltalk(text)
    assert small is not None
    assert (small.kind, reply(small)) == ("contents", None)


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("How tall is the mast?", "en"),
        ("Wie hoch ist der Mast?", "de"),
        ("¿Qué altura tiene el mástil?", "es"),
        ("Quelle est la hauteur du mât ?", "fr"),
        ("Quanto è alto l'albero maestro?", "en"),
        ("桅杆有多高？", "en"),
        ("mast", "en"),
    ],
)
def test_a_refusal_is_in_the_questions_language(question: str, language: str) -> None:
    assert refusal(question) == REFUSALS[language]


def test_no_language_is_forgotten() -> None:
    assert all(reply(SmallTalk(kind=kind, language=code)) for kind in ("greeting", "thanks") for code in REFUSALS)
