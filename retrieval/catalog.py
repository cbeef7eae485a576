"""Statements on `howdah.collections`, and the row that they return."""

import json
from collections.abc import Mapping
from typing import Any

from psycopg.sql import SQL

from howdah.retrieval.collection import Collection, Metric, Spec, Storage
from howdah.retrieval.kinds import newest
from howdah.retrieval.promoted import Promoted, promoted_keys, promoted_labels
from howdah.retrieval.query import Query
from howdah.retrieval.reembed_state import Reembedding
from howdah.retrieval.schema import VERSION
from howdah.retrieval.tuned import Tuned, learned_weight

_COLUMNS = SQL("""
    id, tenant, name, model, dimensions, storage, metric, lexical, language, config::text, chunking, scales, settings,
    metadata, hidden, schema_version
""")

# An expression index has no column of the table, so its type is that of its own first attribute.
INDEX_CATALOGS = SQL("""
    pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid JOIN pg_am AS a ON a.oid = i.relam
    JOIN pg_attribute AS held ON held.attrelid = i.oid AND held.attnum = 1 JOIN pg_type AS t ON t.oid = held.atttypid
""")
INDEX_COLUMNS = SQL("a.amname AS method, t.typname AS type, i.reloptions AS options")


def find(tenant: str, name: str) -> Query:
    """The collection's row, with its valid vector indexes, newest first, and the version of the `installed` schema."""
    return Query(
        SQL("""
            SELECT {columns}, (
                SELECT json_agg(row_to_json(index)) FROM (
                    SELECT {index_columns} FROM {catalogs}
                    WHERE x.indrelid = to_regclass('howdah.chunks_' || collections.id
                                                  || coalesce('_' || nullif(settings ->> 'generation', '0'), ''))
                      AND a.amname IN ('hnsw', 'ivfflat')
                      AND x.indisvalid AND x.indisready AND x.indislive
                    ORDER BY i.oid DESC
                ) AS index
            ) AS indexes, (SELECT max(version) FROM howdah.migrations) AS installed
            FROM howdah.collections WHERE tenant = %(tenant)s AND name = %(name)s
        """).format(columns=_COLUMNS, index_columns=INDEX_COLUMNS, catalogs=INDEX_CATALOGS),
        {"tenant": tenant, "name": name},
    )


def insert(tenant: str, name: str, spec: Spec) -> Query:
    """The new collection's row, or none where the name is taken (by a concurrent process, too)."""
    return Query(
        SQL("""
            INSERT INTO howdah.collections
                (tenant, name, model, dimensions, storage, metric, lexical, language, config, metadata, hidden, settings,
                 schema_version)
            VALUES (%(tenant)s, %(name)s, %(model)s, %(dimensions)s, %(storage)s, %(metric)s, %(lexical)s, %(language)s,
                    %(config)s::regconfig, %(metadata)s::text::jsonb, %(hidden)s, %(settings)s::text::jsonb, %(version)s)
            ON CONFLICT (tenant, name) DO NOTHING
            RETURNING {}
        """).format(_COLUMNS),
        {
            "tenant": tenant,
            "name": name,
            "model": spec.model,
            "dimensions": spec.dimensions,
            "storage": spec.storage.type_name,
            "metric": spec.metric.label,
            "lexical": spec.lexical,
            "language": spec.language,
            "config": spec.config,
            "metadata": json.dumps(dict(spec.metadata)),
            "hidden": spec.hidden,
            "settings": json.dumps({"promoted": promoted_labels(spec.promoted)} if spec.promoted else {}),
            "version": VERSION,
        },
    )


def listing(tenant: str, name: str | None = None) -> Query:
    """Every collection that is not hidden, or the one of this name, with its numbers of documents and chunks and its size."""
    return Query(
        SQL("""
            SELECT c.name, c.model, c.dimensions, c.storage, c.metric, c.lexical, c.language, c.config::text, c.created_at,
                   coalesce(c.settings -> 'promoted', '{}') AS promoted,
                   CASE WHEN c.settings ? 'reembedding' THEN json_build_object(
                       'stage', c.settings #>> '{reembedding,stage}',
                       'model', c.settings #>> '{reembedding,other,model}') END AS reembedding,
                   coalesce((SELECT sum(chunks) FROM howdah.corpus_stats AS s
                             WHERE s.tenant = c.tenant AND s.collection = c.id), 0)::bigint AS chunks,
                   (SELECT count(*) FROM howdah.documents AS d
                    WHERE d.tenant = c.tenant AND d.collection = c.id) AS documents,
                   (SELECT coalesce(sum(pg_total_relation_size(to_regclass(format('howdah.%%I', part || '_' || c.id)))), 0)
                    FROM unnest(ARRAY['chunks', 'passages', 'postings', 'terms']) AS part)::bigint
                   + (SELECT coalesce(sum(pg_total_relation_size(t.oid)), 0) FROM pg_class AS t
                      WHERE t.relnamespace = 'howdah'::regnamespace AND t.relkind = 'r'
                        AND t.relname ~ ('^chunks_' || c.id || '_[0-9]+$'))::bigint AS bytes
            FROM howdah.collections AS c WHERE c.tenant = %(tenant)s
                AND CASE WHEN %(name)s::text IS NULL THEN NOT c.hidden ELSE c.name = %(name)s END ORDER BY c.name
        """),
        {"tenant": tenant, "name": name},
    )


