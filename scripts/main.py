"""`howdah`: the commands, and how each one ends."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer

from howdah.scripts import (
    adopt,
    ask,
    chat,
    collections_cmd,
    db,
    delete,
    doctor,
    forget,
    ingest,
    output,
    prompts_cmd,
    search,
    settings,
    trace,
    tune,
)
from howdah.scripts import eval as evaluations

app: typer.Typer = typer.Typer(
    name="howdah",
    help="Answers from your documents on PostgreSQL, each sentence checked against the passage that it cites.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"howdah {version('howdah')}")
        raise typer.Exit


@app.callback()
def options(
    _version_flag: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Load documents, search them, ask questions."""


app.command("ingest")(ingest.command)
app.command("search")(search.command)
app.command("ask")(ask.command)
app.command("chat")(chat.command)
app.command("delete")(delete.command)
app.command("forget")(forget.command)
app.command("adopt")(adopt.command)
app.command("tune")(tune.command)
app.command("doctor")(doctor.command)
app.add_typer(collections_cmd.app, name="collections")
app.add_typer(evaluations.app, name="eval")
app.add_typer(trace.app, name="trace")
app.add_typer(db.app, name="db")
app.add_typer(prompts_cmd.app, name="prompts")


def run(*prefix: str) -> None:
    """Run a command line; `prefix` names the command where a module is run by itself."""
    arguments = [*prefix, *sys.argv[1:]]
    sys.exit(_run(arguments))


def _run(arguments: list[str]) -> int:
    from howdah.retrieval.errors import HowdahError

    as_json = "--json" in arguments
    try:
        result = app(args=arguments, prog_name="howdah", standalone_mode=False)
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except HowdahError as exc:
        output.failed(type(exc).__name__, exc.message, exc.hint, as_json=as_json)
        return exit_code(exc)
    except (KeyboardInterrupt, typer.Abort):
        output.note("Interrupted.")
        return 130
    except BrokenPipeError:
        output.closed_pipe()
    except Exception as exc:  # noqa: BLE001  no traceback reaches a user
        return _unexpected(exc, as_json)


def _unexpected(exc: Exception, as_json: bool) -> int:
    describe, code = getattr(exc, "format_message", None), getattr(exc, "exit_code", None)
    if callable(describe) and isinstance(code, int):  # the command line was used wrongly
        command = getattr(getattr(exc, "ctx", None), "command_path", "howdah")
        output.failed("UsageError", str(describe()), f"{command} --help", as_json=as_json)
        return code
    if settings.wants_traceback():
        raise exc
    output.failed(
        type(exc).__name__,
        " ".join(str(exc).split())[:500] or type(exc).__name__,
        "this is a defect in Howdah: HOWDAH_TRACEBACK=1 shows where; please report it",
        as_json=as_json,
    )
    return 1


def exit_code(exc: Exception) -> int:
    """2 used wrongly; 3 a dependency is missing, with the next step; 1 anything else."""
    from howdah.retrieval.errors import DependencyMissing, InvalidInput, NotAdopted, NotFound

    if isinstance(exc, InvalidInput | NotFound):
        return 2
    return 3 if isinstance(exc, DependencyMissing | NotAdopted) else 1


if __name__ == "__main__":
    run()
