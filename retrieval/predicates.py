"""What a filter can ask about one metadata key, as SQL on its JSON value; `filters` holds the grammar around it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from psycopg.sql import SQL, Composable, Composed, Placeholder

from howdah.retrieval.errors import InvalidFilter, InvalidInput
from howdah.retrieval.promoted import json_value_of, key_path
from howdah.retrieval.values import json_text, json_value

HOW = 'write {"year": {"$gte": 2020}} or {"$or": [{"topic": "a"}, {"topic": "b"}]}'
ORDER = {"$lt": SQL("<"), "$lte": SQL("<="), "$gt": SQL(">"), "$gte": SQL(">=")}
MAX_CONDITIONS = 1_000


class Part(NamedTuple):
    """A condition; whether an index finds its rows, and whether promoted columns are all that it reads."""

    sql: Composed
    served: bool = False
    covered: bool = False


class Predicates:
    """Builds conditions on `column`, a jsonb object, and collects their parameters f0, f1, …"""

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
        return SQL("{}::text::jsonb").format(self.bind(named(json_text, value)))

    def value(self, key: str) -> Composed:
        plain = self.bind(key)
        path = key_path(key)
        return json_value_of(self.column, [self.bind(part) for part in path] if len(path) > 1 else path, plain)

    def eq(self, key: str, operand: Any) -> Part:
        """By containment, which a GIN index on the metadata can serve, made exact for objects, arrays and dotted keys."""
        plain = named(json_value, operand)
        if plain is None:
            return Part(SQL("(coalesce({}, 'null'::jsonb) = 'null'::jsonb)").format(self.value(key)))
        contained = self.contained(key, [plain])
        if len(key_path(key)) == 1 and isinstance(plain, str | int | float):
            return Part(contained, served=True)
        return Part(SQL("({} AND {} = {})").format(contained, self.value(key), self.json(plain)), served=True)

    def contained(self, key: str, options: list[Any]) -> Composed:
        """The metadata hold one of these under the key, as jsonb's @> sees it: by one array, of any length."""
        path = key_path(key)
        shapes = [shape for option in options for shape in _shapes(key, path, option)]
        if len(shapes) == 1:
            return SQL("{} @> {}").format(self.column, self.json(shapes[0]))
        texts = self.bind([named(json_text, shape) for shape in shapes])
        return SQL("{} @> ANY({}::text[]::jsonb[])").format(self.column, texts)

    def compare(self, key: str, operand: Any, order: str, *, said: str | None = None) -> Part:
        plain = named(json_value, operand)
        if not isinstance(plain, str | int | float | bool):
            raise InvalidFilter(
                f"{said or order} on {key!r} compares with a number, a string or a date, got {operand!r:.60}", hint=HOW
            )
        return Part(
            SQL("coalesce({value} {order} {bound} AND jsonb_typeof({value}) = jsonb_typeof({bound}), false)").format(
                value=self.value(key), order=ORDER[order], bound=self.json(plain)
            )
        )

    def isin(self, key: str, operand: Any) -> Part:
        """One parameter for the whole list, so that lists of all lengths share a prepared statement."""
        items = [named(json_value, item) for item in items_of("$in", key, operand)]
        value = SQL("coalesce({}, 'null'::jsonb)").format(self.value(key))
        exact = SQL("{} = ANY({}::text[]::jsonb[])").format(
            value, self.bind([named(json_text, item) for item in items])
        )
        if None in items:
            return Part(SQL("({})").format(exact))
        shapes = self.bind([named(json_text, shape) for item in items for shape in _shapes(key, key_path(key), item)])
        return Part(SQL("({} @> ANY({}::text[]::jsonb[]) AND {})").format(self.column, shapes, exact), served=True)

    def between(self, key: str, operand: Any) -> Part:
        bounds = items_of("$between", key, operand)
        if len(bounds) != 2:
            raise InvalidFilter(f"$between on {key!r} takes [low, high], got {len(bounds)} values")
        low = self.compare(key, bounds[0], "$gte", said="$between")
        high = self.compare(key, bounds[1], "$lte", said="$between")
        return Part(SQL("({} AND {})").format(low.sql, high.sql))

    def exists(self, key: str, operand: Any) -> Part:
        if not isinstance(operand, bool):
            raise InvalidFilter(f"$exists on {key!r} takes true or false, got {operand!r:.60}")
        return Part(SQL("({} IS {})").format(self.value(key), SQL("NOT NULL") if operand else SQL("NULL")))

    def like(self, key: str, operand: Any) -> Part:
        return self._like(key, SQL("LIKE"), operand, "$like")

    def ilike(self, key: str, operand: Any) -> Part:
        return self._like(key, SQL("ILIKE"), operand, "$ilike")

    def _like(self, key: str, word: SQL, operand: Any, name: str) -> Part:
        if not isinstance(operand, str):
            raise InvalidFilter(f"{name} on {key!r} takes a pattern with % and _, got {operand!r:.60}")
        # A pattern that ends in a lone backslash is an error in PostgreSQL; a trailing one stands for itself here.
        odd = (len(operand) - len(operand.rstrip("\\"))) % 2
        pattern = self.bind(json_value(operand + "\\" * odd))
        return Part(
            SQL(
                "coalesce(jsonb_typeof({value}) = 'string' AND ({value} #>> '{{}}') {word} {pattern}::text, false)"
            ).format(value=self.value(key), word=word, pattern=pattern)
        )

    def contains(self, key: str, operand: Any) -> Part:
        items = list(operand) if isinstance(operand, list | tuple | set | frozenset) else [operand]
        return self._holding(key, items, each=False)

    def overlap(self, key: str, operand: Any) -> Part:
        return self._holding(key, items_of("$overlap", key, operand), each=True)

    def _holding(self, key: str, items: list[Any], *, each: bool) -> Part:
        """Arrays that hold all of the items or, with `each`, any of them."""
        wanted = (
            [[named(json_value, item)] for item in items] if each else [[named(json_value, item) for item in items]]
        )
        if not wanted:
            return Part(SQL("false").format(), served=True)
        texts = self.bind([named(json_text, item) for item in wanted])
        return Part(
            SQL(
                "({contained} AND coalesce({value} @> ANY({texts}::text[]::jsonb[]) AND jsonb_typeof({value}) = 'array', false))"
            ).format(contained=self.contained(key, wanted), value=self.value(key), texts=texts),
            served=True,
        )


