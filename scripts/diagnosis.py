"""What the doctor found, for a person at a terminal: what is wrong first, with what mends it, then what is well."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from howdah.scripts import output

if TYPE_CHECKING:
    from howdah.retrieval.health.check import Check
    from howdah.retrieval.health.examination import Probe

_STYLES = {"fail": "bold red", "warn": "yellow", "ok": "green"}
_LABEL = 13  # characters of a family's name


def show(checks: "Sequence[Check]", probes: "Sequence[Probe]", about: Mapping[str, Any]) -> None:
    """The whole of it."""
    _head(about)
    families = {probe.name: probe.family for probe in probes}
    bad = sorted((check for check in checks if check.fix), key=lambda check: -check.status.rank)
    for check in bad:
        _wrong(check)
    if len(checks) > len(bad) and (bad or about["server"]):
        output.OUT.print()
    _well([check for check in checks if not check.fix], families, {check.name for check in bad})
    output.OUT.print()
    _summary(checks)


def _head(about: Mapping[str, Any]) -> None:
    server = about["server"]
    if server is None:
        return
    extension = f", pgvector {server['pgvector']}" if server["pgvector"] else ""
    held = f"database {server['database']}, {output.size(about['size_bytes'])}"
    output.OUT.print(Text(f"PostgreSQL {server['version']}{extension}; {held}", "dim"))
    if about["data_folder"]:
        output.OUT.print(Text(f"data in {about['data_folder']}", "dim"))


def _wrong(check: "Check") -> None:
    label = check.status.label
    subject = f"  {check.subject}" if check.subject else ""
    output.OUT.print()
    output.OUT.print(Text.assemble((f"{label:5}", _STYLES[label]), (check.name, "bold"), (subject, "cyan")))
    _beside("", 5, Text(_sentence(check.detail)))
    for line in check.fix.splitlines():  # not wrapped, so that it can be copied
        output.OUT.print(Text.assemble("     ", (line, "green")))


def _well(checks: "Iterable[Check]", families: Mapping[str, str], bad: set[str]) -> None:
    """A line a family: the names of its checks that found nothing wrong anywhere."""
    grouped: dict[str, list[str]] = {}
    for name in dict.fromkeys(check.name for check in checks):
        if name not in bad:
            grouped.setdefault(families[name], []).append(name)
    for family, names in grouped.items():
        _beside(f"ok   {family}", 5 + _LABEL, Text(", ".join(names), "dim"))


def _beside(label: str, width: int, said: Text) -> None:
    grid = Table.grid(padding=0)
    grid.add_column(width=width, no_wrap=True)
    grid.add_column(overflow="fold", ratio=1)
    grid.add_row(Text(label, "green"), said)
    output.OUT.print(grid, soft_wrap=False)


def _sentence(text: str) -> str:
    """With a full stop, and a capital where it begins with a word."""
    first = text.split(" ", 1)[0]
    return (text[:1].upper() + text[1:] if first.isalpha() and first.islower() else text).rstrip(".") + "."


def _summary(checks: "Sequence[Check]") -> None:
    counts = {label: sum(check.status.label == label for check in checks) for label in ("fail", "warn", "ok")}
    if not counts["fail"] and not counts["warn"]:
        output.OUT.print(Text(f"Nothing is wrong: {output.plural(counts['ok'], 'check')}.", "green"))
        return
    said = [f"{counts['fail']:,} failed"] if counts["fail"] else []
    said += [output.plural(counts["warn"], "warning")] if counts["warn"] else []
    output.OUT.print(Text(f"{', '.join(said)}, {counts['ok']:,} ok.", "bold"))