def remove(collection: Collection) -> Query:
    return Query(
        SQL("DELETE FROM howdah.collections WHERE tenant = %(tenant)s AND id = %(id)s"),
        {"tenant": collection.tenant, "id": collection.id},
    )


def rename(collection: Collection, name: str) -> Query:
    return Query(
        SQL("UPDATE howdah.collections SET name = %(name)s WHERE tenant = %(tenant)s AND id = %(id)s"),
        {"tenant": collection.tenant, "id": collection.id, "name": name},
    )


def set_scales(collection: Collection, scales: dict[str, float]) -> Query:
    return Query(
        SQL("UPDATE howdah.collections SET scales = %(scales)s::text::jsonb WHERE tenant = %(tenant)s AND id = %(id)s"),
        {"tenant": collection.tenant, "id": collection.id, "scales": json.dumps(scales)},
    )


def set_promoted(collection: Collection, promoted: Mapping[str, Promoted]) -> Query:
    return Query(
        SQL("""
            UPDATE howdah.collections SET settings = settings || jsonb_build_object('promoted', %(promoted)s::text::jsonb)
            WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {"tenant": collection.tenant, "id": collection.id, "promoted": json.dumps(promoted_labels(promoted))},
    )


def set_refusal(collection: Collection, bound: Mapping[str, Any]) -> Query:
    """Remember the bound that `howdah tune --refusal` learned; an empty one is forgotten."""
    return _set_learned(collection, "refusal", bound)


def set_tuned(collection: Collection, tuned: Mapping[str, Any]) -> Query:
    """Remember how searches walk the index, from `howdah tune --target-recall`; an empty one is forgotten."""
    return _set_learned(collection, "search", tuned)


def set_weight(collection: Collection, weight: Mapping[str, Any]) -> Query:
    """Remember the weight that `howdah tune --weights` learned; an empty one is forgotten."""
    return _set_learned(collection, "weight", weight)


def _set_learned(collection: Collection, name: str, value: Mapping[str, Any]) -> Query:
    return Query(
        SQL("""
            UPDATE howdah.collections SET settings = CASE WHEN %(value)s::text::jsonb = '{}'::jsonb
                THEN settings - %(name)s::text
                ELSE settings || jsonb_build_object(%(name)s::text, %(value)s::text::jsonb) END
            WHERE tenant = %(tenant)s AND id = %(id)s
        """),
        {"tenant": collection.tenant, "id": collection.id, "name": name, "value": json.dumps(dict(value))},
    )


def size(collection: Collection) -> Query:
    """How many passages and documents there are."""
    return Query(
        SQL("""
            SELECT (SELECT coalesce(sum(chunks), 0) FROM howdah.corpus_stats
                    WHERE tenant = %(tenant)s AND collection = %(collection)s)::bigint AS passages,
                   (SELECT count(*) FROM howdah.documents
                    WHERE tenant = %(tenant)s AND collection = %(collection)s) AS documents
        """),
        {"tenant": collection.tenant, "collection": collection.id},
    )


def langchain_tables() -> Query:
    """Whether langchain-postgres' two tables are on the search path."""
    return Query(
        SQL(
            "SELECT to_regclass('langchain_pg_embedding') IS NOT NULL AND to_regclass('langchain_pg_collection') IS NOT NULL"
        ),
        {},
    )


def langchain_rows(name: str) -> Query:
    return Query(
        SQL("""
            SELECT count(*) FROM langchain_pg_embedding AS e JOIN langchain_pg_collection AS c ON c.uuid = e.collection_id
            WHERE c.name = %(name)s
        """),
        {"name": name},
    )


def from_row(row: dict[str, Any], vector_schema: str) -> Collection:
    """The Collection of a row of `find` or `insert`."""
    spec = Spec(
        model=row["model"],
        dimensions=row["dimensions"],
        storage=Storage.of(row["storage"]),
        metric=Metric.of(row["metric"]),
        lexical=row["lexical"],
        language=row["language"],
        config=row["config"],
        metadata=row["metadata"],
        hidden=row["hidden"],
        promoted=promoted_keys(row["settings"].get("promoted")),
    )
    return Collection(
        id=row["id"],
        tenant=row["tenant"],
        name=row["name"],
        spec=spec,
        vector_schema=vector_schema,
        schema_version=row["schema_version"],
        scales=row["scales"],
        index=newest(row.get("indexes")),
        generation=row["settings"].get("generation", 0),
        former=row["settings"].get("former", ()),
        reembedding=Reembedding.of(row["settings"]),
        refusal=row["settings"].get("refusal"),
        tuned=Tuned.of(row["settings"].get("search")),
        weight=learned_weight(row["settings"].get("weight")),
    )
