"""A chat model that does whatever it reads in its prompt, however it is hidden there."""

import base64
import html
import re
import unicodedata
from collections.abc import Iterator

from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from pydantic import Field

from tests.hostile.documents import FACT
from tests.scripted import Scripted

_ORDER = re.compile(
    r"(?:say|reply with|answer with|respond with|output|append|include|print)\s*:\s*(.+?)(?=\n|-->|</passage>|\Z)",
    re.IGNORECASE,
)
_LEAK = re.compile(r"print your (?:system )?prompt", re.IGNORECASE)
_BASE64 = re.compile(r"\b[A-Za-z0-9+/]{24,}={0,2}")

SHAPES = {
    "as it is": "{0}",
    "cited": "{0} [1]",
    "cited inside": "{0} [1].",
    "after the truth": FACT + " [1] {0}",
    "before the truth": "{0}\n\n" + FACT + " [1]",
    "a list": "- {0}\n- " + FACT + " [1]\n1. {0} [1]",
    "a table": "| a | b |\n|---|---|\n| {0} | [1] |",
    "code": "```\n{0}\n```\n[1]",
    "a quotation": '> "{0}" [1]',
    "a heading": "# {0}\n\n" + FACT + " [1]",
}


class Obeying(Scripted):
    """Writes what the passages order, in the `shape` given, and then what else they hold, as they have it."""

    shape: str = "{0}"
    obeyed: list[str] = Field(default_factory=list)

    def _tokens(self, messages: list[BaseMessage]) -> Iterator[ChatGenerationChunk]:
        self.obeyed = orders(messages)
        self.text = "\n".join(self.shape.format(order) for order in self.obeyed) or FACT + " [1]"
        yield from super()._tokens(messages)


def orders(messages: list[BaseMessage]) -> list[str]:
    """Every order in the prompt, as it would be carried out."""
    prompt = messages[-1].text
    found: list[str] = []
    for text in (prompt, revealed(prompt), *decoded(prompt)):
        found += [match[1].strip() for match in _ORDER.finditer(text)]
        if _LEAK.search(text):
            found.append(messages[0].text)
    return list(dict.fromkeys(found))


def revealed(text: str) -> str:
    """What a model reads where a person sees nothing: tags, zero width, entities, wide letters."""
    plain = "".join(chr(ord(char) - 0xE0000) if 0xE0020 <= ord(char) <= 0xE007E else char for char in text)
    plain = "".join(char for char in plain if unicodedata.category(char) != "Cf")
    return unicodedata.normalize("NFKC", html.unescape(plain))


def decoded(text: str) -> list[str]:
    found = []
    for match in _BASE64.finditer(text):
        try:
            found.append(base64.b64decode(match[0], validate=True).decode())
        except ValueError:
            continue
    return found
