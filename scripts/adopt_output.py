"""What `howdah adopt` shows to people and programs."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from shlex import quote
from typing import TYPE_CHECKING, Any

from howdah.scripts import output

if TYPE_CHECKING:
    from howdah.retrieval.adopt_report import Adoption, Check
    from howdah.retrieval.adopt_sources import Source


def command_for(source: "Source", among: Sequence["Source"]) -> str:
    """The command line that adopts this source and no other."""
    words = ["howdah adopt"]
    if source.group:
        words += ["--collection", quote(source.collection)]
    if not source.group or sum(other.collection == source.collection for other in among) > 1:
        words += ["--table", quote(source.relation.shown)]
    return " ".join(words)


# -- the list


def listed(source: "Source", rows: int | None, among: Sequence["Source"], present: Mapping[str, int]) -> dict[str, Any]:
    """One line of the list, for a program. `rows` is null where the table may not be read."""
    from howdah.retrieval.adopt_find import grant

    return {
        "collection": source.collection,
        "kind": source.kind.value,
        "schema": source.relation.schema,
        "table": source.relation.name,
        "rows": rows,
        "in_howdah": present.get(source.collection),
        "command": command_for(source, among) if rows is not None else None,
        "grant": None if rows is not None else grant(source),
    }


def show_list(
    found: Sequence[tuple["Source", int | None]], present: Mapping[str, int], place: str, *, embedded: bool
) -> None:
    from rich import box
    from rich.table import Table

    if not found:
        output.note(f"There is nothing to adopt in {place}.")
        if embedded:
            output.note("Set HOWDAH_DATABASE_URL to the database that has the tables.")
        else:
            output.note("Any other table with a vector column: howdah adopt --table schema.table --dry-run")
        return
    table = Table(box=box.SIMPLE_HEAD, title=f"To adopt in {output.escape(place)}", title_justify="left")
    for title in ("Collection", "Made by", "Table", "Rows", "In Howdah"):
        table.add_column(title, justify="right" if title in ("Rows", "In Howdah") else "left", overflow="fold")
    for source, rows in found:
        chunks = present.get(source.collection)
        cells = (
            source.collection,
            source.kind.value,
            source.relation.shown,
            "not readable" if rows is None else f"{rows:,}",
            "–" if chunks is None else f"{chunks:,}",
        )
        table.add_row(*map(output.escape, cells))
    output.OUT.print(table)
    _show_commands(found)


def _show_commands(found: Sequence[tuple["Source", int | None]]) -> None:
    from howdah.retrieval.adopt_find import grant

    sources = [source for source, _ in found]
    for source, rows in found:
        if rows is None:
            output.warn(f"{source.relation.shown} may not be read; {source.relation.owner} must run: {grant(source)}")
        else:
            output.OUT.print(f"  [cyan]{output.escape(command_for(source, sources))}[/]")
    output.note("The rows are copied and their tables stay as they are. --dry-run shows what would be done.")


# -- one adoption


def to_json(report: "Adoption") -> dict[str, Any]:
    """The contract's keys, before and after."""
    source, relation = report.source, report.source.relation
    return {
        "collection": report.collection,
        "source": {
            "kind": source.kind.value,
            "schema": relation.schema,
            "table": relation.name,
            "collection": source.collection if source.group else None,
            "type": source.embedding.type,
            "columns": _columns(report),
            "indexes": [index.definition for index in relation.vector_indexes(source.embedding.name)],
            "row_security": relation.hidden,
        },
        "rows": {
            "source": report.rows,
            "added": report.added,
            "updated": report.updated,
            "unchanged": report.unchanged,
            "without_embedding": report.without_embedding,
            "without_direction": report.without_direction,
            "superseded": report.superseded,
            "without_text": report.without_text,
        },
        "dimensions": report.dimensions,
        "storage": report.storage.type_name,
        "metric": report.metric.label,
        "metric_from": report.metric_from,
        "model": report.model,
        "language": report.language,
        "config": report.config,
        "exists": report.exists,
        "check": asdict(report.check) if report.check else None,
        "seconds": round(report.seconds, 3),
    }


def _columns(report: "Adoption") -> dict[str, Any]:
    source = report.source
    return {
        "id": source.id,
        "content": source.content,
        "embedding": source.embedding.name,
        "metadata": source.json.name if source.json else None,
        "merged": {column.name: column.type for column in source.merged},
        "unmapped": {column.name: column.type for column in source.unmapped},
        "clashes": report.clashes,
    }


