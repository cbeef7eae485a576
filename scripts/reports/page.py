"""A report as one HTML file that needs nothing else: no script, no font, no request. Words of documents are escaped."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from howdah.retrieval.errors import InvalidInput, PackageMissing
from howdah.scripts.reports.chart import NARROW, WIDE, Chart, svg
from howdah.scripts.reports.tables import Table

if TYPE_CHECKING:
    from jinja2 import Template

INSTALL = "pip install 'howdah[eval]'"
Tone = Literal["", "good", "bad", "unsure"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number that the page is about, in large digits, its interval or comparison below."""

    label: str
    value: str
    note: str = ""
    tone: Tone = ""


@dataclass(frozen=True, kw_only=True)
class Passage:
    """What was expected or what came. `mark` says in a word or two why it stands out; `hit`: it is one of those wanted."""

    label: str
    text: str = ""
    mark: str = ""
    hit: bool = False


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question: how it did, what should have come, and what came."""

    question: str
    value: str = ""
    note: str = ""
    expected: Sequence[Passage] = ()
    found: Sequence[Passage] = ()
    expected_label: str = "Expected"
    found_label: str = "Found"


@dataclass(frozen=True, kw_only=True)
class Points:
    """Sentences, one under the other."""

    items: tuple[str, ...]


Block = Chart | Table | Points | Sequence[Case]


@dataclass(kw_only=True)
class Section:
    """A heading, a paragraph, and below it charts, tables and cases in the order in which they were added."""

    title: str
    text: str = ""
    blocks: list[Block] = field(default_factory=list)

    def add(self, *blocks: Block) -> "Section":
        self.blocks.extend(blocks)
        return self


@dataclass(kw_only=True)
class Verdict:
    """What it comes to, in one sentence, at the top."""

    word: str
    said: str
    tone: Tone


class Page:
    """Title, a line below it, and `facts`: what was measured, on what, with what. Build it up, then `write` it."""

    def __init__(
        self, title: str, subtitle: str = "", *, facts: Mapping[str, str] | None = None, kind: str = ""
    ) -> None:
        self.title, self.subtitle, self.kind = title, subtitle, kind
        self.facts: dict[str, str] = dict(facts or {})
        self.figures: list[Figure] = []
        self.sections: list[Section] = []
        self.verdict: Verdict | None = None

    def section(self, title: str, text: str = "") -> Section:
        """A new section at the end."""
        self.sections.append(Section(title=title, text=text))
        return self.sections[-1]

    def html(self, *, when: datetime | None = None) -> str:
        """The page; `when` is the time that it says it was made at."""
        from markupsafe import Markup

        folder = Path(__file__).parent
        return _template((folder / "page.html").read_text(encoding="utf-8")).render(
            page=self,
            sections=[(section, list(_blocks(section, number))) for number, section in enumerate(self.sections, 1)],
            style=Markup((folder / "page.css").read_text(encoding="utf-8")),  # noqa: S704  ours
            when=(when or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M %Z"),
            version=version("howdah"),
        )

    def write(self, path: Path) -> None:
        """Write the page to `path`; an older one of that name is replaced."""
        path.write_text(self.html(), encoding="utf-8")


def check(path: Path) -> None:
    """That a page can be written to `path`: asked before the measuring, which may take minutes.

    Raises PackageMissing without Jinja2, InvalidInput where there is no such folder.
    """
    _template("")
    if path.is_dir() or not path.parent.is_dir():
        wrong = "is a folder" if path.is_dir() else f"cannot be written: there is no folder {str(path.parent)!r}"
        raise InvalidInput(f"the report {str(path)!r} {wrong}", hint="name a file, such as report.html")


def _template(source: str) -> "Template":
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError:
        raise PackageMissing("jinja2", needed_for="a report as an HTML page", install=INSTALL) from None
    return Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True).from_string(
        source
    )


def _blocks(section: Section, number: int) -> Iterator[dict[str, Any]]:
    """What the template draws: its kind, and the chart's two drawings as markup."""
    from markupsafe import Markup

    for at, block in enumerate(section.blocks, 1):
        if isinstance(block, Chart):
            name = f"chart-{number}-{at}"
            drawn = svg(block, WIDE, f"{name}w", "wide") + svg(block, NARROW, f"{name}n", "narrow")
            yield {"kind": "chart", "chart": block, "table": block.table, "svg": Markup(drawn)}  # noqa: S704  escaped
        elif isinstance(block, Table):
            yield {"kind": "table", "table": block}
        elif isinstance(block, Points):
            yield {"kind": "points", "items": block.items}
        else:
            yield {"kind": "cases", "cases": block}
