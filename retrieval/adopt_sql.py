"""Every statement of an adoption, as pure functions. They only ever read the source."""

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from howdah.retrieval.adopt_sources import Source
from howdah.retrieval.collection import Collection, Metric, Storage
from howdah.retrieval.query import Query
from howdah.retrieval.relations import HEAP, literal, name
from howdah.retrieval.values import MAX_ID_BYTES

SUPERSEDED = SQL("pg_temp.howdah_superseded")
EVERYWHERE = SQL("true")


def begin(*, read_only: bool) -> list[Query]:
    """One snapshot for all of the work; times with zone become JSON in UTC, whatever the session's zone is."""
    return [
        Query(
            SQL("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ {}").format(
                SQL("READ ONLY" if read_only else "READ WRITE")
            ),
            {},
        ),
        Query(SQL("SELECT set_config('timezone', 'UTC', true), set_config('statement_timeout', '0', true)"), {}),
    ]


# -- looking


def count(source: Source) -> Query:
    where = source.belongs
    return Query(
        SQL("SELECT count(*) AS rows FROM {} AS t WHERE {}").format(source.relation.identifier, where.sql), where.params
    )


def survey(source: Source) -> Query:
    """How many rows there are and what they are like, in one scan.

    `low` and `high` are the dimensions where the column does not declare them. `ids` counts different ids of the rows with
    an embedding where no index vouches for them. `clash_0` … are rows in which a merged column's key is in the JSON
    with another value.
    """
    where, embedding = source.belongs, name(source.embedding.name)
    facts: list[Composable] = [
        SQL("count(*) AS rows, count(t.{}) AS embedded").format(embedding),
        SQL("count(*) FILTER (WHERE t.{} IS NULL) AS without_text").format(name(source.content)),
        SQL("count(*) FILTER (WHERE octet_length({id}) NOT BETWEEN 1 AND {limit} OR {id} IS NULL) AS bad_ids").format(
            id=source.id_text, limit=Literal(MAX_ID_BYTES)
        ),
        SQL("count(*) FILTER (WHERE jsonb_typeof(m.given) NOT IN ('object', 'null')) AS not_objects"),
    ]
    if source.embedding.dimensions is None:
        facts.append(SQL("min({0}) AS low, max({0}) AS high").format(_dimensions(source)))
    if not source.ids_unique:
        facts.append(SQL("count(DISTINCT {}) FILTER (WHERE t.{} IS NOT NULL) AS ids").format(source.id_text, embedding))
    facts += [_clash(number, column.name) for number, column in enumerate(source.merged)] if source.json else []
    return Query(
        SQL("SELECT {} FROM {} WHERE {}").format(SQL(", ").join(facts), _from(source), where.sql), where.params
    )


def _clash(number: int, column: str) -> Composed:
    return SQL(
        "count(*) FILTER (WHERE t.{column} IS NOT NULL AND m.given -> {key} <> to_jsonb(t.{column})) AS {name}"
    ).format(column=name(column), key=literal(column), name=Identifier(f"clash_{number}"))


def _dimensions(source: Source) -> Composed:
    return SQL("{}.vector_dims(t.{})").format(Identifier(source.relation.vector_schema), name(source.embedding.name))


def sample_texts(source: Source, *, limit: int = 100) -> Query:
    """Beginnings of some texts, the same ones each time."""
    where = source.belongs
    return Query(
        SQL("""
            SELECT left(content, 2000) AS content FROM (
                SELECT t.{content} AS content FROM {table} AS t WHERE {where} ORDER BY md5({id}) LIMIT {limit}
            ) AS beginnings WHERE content IS NOT NULL
        """).format(
            content=name(source.content), table=source.relation.identifier, where=where.sql, id=source.id_text,
            limit=Literal(limit),
        ),
        where.params,
    )  # fmt: skip


# -- the rows, in pieces


