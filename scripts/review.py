"""Accept, edit or drop one question after another, by single keys; every decision is saved at once."""

from typing import TYPE_CHECKING

import click
from rich.padding import Padding

from howdah.scripts import output

if TYPE_CHECKING:
    from howdah.chains.evaluation.drafts import Draft
    from howdah.chains.evaluation.testset import Folder

KEYS = "[bold]a[/] accept  [bold]e[/] edit  [bold]d[/] drop  [bold]b[/] back  [bold]q[/] save and quit "
BETWEEN = " | "  # answers, where they are edited
AROUND = 300  # characters of the passage shown on either side of the quote


def review(work: "Folder") -> None:
    """From the first question that is undecided on, until all are decided or `q` is pressed."""
    place = next((n for n, draft in enumerate(work.drafts) if not draft.decision), len(work.drafts))
    while 0 <= place < len(work.drafts):
        _show(work.drafts[place], place, len(work.drafts))
        key = _key()
        if key == "q":
            return
        if key == "b":
            place = max(place - 1, 0)
            continue
        draft = _decided(work.drafts[place], key)
        if draft is not None:
            work.drafts[place] = draft
            work.save()
            place += 1


def _decided(draft: "Draft", key: str) -> "Draft | None":
    """The draft as it was decided; None where it is to be shown again."""
    if key == "e":
        return _edited(draft)
    return draft.decided("accepted" if key == "a" else "dropped")


def _key() -> str:
    """The next key that means something; an end of the input is `q`, Ctrl-C too: what is decided is saved."""
    output.ERR.print(KEYS, end="")
    while True:
        try:
            key = click.getchar().lower()
        except (EOFError, KeyboardInterrupt):
            key = "q"
        if key in ("a", "e", "d", "b", "q"):
            output.ERR.print(f"[cyan]{key}[/]\n")
            return key
        if key in ("\x03", "\x04", "\x1b"):
            output.ERR.print("[cyan]q[/]\n")
            return "q"


def _show(draft: "Draft", place: int, total: int) -> None:
    its = draft.origin
    was = f"  ({draft.decision})" if draft.decision else ""
    where = its.document or "not from a document"
    output.ERR.print(output.escape(f"{place + 1} of {total} · {where} · {_maker(draft)}{was}"), style="dim")
    output.ERR.print("[bold]Q[/]  [bold]" + output.escape(draft.question) + "[/]")
    if draft.unanswerable:
        output.ERR.print("[bold]A[/]  [yellow]none: the collection should not answer this[/]")
        if draft.made.get("question") and its.form == "swapped":
            output.ERR.print(output.escape(f"   made of: {draft.made['question']}"), style="dim")
    else:
        output.ERR.print("[bold]A[/]  [green]" + output.escape(BETWEEN.join(draft.answers)) + "[/]")
        output.ERR.print(Padding(_passage(draft), (0, 0, 0, 3)), soft_wrap=False)


def _maker(draft: "Draft") -> str:
    its = draft.origin
    return str(its.model) if its.by == "model" else f"{its.by}: {its.form}"


def _passage(draft: "Draft") -> str:
    """The quote as it stands in the passage, with some of what is around it."""
    begin = draft.context.find(draft.quote)
    end = begin + len(draft.quote)
    before, after = draft.context[:begin], draft.context[end:]
    if len(before) > AROUND:
        before = f"… {before[-AROUND:].partition(' ')[2]}"
    if len(after) > AROUND:
        after = f"{after[:AROUND].rpartition(' ')[0]} …"
    parts = [" ".join(part.split()) for part in (before, draft.quote, after)]
    return f"[dim]{output.escape(parts[0])}[/] {output.escape(parts[1])} [dim]{output.escape(parts[2])}[/]"


def _edited(draft: "Draft") -> "Draft | None":
    """None where the person gave up, or where the answer that was written does not stand in the passage."""
    from howdah.chains.evaluation.rules import plain
    from howdah.chains.evaluation.squad import contains

    try:
        question = _line("Q  ", draft.question)
        answers = () if draft.unanswerable else tuple(_line("A  ", BETWEEN.join(draft.answers)).split(BETWEEN))
    except (EOFError, KeyboardInterrupt):
        output.note("\nnot changed")
        return None
    answers = tuple(answer.strip() for answer in answers if answer.strip())
    if not question or not (answers or draft.unanswerable):
        output.note("a question and an answer are needed: not changed\n")
        return None
    missing = [answer for answer in answers if not contains(plain(draft.context), [answer])]
    if missing:
        output.warn(f"{missing[0]!r} does not stand in the passage: not changed\n")
        return None
    output.ERR.print()
    return draft.changed(question, answers)


def _line(prompt: str, given: str) -> str:
    """A line, with what is there to be changed."""
    import readline

    readline.set_startup_hook(lambda: readline.insert_text(given))
    try:
        return input(prompt).strip()
    finally:
        readline.set_startup_hook(None)
