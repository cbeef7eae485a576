"""Every statement of a change of the embedding model, as pure functions. `reembed` has the design.

`used` is the collection with the vectors that are in use, `other` with those that are not. A row of one table holds for
the row of the same number in the other one where either carries the other's xmin: PostgreSQL gives every version of a row
a new one, so nothing that a writer does goes unseen, under any isolation, and writers do nothing for it.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.sql import SQL, Composed, Identifier, Literal

from howdah.retrieval import schema, wire
from howdah.retrieval.collection import SCHEMA, Collection
from howdah.retrieval.query import Query
from howdah.retrieval.reembed_state import Generation, Reembedding
from howdah.retrieval.types import Array

BATCH = 256
HOLDS = SQL("(o.version = c.xmin OR c.version = o.xmin)")
PROBES = {"enable_hashjoin": "off", "enable_mergejoin": "off"}
"""A batch looks each of its rows up in the other table; a join of the whole tables would be made anew for every batch."""


def settings_of(collection: Collection, *, lock: bool = False) -> Query:
    """The collection's settings as they are now; no row where it was dropped. `lock` keeps others from changing them."""
    return Query(
        SQL("SELECT settings FROM howdah.collections WHERE tenant = %(tenant)s AND id = %(id)s {}").format(
            SQL("FOR NO KEY UPDATE" if lock else "")
        ),
        {"tenant": collection.tenant, "id": collection.id},
    )