def show_plan(report: "Adoption") -> None:
    source = report.source
    verb = "Would update" if report.exists else "Would make"
    output.OUT.print(
        f"{verb} collection [bold]{output.escape(report.collection)}[/] from {output.escape(source.shown)}"
        f" ({source.kind.value})"
    )
    for label, value in _facts(report):
        output.OUT.print(f"  [bold]{label:12}[/] {output.escape(value)}")
    _warn(report)
    output.note("Nothing was written.")


def _facts(report: "Adoption") -> list[tuple[str, str]]:
    source = report.source
    facts = [
        ("rows", f"{report.rows:,}"),
        ("left out", _left_out(report)),
        ("no text", f"{report.without_text:,}, copied with an empty one" if report.without_text else ""),
        ("dimensions", f"{report.dimensions:,}"),
        ("storage", _storage(report)),
        ("distance", f"{report.metric.label} ({report.metric_from})"),
        ("words", f"{report.config}" + (f" ({report.language})" if report.language != report.config else "")),
        ("model", _model(report)),
        ("id", source.id + (f", else {source.fallback_id}" if source.fallback_id else "")),
        ("content", source.content),
        ("metadata", source.json.name if source.json else ""),
        ("and from", ", ".join(f"{column.name} ({column.type})" for column in source.merged)),
        ("not copied", ", ".join(f"{column.name} ({column.type})" for column in source.unmapped)),
        *(("index", index.definition) for index in source.relation.vector_indexes(source.embedding.name)),
    ]
    return [(label, value) for label, value in facts if value]


def _storage(report: "Adoption") -> str:
    own = report.source.storage
    if report.storage is own:
        return f"{own.type_name}, as the source has it"
    return f"{report.storage.type_name} (the source has {own.type_name})"


def _model(report: "Adoption") -> str:
    from howdah.retrieval.collection import UNKNOWN_MODEL

    return "not named (--model provider:model)" if report.model == UNKNOWN_MODEL else report.model


def _left_out(report: "Adoption") -> str:
    parts = (
        (report.without_embedding, "without an embedding"),
        (report.without_direction, "with a vector of zeros, which has no cosine"),
        (report.superseded, "whose id comes again in a later row"),
    )
    return ", ".join(f"{count:,} {what}" for count, what in parts if count)


def _warn(report: "Adoption") -> None:
    for column, rows in report.clashes.items():
        output.warn(
            f"{output.plural(rows, 'row')} have another {column!r} in the JSON than in the column; the column's is taken"
        )
    if report.source.relation.hidden:
        output.warn(
            f"row-level security is active on {report.source.relation.shown}: rows may be hidden from this user"
        )


def show_done(report: "Adoption") -> None:
    name = output.escape(report.collection)
    counts = (("added", report.added), ("updated", report.updated), ("unchanged", report.unchanged))
    done = ", ".join(f"{count:,} {what}" for what, count in counts if count) or "no rows"
    output.OUT.print(
        f"Adopted into [bold]{name}[/] from {output.escape(report.source.shown)}: {done} ({report.seconds:.1f} s)"
    )
    if left := _left_out(report):
        output.OUT.print(f"Left out: {left}")
    if report.check is not None:
        _show_check(report, report.check)
    _warn(report)


def _show_check(report: "Adoption", check: "Check") -> None:
    output.OUT.print(
        f"Checked: {check.same} of {check.queries} exact searches find the same top {check.k} in both, in the same order"
    )
    if report.storage is not report.source.storage:
        output.OUT.print(f"In full precision {check.agreement:.1%} of the top {check.k} are the same")


def show_next(reports: Sequence["Adoption"]) -> None:
    """What a person may want to know after all of it."""
    from howdah.retrieval.collection import UNKNOWN_MODEL

    output.note("The old tables were only read and are as they were.")
    if any(report.model == UNKNOWN_MODEL for report in reports):
        output.note("Who embedded the rows is not known. PGVector takes the model that you give it;")
        output.note("howdah search and ask need its name: run this again with --model provider:model")


def show_failure(failure: Mapping[str, str]) -> None:
    output.ERR.print(output.Text.assemble(("failed ", "red"), f"{failure['source']}: {failure['error']}"))
    if failure["hint"]:
        output.ERR.print(output.Text.assemble(("  → ", "cyan"), failure["hint"]))
