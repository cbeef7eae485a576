"""Which language a collection is in; it sets PostgreSQL's text-search configuration."""

from collections.abc import Iterable
from dataclasses import dataclass

MAX_SAMPLE = 20_000  # characters looked at in all
MIN_LETTERS = 200
_A_SAMPLE = 2_000  # characters of one sample, so that a long first document does not decide alone

# ISO 639-1 code: name. The name is the text-search configuration wherever PostgreSQL 18 has one; of these
# PostgreSQL 14-17 lack estonian.
_STEMMED = {
    "ar": "arabic",
    "hy": "armenian",
    "eu": "basque",
    "ca": "catalan",
    "da": "danish",
    "nl": "dutch",
    "en": "english",
    "et": "estonian",
    "fi": "finnish",
    "fr": "french",
    "de": "german",
    "el": "greek",
    "hi": "hindi",
    "hu": "hungarian",
    "id": "indonesian",
    "ga": "irish",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "no": "norwegian",
    "nb": "norwegian",
    "nn": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "es": "spanish",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}
_UNSTEMMED = {
    "bg": "bulgarian",
    "cs": "czech",
    "fa": "persian",
    "he": "hebrew",
    "hr": "croatian",
    "ja": "japanese",
    "ko": "korean",
    "la": "latin",
    "lv": "latvian",
    "pl": "polish",
    "sk": "slovak",
    "sl": "slovenian",
    "th": "thai",
    "uk": "ukrainian",
    "vi": "vietnamese",
    "zh": "chinese",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """An ISO 639-1 code, the language's English name and PostgreSQL's text-search configuration for it.

    `certain` is False where nothing could be detected and English is assumed.
    """

    code: str
    name: str
    config: str
    certain: bool = True


ENGLISH = Language(code="en", name="english", config="english", certain=False)


def detect_language(samples: Iterable[str]) -> Language:
    """The main language of `samples`, of which the first 20,000 characters count, at most 2,000 of each.

    A language without a stemmer in PostgreSQL gets the configuration "simple". Fewer than 200 letters, or the
    package py3langid missing, give English with `certain=False`.
    """
    sample = _sample(samples)
    if sum(map(str.isalpha, sample)) < MIN_LETTERS:
        return ENGLISH
    try:
        import py3langid
    except ImportError:
        return ENGLISH
    code = str(py3langid.classify(sample)[0])
    name = _STEMMED.get(code) or _UNSTEMMED.get(code) or code
    return Language(code=code, name=name, config=_STEMMED.get(code, "simple"))


def _sample(samples: Iterable[str]) -> str:
    parts: list[str] = []
    length = 0
    for sample in samples:
        parts.append(sample[: min(_A_SAMPLE, MAX_SAMPLE - length)])
        length += len(parts[-1]) + 1
        if length >= MAX_SAMPLE:
            break
    return "\n".join(parts)
