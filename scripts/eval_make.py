"""`howdah eval make FOLDER`: a test set from the collection's own documents, decided on by a person."""

import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.chains.evaluation.making import Making
    from howdah.chains.evaluation.testset import Folder
    from howdah.chains.evaluation.writing import Writer

OFTEN = 100  # passages between two notes on progress; a model's calls are told one by one
PER_QUESTION = 60  # passages that are read at most for a question: rules find nothing to ask of most
PER_CALL = 4  # the same where each passage is a call of a model


def command(
    folder: Annotated[
        Path, typer.Argument(help="Where the test set is kept; work on it is resumed.", show_default=False)
    ],
    collection: flags.Collection = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=10_000, help="Questions with an answer.")] = 50,
    unanswerable: Annotated[
        int | None,
        typer.Option(min=0, help="Questions without one; a quarter as many unless given.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides which passages are drawn.")] = 7,
    rules: Annotated[bool, typer.Option("--rules", help="Write by rule, also where a chat model is set.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Accept every question without a look.")] = False,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", help="Find the gold again where documents changed, and write the test set anew."),
    ] = False,
    as_json: flags.Json = False,
) -> int:
    """Make test questions from the collection's passages, and accept, edit or drop each."""
    from howdah.chains.evaluation import testset

    _check_terminal(yes=yes or refresh, as_json=as_json)
    session = Session(collection_flag=collection, as_json=as_json)
    work = testset.read(folder)
    if refresh:
        return _refresh(session, folder, work, as_json=as_json)
    if work is None:
        work = _made(session, folder, count, count // 4 if unanswerable is None else unanswerable, seed, rules=rules)
        work.save()
    else:
        _say_resumed(work)
    if yes:
        work.drafts[:] = [draft if draft.decision else draft.decided("accepted", "--yes") for draft in work.drafts]
        work.save()
    else:
        from howdah.scripts.review import review

        review(work)
    work.publish()
    _tell(work, as_json=as_json)
    return 0


def _refresh(session: Session, path: Path, work: "Folder | None", *, as_json: bool) -> int:
    from howdah.chains.evaluation.testset import anew
    from howdah.retrieval.errors import InvalidInput

    if work is None:
        raise InvalidInput(f"{path} holds no test set", hint=f"run: howdah eval make {path}")
    found = anew(work, session.store, session.store.get(session.collection))
    found.folder.save()
    found.folder.publish()
    if found.stale:
        output.warn(
            f"{output.plural(len(found.stale), 'question')} stale: the quoted text no longer stands once in its document: "
            + ", ".join(found.stale)
        )
    output.note(f"{output.plural(len(found.moved), 'gold passage')} moved with the text")
    _tell(found.folder, as_json=as_json, moved=found.moved)
    return 0


def _check_terminal(*, yes: bool, as_json: bool) -> None:
    """Before anything is made: whether there is somebody to ask."""
    from howdah.retrieval.errors import InvalidInput

    if not yes and (as_json or not sys.stdin.isatty()):
        why = "with --json nobody is asked" if as_json else "this is no terminal"
        raise InvalidInput(
            f"questions are accepted by a person, and {why}",
            hint="add --yes to accept all of them, or run it in a terminal",
        )


def _made(session: Session, path: Path, count: int, unanswerable: int, seed: int, *, rules: bool) -> "Folder":
    from howdah.chains.evaluation import unanswerable as without
    from howdah.chains.evaluation.making import Maker
    from howdah.chains.evaluation.testset import Folder
    from howdah.retrieval.errors import InvalidInput

    found, writer = session.store.get(session.collection), _writer(session, rules=rules)
    per = PER_QUESTION if writer.by == "rule" else PER_CALL
    made = Maker(
        store=session.store, found=found, writer=writer, count=count, seed=seed, passages=per * count,
        note=lambda read, kept: _progress(read, kept, by_rule=writer.by == "rule"),
    ).make()  # fmt: skip
    if not made.drafts:
        raise InvalidInput(
            f"no question could be made of {output.plural(made.passages, 'passage')} of {session.collection!r}",
            hint="rules know English alone: set HOWDAH_CHAT_MODEL for other languages; only documents are asked about",
        )
    _say_made(made, writer, count)
    about = {
        "collection": session.collection, "seed": seed, "by": writer.by, "model": writer.model, "prompt": writer.prompt,
        "passages": made.passages, "left": dict(made.left), "howdah": version("howdah"),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
    }  # fmt: skip
    others = without.unanswerable(session.store, found, made.drafts, unanswerable, seed)
    return Folder(path=path, about=about, drafts=[*made.drafts, *others])


def _writer(session: Session, *, rules: bool) -> "Writer":
    """The chat model where a large one is set; the small local one writes too few questions that are any good."""
    from howdah.chains.evaluation.writing import Model, Rules
    from howdah.chains.models import Extractive, is_small
    from howdah.chains.prompts import load_prompt
    from howdah.chains.rag import model_name

    if rules or isinstance(session.chat_model, Extractive) or is_small(model_name(session.chat_model)):
        return Rules()
    template = load_prompt("question", folder=session.settings.prompts)
    return Model(chat=session.chat_model, template=template, model=model_name(session.chat_model))


def _progress(read: int, kept: int, *, by_rule: bool) -> None:
    if read % (OFTEN if by_rule else 10) == 0:
        output.note(f"read {output.plural(read, 'passage')}, {output.plural(kept, 'question')}")


def _say_made(made: "Making", writer: "Writer", count: int) -> None:
    by = (
        f"by {writer.model}"
        if writer.model
        else "by rule (HOWDAH_CHAT_MODEL names a model that writes them in other words)"
    )
    few = f" of the {count:,} wanted" if len(made.drafts) < count else ""
    output.note(
        f"{output.plural(len(made.drafts), 'question')}{few} from {output.plural(made.passages, 'passage')}, written {by}"
    )
    reasons = made.left + Counter(getattr(writer, "rejected", {}))
    if reasons:
        output.note("Left out: " + ", ".join(f"{number:,} ({why})" for why, number in reasons.most_common()))


def _say_resumed(work: "Folder") -> None:
    open_ = sum(not draft.decision for draft in work.drafts)
    rest = f"{open_:,} undecided; the work goes on with these" if open_ else "all decided: a new folder begins anew"
    output.note(
        f"{work.path} holds {output.plural(len(work.drafts), 'question')} of {work.about.get('collection')!r}, {rest}"
    )


def _tell(work: "Folder", *, as_json: bool, moved: Sequence[str] = ()) -> None:
    counts = Counter(draft.decision or "undecided" for draft in work.drafts)
    kept = [draft for draft in work.drafts if draft.kept]
    report: dict[str, Any] = {
        "collection": work.about.get("collection"),
        "folder": str(work.path),
        **{name: counts[name] for name in ("accepted", "edited", "dropped", "undecided")},
        "answerable": sum(not draft.unanswerable for draft in kept),
        "unanswerable": sum(draft.unanswerable for draft in kept),
        "moved": list(moved),
        "stale": [draft.id for draft in work.drafts if draft.stale],
        "forms": dict(Counter(draft.origin.form for draft in kept).most_common()),
        **{name: work.about.get(name) for name in ("by", "model", "prompt", "seed", "passages")},
    }
    if as_json:
        output.put_json(report)
        return
    said = ", ".join(
        f"{counts[name]:,} {name}" for name in ("accepted", "edited", "dropped", "undecided") if counts[name]
    )
    output.OUT.print(output.escape(f"{work.path}: {said}"))
    if report["answerable"]:
        name = work.about.get("collection")
        output.note(
            f"Next: howdah eval retrieval {work.path} -c {name}\n      howdah eval answers {work.path} -c {name}"
        )
    if counts["undecided"]:
        output.note(f"To go on: howdah eval make {work.path}")


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("eval", "make")
