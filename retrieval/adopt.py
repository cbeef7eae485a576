"""Take over other libraries' rows: copied inside PostgreSQL with the vectors that they have, proved, and then committed.

The source is only read. All of it is one transaction on one snapshot: every row or none, and a concurrent writer of the
source can neither make a row be missed nor make the proof fail. Vectors never leave the server.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from psycopg import Connection, errors
from psycopg.rows import dict_row

from howdah.retrieval import adopt_checks, adopt_sql, catalog, schema, writes
from howdah.retrieval.adopt_find import may_not_read
from howdah.retrieval.adopt_proof import Copied, prove
from howdah.retrieval.adopt_report import Adoption
from howdah.retrieval.adopt_sources import Source
from howdah.retrieval.collection import UNKNOWN_MODEL, Collection, Metric, Spec, Storage
from howdah.retrieval.errors import DatabaseUnavailable, HowdahError, InvalidInput, SchemaMissing
from howdah.retrieval.language import detect_language
from howdah.retrieval.query import Query
from howdah.retrieval.server import connect
from howdah.retrieval.store import Store, cannot_create, check_name
from howdah.retrieval.unknown_model import model_identity

Row = dict[str, Any]
Progress = Callable[[int, int], None]
PIECE = 10_000
"""Rows a piece. Memory does not depend on it (sorts and joins go to disk); progress does."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person said; None is found out. `into` names Howdah's collection, `model` who embedded the rows."""

    into: str | None = None
    model: str | None = None
    metric: Metric | None = None
    storage: Storage | None = None
    config: str | None = None


def plan(store: Store, source: Source, options: Options) -> Adoption:
    """What `adopt` would do; nothing is written, and Howdah's schema need not be there."""
    store.forget(_target(source, options))
    try:
        existing = store.find(_target(source, options))
    except errors.InsufficientPrivilege:
        existing = None
    with _snapshot(store, source, read_only=True) as conn:
        return _Work(conn, store, source, options, existing).look()


def adopt(store: Store, source: Source, options: Options, *, progress: Progress | None = None) -> Adoption:
    """Copy the source's rows into a collection of Howdah's; rows that are there are updated where they differ.

    `progress` is told how many rows of how many have been copied. Before the commit a sample of the rows is searched for
    on both sides.

    Raises:
        InvalidInput: mixed dimensions, ids or metadata that cannot be kept, or a collection with rows of another origin.
        CollectionMismatch, DimensionMismatch: the collection is there, and is not like the source.
        DatabaseUnavailable: the source may not be read.
        AdoptionDiffers: the two sides do not give the same nearest rows. Nothing was written in any of these cases.
    """
    name = _target(source, options)
    check_name(name)
    if store.database.server.read_only:
        raise DatabaseUnavailable(
            f"{store.database.conninfo.place} is a replica, where nothing is written", hint="run it on the primary"
        )
    with _understood(source):
        store.prepare_schema()
    began = time.perf_counter()
    with _snapshot(store, source, read_only=False) as conn:
        rows = _rows(conn, catalog.find(store.tenant, name))
        existing = catalog.from_row(rows[0], source.relation.vector_schema) if rows else None
        work = _Work(conn, store, source, options, existing)
        work.look()
        work.copy(progress or (lambda done, total: None))
        work.report.check = prove(conn, work.copied, to_copy=work.report.to_copy)
    store.forget(name)
    work.report.seconds = time.perf_counter() - began
    return work.report


def _target(source: Source, options: Options) -> str:
    return options.into or source.collection


@contextmanager
def _snapshot(store: Store, source: Source, *, read_only: bool) -> Iterator[Connection[Any]]:
    """A transaction on one snapshot, on a connection of its own: it may take long."""
    if not source.relation.readable:
        raise may_not_read(source)
    store.database.wake()
    with connect(store.database.conninfo) as (conn, _), _understood(source), conn.transaction():
        for query in adopt_sql.begin(read_only=read_only):
            conn.execute(*query)
        yield conn


@contextmanager
def _understood(source: Source) -> Iterator[None]:
    """Our sentences for what the server may say on the way."""
    try:
        yield
    except errors.InsufficientPrivilege as exc:
        if source.relation.name in (exc.diag.message_primary or ""):
            raise may_not_read(source) from exc
        raise SchemaMissing(
            f"user {source.relation.user} may not write Howdah's tables ({exc.diag.message_primary})",
            hint="their owner must run: GRANT USAGE, CREATE ON SCHEMA howdah TO this user; and grant it Howdah's tables",
        ) from exc
    except errors.SerializationFailure as exc:
        raise HowdahError(
            f"another process wrote to the collection at the same time ({exc.diag.message_primary}); nothing was written",
            hint="run it again",
        ) from exc
    except errors.DataError as exc:
        raise InvalidInput(
            f"a row of {source.shown} cannot be kept: {exc.diag.message_primary}; nothing was written",
            hint="mend that row, or leave a column out: --skip-column NAME",
        ) from exc


