"""Metadata filters: langchain-postgres' grammar, compiled to SQL that binds every value and key.

    {"topic": "planets"}                          equality; a list-valued key is matched whole
    {"year": {"$gte": 2020, "$lt": 2024}}         several operators on a field must all hold
    {"$or": [{"year": 2024}, {"$not": {"lang": {"$in": ["de", "fr"]}}}]}
    {"$match": '"ring system" -saturn'}           the passage's words, as a web search would read them
    {"$id": ["mars", "venus"]}                    the chunks with these ids; also inside $and, $or and $not

Operators: $eq $ne $lt $lte $gt $gte $in $nin $between $exists $like $ilike, $contains and $overlap for array values,
and $and $or $not, $match and $id. Keys are data, never SQL: "a.b" is the key "a.b" or, where there is none, "b" inside the
object "a".

Comparisons hold between values of one JSON type only (numbers exactly, strings in the database's collation), so that
no row can make a query fail by a cast. $eq and $in take None for a missing key and for null; $ne and $nin are their
opposites, so they are true for a missing key. An array $contains the items, and $overlap has one of them, as jsonb's @>
sees it: an object item is found in an object that has all its pairs. Values follow the rules of values.py.

What an index serves: equality, $in, $contains and $overlap by the GIN index on the metadata, whatever compares a promoted
key by that key's B-tree, $match by the GIN index on the words, $id by the unique key.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Literal

from howdah.retrieval.collection import Collection
from howdah.retrieval.errors import InvalidFilter, InvalidInput
from howdah.retrieval.predicates import HOW, OPERATORS, OPPOSITES, ORDER, Part, Predicates, items_of, named
from howdah.retrieval.promoted import MAX_DEPTH, Kind, Promoted
from howdah.retrieval.query import EVERY_ROW, Condition
from howdah.retrieval.values import json_text, json_value, text, wanted_ids

Filter = Mapping[str, Any]
MAX_MATCH = 10_000
METADATA = SQL("c.metadata")


def compile_filter(
    given: Filter | None, *, collection: Collection | None = None, column: Composable = METADATA
) -> Condition:
    """The SQL condition for a filter and its parameters f0, f1, …; every row where there is none.

    `collection` gives the promoted keys and the words of $match; without one, all is read from `column`.
    """
    if given is None or (isinstance(given, Mapping) and not given):
        return EVERY_ROW
    compiler = _Compiler(column, collection)
    part = compiler.all_of(given, depth=0)
    unserved = () if part.served else tuple(dict.fromkeys(compiler.unserved))
    return Condition(part.sql, compiler.params, part.served, part.covered, unserved)


class _Compiler(Predicates):
    def __init__(self, column: Composable, collection: Collection | None) -> None:
        super().__init__(column)
        self.collection = collection
        self.unserved: list[str] = []

    # -- between filters

    def all_of(self, given: Any, *, depth: int) -> Part:
        if depth > MAX_DEPTH:
            raise InvalidFilter(f"the filter is nested more than {MAX_DEPTH} deep")
        if not isinstance(given, Mapping):
            raise InvalidFilter(f"a filter is a dict, got {type(given).__name__}: {given!r:.80}", hint=HOW)
        return _every([self.item(key, value, depth) for key, value in given.items()])

    def item(self, key: Any, value: Any, depth: int) -> Part:
        if not isinstance(key, str):
            raise InvalidFilter(f"a filter's key is a string, got {key!r}", hint=HOW)
        if key in ("$and", "$or"):
            if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
                raise InvalidFilter(f"{key} takes a list of filters, got {type(value).__name__}", hint=HOW)
            parts = [self.all_of(part, depth=depth + 1) for part in value]
            return _every(parts) if key == "$and" else _any(parts)
        if key == "$not" and isinstance(value, list | tuple):  # langchain-postgres': none of them holds
            return _negated(_any([self.all_of(part, depth=depth + 1) for part in value]).sql)
        if key == "$not":
            return _negated(self.all_of(value, depth=depth + 1).sql)
        if key == "$match":
            return self.match(value)
        if key == "$id":
            return Part(SQL("(c.id = ANY({}::text[]))").format(self.bind(_ids(value))), served=True)
        if key.startswith("$"):
            raise InvalidFilter(f"{key!r} is not an operator between filters: $and, $or, $not, $match, $id", hint=HOW)
        return self.field(key, value)

    def match(self, words: Any) -> Part:
        """The passage's own words by PostgreSQL's websearch_to_tsquery, which takes any text."""
        if not isinstance(words, str) or not words.strip() or len(words) > MAX_MATCH:
            raise InvalidFilter(
                f"$match takes words, up to {MAX_MATCH:,} characters, got {words!r:.60}",
                hint='write {"$match": "ring -saturn"} or {"$match": "\\"ring system\\""}',
            )
        if self.collection is None or not self.collection.spec.lexical:
            raise InvalidFilter("$match needs a collection's words, and there are none here", hint="filter by metadata")
        return Part(
            SQL("""EXISTS (SELECT FROM {passages} AS p WHERE p.tenant = %(tenant)s AND p.n = c.n
                   AND p.tsv @@ websearch_to_tsquery({config}::regconfig, {words}))""").format(
                passages=self.collection.passages,
                config=Literal(self.collection.spec.config),
                words=self.bind(text(words)),
            ),
            served=True,
        )

    # -- one field

    def field(self, key: str, value: Any) -> Part:
        key = text(key)
        if not isinstance(value, Mapping) or not value:
            return self.operator(key, "$eq", value)
        operators = [name for name in value if isinstance(name, str) and name.startswith("$")]
        if not operators:
            return self.operator(key, "$eq", value)
        return _every([self.operator(key, name, operand) for name, operand in value.items()])

    def operator(self, key: str, name: Any, operand: Any) -> Part:
        if name not in OPERATORS and name not in OPPOSITES:
            known = ", ".join(sorted([*OPERATORS, *OPPOSITES]))
            raise InvalidFilter(f"{name!r} on {key!r} is not an operator; the operators are {known}", hint=HOW)
        if isinstance(operand, Iterator):
            operand = list(operand)
        if name in ("$in", "$nin"):
            operand = items_of(name, key, operand)
        if name in OPPOSITES:
            part = _negated(self.operator(key, OPPOSITES[name], operand).sql)
        else:
            part = self.by_column(key, name, operand) or OPERATORS[name](self, key, operand)
        if not part.served and name in ("$between", *ORDER):
            self.unserved.append(key)
        return part

    def by_column(self, key: str, name: str, operand: Any) -> Part | None:
        """The condition on a promoted column, where the key has one and it can answer this."""
        promoted = self.collection.promoted.get(key) if self.collection is not None else None
        if promoted is None or name not in ("$eq", "$in", "$between", *ORDER):
            return None
        wanted = list(operand) if name in ("$in", "$between") and isinstance(operand, list | tuple) else [operand]
        plain = [named(json_value, value) for value in wanted]
        if not plain or not all(map(promoted.kind.holds, plain)) or (name == "$between" and len(plain) != 2):
            return None
        return Part(self._on_column(promoted, name, plain), served=True, covered=True)

    def _on_column(self, promoted: Promoted, name: str, plain: list[Any]) -> Composed:
        column, kind = promoted.column, promoted.kind.column_type
        texts = [value if promoted.kind is Kind.TEXT else named(json_text, value) for value in plain]
        if name == "$in":
            return SQL("{} = ANY({}::text[]::{}[])").format(column, self.bind(texts), kind)
        if name == "$between":
            low, high = map(self.bind, texts)
            return SQL("({} >= {}::text::{} AND {} <= {}::text::{})").format(column, low, kind, column, high, kind)
        return SQL("{} {} {}::text::{}").format(column, ORDER.get(name, SQL("=")), self.bind(texts[0]), kind)


def _every(parts: list[Part]) -> Part:
    """All must hold: the index of one is enough to find the rows."""
    if not parts:
        return Part(SQL("true").format(), served=True)
    joined = SQL("({})").format(SQL(" AND ").join([part.sql for part in parts]))
    return Part(joined, any(part.served for part in parts), all(part.covered for part in parts))


def _any(parts: list[Part]) -> Part:
    if not parts:
        return Part(SQL("false").format(), served=True)
    joined = SQL("({})").format(SQL(" OR ").join([part.sql for part in parts]))
    return Part(joined, all(part.served for part in parts), all(part.covered for part in parts))


def _ids(value: Any) -> list[str]:
    try:
        return wanted_ids(items_of("$id", "ids", value))
    except InvalidInput as exc:
        raise InvalidFilter(exc.message, hint=exc.hint) from None


def _negated(condition: Composable) -> Part:
    return Part(SQL("(NOT coalesce({}, false))").format(condition))
