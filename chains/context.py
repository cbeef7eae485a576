"""Passages as a model sees them: numbered, delimited, escaped, and cut to a budget. Pure."""

import re
from collections import Counter
from collections.abc import Sequence

from howdah.chains.clean import visible
from howdah.chains.sentences import sentences
from howdah.chains.words import facts
from howdah.retrieval.types import Hit

# Of our own passages, and of the chat templates that models are trained on: some servers read these in any text.
_DELIMITER = re.compile(
    r"[<＜‹](?=[\s/]*(?:passage|\||(?:start|end)_of_turn|/?s>|/?(?:system|user|assistant|human|instructions?|conversation)\b|<))",
    re.IGNORECASE,
)
_TEMPLATE = re.compile(r"\[(?=/?(?:INST|SYS|TOOL_CALLS|AVAILABLE_TOOLS)\])|(?<=\|)>")
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_ATTRIBUTE = str.maketrans({"<": "&lt;", ">": "&gt;", '"': "&quot;", "&": "&amp;"})
_LEAST = 80  # characters of a passage; fewer are not worth showing


def format_context(hits: Sequence[Hit], *, question: str, limit: int) -> str:
    """`hits` as numbered passages, at most `limit` characters; the last that fits may be cut to its best sentences."""
    parts: list[str] = []
    left = limit
    for n, hit in enumerate(hits, start=1):
        frame = _frame(n, hit)
        room = left - len("".join(frame))
        text = _escaped(hit.content)
        if room < min(len(text), _LEAST):
            break
        text = text if len(text) <= room else _cut(text, question, room)
        parts.append(text.join(frame))
        left -= len(parts[-1]) + 1
    return "\n".join(parts)


def shown(context: str) -> int:
    """How many passages `context` holds."""
    return context.count("\n</passage>")


def _frame(n: int, hit: Hit) -> tuple[str, str]:
    named = {"source": hit.source, "title": hit.title, "section": hit.section}
    said = "".join(f' {key}="{_attribute(value)}"' for key, value in named.items() if value)
    return f'<passage n="{n}"{said}>\n', "\n</passage>"


def _attribute(value: str) -> str:
    return _TEMPLATE.sub("&#91;", " ".join(visible(value).split())[:120].translate(_ATTRIBUTE))


def _escaped(text: str) -> str:
    """`text` unable to open or close a passage or a message, and without what only a machine would read."""
    plain = _COMMENT.sub("", visible(text))
    escaped = _DELIMITER.sub("&lt;", plain)
    return _TEMPLATE.sub(lambda found: "&#91;" if found[0] == "[" else "&gt;", escaped).strip()


def _cut(text: str, question: str, room: int) -> str:
    """The run of sentences within `room` that shares most words with the question; else the first characters."""
    wanted, spans = facts(question).content, sentences(text)
    shares = [facts(text[start:end]).content & wanted for start, end in spans]
    best, most, last = text[:room], -1, 0
    held: Counter[str] = Counter()
    for first, (start, _) in enumerate(spans):
        while last < len(spans) and spans[last].end - start <= room:
            held.update(shares[last])
            last += 1
        if last > first and len(held) > most:
            best, most = text[start : spans[last - 1].end], len(held)
        last = max(last, first + 1)  # one that is longer than the room is stepped over
        held -= Counter(shares[first])
    return best