def _rows(conn: Connection[Any], query: Query) -> list[Row]:
    return conn.cursor(row_factory=dict_row).execute(*query).fetchall()


class _Work:
    """One adoption inside its transaction. `look` fills the report, `copy` writes, `prove` compares."""

    report: Adoption

    def __init__(
        self, conn: Connection[Any], store: Store, source: Source, options: Options, existing: Collection | None
    ) -> None:
        self.conn, self.store, self.source, self.options, self.existing = conn, store, source, options, existing

    # -- what is there

    def look(self) -> Adoption:
        source, facts = self.source, _rows(self.conn, adopt_sql.survey(self.source))[0]
        adopt_checks.check_rows(source, facts)
        embedded = facts["embedded"]
        metric, metric_from = self._metric()
        spec = self.existing.spec if self.existing else None
        language, config = (spec.language, spec.config) if spec else self._language()
        dimensions = adopt_checks.dimensions(source, facts)
        self.report = Adoption(
            source=source,
            collection=_target(source, self.options),
            rows=facts["rows"],
            dimensions=dimensions,
            storage=self.options.storage or (spec.storage if spec else None) or source.storage,
            metric=metric,
            metric_from=metric_from,
            model=self._model(dimensions),
            language=language,
            config=config,
            exists=spec is not None,
            without_embedding=facts["rows"] - embedded,
            superseded=embedded - facts.get("ids", embedded),
            without_text=facts["without_text"],
            clashes={
                column.name: facts[f"clash_{number}"]
                for number, column in enumerate(source.merged)
                if facts.get(f"clash_{number}")
            },
        )
        if self.existing is not None:
            adopt_checks.check_like(self.existing, self.report, config=self.options.config)
            adopt_checks.check_origin(self.conn, self.existing, source, chunks=self.store.count(self.existing))
        return self.report

    def _metric(self) -> tuple[Metric, str]:
        if self.options.metric is not None:
            return self.options.metric, "as named"
        if self.existing is not None:
            return self.existing.spec.metric, "the collection's"
        metric, index = self.source.relation.metric(self.source.embedding.name)
        return metric, f"index {index.name}" if index else "no index says otherwise"

    def _model(self, dimensions: int) -> str:
        if self.options.model is not None:
            return model_identity(self.options.model, dimensions=dimensions)
        return self.existing.spec.model if self.existing else UNKNOWN_MODEL

    def _language(self) -> tuple[str, str]:
        if self.options.config is not None:
            return self.options.config, self.options.config
        texts = [row["content"] for row in _rows(self.conn, adopt_sql.sample_texts(self.source))]
        language = detect_language(texts)
        known = _rows(self.conn, adopt_sql.has_config(language.config))[0]["known"]
        return language.name, language.config if known else "simple"

    # -- copying

    def copy(self, progress: Progress) -> None:
        report = self.report
        self.collection = self.existing or self._create()
        if report.model != self.collection.spec.model:
            self.conn.execute(*adopt_sql.set_model(self.collection, report.model))
        self.conn.execute(*adopt_checks.remember(self.collection, self.source))
        if report.superseded:
            self.conn.execute(*adopt_sql.superseded(self.source))
        for query in writes.create_staging(self.collection):
            self.conn.execute(*query)
        total, done = report.to_copy, 0
        progress(0, total)
        for piece in adopt_sql.pieces(self.source, report.rows, size=PIECE):
            done += self._copy_piece(piece)
            progress(done, total)
        self.conn.execute(*writes.drop_staging())
        assert done == report.to_copy, "the pieces hold every row of the snapshot"

    def _create(self) -> Collection:
        report = self.report
        spec = Spec(
            model=report.model,
            dimensions=report.dimensions,
            storage=report.storage,
            metric=report.metric,
            language=report.language,
            config=report.config,
            metadata=self.source.metadata or {},
        )
        with cannot_create(spec):
            row = _rows(self.conn, catalog.insert(self.store.tenant, report.collection, spec))[0]
            collection = catalog.from_row(row, self.source.relation.vector_schema)
            self.conn.execute(schema.create_tables(collection))
        return collection

    @property
    def copied(self) -> Copied:
        return Copied(
            source=self.source,
            collection=self.collection,
            latest=self.report.superseded > 0,
            undirected=self.report.without_direction > 0,
            shared=self.existing is not None,
        )

    def _copy_piece(self, piece: Any) -> int:
        report = self.report
        stage = adopt_sql.stage(self.source, self.collection, piece, latest=report.superseded > 0)
        staged = _rows(self.conn, stage)[0]
        known = {"unchanged": 0, "updated": 0}
        if self.existing is not None:
            known = _rows(self.conn, adopt_sql.unstage_unchanged(self.collection))[0]
        for query in [*writes.upsert_staged(self.collection, None), adopt_sql.empty_staging()]:
            self.conn.execute(*query)
        report.without_direction += staged["found"] - staged["given"]
        report.unchanged += known["unchanged"]
        report.updated += known["updated"]
        report.added += staged["given"] - known["unchanged"] - known["updated"]
        return int(staged["given"])
