"""Which language a question is in, by its commonest words and its letters: a sentence is enough, nothing is loaded. Pure.

`howdah.retrieval.language` finds the language of documents, which takes 200 letters; a question has forty.
"""

import re
from collections import Counter

_COMMONEST = {
    "en": """
        the of and to in is are was were be been what how who when where why which does do did can could
        should would will has have it its this that these those there i my you your with for from about not or
        an if we they he she his her their please tell me show explain by on at into than many much
    """,
    "de": """
        der die das und ist sind war waren wird werden was wie wer wann wo warum welche welcher welches
        welchen kann können soll muss hat haben ich mein meine du ihr wir sie er es ein eine einen einem einer
        nicht mit für von im in auf zu zum zur den dem des gibt bitte oder aus bei nach über auch mir man um
        so viele viel
    """,
    "es": """
        el la los las y es son fue era qué que cómo como quién cuándo cuando dónde donde por cuál cuáles
        cuántos cuántas cuánto puede puedo debe tiene hay yo mi tu su sus un una unos unas no con para de del
        en al se lo le o si está están esta este ese eso más muy favor
    """,
    "fr": """
        le la les et est sont était qui que quoi quel quelle quels quelles comment quand où pourquoi combien
        peut puis-je doit faut a ont je mon ma mes tu vous votre nous un une des du de au aux dans en pour
        avec sur par ne pas ce cette ces il elle ils elles on se son sa ses ou si plus s'il est-ce qu'est-ce
    """,
    "it": """
        il lo la gli le e è sono era che cosa come chi quando dove perché quale quali quanti quante può posso
        deve ha hanno io mio un una di del della nel nella per con su non si da più questo questa
    """,
    "pt": """
        o a os as e é são foi era que como quem quando onde por qual quais quantos quantas pode posso deve tem
        há eu meu um uma não com para de do da no na em ao se mais isto este esta está estão você
    """,
    "nl": """
        de het en is zijn was waren wat hoe wie wanneer waar waarom welke kan kunnen moet heeft hebben ik mijn
        je een niet met voor van in op te naar er dit dat deze ook of hoeveel
    """,
}
_KNOWS: dict[str, frozenset[str]] = {code: frozenset(words.split()) for code, words in _COMMONEST.items()}
_SHARED = Counter(word for words in _KNOWS.values() for word in words)
_LETTERS = {"de": "äöüß", "es": "ñ¿¡", "fr": "çœêèàùû", "pt": "ãõ"}  # each says a little for its language
_SCRIPTS = {
    "ja": re.compile(r"[\u3040-\u30ff]"),
    "ko": re.compile(r"[\uac00-\ud7af]"),
    "zh": re.compile(r"[\u3400-\u9fff]"),
    "ru": re.compile(r"[\u0400-\u04ff]"),
    "el": re.compile(r"[\u0370-\u03ff]"),
    "ar": re.compile(r"[\u0600-\u06ff]"),
    "he": re.compile(r"[\u0590-\u05ff]"),
    "hi": re.compile(r"[\u0900-\u097f]"),
    "th": re.compile(r"[\u0e00-\u0e7f]"),
}
_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_LEAST = 0.9  # of a word that no other language has


def language_of(text: str) -> str | None:
    """ISO 639-1 code of the language of `text`; of a script that several share the likeliest. None where nothing tells."""
    letters = sum(map(str.isalpha, text))
    for code, script in _SCRIPTS.items():
        if letters and len(script.findall(text)) > letters / (8 if code == "ja" else 3):
            return code
    scores = _scores(text)
    (best, most), (_, next_best) = sorted(scores.items(), key=lambda pair: -pair[1])[:2]
    return best if most >= _LEAST and most > next_best else None


def common(word: str, language: str | None) -> bool:
    """Whether `word` is one of the commonest of `language`, which says nothing by itself."""
    return word.casefold() in _KNOWS.get(language or "", ())


def _scores(text: str) -> dict[str, float]:
    """For each language how many of its commonest words `text` has; a word of several languages counts in parts."""
    words = [word.replace("’", "'") for word in _WORD.findall(text.casefold())]
    scores = {code: sum(1 / _SHARED[word] for word in words if word in known) for code, known in _KNOWS.items()}
    for code, signs in _LETTERS.items():
        scores[code] += 0.5 * len(set(signs) & set(text.lower()))
    return scores
