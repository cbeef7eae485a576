"""`howdah ask QUESTION`: one cited answer."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from howdah.scripts import flags, output, roots
from howdah.scripts.ingest import load
from howdah.scripts.languages import advise
from howdah.scripts.search import empty
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from howdah.chains.types import Answer, Citation


def command(
    question: Annotated[str, typer.Argument(help="The question.", show_default=False)],
    collection: flags.Collection = None,
    in_path: Annotated[
        list[Path] | None,
        typer.Option("--in", help="Load this file or folder first, and answer from it.", show_default=False),
    ] = None,
    k: flags.K = 8,
    filter_json: flags.FilterJson = None,
    require_answer: Annotated[
        bool, typer.Option("--require-answer", help="Exit with 1 where there is no answer.")
    ] = False,
    no_trace: flags.NoTrace = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
) -> int:
    """Answer a question from the documents, with citations."""
    session = Session(collection_flag=collection, as_json=as_json, yes=yes)
    given = flags.read_filter(filter_json)
    failures = 0
    if in_path:
        store = session.vectors(writing=True)
        report = load(store, in_path)
        roots.remember(session.home, in_path, None)
        failures = len(report.failures)
        for error in report.failures:
            output.warn(str(error))
        given = _within(in_path, given)
    else:
        store = session.vectors()
    advise(session, store, question)
    answer: Answer = session.chain(store, k=k, trace=not no_trace).invoke({"question": question, "filter": given})
    if as_json:
        output.put_json({"collection": session.collection, **answer.to_dict()})
    else:
        show(session, answer)
    return 1 if failures or (require_answer and answer.refused) else 0


def _within(paths: list[Path], given: dict[str, Any] | None) -> dict[str, Any]:
    """The filter, and the sources below the paths that were just loaded."""
    from howdah.retrieval.sources import root_names

    sources: list[dict[str, Any]] = []
    for path in paths:
        root = root_names([path], None)[0]
        source = root if path.is_dir() else f"{root}/{path.name}"
        pattern = source.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "/%"
        # A file may be an archive, whose members are the sources.
        sources += [{"source": {"$like": pattern}}, *([] if path.is_dir() else [{"source": source}])]
    here: dict[str, Any] = {"$or": sources}
    return {"$and": [here, given]} if given else here


def show(session: Session, answer: "Answer") -> None:
    """The answer, then what it cites; of a refusal the nearest passages."""
    output.OUT.print(output.Text(answer.text))
    if answer.note:
        output.note(answer.note)
    if answer.refused:
        show_nearest(session, answer)
        return
    output.OUT.print()
    for citation in answer.citations:
        show_citation(session, citation)


def show_citation(session: Session, citation: "Citation") -> None:
    """The number, the place and the quote."""
    where = session.place(citation.source, citation.title, citation.page)
    output.OUT.print(f"[cyan]\\[{citation.n}][/] [bold]{where}[/]")
    output.OUT.print(f"    [dim]“{output.escape(' '.join(citation.quote.split()))}”[/]")
    output.also_in(citation.also_in)


def show_nearest(session: Session, answer: "Answer") -> None:
    if not answer.hits:
        output.note(empty(session))
        return
    if answer.searched:
        output.note(searched(answer.searched))
    output.note("The nearest passages:")
    for hit in answer.hits[:3]:
        output.OUT.print(f"[dim]· {session.place(hit.source, hit.section, hit.page)}[/]")
        output.also_in(hit.also_in)


def searched(about: "Mapping[str, Any]") -> str:
    """What a refused question was looked for in, in one line."""
    size = ""
    if "passages" in about:
        size = f": {output.plural(about['passages'], 'passage')} of {output.plural(about['documents'], 'document')}"
    where = f" in collection {about['collection']!r}{size}" if "collection" in about else ""
    how = f" ({about['mode']} search)" if "mode" in about else ""
    within = f", filter {json.dumps(about['filter'], default=str)}" if "filter" in about else ""
    return f"Searched{where}{how}{within}."


if __name__ == "__main__":
    from howdah.scripts.main import run

    run("ask")
