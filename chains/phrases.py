"""What Howdah says in its own words, in the language of the question: English, German, Spanish and French."""

import re
from collections.abc import Sequence

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


_UNKNOWN = {
    "en": "There is no source {name!r} in this collection.",
    "de": "In dieser Sammlung gibt es keine Quelle {name!r}.",
    "es": "No hay ninguna fuente {name!r} en esta colección.",
    "fr": "Il n’y a pas de source {name!r} dans cette collection.",
}
_NEAREST = {
    "en": "The nearest names: {names}.",
    "de": "Am ähnlichsten heißen: {names}.",
    "es": "Los nombres más parecidos: {names}.",
    "fr": "Les noms les plus proches : {names}.",
}
_SEVERAL = {
    "en": "Several sources are called {name!r}: {names}. Which one?",
    "de": "Mehrere Quellen heißen {name!r}: {names}. Welche?",
    "es": "Varias fuentes se llaman {name!r}: {names}. ¿Cuál?",
    "fr": "Plusieurs sources s’appellent {name!r} : {names}. Laquelle ?",
}
_NO_SUMMARY = {
    "en": "This document has no sentences that sum it up.",
    "de": "Dieses Dokument hat keine Sätze, die es zusammenfassen.",
    "es": "Este documento no tiene frases que lo resuman.",
    "fr": "Ce document n’a pas de phrases qui le résument.",
}
_HOLDS = {
    "en": "Collection {name!r} holds {documents} document{many_documents} in {chunks} passage{many_chunks}",
    "de": "Die Sammlung {name!r} hat {documents} Dokument{many_documents_de} in {chunks} Passage{many_chunks_de}",
    "es": "La colección {name!r} tiene {documents} documento{many_documents} en {chunks} pasaje{many_chunks}",
    "fr": "La collection {name!r} contient {documents} document{many_documents} en {chunks} passage{many_chunks}",
}
_FOR_EXAMPLE = {"en": ", for example ", "de": ", zum Beispiel ", "es": ", por ejemplo ", "fr": ", par exemple "}
_ALL_OF = {"en": ": ", "de": ": ", "es": ": ", "fr": " : "}
_EMPTY = {
    "en": "Collection {name!r} is empty. Load documents: howdah ingest PATH",
    "de": "Die Sammlung {name!r} ist leer. Dokumente lädt: howdah ingest PATH",
    "es": "La colección {name!r} está vacía. Para cargar documentos: howdah ingest PATH",
    "fr": "La collection {name!r} est vide. Pour charger des documents : howdah ingest PATH",
}
_COMMANDS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_SHOWN = 8  # names in one sentence


def unknown(name: str, nearest: Sequence[str], language: str) -> str:
    """That there is no such source, and which names are like it."""
    said = in_language(_UNKNOWN, language).format(name=name)
    return f"{said} {in_language(_NEAREST, language).format(names=_listed(nearest))}" if nearest else said


def no_summary(question: str) -> str:
    """That a document is all code, tables or headings."""
    return in_language(_NO_SUMMARY, language_of(question))


def several(name: str, sources: Sequence[str], language: str) -> str:
    return in_language(_SEVERAL, language).format(name=name, names=_listed(sources))


def contents(name: str, documents: int, chunks: int, sources: Sequence[str], language: str) -> str:
    """What a collection holds, in one sentence."""
    if not chunks:
        return in_language(_EMPTY, language).format(name=name)
    said = in_language(_HOLDS, language).format(
        name=name,
        documents=f"{documents:,}",
        chunks=f"{chunks:,}",
        many_documents="" if documents == 1 else "s",
        many_chunks="" if chunks == 1 else "s",
        many_documents_de="" if documents == 1 else "e",
        many_chunks_de="" if chunks == 1 else "n",
    )
    if not sources:
        return f"{said}."
    return f"{said}{in_language(_FOR_EXAMPLE if documents > len(sources) else _ALL_OF, language)}{', '.join(sources)}."


def printable(text: str) -> str:
    """`text` without what a terminal would act on: a document, or a file's name, may hold it."""
    return _COMMANDS.sub("", text)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")
