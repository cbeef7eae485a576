"""LlamaIndex's MetadataFilters as filters of ours; the rules for values and missing keys are those of retrieval/filters.py.

Where LlamaIndex's stores differ among themselves, this is what holds here: values are compared as JSON, so the string
"2020" is no number; CONTAINS, ANY and ALL are for arrays and TEXT_MATCH for strings, and false for all else; EQ and NE
take None for a missing key and for null; a dotted key reaches into an object.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from llama_index.core.vector_stores.types import FilterCondition, FilterOperator, MetadataFilter, MetadataFilters

from howdah.retrieval.errors import InvalidFilter
from howdah.retrieval.filters import Filter

KEY = "_llamaindex"
"""The metadata key that holds what a node is beside its text and metadata."""
REF_DOC_ID = f"{KEY}.ref_doc_id"
DOCUMENT_KEYS = ("ref_doc_id", "doc_id", "document_id")
"""LlamaIndex's own names for the id of a node's document; its rows have all three in their metadata."""
HOW = 'write MetadataFilters(filters=[MetadataFilter(key="year", operator=">=", value=2020)])'

EVERYTHING: Filter = {}


def metadata_filter(given: Any) -> Filter:
    """The filter for MetadataFilters, a MetadataFilter or a dict in our own grammar; {} for None and for no filters at all.

    Raises InvalidFilter for what has no meaning, before anything is searched.
    """
    match given:
        case None:
            return EVERYTHING
        case MetadataFilters():
            return _combined(given)
        case MetadataFilter():
            return _single(given)
        case Mapping():
            return given
    raise InvalidFilter(f"filters are MetadataFilters, got {type(given).__name__}", hint=HOW)


def within(given: Any, *, node_ids: Sequence[str] | None = None, doc_ids: Sequence[str] | None = None) -> Filter | None:
    """The filter, held to these nodes and to these documents' nodes where ids are given; None where all is open."""
    parts = [metadata_filter(given)]
    if node_ids is not None:
        parts.append({"$id": list(node_ids)})
    if doc_ids is not None:
        parts.append(of_documents(doc_ids))
    held = [part for part in parts if part]
    return {"$and": held} if held else None


def of_documents(ids: Sequence[str]) -> Filter:
    """The nodes of these documents, written from here or copied from LlamaIndex's own tables."""
    wanted: Any = ids[0] if len(ids) == 1 else {"$in": list(ids)}
    theirs = {"ref_doc_id": wanted, "_node_content": {"$exists": True}}
    return {"$or": [{REF_DOC_ID: wanted}, theirs]}


def _combined(given: MetadataFilters) -> Filter:
    """Without filters it is true under each condition, as in LlamaIndex's own store."""
    parts = [metadata_filter(part) for part in given.filters]
    if not parts:
        return EVERYTHING
    match given.condition:
        case FilterCondition.AND | None:
            return {"$and": parts}
        case FilterCondition.OR:
            return {"$or": parts}
        case FilterCondition.NOT:
            return {"$not": {"$or": parts}}
    raise InvalidFilter(f"the condition {given.condition!r} is not known", hint="use and, or, or not")


def _single(given: MetadataFilter) -> Filter:
    translate = _OPERATORS.get(given.operator)
    if translate is None:
        raise InvalidFilter(f"the operator {given.operator!r} is not known", hint=f"use one of {_known()}")
    condition = translate(given)
    if given.key not in DOCUMENT_KEYS:
        return {given.key: condition}
    # A key of that name in the metadata goes before, as a node's own metadata key would.
    here = {"$and": [{given.key: {"$exists": True}}, {given.key: condition}]}
    return {"$or": [here, {"$and": [{given.key: {"$exists": False}}, {REF_DOC_ID: condition}]}]}


def _as(name: str) -> Callable[[MetadataFilter], Filter]:
    return lambda given: {name: given.value}


def _list(name: str) -> Callable[[MetadataFilter], Filter]:
    return lambda given: {name: _items(given)}


def _items(given: MetadataFilter) -> list[Any]:
    if not isinstance(given.value, list):
        raise InvalidFilter(f"{_named(given)} takes a list, got {given.value!r:.60}", hint=HOW)
    return given.value


def _item(given: MetadataFilter) -> Filter:
    if given.value is None or isinstance(given.value, list):
        raise InvalidFilter(
            f"{_named(given)} takes one value, got {given.value!r:.60}", hint="use ANY or ALL for a list"
        )
    return {"$contains": [given.value]}


def _substring(name: str) -> Callable[[MetadataFilter], Filter]:
    def translate(given: MetadataFilter) -> Filter:
        if not isinstance(given.value, str):
            raise InvalidFilter(f"{_named(given)} takes a string, got {given.value!r:.60}", hint=HOW)
        literal = given.value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        return {name: f"%{literal}%"}

    return translate


def _empty(given: MetadataFilter) -> Filter:
    if given.value is not None:
        raise InvalidFilter(f"{_named(given)} takes no value, got {given.value!r:.60}", hint="write value=None")
    return {"$in": [None, "", []]}


_OPERATORS: dict[FilterOperator, Callable[[MetadataFilter], Filter]] = {
    FilterOperator.EQ: _as("$eq"),
    FilterOperator.NE: _as("$ne"),
    FilterOperator.GT: _as("$gt"),
    FilterOperator.GTE: _as("$gte"),
    FilterOperator.LT: _as("$lt"),
    FilterOperator.LTE: _as("$lte"),
    FilterOperator.IN: _list("$in"),
    FilterOperator.NIN: _list("$nin"),
    FilterOperator.ANY: _list("$overlap"),
    FilterOperator.ALL: _list("$contains"),
    FilterOperator.CONTAINS: _item,
    FilterOperator.TEXT_MATCH: _substring("$like"),
    FilterOperator.TEXT_MATCH_INSENSITIVE: _substring("$ilike"),
    FilterOperator.IS_EMPTY: _empty,
}


def _named(given: MetadataFilter) -> str:
    return f"{given.operator.name} on {given.key!r}"


def _known() -> str:
    return ", ".join(operator.name for operator in _OPERATORS)
