"""A trace in words, columns and bars, for a person at a terminal."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rich import box
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from howdah.scripts import output

Place = Callable[[str | None, str | None, int | None], str]
_LABEL = 11  # characters of the words on the left
_BAR = 24
_LISTED = 51  # characters before the question in a list
_WIDE = 100  # from which there is room for the beginnings of passages
_ARMS = ("rerank", "dense", "lexical")
_LACKS = {
    "number": "a number in it",
    "name": "a name in it",
    "link": "a link in it",
    "negation": "its yes or no",
    "words": "enough of its words",
    "order": "its words in that order",
}
_REASONS = {"uncited": "it cited no passage", "empty": "there is nothing in it to check"}
_STEPS = {
    "rewrite": "make the question stand alone",
    "retrieve": "search",
    "rerank": "order and choose",
    "model": "write and check",
}


def line(row: Mapping[str, Any]) -> Text:
    """One trace of a list."""
    ms = f"{row['ms']:,.0f} ms" if row["ms"] is not None else ""
    room = max(output.OUT.width - _LISTED, 20) if output.OUT.is_terminal else 200
    return Text.assemble(
        (row["id"], "bold"), f"  {row['at'].astimezone():%Y-%m-%d %H:%M}  ", (f"{row['outcome']:9}", "cyan"),
        (f" {ms:>9}  ", "dim"), _flat(row["question"], room),
    )  # fmt: skip


def show(row: Mapping[str, Any], passages: Mapping[str, Mapping[str, Any]], *, place: Place) -> None:
    """The whole of one trace; `passages` are those that are still stored, by id."""
    details = row["details"]
    _head(row, details)
    _facts(row, details)
    _found(row, passages, place)
    _sentences(row["checks"])
    _made_by(row, details)
    _times(details.get("timings_ms", {}))


def _head(row: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    about = [f"collection {row['collection'] or details.get('collection') or 'of no name'}"]
    about += [f"conversation {row['session']}"] if row["session"] else []
    when = f"{row['at'].astimezone():%Y-%m-%d %H:%M:%S}"
    output.OUT.print(Text.assemble(("Trace ", "dim"), (row["id"], "bold"), (f"  {when}  {', '.join(about)}", "dim")))
    if row["erased_at"]:
        erased = f"{row['erased_at'].astimezone():%Y-%m-%d}"
        output.OUT.print(Text(f"Documents that it rested on were deleted on {erased}; their text is gone.", "yellow"))


def _facts(row: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    output.OUT.print()
    _labelled("Question", row["question"])
    if row["rewritten"]:
        _labelled("Searched", row["rewritten"])
    _labelled(*_result(row, details))
    for label, each in zip(["Cited", *[""] * len(row["citations"])], row["citations"], strict=False):
        _labelled(label, f"[{each['n']}] " + ("(deleted)" if each.get("erased") else f"“{_flat(each['quote'], 300)}”"))
    if details.get("note"):
        _labelled("Note", details["note"])


def _result(row: Mapping[str, Any], details: Mapping[str, Any]) -> tuple[str, str]:
    """What came of it: the answer, or why there is none."""
    if row["outcome"] == "refused":
        return "Refused", _refusal(row["hits"], details)
    if row["outcome"] == "failed":
        return "Failed", f"with {details.get('error', 'an error')}; nothing more was written"
    said = row["answer"] or ("(removed)" if row["erased_at"] else "(nothing)")
    return ("Stopped at", said) if row["outcome"] == "cancelled" else ("Answer", said)


def _refusal(hits: Sequence[Mapping[str, Any]], details: Mapping[str, Any]) -> str:
    if not hits:
        return "the search found nothing, so no model was asked"
    if details.get("model"):
        return f"{details['model']} saw the passages and found no answer in them"
    scores = ", ".join(f"{name} {score:.3f}" for name, score in hits[0]["scores"].items())
    wanted = details.get("search", {}).get("min_score")
    bound = f"; the bound was {wanted:g}" if wanted is not None else ""
    return f"no passage was good enough, so no model was asked. The best scored {scores or hits[0]['score']}{bound}"


def _found(row: Mapping[str, Any], passages: Mapping[str, Mapping[str, Any]], place: Place) -> None:
    hits, search = row["hits"], row["details"].get("search", {})
    output.OUT.print()
    shown = sum(bool(hit.get("shown")) for hit in hits)
    told = [f"{search.get('type', '')} search", f"k {search['k']}" if search.get("k") else ""]
    told += [f"filter {search['filter']}"] if search.get("filter") else []
    told += [f"{len(hits)} found, {shown} chosen to answer from"] if hits else ["nothing found"]
    _labelled("Passages", ", ".join(part for part in told if part.strip()))
    if hits:
        output.OUT.print(Padding(_table(row, passages, place), (0, 0, 0, 2)), soft_wrap=False)
        output.OUT.print(Text("  seen: number among the passages that were chosen; #: rank by that score", "dim"))


def _table(row: Mapping[str, Any], passages: Mapping[str, Mapping[str, Any]], place: Place) -> Table:
    hits = row["hits"]
    arms = [arm for arm in _ARMS if any(arm in hit["scores"] for hit in hits)]
    cited: dict[str, list[str]] = {}
    for each in row["citations"]:
        cited.setdefault(each.get("id", ""), []).append(f"[{each['n']}]")
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, expand=True)
    widest = max((len("".join(marks)) for marks in cited.values()), default=0)
    for title, width in [("seen", 4), ("cited", max(widest, 5)), *((arm, 9) for arm in arms)]:
        table.add_column(title, justify="left" if title == "cited" else "right", no_wrap=True, width=width)
    table.add_column("passage", overflow="ellipsis", no_wrap=True, ratio=1)
    for number, hit in enumerate(hits, start=1):
        marks = "".join(cited.get(hit.get("id", "-"), []))
        style = "" if hit.get("shown") else "dim"
        cells = [
            Text(str(number) if hit.get("shown") else "–"),
            Text(marks, "cyan"),
            *(_score(hit, arm) for arm in arms),
        ]
        table.add_row(*cells, _passage(hit, passages.get(hit.get("id", "")), place), style=style)
    return table


def _score(hit: Mapping[str, Any], arm: str) -> Text:
    if arm not in hit["scores"]:
        return Text("–")
    rank = hit["ranks"].get(arm)
    return Text.assemble(f"{hit['scores'][arm]:.3f} ", (f"#{rank:<2}" if rank else "   ", "dim"))


def _passage(hit: Mapping[str, Any], stored: Mapping[str, Any] | None, place: Place) -> Text:
    if hit.get("erased"):
        return Text("(deleted)", "dim")
    where = Text.from_markup(place(hit.get("source"), stored["section"] if stored else None, hit.get("page")))
    if stored is None:
        return Text.assemble(where, (" (no longer stored)", "dim"))
    return Text.assemble(where, ("  " + _flat(stored["content"], 160), "dim")) if output.OUT.width >= _WIDE else where


def _sentences(checks: Sequence[Mapping[str, Any]]) -> None:
    if not checks:
        return
    output.OUT.print()
    _labelled("Sentences", f"{sum(check['status'] != 'dropped' for check in checks)} of {len(checks)} shown")
    for number, check in enumerate(checks, start=1):
        marks = "".join(f"[{n}]" for n in check["n"])
        why = _why(check)
        style = {"dropped": "red", "supported": "green", "quoted": "green"}.get(check["status"], "yellow")
        output.OUT.print(
            Text.assemble(f"  {number:>6}  ", (f"{check['status']:9}", style), f" {marks}  ", (why, "dim"))
        )


def _why(check: Mapping[str, Any]) -> str:
    lacking = _LACKS.get(check["reason"])
    if lacking is None:
        return _REASONS.get(check["reason"], str(check["reason"]))
    return f"the passage that it cited lacks {lacking}" if check["n"] else f"no passage has {lacking}"


def _made_by(row: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    output.OUT.print()
    prompt, wrote, asked = details.get("prompt", {}), details.get("model"), details.get("asked")
    named = f"{asked}, prompt {prompt.get('name')} (version {prompt.get('version')})"
    if wrote == "extractive":
        said = f"{named}; quotes took the place of what it wrote" if asked else "quotes, without a model"
    else:
        stopped = row["outcome"] == "cancelled" and row["answer"]
        said = named if asked and (wrote or stopped) else "none was asked"
    _labelled("Model", said)
    for step, counted in details.get("tokens", {}).items():
        said = f"{counted.get('input_tokens', 0):,} in, {counted.get('output_tokens', 0):,} out"
        _labelled("Tokens" if step == "answer" else "", said if step == "answer" else f"{said} to {_STEPS[step]}")


def _times(timings: Mapping[str, float]) -> None:
    steps = [name for name in [*_STEPS, *timings] if name in timings and name not in ("total", "first")]
    total = max(timings.get("total", 0.0), *(timings[name] for name in steps)) if steps else 0.0
    if not total:
        return
    first = f", the first sentence after {timings['first']:,.0f} ms" if "first" in timings else ""
    output.OUT.print()
    _labelled("Time", f"{timings.get('total', total):,.0f} ms{first}")
    spent = {_STEPS.get(name, name): timings[name] for name in dict.fromkeys(steps)}
    rest = total - sum(spent.values())
    for name, ms in {**spent, **({"the rest": rest} if rest > total / 50 else {})}.items():
        bar = "█" * round(_BAR * ms / total) or "▏"
        output.OUT.print(Text.assemble(f"  {name:30} {ms:>9,.1f} ms  ", (bar, "cyan")))


def _labelled(label: str, said: str) -> None:
    """The label, and beside it what may take several lines."""
    grid = Table.grid(padding=0)
    grid.add_column(width=_LABEL, no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    grid.add_row(Text(label, "bold"), Text(" ".join(said.split())))
    output.OUT.print(grid, soft_wrap=False)


def _flat(text: str, width: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= width else flat[: width - 1] + "…"
