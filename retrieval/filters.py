"""Metadata filters: langchain-postgres' grammar, compiled to SQL that binds every value and key.

    {"topic": "planets"}                          equality; a list-valued key is matched whole
    {"year": {"$gte": 2020, "$lt": 2024}}         several operators on a field must all hold
    {"$or": [{"year": 2024}, {"$not": {"lang": {"$in": ["de", "fr"]}}}]}

Operators: $eq $ne $lt $lte $gt $gte $in $nin $between $exists $like $ilike, $contains and $overlap for array values,
and $and $or $not. Keys are data, never SQL: "a.b" is the key "a.b" or, where there is none, "b" inside the object "a".

Comparisons hold between values of one JSON type only (numbers exactly, strings in the database's collation), so that
no row can make a query fail by a cast. $eq and $in take None for a missing key and for null; $ne and $nin are their
opposites, so they are true for a missing key. An array $contains the items, and $overlap has one of them, as jsonb's @>
sees it: an object item is found in an object that has all its pairs. Values follow the rules of values.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Composable, Composed, Placeholder

from howdah.retrieval.errors import InvalidFilter, InvalidInput
from howdah.retrieval.query import EVERY_ROW, Query
from howdah.retrieval.values import json_text, json_value, text

Filter = Mapping[str, Any]
HOW = 'write {"year": {"$gte": 2020}} or {"$or": [{"topic": "a"}, {"topic": "b"}]}'
_ORDER = {"$lt": SQL("<"), "$lte": SQL("<="), "$gt": SQL(">"), "$gte": SQL(">=")}
MAX_DEPTH, MAX_CONDITIONS = 32, 1_000


METADATA = SQL("c.metadata")


def compile_filter(given: Filter | None, *, column: Composable = METADATA) -> Query:
    """The SQL condition for a filter and its parameters f0, f1, …; every row where there is none."""
    if given is None or (isinstance(given, Mapping) and not given):
        return EVERY_ROW
    compiler = _Compiler(column)
    condition = compiler.all_of(given, depth=0)
    return Query(condition, compiler.params)


class _Compiler:
    def __init__(self, column: Composable) -> None:
        self.column = column
        self.params: dict[str, Any] = {}

    def bind(self, value: Any) -> Placeholder:
        if len(self.params) >= MAX_CONDITIONS:
            raise InvalidFilter(f"the filter has more than {MAX_CONDITIONS} values", hint="use $in with one list")
        name = f"f{len(self.params)}"
        self.params[name] = value
        return Placeholder(name)

    def json(self, value: Any) -> Composed:
        return SQL("{}::text::jsonb").format(self.bind(_named(json_text, value)))

    def all_of(self, given: Any, *, depth: int) -> Composed:
        if depth > MAX_DEPTH:
            raise InvalidFilter(f"the filter is nested more than {MAX_DEPTH} deep")
        if not isinstance(given, Mapping):
            raise InvalidFilter(f"a filter is a dict, got {type(given).__name__}: {given!r:.80}", hint=HOW)
        return _joined(" AND ", [self.item(key, value, depth) for key, value in given.items()], empty="true")

    def item(self, key: Any, value: Any, depth: int) -> Composed:
        if not isinstance(key, str):
            raise InvalidFilter(f"a filter's key is a string, got {key!r}", hint=HOW)
        if key in ("$and", "$or"):
            if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
                raise InvalidFilter(f"{key} takes a list of filters, got {type(value).__name__}", hint=HOW)
            parts = [self.all_of(part, depth=depth + 1) for part in value]
            return _joined(f" {key[1:].upper()} ", parts, empty="true" if key == "$and" else "false")
        if key == "$not":
            return SQL("(NOT coalesce({}, false))").format(self.all_of(value, depth=depth + 1))
        if key.startswith("$"):
            raise InvalidFilter(f"{key!r} is not an operator between filters: $and, $or, $not", hint=HOW)
        return self.field(key, value)

    def field(self, key: str, value: Any) -> Composed:
        key = text(key)
        if not isinstance(value, Mapping) or not value:
            return self.eq(key, value)
        operators = [name for name in value if isinstance(name, str) and name.startswith("$")]
        if not operators:
            return self.eq(key, value)
        return _joined(" AND ", [self.operator(key, name, operand) for name, operand in value.items()], empty="true")

    def operator(self, key: str, name: Any, operand: Any) -> Composed:
        if name in _ORDER:
            return self.compare(key, _ORDER[name], operand, name)
        compile_operator = _OPERATORS.get(name)
        if compile_operator is None:
            known = ", ".join(sorted([*_ORDER, *_OPERATORS]))
            raise InvalidFilter(f"{name!r} on {key!r} is not an operator; the operators are {known}", hint=HOW)
        return compile_operator(self, key, operand)

    def value(self, key: str) -> Composed:
        """The key's JSON value; a dotted key reaches inside where no key of that very name exists."""
        plain = SQL("({} -> {}::text)").format(self.column, self.bind(key))
        path = _path(key)
        if len(path) == 1:
            return plain
        # Step by step and not by #>, which would take "0" for an array's first item.
        inside = SQL(" -> ").join([self.column, *(SQL("{}::text").format(self.bind(part)) for part in path)])
        return SQL("coalesce({}, {})").format(plain, inside)

    def eq(self, key: str, operand: Any) -> Composed:
        """By containment, which a GIN index on the metadata can serve, made exact for objects, arrays and dotted keys."""
        plain = _named(json_value, operand)
        if plain is None:
            return SQL("(coalesce({}, 'null'::jsonb) = 'null'::jsonb)").format(self.value(key))
        path = _path(key)
        options = [{key: plain}, _nested(path, plain)] if len(path) > 1 else [{key: plain}]
        contained = [SQL("{} @> {}").format(self.column, self.json(option)) for option in options]
        if len(path) == 1 and isinstance(plain, str | int | float):
            return contained[0]
        return SQL("({} AND {} = {})").format(
            _joined(" OR ", contained, empty="false"), self.value(key), self.json(plain)
        )

    def ne(self, key: str, operand: Any) -> Composed:
        return SQL("(NOT coalesce({}, false))").format(self.eq(key, operand))

    def compare(self, key: str, operator: SQL, operand: Any, name: str) -> Composed:
        plain = _named(json_value, operand)
        if not isinstance(plain, str | int | float | bool):
            raise InvalidFilter(f"{name} on {key!r} compares with a number, a string or a date, got {operand!r:.60}")
        bound = self.json(plain)
        return SQL(
            "coalesce({value} {operator} {bound} AND jsonb_typeof({value}) = jsonb_typeof({bound}), false)"
        ).format(value=self.value(key), operator=operator, bound=bound)

    def isin(self, key: str, operand: Any) -> Composed:
        """One parameter for the whole list, so that lists of all lengths share a prepared statement."""
        items = [_named(json_value, item) for item in _items("$in", key, operand)]
        value = SQL("coalesce({}, 'null'::jsonb)").format(self.value(key))
        texts = self.bind([_named(json_text, item) for item in items])
        return SQL("({} = ANY({}::text[]::jsonb[]))").format(value, texts)

    def nin(self, key: str, operand: Any) -> Composed:
        return SQL("(NOT {})").format(self.isin(key, _items("$nin", key, operand)))

    def between(self, key: str, operand: Any) -> Composed:
        bounds = _items("$between", key, operand)
        if len(bounds) != 2:
            raise InvalidFilter(f"$between on {key!r} takes [low, high], got {len(bounds)} values")
        low = self.compare(key, _ORDER["$gte"], bounds[0], "$between")
        return SQL("({} AND {})").format(low, self.compare(key, _ORDER["$lte"], bounds[1], "$between"))

    def exists(self, key: str, operand: Any) -> Composed:
        if not isinstance(operand, bool):
            raise InvalidFilter(f"$exists on {key!r} takes true or false, got {operand!r:.60}")
        return SQL("({} IS {})").format(self.value(key), SQL("NOT NULL") if operand else SQL("NULL"))

    def like(self, key: str, operand: Any) -> Composed:
        return self._like(key, SQL("LIKE"), operand, "$like")

    def ilike(self, key: str, operand: Any) -> Composed:
        return self._like(key, SQL("ILIKE"), operand, "$ilike")

    def _like(self, key: str, word: SQL, operand: Any, name: str) -> Composed:
        if not isinstance(operand, str):
            raise InvalidFilter(f"{name} on {key!r} takes a pattern with % and _, got {operand!r:.60}")
        # A pattern that ends in a lone backslash is an error in PostgreSQL; a trailing one stands for itself here.
        odd = (len(operand) - len(operand.rstrip("\\"))) % 2
        pattern = operand + "\\" * odd
        value = self.value(key)
        return SQL("coalesce(jsonb_typeof({}) = 'string' AND ({} #>> '{{}}') {} {}::text, false)").format(
            value, value, word, self.bind(json_value(pattern))
        )

    def contains(self, key: str, operand: Any) -> Composed:
        items = list(operand) if isinstance(operand, list | tuple | set | frozenset) else [operand]
        return SQL("coalesce({value} @> {items} AND jsonb_typeof({value}) = 'array', false)").format(
            value=self.value(key), items=self.json(items)
        )

    def overlap(self, key: str, operand: Any) -> Composed:
        items = _items("$overlap", key, operand)
        return _joined(" OR ", [self.contains(key, [item]) for item in items], empty="false")


