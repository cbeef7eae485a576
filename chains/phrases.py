"""What Howdah says in its own words, in the language of the question: English, German, Spanish and French."""

from howdah.chains.language import language_of

REFUSALS = {
    "en": "I found nothing in the documents that answers this.",
    "de": "Ich habe in den Dokumenten nichts gefunden, was das beantwortet.",
    "es": "No he encontrado nada en los documentos que responda a esto.",
    "fr": "Je n’ai rien trouvé dans les documents qui réponde à cela.",
}
GREETINGS = {
    "en": "Hello! Ask me something about the documents in this collection.",
    "de": "Hallo! Frag mich etwas zu den Dokumenten dieser Sammlung.",
    "es": "¡Hola! Pregúntame algo sobre los documentos de esta colección.",
    "fr": "Bonjour ! Posez-moi une question sur les documents de cette collection.",
}
THANKS = {"en": "You're welcome.", "de": "Gern geschehen.", "es": "De nada.", "fr": "Je vous en prie."}
GOODBYES = {"en": "Goodbye!", "de": "Auf Wiedersehen!", "es": "¡Adiós!", "fr": "Au revoir !"}


def refusal(question: str) -> str:
    """The refusal in the language of `question`, or in English."""
    return in_language(REFUSALS, language_of(question))


def in_language(phrases: dict[str, str], language: str | None) -> str:
    return phrases.get(language or "en") or phrases["en"]
