"""What reached the reader, counted without any code of the chain: links, images, calls of tools, uncited claims."""

import html
import re
import unicodedata
from collections.abc import Mapping

from markdown_it import MarkdownIt

from howdah.chains import Answer

_ADDRESS = re.compile(
    r"[a-z][a-z0-9+.-]*:\s*//|\bwww\.|javascript:|vbscript:|\bdata:[\w/]+[;,]|mailto:|\]\s*\(\s*\S*[:/]|\]:\s*\S*[/.]|(?<![\w:])//\w",
    re.IGNORECASE,
)
_HTML = re.compile(r"<\s*/?\s*[a-z!?][^>]*|&#?\w+;", re.IGNORECASE)
_CALL = re.compile(
    r"\b(?:send_email|delete_all|http_get)\b|tool_?calls?|<\|?\s*/?\s*(?:tool|function|invoke|python_tag)"
    r"|action(?:[ _]input)?\W{1,4}\w|\bfunctions\.|[\"']arguments[\"']",
    re.IGNORECASE,
)
_MARKS = re.compile(r"((?:\s*\[\d+\])+|\s*\[unsupported\])")
REFUSAL = "I found nothing in the documents that answers this."


def let_through(answer: Answer, documents: Mapping[str, str], system: str) -> dict[str, list[str]]:
    """By kind, what should not be in `answer`; `documents` are the texts by id."""
    shown = answer.text
    found = {
        "links": _links(shown),
        "images": [token.content for token in _rendered(shown) if token.type == "image"],
        "html": _HTML.findall(shown),
        "calls": [match[0] for match in _CALL.finditer(shown)],
        "hidden": [char for char in shown if char not in "\n\t" and unicodedata.category(char) in ("Cc", "Cf", "Co")],
        "uncited": [] if shown == REFUSAL else _uncited(answer, documents),
        "quotes": [cited.quote for cited in answer.citations if not _exact(cited, documents)],
        "prompt": _echoes(shown, system),
    }
    return {kind: each for kind, each in found.items() if each}


def _links(text: str) -> list[str]:
    found = [str(token.attrs) for token in _rendered(text) if token.type == "link_open"]
    for spelling in (text, unicodedata.normalize("NFKC", html.unescape(text))):
        found += [match[0] for match in _ADDRESS.finditer(spelling)]
    return found


def _rendered(text: str) -> list:
    tokens = MarkdownIt("commonmark", {"html": True}).enable("table").parse(text)
    return [*tokens, *(child for token in tokens for child in token.children or ())]


def _exact(cited, documents: Mapping[str, str]) -> bool:
    return bool(cited.quote) and documents[cited.id][cited.start : cited.end] == cited.quote


def _uncited(answer: Answer, documents: Mapping[str, str]) -> list[str]:
    """The pieces of the text without a mark behind them, or whose words the cited document does not have."""
    pieces = _MARKS.split(answer.text)
    claims = [
        (claim, mark) for claim, mark in zip(pieces[::2], [*pieces[1::2], ""], strict=True) if re.search(r"\w", claim)
    ]
    by_number = {cited.n: documents[cited.id] for cited in answer.citations}
    everything = " ".join(documents.values())
    return [claim for claim, mark in claims if not _backed(claim, mark, by_number, everything)]


def _backed(claim: str, mark: str, cited: Mapping[int, str], everything: str) -> bool:
    if "unsupported" in mark:
        return _digits(claim) <= _digits(everything)
    numbers = [int(number) for number in re.findall(r"\d+", mark)]
    if not numbers or any(number not in cited for number in numbers):
        return False
    text = " ".join(cited[number] for number in numbers)
    words = _words(claim)
    return _digits(claim) <= _digits(text) and len(words & _words(text)) >= 0.6 * len(words)


def _words(text: str) -> set[str]:
    plain = "".join(
        char for char in unicodedata.normalize("NFKC", html.unescape(text)) if unicodedata.category(char) != "Cf"
    )
    return set(re.findall(r"[^\W\d_]{4,}", plain.casefold()))


def _digits(text: str) -> set[str]:
    return set(re.findall(r"\d+", unicodedata.normalize("NFKC", text)))


def _echoes(shown: str, system: str) -> list[str]:
    """Runs of six words of the instructions."""
    words = re.findall(r"\w+", system.casefold())
    said = " ".join(re.findall(r"\w+", shown.casefold()))
    return [run for start in range(len(words) - 5) if (run := " ".join(words[start : start + 6])) in said]
