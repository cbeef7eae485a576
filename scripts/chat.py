"""`howdah chat`: a conversation with the documents, kept in the database."""

import sys
import uuid
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.ask import show_citation, show_nearest
from howdah.scripts.search import empty
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from howdah.chains.types import Answer
    from howdah.retrieval.conversations import PostgresHistory
    from howdah.retrieval.vectorstore import PGVector

HELP = """\
/sources   what the last answer rests on
/why       how the last answer came about
/new       begin a new conversation
/help      this
/quit      leave (or Ctrl-D)
Ctrl-C stops an answer, not the chat. Pasted lines are one question."""


def command(
    collection: flags.Collection = None,
    resume: Annotated[str | None, typer.Option(help="Go on with this conversation.", show_default=False)] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the conversations.")] = False,
    k: flags.K = 8,
    no_trace: flags.NoTrace = False,
) -> int:
    """Talk to the documents."""
    session = Session(collection_flag=collection)
    if list_:
        return _list(session)
    return Chat(session, k=k, resume=resume, trace=not no_trace).run()


def _list(session: Session) -> int:
    from howdah.retrieval.conversations import list_conversations

    rows = list_conversations(session.store)
    if not rows:
        output.note("There are no conversations yet.")
    for row in rows:
        output.OUT.print(
            f"[bold]{output.escape(row.id)}[/]  {row.updated_at:%Y-%m-%d %H:%M}  "
            f"{output.plural(row.messages, 'message')}  {output.escape(row.title or '')}"
        )
    return 0


class Chat:
    """One conversation at the terminal."""

    def __init__(self, session: Session, *, k: int, resume: str | None, trace: bool = True) -> None:
        self.session = session
        self.store: PGVector = session.vectors()
        self.chain: Runnable[Any, Answer] = session.chain(self.store, k=k, trace=trace)
        self.id = resume or uuid.uuid4().hex[:8]
        self.history: PostgresHistory = self._history(must_exist=resume is not None)
        self.last: Answer | None = None

    def _history(self, *, must_exist: bool) -> "PostgresHistory":
        from howdah.retrieval.conversations import PostgresHistory
        from howdah.retrieval.errors import NotFound

        self.session.store.prepare_schema()
        history = PostgresHistory(self.session.store, self.id, limit=20, collection=self.session.collection)
        if must_exist and not history.messages:
            raise NotFound(f"there is no conversation {self.id!r}", hint="howdah chat --list shows them")
        return history

    def run(self) -> int:
        """Read, answer, repeat, until the input ends."""
        self._welcome()
        while True:
            try:
                question = read_question()
            except EOFError:
                break
            except KeyboardInterrupt:
                output.ERR.print()
                continue
            if question in ("/quit", "/exit"):
                break
            if question:
                self._take(question)
        output.note(f"\nTo go on later: howdah chat --resume {self.id}")
        return 0

    def _welcome(self) -> None:
        from howdah.chains.models import Extractive
        from howdah.chains.rag import model_name

        model = self.session.chat_model
        name = "quotes, without a model" if isinstance(model, Extractive) else model_name(model)
        output.note(f"Collection {self.session.collection!r}, answers by {name}. /help lists the commands.")
        if self.session.store.find(self.session.collection) is None:
            output.note(empty(self.session))
        for message in self.history.messages[-4:]:
            output.note(f"{'you' if message.type == 'human' else 'howdah'}: {message.content}")

    def _take(self, said: str) -> None:
        from howdah.chains.smalltalk import smalltalk

        if said.startswith("/"):
            self._command(said)
            return
        kind = smalltalk(said)
        if kind is not None:
            self._reply(said, self._small(kind))
            return
        try:
            self._answer(said)
        except KeyboardInterrupt:
            output.note("\n(stopped)")

    def _command(self, said: str) -> None:
        if said == "/help":
            output.OUT.print(HELP)
        elif said == "/new":
            self.id = uuid.uuid4().hex[:8]
            self.history, self.last = self._history(must_exist=False), None
            output.note(f"A new conversation: {self.id}")
        elif said == "/sources":
            self._sources()
        elif said == "/why":
            self._why()
        else:
            output.note(f"{said} is not a command; /help lists them")

    def _small(self, kind: Any) -> str:
        from howdah.chains.smalltalk import REPLIES

        if kind != "contents":
            return REPLIES[kind]
        row = next((row for row in self.session.store.listing() if row["name"] == self.session.collection), None)
        if row is None or not row["chunks"]:
            return empty(self.session)
        sources = self._first_sources()
        return (
            f"Collection {row['name']!r} holds {output.plural(row['documents'], 'document')} in "
            f"{output.plural(row['chunks'], 'passage')}"
            + (", for example " + ", ".join(sources) if sources else "")
            + "."
        )

    def _first_sources(self) -> list[str]:
        from howdah.retrieval import documents

        rows = self.session.store.rows(documents.first_sources(self.session.store.get(self.session.collection), 5))
        return [row["source"] for row in rows]

    def _reply(self, said: str, answer: str) -> None:
        from howdah.chains.types import Answer

        output.OUT.print(output.Text(answer))
        self._remember(said, Answer(text=answer))

    def _remember(self, said: str, answer: "Answer") -> None:
        from langchain_core.messages import HumanMessage

        from howdah.chains.remembered import as_message

        self.history.add_messages([HumanMessage(said), as_message(answer, collection=self.session.collection)])

    def _answer(self, question: str) -> None:
        from howdah.chains.types import Answer

        chunks = []
        given = {"question": question, "history": self.history.messages}
        for chunk in self.chain.stream(given, {"configurable": {"session_id": self.id}}):
            chunks.append(chunk)
            output.OUT.print(output.Text(chunk.text), end="")
        output.OUT.print()
        self.last = Answer.from_chunks(chunks)  # type: ignore[arg-type]
        if self.last.note:
            output.note(self.last.note)
        if self.last.refused:
            show_nearest(self.session, self.last)
        elif self.last.citations:
            named = {c.n: f"\\[{c.n}] {self.session.place(c.source, None, c.page)}" for c in self.last.citations}
            output.ERR.print("[dim]" + "  ".join(named.values()) + "[/]")
        self._remember(question, self.last)

    def _why(self) -> None:
        from howdah.scripts.trace import explain

        if self.last is None or self.last.trace is None:
            output.note("There is no trace of an answer in this conversation yet.")
            return
        explain(self.session, self.last.trace)

    def _sources(self) -> None:
        if self.last is None or not self.last.citations:
            output.note("The last answer cited nothing.")
            return
        for citation in self.last.citations:
            show_citation(self.session, citation)


def read_question() -> str:
    """One question: a line, and the lines that were pasted with it."""
    if sys.stdin.isatty():
        import readline  # noqa: F401  line editing and history at the prompt

        return (input("\x01\x1b[1;36m\x02› \x01\x1b[0m\x02") + _pasted()).strip()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()


def _pasted() -> str:
    """What a terminal without bracketed paste has sent beyond the first line; its line ends are carriage returns."""
    import os
    import select

    rest = b""
    while select.select([sys.stdin], [], [], 0.03)[0] and (more := os.read(sys.stdin.fileno(), 65_536)):
        rest += more
    text = rest.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return "\n" + text if text else ""


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("chat")
