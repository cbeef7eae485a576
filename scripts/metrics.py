"""`howdah db metrics`: the database's figures for Prometheus, printed once or served."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

LOOPBACK = "127.0.0.1"


def command(
    listen: Annotated[
        str | None,
        typer.Option(help="Serve /metrics at HOST:PORT, or at PORT of this machine alone.", show_default=False),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Print them once and end, which is the default.")] = False,
    as_json: flags.Json = False,
) -> int:
    """Show rows, sizes, cache hits, answers and failures in Prometheus' text format."""
    from howdah.retrieval.errors import InvalidInput
    from howdah.retrieval.metrics import registry

    if listen is not None and once:
        raise InvalidInput("--once and --listen are both given", hint="leave one of them out")
    place = None if listen is None else address(listen)
    session = Session(as_json=as_json)
    found = registry(session.store, process=False, database=True)
    if place is not None:
        return _serve(found, place)
    _ = session.database.server  # a database that does not answer ends this command, and says why
    return _print(found, as_json=as_json)


def _print(found: "CollectorRegistry", *, as_json: bool) -> int:
    from prometheus_client import generate_latest

    if as_json:
        families = list(found.collect())
        output.put_json({"metrics": [shown(family) for family in families]})
    else:
        output.put_text(generate_latest(found).decode())
    failed = [
        sample.labels["part"] for family in found.collect() for sample in family.samples
        if sample.name == "howdah_scrape_success" and not sample.value
    ]  # fmt: skip
    if failed:
        output.warn(f"could not be read: {', '.join(failed)}; without tables of Howdah's: howdah db migrate")
    return 1 if failed else 0


def shown(family: "Metric") -> dict[str, Any]:
    """A family as JSON: its name, kind and help, and each sample's labels and value."""
    samples = [{"name": each.name, "labels": each.labels, "value": each.value} for each in family.samples]
    return {"name": family.name, "kind": family.type, "help": family.documentation, "samples": samples}


def address(listen: str) -> tuple[str, int]:
    """HOST:PORT, :PORT or PORT as host and port. The host is loopback unless one is named: the figures need no password."""
    from howdah.retrieval.errors import InvalidInput

    host, _, port = listen.rpartition(":")
    host = host.strip("[]") or LOOPBACK
    if not port.isascii() or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise InvalidInput(
            f"--listen {listen!r} is not HOST:PORT",
            hint="write --listen 9187, or --listen 0.0.0.0:9187 for all networks",
        )
    return host, int(port)


def _serve(found: "CollectorRegistry", place: tuple[str, int]) -> int:
    from howdah.scripts.metrics_http import serve

    host, port = place
    with serve(found, host, port) as server:
        at = f"[{host}]:{server.server_port}" if ":" in host else f"{host}:{server.server_port}"
        output.note(f"Serving http://{at}/metrics; Ctrl-C ends it")
        if not (host in ("localhost", "::1") or host.startswith("127.")):
            output.warn("everybody who reaches this address can read the figures: they have names of collections")
        server.serve_forever(poll_interval=0.2)
    return 0


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("db", "metrics")