def _comparison(order: str) -> Callable[[Predicates, str, Any], Part]:
    def compare(self: Predicates, key: str, operand: Any) -> Part:
        return self.compare(key, operand, order)

    return compare


OPERATORS: dict[str, Callable[[Predicates, str, Any], Part]] = {
    **{order: _comparison(order) for order in ORDER},
    "$eq": Predicates.eq,
    "$in": Predicates.isin,
    "$between": Predicates.between,
    "$exists": Predicates.exists,
    "$like": Predicates.like,
    "$ilike": Predicates.ilike,
    "$contains": Predicates.contains,
    "$overlap": Predicates.overlap,
}
OPPOSITES = {"$ne": "$eq", "$nin": "$in"}


def named(convert: Callable[..., Any], value: Any) -> Any:
    """`value` by the rules for metadata; where they have no form for it, that is the filter's fault."""
    try:
        return convert(value, where="the filter's value")
    except InvalidInput as exc:
        raise InvalidFilter(exc.message, hint=exc.hint) from None


def _shapes(key: str, path: list[str], value: Any) -> list[Any]:
    """The objects that hold `value` under the key: by its very name and, where it is dotted, inside."""
    return [{key: value}, _nested(path, value)] if len(path) > 1 else [{key: value}]


def _nested(path: list[str], value: Any) -> Any:
    for part in reversed(path):
        value = {part: value}
    return value


def items_of(name: str, key: str, operand: Any) -> list[Any]:
    if isinstance(operand, str | bytes | Mapping) or not isinstance(operand, Sequence | set | frozenset | Iterator):
        raise InvalidFilter(f"{name} on {key!r} takes a list, got {operand!r:.60}", hint=HOW)
    return list(operand)
