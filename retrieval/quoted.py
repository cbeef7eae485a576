"""What rests on a passage, in traces and in chat messages, and what is left of it when the passage is deleted. Pure.

Traces and the answers of `howdah chat` name what they cite. A message of another program does not, so its words tell: it
quotes a text where six words in a row are the same, or a whole sentence of three words or more.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

OURS = "howdah"
"""The key of a message's metadata under which `chains.remembered` says what it cites."""
ERASED = "(This answer was removed: a document that it rests on was deleted.)"
RUN, LEAST = 6, 3

_MARKER = re.compile(r"\[\d{1,3}\]")
_SENTENCE, _LINE = re.compile(r"[.!?。！？]+|\n\s*\n"), re.compile(r"[.!?。！？\n]+")
_WORD = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|\w+")
_KEPT = ("type", "name", "id", "example", "tool_call_id", "status", "invalid_tool_calls", "usage_metadata")

Json = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Links:
    """What an answer says that it rests on; `told` is False where it says nothing, which is not the same as nothing."""

    ids: frozenset[str] = frozenset()
    sources: frozenset[str] = frozenset()
    told: bool = True

    def touch(self, ids: set[str], sources: set[str]) -> bool:
        return not (self.ids.isdisjoint(ids) and self.sources.isdisjoint(sources))


def runs(text: str) -> Iterator[int]:
    """A number for each run of words that a quotation of `text` would have in common with it.

    A line may end within a sentence, or be one.
    """
    plain = _MARKER.sub(" ", text.casefold())
    for sentence in [*_SENTENCE.split(plain), *_LINE.split(plain)]:
        words = _WORD.findall(sentence)
        if LEAST <= len(words) <= RUN:
            yield hash(tuple(words))
        for place in range(len(words) - RUN + 1 if len(words) > RUN else 0):
            yield hash(tuple(words[place : place + RUN]))


# -- traces


def links_of_trace(row: Json) -> Links:
    """What it found and cited; a filter may name sources, too."""
    items = [*row["hits"], *row["citations"]]
    named = {item["source"] for item in items if item.get("source")}
    return Links(
        ids=frozenset(item["id"] for item in items if item.get("id")),
        sources=frozenset(named.union(_texts(row.get("filter")))),
    )


def text_of_trace(row: Json) -> str:
    return "\n".join([row["answer"] or "", *(item.get("quote") or "" for item in row["citations"])])


def erased_trace(row: Json, ids: set[str], sources: set[str], *, quotes: bool) -> Json:
    """The columns of a trace that change: scores, ranks and verdicts stay, places and text go.

    `quotes`: its words are those of a deleted text, whatever it names; then nothing that it quotes can be told apart.
    """

    def gone(item: Json) -> bool:
        return item.get("id") in ids or item.get("source") in sources

    rests = quotes or any(gone(item) for item in row["citations"])
    return {
        "answer": None if rests else row["answer"],
        "rewritten": None,
        "hits": [_bare(item, "score", "scores", "ranks", "shown", "cited") if gone(item) else _elsewhere(item, sources)
                 for item in row["hits"]],
        "citations": [_bare(item, "n") if quotes or gone(item) else item for item in row["citations"]],
    }  # fmt: skip


def _bare(item: Json, *kept: str) -> Json:
    return {**{name: item[name] for name in kept if name in item}, "erased": True}


def _elsewhere(hit: Json, sources: set[str]) -> Json:
    """A hit that stays, without the deleted documents that hold the same text."""
    also_in = [source for source in hit.get("also_in", []) if source not in sources]
    rest = {name: value for name, value in hit.items() if name != "also_in"}
    return {**rest, "also_in": also_in} if also_in else rest


# -- messages


def links_of_message(message: Json) -> Links:
    told = _told(message)
    if told is None:
        return Links(told=False)
    cited = [item for item in told.get("citations") or () if isinstance(item, dict)]
    return Links(
        ids=frozenset(item["id"] for item in cited if item.get("id")),
        sources=frozenset(item["source"] for item in cited if item.get("source")),
    )


def collection_of_message(message: Json) -> str | None:
    return (_told(message) or {}).get("collection")


def text_of_message(message: Json) -> str:
    """Every text in it: content, what tools gave, and arguments that a model wrote."""
    return "\n".join(_texts(message.get("data")))


def erased_message(message: Json) -> Json:
    """The message without what was said; which calls of tools belong together is still told."""
    data = message.get("data") or {}
    left = {name: data[name] for name in _KEPT if name in data}
    if data.get("tool_calls"):
        left["tool_calls"] = [{**call, "args": {}} for call in data["tool_calls"]]
    return {
        **{name: value for name, value in message.items() if name == "type"},
        "data": {**left, "content": ERASED, "additional_kwargs": {}, "response_metadata": {OURS: {"erased": True}}},
    }


def _told(message: Json) -> Json | None:
    metadata = (message.get("data") or {}).get("response_metadata")
    told = metadata.get(OURS) if isinstance(metadata, dict) else None
    return told if isinstance(told, dict) else None


def _texts(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from _texts(item)
        case list():
            for item in value:
                yield from _texts(item)