_OPERATORS: dict[str, Callable[[_Compiler, str, Any], Composed]] = {
    "$eq": _Compiler.eq,
    "$ne": _Compiler.ne,
    "$in": _Compiler.isin,
    "$nin": _Compiler.nin,
    "$between": _Compiler.between,
    "$exists": _Compiler.exists,
    "$like": _Compiler.like,
    "$ilike": _Compiler.ilike,
    "$contains": _Compiler.contains,
    "$overlap": _Compiler.overlap,
}


def _joined(word: str, parts: list[Composed], *, empty: str) -> Composed:
    separator = {" AND ": SQL(" AND "), " OR ": SQL(" OR ")}[word]
    if not parts:
        return SQL("true").format() if empty == "true" else SQL("false").format()
    return SQL("({})").format(separator.join(parts))


def _named(convert: Callable[..., Any], value: Any) -> Any:
    """`value` by the rules for metadata; where they have no form for it, that is the filter's fault."""
    try:
        return convert(value, where="the filter's value")
    except InvalidInput as exc:
        raise InvalidFilter(exc.message, hint=exc.hint) from None


def _path(key: str) -> list[str]:
    """The steps of a dotted key; a key with an empty step or more than 32 of them is a name of its own."""
    parts = key.split(".")
    return parts if all(parts) and len(parts) <= MAX_DEPTH else [key]


def _nested(path: list[str], value: Any) -> Any:
    for part in reversed(path):
        value = {part: value}
    return value


def _items(name: str, key: str, operand: Any) -> list[Any]:
    if isinstance(operand, str | bytes | Mapping) or not isinstance(operand, Sequence | set | frozenset | Iterator):
        raise InvalidFilter(f"{name} on {key!r} takes a list, got {operand!r:.60}", hint=HOW)
    return list(operand)
