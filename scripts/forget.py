"""`howdah forget`: conversations, traces and the questions' kept embeddings, of one conversation, before a day, or all."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from howdah.retrieval.errors import InvalidInput
from howdah.scripts import flags, output
from howdah.scripts.collections_cmd import confirm
from howdah.scripts.delete import BACKUPS
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.forgetting import Forgotten


def command(
    session_id: Annotated[
        str | None, typer.Option("--session", help="One conversation and its traces.", show_default=False)
    ] = None,
    before: Annotated[
        str | None,
        typer.Option(help="All that was asked before this day or moment, such as 2026-01-31.", show_default=False),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that was ever asked.")] = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Delete what was asked and answered; documents stay. Shows the count first."""
    from howdah.retrieval import forgetting
    from howdah.retrieval.errors import NotFound

    given = [item for item in (session_id, before, everything or None) if item is not None]
    if len(given) != 1:
        raise InvalidInput(f"give one of --session, --before and --all, got {len(given)}", hint="howdah forget --help")
    session = Session(as_json=as_json, yes=yes)
    scope = forgetting.Scope(session=session_id, before=moment(before) if before is not None else None)
    found = forgetting.count(session.store, scope)
    if session_id is not None and not (found.conversations or found.traces):
        raise NotFound(f"there is no conversation {session_id!r}, and no trace of one", hint="howdah chat --list")
    confirm(f"Forget {_counted(found)}", yes=yes)
    session.prepare()
    gone = forgetting.forget(session.store, scope)
    if as_json:
        output.put_json({"forgotten": asdict(gone), "note": BACKUPS})
    else:
        output.OUT.print(f"Forgot {_counted(gone)}")
        output.note(BACKUPS)
    return 0


def moment(text: str) -> datetime:
    """A day or a moment in ISO 8601; without a time zone it is this machine's. A day is its beginning."""
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"--before is {text!r} and must be a day or a moment", hint="for example: 2026-01-31"
        ) from None


def _counted(found: "Forgotten") -> str:
    parts = [
        output.plural(found.conversations, "conversation"),
        output.plural(found.messages, "message"),
        output.plural(found.traces, "trace"),
        *([f"{output.plural(found.queries, 'kept embedding')} of questions"] if found.queries else []),
    ]
    return f"{', '.join(parts[:-1])} and {parts[-1]}"


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("forget")
