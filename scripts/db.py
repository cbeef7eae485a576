"""`howdah db`: the server, its schema, and keeping it in shape."""

import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from howdah.scripts import flags, metrics, output
from howdah.scripts.collections_cmd import confirm
from howdah.scripts.session import Session

app: typer.Typer = typer.Typer(help="Start, stop and look after the database.", no_args_is_help=True)
app.command("metrics")(metrics.command)


def _embedded(session: Session, what: str) -> Any:
    from howdah.retrieval.embedded import EmbeddedServer
    from howdah.retrieval.errors import InvalidInput

    if session.conninfo is not None:
        raise InvalidInput(
            f"db {what} is for the embedded server, and {session.settings.database_source} names {session.conninfo.place}",
            hint=f"unset {session.settings.database_source} to use the embedded server",
        )
    return EmbeddedServer(session.home, idle_seconds=session.settings.idle_minutes * 60, progress=output.note)


@app.command()
def status(as_json: flags.Json = False) -> int:
    """Say whether the server runs, and where its data is."""
    session = Session(as_json=as_json)
    if session.conninfo is not None:
        return _status_of_server(session)
    found = asdict(_embedded(session, "status").status())
    if as_json:
        output.put_json(found)
    else:
        _show({**found, "size": output.size(found.pop("size_bytes"))})
    return 0


def _status_of_server(session: Session) -> int:
    from howdah.retrieval import schema
    from howdah.retrieval.server import connect, probe

    assert session.conninfo is not None
    server = probe(session.conninfo)
    with connect(session.conninfo) as (conn, _):
        installed = schema.installed_version(conn)
    found = {
        "state": "running",
        "url": session.conninfo.shown,
        "version": f"{server.version // 10_000}.{server.version % 10_000}",
        "pgvector": ".".join(map(str, server.vector_version)),
        "schema_version": installed,
        "schema_wanted": schema.VERSION,
        "read_only": server.read_only,
        "pooler": server.pooler,
    }
    if server.warning:
        output.warn(server.warning)
    if session.as_json:
        output.put_json(found)
    else:
        _show(found)
    return 0


def _show(facts: dict[str, Any]) -> None:
    for name, value in facts.items():
        if value is not None:
            output.OUT.print(f"[bold]{name:15}[/] {output.escape(str(value))}")


@app.command()
def url(as_json: flags.Json = False) -> int:
    """Print the database's URL, without its password."""
    session = Session(as_json=as_json)
    found = session.conninfo.shown if session.conninfo is not None else _embedded(session, "url").url()
    if as_json:
        output.put_json({"url": found})
    else:
        print(found)
    return 0


@app.command()
def start(as_json: flags.Json = False) -> int:
    """Start the embedded server."""
    return _state(as_json, "start")


@app.command()
def wait(
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.")] = 60.0, as_json: flags.Json = False
) -> int:
    """Wait until the embedded server answers."""
    return _state(as_json, "wait", timeout=timeout)


def _state(as_json: bool, verb: str, **options: Any) -> int:
    session = Session(as_json=as_json)
    found = asdict(getattr(_embedded(session, verb), verb)(**options))
    if as_json:
        output.put_json(found)
    else:
        output.OUT.print(f"The embedded server is {found['state']}")
    return 0


@app.command()
def stop(as_json: flags.Json = False) -> int:
    """Stop the embedded server."""
    session = Session(as_json=as_json)
    stopped = _embedded(session, "stop").stop()
    if as_json:
        output.put_json({"stopped": stopped})
    else:
        output.OUT.print("Stopped" if stopped else "The embedded server was not running")
    return 0


@app.command()
def destroy(yes: flags.Yes = False, as_json: flags.Json = False) -> int:
    """Stop the embedded server and delete its data."""
    session = Session(as_json=as_json, yes=yes)
    server = _embedded(session, "destroy")
    found = server.status()
    confirm(f"Delete {found.data} ({output.size(found.size_bytes)})", yes=yes)
    destroyed = server.destroy()
    if as_json:
        output.put_json({"destroyed": destroyed, "data": str(found.data)})
    else:
        output.OUT.print(f"Deleted {found.data}" if destroyed else "There was nothing to delete")
    return 0


