"""A search of everything that Howdah's schema holds, found from the catalogue: no table or column is left out."""

import psycopg
from psycopg.sql import SQL, Identifier

COLUMNS = """
    SELECT c.relname, a.attname, format_type(a.atttypid, NULL) FROM pg_class AS c
    JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = 'howdah'::regnamespace AND c.relkind IN ('r', 'p', 'm')
      AND format_type(a.atttypid, NULL) IN ('text', 'text[]', 'json', 'jsonb', 'bytea', 'tsvector', 'character varying')
    ORDER BY 1, 2
"""


def holding(url: str, words: str) -> set[str]:
    """The columns, as table.column, in which `words` stand, in upper or lower case; in bytes, as they are."""
    found = set()
    with psycopg.connect(url) as conn:
        for table, column, kind in conn.execute(COLUMNS).fetchall():
            value, names = Identifier(column), Identifier("howdah", table)
            test = SQL("strpos(lower({}::text), lower(%s)) > 0").format(value)
            if kind == "bytea":
                test = SQL("position(convert_to(%s, 'UTF8') IN {}) > 0").format(value)
            query = SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(names, test)
            if conn.execute(query, [words]).fetchone() == (True,):
                found.add(f"{table}.{column}")
    return found
