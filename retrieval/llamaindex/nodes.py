"""LlamaIndex's nodes as rows of a PGVector, and rows as nodes. Pure.

A row's content is the node's text and its metadata is the node's, with one key more, `_llamaindex`:

    {"type": "TextNode", "ref_doc_id": "…", "content": "…"}

`content` is the JSON text of all else that the node is: relationships, templates, excluded keys. Metadata stands in it
only where jsonb would not give it back as it was (the order of keys, 1e22), and then counts for as long as nobody has
changed the row's own. Rows that LangChain wrote, and those copied from LlamaIndex's own tables, whose metadata holds
`_node_content`, become nodes too.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llama_index.core.schema import BaseNode, MetadataMode, TextNode
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from howdah.retrieval.errors import InvalidInput
from howdah.retrieval.llamaindex.filters import DOCUMENT_KEYS, KEY
from howdah.retrieval.types import Hit, Metadata
from howdah.retrieval.values import json_value

_CONTENT, _TYPE = "_node_content", "_node_type"


@dataclass(frozen=True)
class NodeRows:
    """Nodes ready for `PGVector.add_embeddings`: one of each for every node."""

    nodes: list[BaseNode]
    texts: list[str]
    embeddings: list[list[float]]
    metadatas: list[Metadata]
    ids: list[str]

    @classmethod
    def of(cls, nodes: Iterable[BaseNode]) -> "NodeRows":
        """Raises InvalidInput for what is no node, has no embedding, or uses the key that is Howdah's."""
        found = list(nodes)
        vectors = [_embedding(node, place) for place, node in enumerate(found)]
        texts = [node.get_content(metadata_mode=MetadataMode.NONE) for node in found]
        return cls(found, texts, vectors, [row_metadata(node) for node in found], [node.node_id for node in found])

    @property
    def documents(self) -> list[str]:
        """The documents that come with a hash of their text, by which another version of them can be told."""
        return sorted(_versions(self.nodes))


def _embedding(node: Any, place: int) -> list[float]:
    if not isinstance(node, BaseNode):
        raise InvalidInput(f"node {place} is {type(node).__name__} and not a LlamaIndex node")
    if node.embedding is None:
        raise InvalidInput(
            f"node {place} ({node.node_id!r}) has no embedding",
            hint="add it through a VectorStoreIndex or an IngestionPipeline with an embed_model; nothing was written",
        )
    return node.embedding


def row_metadata(node: BaseNode) -> Metadata:
    """The row's metadata: the node's own, and the rest of it under one key."""
    if KEY in node.metadata:
        raise InvalidInput(f"node {node.node_id!r} has the metadata key {KEY!r}, which is Howdah's own")
    try:
        dumped = node_to_metadata_dict(node, remove_text=True)
    except ValueError as exc:
        raise InvalidInput(f"node {node.node_id!r} holds what JSON has no form for ({exc})") from exc
    content = json.loads(dumped[_CONTENT])
    metadata: Metadata = content.pop("metadata")
    if not _kept_by_jsonb(metadata):
        content["metadata"] = metadata
    rest = {name: value for name, value in content.items() if name not in ("id_", "embedding", "text")}
    about = {"type": dumped[_TYPE], "content": json.dumps(rest, ensure_ascii=False)}
    if node.ref_doc_id is not None:
        about["ref_doc_id"] = node.ref_doc_id
    return {**metadata, KEY: about}


def _kept_by_jsonb(value: Any) -> bool:
    """Whether jsonb gives `value` back to the letter: it sorts keys by length and then by bytes, and drops exponents."""
    match value:
        case dict():
            names = list(value)
            in_order = names == sorted(names, key=lambda name: (len(name.encode(errors="replace")), name))
            return in_order and all(map(_kept_by_jsonb, value.values()))
        case list():
            return all(map(_kept_by_jsonb, value))
        case float():
            return "e" not in repr(value) and repr(value) != "-0.0"
    return True


def node_of(hit: Hit) -> BaseNode:
    """The node that was added; a TextNode with text, metadata and offsets for a row that was not added as one."""
    metadata, content, kind = _parts(hit.metadata)
    if content is not None:
        kept = json_value(content.get("metadata"))
        own = kept if kept == metadata else metadata
        whole = json.dumps({**content, "metadata": own, "id_": hit.id}, ensure_ascii=False)
        try:
            return metadata_dict_to_node({_CONTENT: whole, _TYPE: kind}, text=hit.content)
        except (ValueError, TypeError):  # a node of a release to come, or a key of that name that is the user's own
            metadata = hit.metadata
    return TextNode(
        id_=hit.id, text=hit.content, metadata=dict(metadata), start_char_idx=hit.start, end_char_idx=hit.end
    )


def _parts(stored: Metadata) -> tuple[Metadata, dict[str, Any] | None, Any]:
    """A row's metadata as the user's own, the node's content, and its type; None where the row is no node's."""
    about = stored.get(KEY)
    if isinstance(about, dict):
        content = _loaded(about.get("content"))
        if content is not None:
            return {name: value for name, value in stored.items() if name != KEY}, content, about.get("type")
    content = _loaded(stored.get(_CONTENT))
    if content is None:
        return stored, None, None
    own = content.get("metadata")
    inherited = own if isinstance(own, dict) else {}
    metadata = {name: value for name, value in stored.items() if name not in (_CONTENT, _TYPE, *DOCUMENT_KEYS)}
    # LlamaIndex writes the document's id over keys of these names; what the user had there is in the content alone.
    metadata |= {name: inherited[name] for name in DOCUMENT_KEYS if name in inherited}
    return metadata, content, stored.get(_TYPE)


def _loaded(text: Any) -> dict[str, Any] | None:
    try:
        found = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


# -- documents that are added again


def replaced(added: Sequence[BaseNode], there: Sequence[BaseNode]) -> list[str]:
    """Ids of the nodes that the added ones take the place of.

    These are nodes of another version of the same document (its hash differs), and nodes that are the same piece of the
    same version: splitters give new ids on every run. Nodes without a source, or whose source has no hash, replace
    nothing but their own id.
    """
    versions = _versions(added)
    ids = {node.node_id for node in added}
    pieces = {_piece(node) for node in added}
    return [
        node.node_id
        for node in there
        if node.node_id not in ids
        and (source := node.source_node) is not None
        and source.hash is not None
        and source.node_id in versions
        and (source.hash not in versions[source.node_id] or (_place(node) is not None and _piece(node) in pieces))
    ]


def _versions(nodes: Iterable[BaseNode]) -> dict[str, set[str]]:
    """The hashes with which each document comes; one at most, unless somebody makes nodes by hand."""
    found: dict[str, set[str]] = {}
    for node in nodes:
        source = node.source_node
        if source is not None and source.hash is not None:
            found.setdefault(source.node_id, set()).add(source.hash)
    return found


def _place(node: BaseNode) -> int | None:
    place: int | None = getattr(node, "start_char_idx", None)
    return place


def _piece(node: BaseNode) -> tuple[object, ...]:
    """What makes two nodes one piece of a document. Levels of a hierarchy have the same text but other relatives."""
    relatives = tuple(sorted(name.value for name in node.relationships))
    return (
        node.ref_doc_id,
        node.class_name(),
        _place(node),
        node.get_content(metadata_mode=MetadataMode.NONE),
        relatives,
    )