@app.command()
def migrate(
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL for a DBA, and run nothing.")] = False,
    as_json: flags.Json = False,
) -> int:
    """Create Howdah's schema, or bring it up to date."""
    from howdah.retrieval import schema
    from howdah.retrieval.server import connect

    session = Session(as_json=as_json)
    if sql:
        sys.stdout.write(schema.script())
        return 0
    conninfo = session.database.conninfo
    session.database.wake()
    output.note(f"Migrating {conninfo.place}")
    with connect(conninfo) as (conn, _):
        applied = schema.migrate(conn)
    if as_json:
        output.put_json({"applied": applied, "version": schema.VERSION})
    else:
        output.OUT.print(f"The schema is at version {schema.VERSION}" + ("" if applied else " already"))
    return 0


@app.command()
def maintain(
    collection: flags.Collection = None,
    index: Annotated[str | None, typer.Option(help="auto, hnsw, ivfflat, bits or none; remembered.")] = None,
    m: Annotated[int | None, typer.Option("--m", help="Neighbours a node of HNSW and bits (16).")] = None,
    ef_construction: Annotated[int | None, typer.Option(help="Beam of the build of HNSW and bits (128).")] = None,
    lists: Annotated[int | None, typer.Option(help="Lists of IVFFlat (a thousandth of the rows).")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes of the build (the server's setting).")] = None,
    reindex: Annotated[bool, typer.Option("--reindex", help="Build the index anew, beside the old one.")] = False,
    as_json: flags.Json = False,
) -> int:
    """Build or mend the collection's index, refresh its statistics and vacuum its tables."""
    options = {"index": index, "m": m, "ef_construction": ef_construction, "lists": lists}
    return _maintain(collection, as_json, {**options, "workers": workers, "reindex": reindex})


@app.command()
def reindex(collection: flags.Collection = None, as_json: flags.Json = False) -> int:
    """Build the collection's index anew, beside the old one: db maintain --reindex."""
    return _maintain(collection, as_json, {"reindex": True})


def _maintain(collection: str | None, as_json: bool, options: dict[str, Any]) -> int:
    from howdah.retrieval.maintenance import maintain as run_maintenance

    session = Session(collection_flag=collection, as_json=as_json)
    session.store.get(session.collection)
    session.prepare()
    report = run_maintenance(session.vectors(), progress=output.note, **options)
    if as_json:
        output.put_json(asdict(report))
    else:
        _show(asdict(report))
    return 0


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Delete what is kept.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Only this model's, by the name that is shown.", show_default=False)
    ] = None,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Show the embeddings that are kept for another time, or delete them."""
    from howdah.retrieval import cache as kept

    session = Session(as_json=as_json, yes=yes)
    rows = [row for row in kept.listing(session.store) if model in (None, row["model"], row["model"].partition("#")[0])]
    if not clear:
        return _show_cache(rows, as_json)
    count = sum(row["rows"] for row in rows)
    confirm(f"Delete {output.plural(count, 'kept embedding')}", yes=yes)
    session.prepare()
    deleted = kept.clear(session.store, model)
    if as_json:
        output.put_json({"deleted": deleted})
    else:
        output.OUT.print(f"Deleted {output.plural(deleted, 'kept embedding')}")
    return 0


def _show_cache(rows: list[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        output.put_json({"cache": rows})
        return 0
    if not rows:
        output.note("No embeddings are kept.")
    for row in rows:
        what = f"{row['kind']} {row['rows']:,} rows, {output.size(row['bytes'])}, {row['used_again']:,} used again"
        output.OUT.print(f"[bold]{output.escape(row['model'])}[/]  {what}")
    return 0


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("db")
