"""What a query's text asks for: words that score, quoted phrases that must stand, -words that must not."""

import re
from dataclasses import dataclass

LONGEST = 1_000
"""Characters of a text that is read for operators; a longer one, or one of several lines, was pasted."""

# A quote opens after white space and closes before white space or punctuation: 5" pipes and f("x") are no phrases.
# An excluded word begins with a letter and is the whole of what stands there: not --flag, -O2, -std=c++17, -5 or - item.
_OPERATOR = re.compile(
    r"""(?<!\S) (?: (?P<minus>-?) "(?P<phrase>[^"]*\w[^"]*)" | -(?P<word>[^\W\d_][\w'’-]*\w) )
        (?= [.,;:!?)…]* (?:\s|$) )""",
    re.VERBOSE,
)
_LETTERS = 3  # of an excluded ASCII word at least: -v, -rf and -la are options
_DASHED = re.compile(r"\w[.,;:!?]?-(?=[\s.,;:!?]|$)")  # "the king -who was old- left", "Nord- und Südsee"
_QUOTED = re.compile(r'(?<!\S)-?"[^"]*"')
_MINUS = re.compile(r'(?<!\S)-(?=[^\s"])')
_QUESTION = re.compile(r"[?？؟]\W*$")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A query's text taken apart. `words` is the text itself without what is excluded; the phrases' words are in it."""

    words: str
    phrases: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()


ANYTHING = Asked(words="")


def parse(text: str) -> Asked:
    """`text` by the conventions of web search: "a phrase" must stand in a row, -word and -"a phrase" must not.

    Whatever could be ordinary prose or code is taken as that, since a wrong exclusion loses the very rows that were
    meant: only straight quotes count, and a text of several lines or over 1,000 characters has no operators. A question,
    a text with options or numbers behind a minus (--flag, -v, -5) and one with other dashes have no excluded words;
    where nothing but exclusions would be left they are words.
    """
    line = text.strip()
    if len(line) > LONGEST or len(line.splitlines()) > 1:
        return Asked(words=text)
    found = list(_OPERATOR.finditer(line))
    phrases = _unique([one["phrase"] for one in found if one["phrase"] and not one["minus"]])
    minus = [one for one in found if one["minus"] or (one["word"] and _reads_as_search(line))]
    rest = _without(line, minus)
    if not minus or not re.search(r"\w", rest):
        return Asked(words=text, phrases=phrases)
    return Asked(words=rest, phrases=phrases, excluded=_unique([one["word"] or one["phrase"] for one in minus]))


def prose(text: str) -> str:
    """`text` with no operator for `parse` to find: what a person asks a chain is a sentence and not a search."""
    asked = parse(text)
    if not (asked.phrases or asked.excluded):
        return text
    apart = re.sub(r'(?<=\w)"+(?=\w)', " ", text).replace('"', "")
    return re.sub(r"(?<!\S)-(?=[^\W\d_])", "", apart)


def _reads_as_search(line: str) -> bool:
    """Whether each minus before a word excludes it; one that cannot makes the line prose or code."""
    words = [found["word"] for found in _OPERATOR.finditer(line) if found["word"]]
    if len(words) < len(_MINUS.findall(_QUOTED.sub(" ", line))) or _DASHED.search(line) or _QUESTION.search(line):
        return False
    return all(len(word) >= _LETTERS or not word.isascii() for word in words)


def _without(line: str, minus: list[re.Match[str]]) -> str:
    for found in reversed(minus):
        line = f"{line[: found.start()]} {line[found.end() :]}"
    return " ".join(line.split())


def _unique(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