def pieces(source: Source, rows: int, *, size: int) -> list[Composable]:
    """Conditions that part the table into runs of blocks with some `size` rows each; one for all where it has no blocks.

    Blocks, since there need not be an index to walk along, and no run is sorted or read twice. They hold every row of
    one snapshot.
    """
    relation = source.relation
    if relation.kind not in HEAP or rows <= size:
        return [EVERYWHERE]
    step = max(1, relation.blocks * size // rows)
    runs = [
        SQL("t.ctid >= {}::tid AND t.ctid < {}::tid").format(Literal(f"({low},0)"), Literal(f"({low + step},0)"))
        for low in range(0, relation.blocks, step)
    ]
    return [*runs[:-1], SQL("t.ctid >= {}::tid").format(Literal(f"({(len(runs) - 1) * step},0)"))]


def superseded(source: Source) -> Query:
    """A temporary table of the rows whose id comes again in a later row: LlamaIndex adds a node that is there once more."""
    where = source.belongs
    order = name(source.fallback_id or source.id)
    return Query(
        SQL("""
            CREATE TEMP TABLE howdah_superseded ON COMMIT DROP AS
            SELECT later.key FROM (
                SELECT t.{order} AS key, row_number() OVER (PARTITION BY {id} ORDER BY t.{order} DESC) AS place
                FROM {table} AS t WHERE t.{embedding} IS NOT NULL AND {where}
            ) AS later WHERE place > 1
        """).format(
            order=order, id=source.id_text, table=source.relation.identifier,
            embedding=name(source.embedding.name), where=where.sql,
        ),
        where.params,
    )  # fmt: skip


def rows(source: Source, storage: Storage, piece: Composable, *, latest: bool) -> Query:
    """The rows to copy: id, content, metadata (jsonb), embedding in the type that Howdah's column has.

    `latest` leaves out the superseded ones.
    """
    given = metadata(source, given=SQL("m.given"))
    columns = SQL("coalesce(t.{}, '') AS content, {} AS metadata").format(name(source.content), given)
    return select(source, SQL("{}, {}").format(columns, vector(source, storage)), piece, latest=latest)


def select(source: Source, columns: Composable, piece: Composable, *, latest: bool) -> Query:
    """`columns` of the rows that have an embedding, after their id."""
    where = source.belongs
    return Query(
        SQL("SELECT {id} AS id, {columns} FROM {rows} WHERE t.{vector} IS NOT NULL AND {where} AND {piece} AND {latest}").format(
            id=source.id_text, columns=columns, rows=_from(source), vector=name(source.embedding.name),
            where=where.sql, piece=piece, latest=_latest(source) if latest else EVERYWHERE,
        ),
        where.params,
    )  # fmt: skip


def vector(source: Source, storage: Storage) -> Composed:
    return SQL("t.{}::{}.{} AS embedding").format(
        name(source.embedding.name), Identifier(source.relation.vector_schema), Identifier(storage.type_name)
    )


def _latest(source: Source) -> Composed:
    key = name(source.fallback_id or source.id)
    return SQL("NOT EXISTS (SELECT FROM {} AS s WHERE s.key = t.{})").format(SUPERSEDED, key)


def _from(source: Source) -> Composed:
    """The table `t`, and beside each row its JSON metadata, `m.given`, computed once."""
    return SQL("{} AS t CROSS JOIN LATERAL (SELECT {} AS given OFFSET 0) AS m").format(
        source.relation.identifier, json_given(source)
    )


def json_given(source: Source) -> Composable:
    """A row's JSON metadata as jsonb; null where it has none."""
    if source.json is None:
        return SQL("'null'::jsonb")
    column = SQL("t.{}").format(name(source.json.name))
    return SQL("coalesce({}, 'null'::jsonb)").format(column if source.json.base == "jsonb" else storable(column))


def storable(column: Composable) -> Composed:
    r"""A json column as jsonb, which knows neither \u0000 nor a lone half of a surrogate pair: each becomes U+FFFD.

    That is what becomes of them in everything that Howdah writes (values.py). A backslash that is itself escaped begins
    no escape: hence the even number of them before.
    """
    high, low = r"\\u[dD][89abAB][0-9a-fA-F]{2}", r"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    whole = SQL("{}::text").format(column)
    cleaned: Composable = whole
    for pattern in (
        rf"(?<!\\)((?:\\\\)*)(?:\\u0000|{high}(?!{low}))",
        rf"(?<!\\)((?:\\\\)*)(?<!{high}){low}",
    ):
        cleaned = SQL("regexp_replace({}, {}, '\\1\ufffd', 'g')").format(cleaned, Literal(pattern))
    return SQL("CASE WHEN {text} ~ {escape} THEN {cleaned}::jsonb ELSE {text}::jsonb END").format(
        text=whole, escape=Literal(r"\\u(?:0000|[dD][89a-fA-F])"), cleaned=cleaned
    )


def metadata(source: Source, *, given: Composable) -> Composed:
    """A row's metadata: the JSON object `given`; a merged column's value goes before it, unless that is NULL."""
    given = SQL("CASE jsonb_typeof({0}) WHEN 'object' THEN {0} ELSE '{{}}' END").format(given)
    if not source.merged:
        return given
    columns = SQL(", ").join([SQL("t.{}").format(name(column.name)) for column in source.merged])
    merged = SQL("to_jsonb((SELECT r FROM (SELECT {}) AS r))").format(columns)
    said = SQL("(SELECT jsonb_object_agg(key, value) FROM jsonb_each({}) WHERE value <> 'null')").format(merged)
    return SQL("({} || {} || coalesce({}, '{{}}'))").format(merged, given, said)


# -- staging: writes.create_staging's two tables


def stage(source: Source, collection: Collection, piece: Composable, *, latest: bool) -> Query:
    """Put one piece's rows into the staging tables; returns how many there were and how many have no direction.

    A vector without one (its square underflows to zero or overflows, as pgvector sees it) has no cosine: it is left out.
    """
    found = rows(source, collection.spec.storage, piece, latest=latest)
    return Query(
        SQL("""
            WITH found AS MATERIALIZED ({found}),
            given AS MATERIALIZED (SELECT * FROM found WHERE {directed}),
            chunks AS (
                INSERT INTO pg_temp.howdah_chunks (id, metadata, embedding) SELECT id, metadata::text, embedding FROM given
            ),
            passages AS (INSERT INTO pg_temp.howdah_passages (id, content) SELECT id, content FROM given)
            SELECT (SELECT count(*) FROM found) AS found, (SELECT count(*) FROM given) AS given
        """).format(found=found.sql, directed=directed(collection)),
        found.params,
    )


def directed(collection: Collection) -> Composable:
    """Whether `embedding` has a direction, where the metric needs one."""
    if collection.spec.metric is not Metric.COSINE:
        return EVERYWHERE
    square = SQL("-(embedding OPERATOR({}.<#>) embedding)").format(Identifier(collection.vector_schema))
    return SQL("{square} > 0 AND {square} < 'Infinity'").format(square=square)


def unstage_unchanged(collection: Collection) -> Query:
    """Take out of staging the rows that the collection has just so; returns how many, and how many of the rest are known."""
    return Query(
        SQL("""
            WITH known AS MATERIALIZED (
                SELECT s.id, p.title IS NULL AND p.section IS NULL AND p.content = g.content AND c.document IS NULL
                       AND c.metadata = s.metadata::jsonb AND c.embedding OPERATOR({schema}.=) s.embedding AS same
                FROM pg_temp.howdah_chunks AS s JOIN pg_temp.howdah_passages AS g USING (id)
                JOIN {chunks} AS c ON c.tenant = %(tenant)s AND c.id = s.id
                JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
            ),
            chunks AS (DELETE FROM pg_temp.howdah_chunks AS s USING known AS k WHERE k.same AND s.id = k.id),
            passages AS (DELETE FROM pg_temp.howdah_passages AS s USING known AS k WHERE k.same AND s.id = k.id)
            SELECT count(*) FILTER (WHERE same) AS unchanged, count(*) FILTER (WHERE NOT same) AS updated FROM known
        """).format(
            schema=Identifier(collection.vector_schema), chunks=collection.chunks, passages=collection.passages
        ),
        {"tenant": collection.tenant},
    )


def empty_staging() -> Query:
    return Query(SQL("TRUNCATE pg_temp.howdah_chunks, pg_temp.howdah_passages"), {})


# -- the collection


def set_model(collection: Collection, model: str) -> Query:
    return Query(
        SQL("UPDATE howdah.collections SET model = %(model)s WHERE tenant = %(tenant)s AND id = %(id)s"),
        {"tenant": collection.tenant, "id": collection.id, "model": model},
    )


def has_config(config: str) -> Query:
    """Whether the server has a text-search configuration of that name."""
    return Query(
        SQL("SELECT EXISTS (SELECT FROM pg_ts_config WHERE cfgname = %(config)s) AS known"), {"config": config}
    )