def remember(collection: Collection, settings: Mapping[str, Any]) -> Query:
    """Put these into the settings; those that are None are taken out."""
    return Query(
        SQL("""
            UPDATE howdah.collections SET settings = settings - %(gone)s::text[] || %(settings)s::text::jsonb
            WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {
            "tenant": collection.tenant,
            "id": collection.id,
            "gone": [name for name, value in settings.items() if value is None],
            "settings": json.dumps({name: value for name, value in settings.items() if value is not None}),
        },
    )


# -- beginning and ending


def prepare(used: Collection, other: Collection) -> list[Composed]:
    """The other table, and what tells in both of them which rows still hold; the one that is not in use refuses writers."""
    return [
        schema.create_chunks(other),
        SQL("ALTER TABLE {} ADD COLUMN version xid").format(other.chunks),
        SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS version xid").format(used.chunks),
        *(statement for each in (used, other) for statement in _triggers(each)),
        guard(used, refuses=False),
        same_rights(used, other),
    ]


def _triggers(collection: Collection) -> list[Composed]:
    # A row that is changed no longer holds for its twin; a table out of use holds no new rows.
    return [
        SQL("""
            CREATE OR REPLACE TRIGGER howdah_version BEFORE UPDATE ON {} FOR EACH ROW
            WHEN (NEW.version IS NOT NULL) EXECUTE FUNCTION howdah.forget_version()
        """).format(collection.chunks),
        SQL("""
            CREATE OR REPLACE TRIGGER howdah_retired BEFORE INSERT OR UPDATE OR DELETE ON {} FOR EACH STATEMENT
            EXECUTE FUNCTION howdah.refuse_retired()
        """).format(collection.chunks),
    ]


def guard(collection: Collection, *, refuses: bool) -> Composed:
    """Have the table refuse writers, or take them. Readers do not wait for it."""
    return SQL("ALTER TABLE {} {} TRIGGER howdah_retired").format(
        collection.chunks, SQL("ENABLE" if refuses else "DISABLE")
    )


def same_rights(used: Collection, other: Collection) -> Composed:
    """Owner and privileges of the table and of its sequence as those in use have them."""
    return SQL("""
        DO $$
        DECLARE statement text;
        BEGIN
            FOR statement IN
                SELECT format('ALTER TABLE {schema}.%I OWNER TO %I', {other}, pg_get_userbyid(c.relowner)) FROM pg_class AS c
                WHERE c.oid = to_regclass({used}) AND pg_get_userbyid(c.relowner) <> current_user
                UNION ALL
                SELECT format('GRANT %s ON %s %s TO %s%s', a.privilege_type, p.kind, p.target,
                              CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                              CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
                FROM (VALUES ({used}, 'TABLE', {target}),
                             (pg_get_serial_sequence({used}, 'n'), 'SEQUENCE', pg_get_serial_sequence({target}, 'n'))
                     ) AS p (source, kind, target),
                     pg_class AS c, aclexplode(c.relacl) AS a
                WHERE c.oid = to_regclass(p.source) AND a.grantee <> c.relowner
            LOOP
                EXECUTE statement;
            END LOOP;
        END $$
    """).format(
        schema=SQL(SCHEMA),
        other=Literal(other.chunks_name),
        used=Literal(f"{SCHEMA}.{used.chunks_name}"),
        target=Literal(f"{SCHEMA}.{other.chunks_name}"),
    )


def finish(used: Collection, other: Collection) -> list[Composed]:
    """Drop the vectors that are not in use, and what was added to the table of the others."""
    return [
        SQL("DROP TABLE IF EXISTS {}").format(other.chunks),
        SQL("DROP TRIGGER IF EXISTS howdah_version ON {}").format(used.chunks),
        SQL("DROP TRIGGER IF EXISTS howdah_retired ON {}").format(used.chunks),
        SQL("ALTER TABLE {} DROP COLUMN IF EXISTS version").format(used.chunks),
    ]


# -- filling


def pending(used: Collection, other: Collection, *, after: int, limit: int = BATCH) -> Query:
    """Rows beyond the number `after` that have no vector in the other table, or one that no longer holds.

    n, version, and source, title, section and content, of which the text that is embedded is made.
    """
    return Query(
        SQL("""
            SELECT c.n, c.xmin::text AS version, d.source, p.title, p.section, p.content
            FROM {used} AS c JOIN {passages} AS p ON p.tenant = %(tenant)s AND p.n = c.n
            LEFT JOIN howdah.documents AS d ON d.tenant = %(tenant)s AND d.id = c.document
            WHERE c.tenant = %(tenant)s AND c.n > %(after)s AND NOT EXISTS (
                SELECT FROM {other} AS o WHERE o.tenant = %(tenant)s AND o.n = c.n AND {holds}
            )
            ORDER BY c.n LIMIT {limit}
        """).format(
            used=used.chunks, passages=used.passages, other=other.chunks, holds=HOLDS,
            limit=Literal(limit),
        ),
        {"tenant": used.tenant, "after": after},
    )  # fmt: skip


def sweep(used: Collection, other: Collection) -> Query:
    """Delete what no longer holds from the other table: rows that were changed or deleted since."""
    return Query(
        SQL("""
            DELETE FROM {other} AS o WHERE o.tenant = %(tenant)s AND NOT EXISTS (
                SELECT FROM {used} AS c WHERE c.tenant = %(tenant)s AND c.n = o.n AND {holds}
            )
        """).format(used=used.chunks, other=other.chunks, holds=HOLDS),
        {"tenant": used.tenant},
    )


def fill(used: Collection, other: Collection, rows: Sequence[Mapping[str, Any]], vectors: Array, oid: int) -> Query:
    """Write the vectors of `pending`'s rows, but of those that a writer has changed meanwhile or is changing now.

    Nobody is waited for, so that no writer is locked out; what is left out is pending still.
    """
    encoded = wire.encode(vectors, other.spec.storage)
    return Query(
        SQL("""
            WITH held AS MATERIALIZED (
                SELECT c.n, c.document, c.id, c.metadata, c.xmin AS version
                FROM unnest(%(numbers)s::bigint[], %(versions)s::text[]) AS g (n, version)
                JOIN {used} AS c ON c.tenant = %(tenant)s AND c.n = g.n AND c.xmin::text = g.version
                ORDER BY c.n FOR SHARE OF c SKIP LOCKED
            )
            INSERT INTO {other} (n, document, tenant, id, metadata, embedding, version)
            SELECT held.n, held.document, %(tenant)s, held.id, held.metadata, v.embedding, held.version
            FROM held JOIN unnest(%(numbers)s::bigint[], %(embeddings)s) AS v (n, embedding) ON v.n = held.n
            ON CONFLICT DO NOTHING
        """).format(used=used.chunks, other=other.chunks),
        {
            "tenant": used.tenant,
            "numbers": [row["n"] for row in rows],
            "versions": [row["version"] for row in rows],
            "embeddings": wire.vector_array(encoded, other.spec.storage, oid),
        },
    )


# -- switching


def lock(collection: Collection) -> Composed:
    """Keep writers out until the transaction ends; readers go on."""
    return SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(collection.chunks)


def lock_whole(collection: Collection) -> Composed:
    """Keep everybody out, for a change of the table's columns, which is done in a moment."""
    return SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(collection.chunks)


def go_on_numbering(used: Collection, other: Collection) -> Query:
    """New rows of the other table get numbers that no row of the one in use has had."""
    return Query(
        SQL("SELECT setval(pg_get_serial_sequence(%(other)s, 'n'), nextval(pg_get_serial_sequence(%(used)s, 'n')))"),
        {"other": f"{SCHEMA}.{other.chunks_name}", "used": f"{SCHEMA}.{used.chunks_name}"},
    )


def put_in_use(used: Collection, found: Reembedding, *, stage: str) -> Query:
    """The collection's row with the other vectors in use."""
    other, former = found.other, Generation.of(used)
    names = [name for name in dict.fromkeys([*used.former, used.spec.model]) if name != other.model]
    settings = {
        "generation": other.number,
        "former": names,
        "reembedding": Reembedding(stage=stage, other=former).to_json(),
    }
    return Query(
        SQL("""
            UPDATE howdah.collections
            SET model = %(model)s, dimensions = %(dimensions)s, storage = %(storage)s, scales = %(scales)s::text::jsonb,
                settings = settings || %(settings)s::text::jsonb
            WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {
            "tenant": used.tenant,
            "id": used.id,
            "model": other.model,
            "dimensions": other.dimensions,
            "storage": other.storage,
            "scales": json.dumps(dict(other.scales)),
            "settings": json.dumps(settings),
        },
    )


def analyze(collection: Collection) -> Composed:
    return SQL("VACUUM (ANALYZE) {}").format(Identifier(SCHEMA, collection.chunks_name))
