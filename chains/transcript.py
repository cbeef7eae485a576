"""A conversation as a page of Markdown, with what its answers cite. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, messages_from_dict

from howdah.chains.memory import as_answer
from howdah.chains.phrases import printable
from howdah.chains.types import Citation

_WHO = {"human": "You", "ai": "Howdah"}


def markdown(exported: Mapping[str, Any]) -> str:
    """The page for what `export_conversation` gives."""
    messages = messages_from_dict(exported["messages"])
    head = [f"# {_line(exported.get('title') or 'A conversation')}", "", _facts(exported, len(messages)), ""]
    return "\n".join([*head, *(line for message in messages for line in _message(message))]).rstrip() + "\n"


def where(citation: Citation) -> str:
    """Source and page in one line."""
    place = citation.source or citation.title or citation.id
    return f"{place}, page {citation.page}" if citation.page else place


def _facts(exported: Mapping[str, Any], count: int) -> str:
    begun, ended = (str(exported[name])[:16].replace("T", " ") for name in ("created_at", "updated_at"))
    about = f"collection {exported['collection']}, " if exported.get("collection") else ""
    return f"Conversation {exported['id']}, {about}{count} messages, {begun} to {ended}"


def _message(message: BaseMessage) -> Iterator[str]:
    yield f"**{_WHO.get(message.type, message.type)}**"
    yield ""
    yield from printable(message.text.strip()).splitlines() or [""]
    yield ""
    if not isinstance(message, AIMessage):
        return
    answer = as_answer(message)
    below = [f"[{each.n}] {_line(where(each))}: “{_line(each.quote)}”" for each in answer.citations]
    below += [f"Note: {_line(answer.note)}"] if answer.note else []
    if below:
        yield from "\n>\n".join(f"> {line}" for line in below).splitlines()
        yield ""


def _line(text: str) -> str:
    return printable(" ".join(text.split()))
