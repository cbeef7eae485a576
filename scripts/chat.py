"""`howdah chat`: a conversation with the documents, kept in the database; and what is done with those that were kept."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.collections_cmd import confirm
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.messages import Conversation


class Format(StrEnum):
    """How a conversation is written down."""

    MARKDOWN = "markdown"
    JSON = "json"


def command(
    collection: flags.Collection = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this conversation.", show_default=False)] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the conversations.")] = False,
    export: Annotated[str | None, typer.Option(help="Print this conversation.", show_default=False)] = None,
    format_: Annotated[Format, typer.Option("--format", help="What --export prints.")] = Format.MARKDOWN,
    delete: Annotated[str | None, typer.Option(help="Delete this conversation.", show_default=False)] = None,
    k: flags.K = 8,
    no_trace: flags.NoTrace = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Talk to the documents; list, export or delete what was said."""
    from howdah.retrieval.errors import InvalidInput

    given = [
        name
        for name, value in (("--resume", resume), ("--list", list_), ("--export", export), ("--delete", delete))
        if value
    ]
    if len(given) > 1:
        raise InvalidInput(f"{' and '.join(given)} do not go together", hint="give one of them")
    session = Session(collection_flag=collection, as_json=as_json, yes=yes)
    if list_:
        return show_list(session)
    if export:
        return _export(session, export, Format.JSON if as_json else format_)
    if delete:
        return _delete(session, delete)
    if as_json:
        raise InvalidInput(
            "a chat has no JSON", hint="--json goes with --list, --export and --delete; see howdah ask --json"
        )
    from howdah.scripts.talk import Chat

    found = find(session, resume) if resume else None
    if found is not None and collection is None:
        session.collection_flag = found.collection  # what it was about, whatever the setting says
    return Chat(session, k=k, resume=found.id if found else None, trace=not no_trace).run()


def find(session: Session, id: str) -> "Conversation":
    """The conversation with this id, or the only one whose id begins so. Raises NotFound, InvalidInput for several."""
    from howdah.retrieval.conversations import list_conversations
    from howdah.retrieval.errors import InvalidInput, NotFound

    known = list_conversations(session.store)
    fitting = [each for each in known if each.id == id] or [each for each in known if each.id.startswith(id)]
    if not fitting:
        raise NotFound(f"there is no conversation {id!r}", hint="howdah chat --list shows them")
    if len(fitting) > 1:
        raise InvalidInput(
            f"{len(fitting)} conversations begin with {id!r}", hint="give more of the id: howdah chat --list"
        )
    return fitting[0]


def show_list(session: Session) -> int:
    from howdah.retrieval.conversations import list_conversations

    rows = list_conversations(session.store)
    if session.as_json:
        output.put_json({"conversations": [_described(row) for row in rows]})
        return 0
    if not rows:
        output.note("There are no conversations yet.")
    for row in rows:
        about = f"{row.updated_at.astimezone():%Y-%m-%d %H:%M}  {output.plural(row.messages, 'message'):>12}"
        output.OUT.print(
            f"[bold]{output.escape(row.id)}[/]  [dim]{about}  {output.escape(row.collection or '')}[/]  "
            f"{output.escape(row.title or '')}"
        )
    return 0


def written(session: Session, id: str, form: Format) -> str:
    """The conversation as a text."""
    import json

    from howdah.chains.transcript import markdown
    from howdah.retrieval.conversations import export_conversation

    exported = export_conversation(session.store, id)
    if form is Format.JSON:
        return json.dumps(exported, ensure_ascii=False, indent=2) + "\n"
    return markdown(exported)


def delete_one(session: Session, found: "Conversation") -> None:
    """Delete it, once the count was shown and confirmed."""
    from howdah.retrieval.forgetting import Scope, forget

    confirm(
        f"Delete conversation {found.id!r} ({found.title}, {output.plural(found.messages, 'message')})", yes=session.yes
    )
    forget(session.store, Scope(session=found.id))


def _export(session: Session, id: str, form: Format) -> int:
    output.put_text(written(session, find(session, id).id, form))
    return 0


def _delete(session: Session, id: str) -> int:
    found = find(session, id)
    delete_one(session, found)
    if session.as_json:
        output.put_json({"deleted": found.id, "messages": found.messages})
    else:
        output.OUT.print(f"Deleted {found.id} and its {output.plural(found.messages, 'message')}")
    return 0


def _described(row: "Conversation") -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "collection": row.collection,
        "messages": row.messages,
        "created_at": row.created_at.isoformat(),
        "updated_at": row.updated_at.isoformat(),
    }


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("chat")
