"""A conversation at the terminal: what is read, what is shown, and the commands that begin with a slash."""

import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from howdah.scripts import output
from howdah.scripts.ask import show_citation, show_nearest
from howdah.scripts.chat import Format, delete_one, find, show_list, written
from howdah.scripts.languages import advise
from howdah.scripts.search import empty
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

    from howdah.chains.types import Answer, AnswerChunk
    from howdah.retrieval.vectorstore import PGVector

HELP = """\
/sources        what the last answer rests on
/why            how the last answer came about
/list           the conversations that are kept
/resume ID      go on with one of them
/new            begin a new one
/title TEXT     name this one
/export [FILE]  show it, or write it to a file (.md or .json)
/delete         delete it
/help           this
/quit           leave (or Ctrl-D)
"summarise SOURCE" sums up a document, and "what is in here?" tells what there is.
Ctrl-C stops an answer, not the chat. Pasted lines are one question."""
REMEMBERED = 100  # messages that are read back; the chain cuts them by tokens


class Chat:
    """One conversation at a time."""

    def __init__(self, session: Session, *, k: int, resume: str | None, trace: bool = True) -> None:
        self.session = session
        self.store: PGVector = session.vectors()
        self.chain: Runnable[Any, Answer] = session.chat_chain(self.store, k=k, trace=trace)
        self.session.store.prepare_schema()
        self._begin(resume or new_id(), known=resume is not None)

    def _begin(self, id: str, *, known: bool, title: str | None = None) -> None:
        """Go on with the conversation `id`, or begin it; `known` says that the database has it, `title` what it gets there."""
        from howdah.chains.memory import Conversation
        from howdah.retrieval.conversations import PostgresHistory

        self.id, self.known = id, known
        history = PostgresHistory(
            self.session.store, id, limit=REMEMBERED, collection=self.session.collection, title=title
        )
        self.conversation: Conversation = Conversation(self.chain, history, collection=self.session.collection)

    def run(self) -> int:
        """Read, answer, repeat, until the input ends."""
        self._welcome()
        while True:
            try:
                said = read_question()
            except EOFError:
                break
            except KeyboardInterrupt:
                output.ERR.print()
                continue
            if said in ("/quit", "/exit"):
                break
            if said:
                self._take(said)
                if sys.stdin.isatty():
                    output.ERR.print()
        if self.known:
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
        self._recall()

    def _recall(self) -> None:
        """The last lines of a conversation that goes on."""
        for message in self.conversation.history.messages[-4:]:
            who = "› " if message.type == "human" else "  "
            output.note(f"{who}{_shortened(message.text)}")

    def _take(self, said: str) -> None:
        from howdah.retrieval.errors import HowdahError

        try:
            if said.startswith("/"):
                self._command(*said.split("\n", maxsplit=1)[0].split(maxsplit=1))
            else:
                self._answer(said)
        except KeyboardInterrupt:
            output.note("\n(stopped)")
        except HowdahError as error:
            if not (sys.stdin.isatty() or said.startswith("/")):
                raise
            # What was said is kept, and the question can be asked again.
            output.failed(type(error).__name__, error.message, error.hint, as_json=False)

    def _command(self, name: str, rest: str = "") -> None:
        rest = rest.strip()
        match name:
            case "/help":
                output.OUT.print(output.Text(HELP))
            case "/new":
                self._begin(new_id(), known=False)
                output.note(f"A new conversation: {self.id}")
            case "/sources":
                self._sources()
            case "/why":
                self._why()
            case "/list":
                show_list(self.session)
            case "/resume":
                self._resume(rest)
            case "/title":
                self._name(rest)
            case "/export":
                self._export(rest)
            case "/delete":
                self._delete(rest)
            case _:
                output.note(f"{name} is not a command; /help lists them")

    def _resume(self, id: str) -> None:
        if not id:
            output.note("Which one? /list shows them, then: /resume ID")
            return
        found = find(self.session, id)
        if found.collection not in (None, self.session.collection):
            output.note(f"It is about collection {found.collection!r}. Leave, and run: howdah chat --resume {found.id}")
            return
        self._begin(found.id, known=True)
        output.note(f"{found.id}: {found.title or 'without a title'}")
        self._recall()

    def _name(self, title: str) -> None:
        from howdah.retrieval.conversations import rename_conversation
        from howdah.retrieval.messages import check_title

        title = check_title(title)
        if self.known:
            rename_conversation(self.session.store, self.id, title)
        else:
            self._begin(self.id, known=False, title=title)  # it gets it with its first message
        output.note(f"This conversation is called {title!r}.")

    def _export(self, file: str) -> None:
        if not self.known:
            output.note("Nothing has been said yet.")
            return
        form = Format.JSON if file.endswith(".json") else Format.MARKDOWN
        text = written(self.session, self.id, form)
        if not file:
            output.put_text(text)
            return
        path = Path(file).expanduser()
        try:
            with path.open("x", encoding="utf-8") as written_to:
                written_to.write(text)
        except OSError as error:
            output.note(f"{path} was not written: {error.strerror}")
            return
        output.note(f"Written to {path}")

    def _delete(self, id: str) -> None:
        import typer

        if not id and not self.known:
            output.note("Nothing has been said yet.")
            return
        found = find(self.session, id or self.id)
        try:
            delete_one(self.session, found)
        except typer.Abort:
            output.note("Nothing was deleted.")
            return
        output.note(f"Deleted {found.id}.")
        if found.id == self.id:
            self._command("/new")

    def _answer(self, question: str) -> None:
        from howdah.chains.types import Answer

        advise(self.session, self.store, question)
        chunks: list[AnswerChunk] = []
        try:
            for chunk in self.conversation.stream(question, config={"configurable": {"session_id": self.id}}):
                chunks.append(chunk)
                output.OUT.print(output.Text(chunk.text), end="")
        finally:
            self.known = self.known or any(chunk.text for chunk in chunks)
        output.OUT.print()
        self._below(Answer.from_chunks(chunks))

    def _below(self, answer: "Answer") -> None:
        """What stands under an answer: its note, its sources by number, or the nearest passages."""
        if answer.note:
            output.note(answer.note)
        if answer.refused:
            show_nearest(self.session, answer)
        elif answer.citations:
            numbers: dict[str, str] = {}
            for cited in answer.citations:
                place = self.session.place(cited.source, None, cited.page)
                numbers[place] = f"{numbers.get(place, '')}\\[{cited.n}]"
            output.ERR.print("[dim]" + "  ".join(f"{marks} {place}" for place, marks in numbers.items()) + "[/]")

    def _sources(self) -> None:
        from howdah.chains.memory import last_answer

        last = last_answer(self.conversation.history.messages)
        if last is None or not last.citations:
            output.note("The last answer cited nothing.")
            return
        for citation in last.citations:
            show_citation(self.session, citation)

    def _why(self) -> None:
        from howdah.chains.memory import last_answer
        from howdah.scripts.trace import explain

        last = last_answer(self.conversation.history.messages)
        if last is None or last.trace is None:
            output.note("There is no trace of an answer in this conversation yet.")
            return
        explain(self.session, last.trace)


def new_id() -> str:
    return uuid.uuid4().hex[:8]


def read_question() -> str:
    """One question: a line, and the lines that were pasted with it. What was typed ahead is a question for each line."""
    if sys.stdin.isatty():
        import readline  # noqa: F401  line editing and history at the prompt

        ahead = _waiting(0)
        return (input("\x01\x1b[1;36m\x02› \x01\x1b[0m\x02") + ("" if ahead else _pasted())).strip()
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.strip()


def _waiting(seconds: float) -> bool:
    """Whether the terminal has sent something."""
    import select

    return bool(select.select([sys.stdin], [], [], seconds)[0])


def _pasted() -> str:
    """What a terminal without bracketed paste has sent beyond the first line; its line ends are carriage returns."""
    import os

    rest = b""
    while _waiting(0.03) and (more := os.read(sys.stdin.fileno(), 65_536)):
        rest += more
    text = rest.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")
    return "\n" + text if text else ""


def _shortened(text: str, width: int = 240) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else f"{flat[: width - 1]}…"
