"""Documents that are ZIP packages (DOCX, PPTX, ODF, EPUB): their bounds, their parts, their own title."""

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zipfile import ZipFile, ZipInfo

from howdah.retrieval.errors import HowdahError, PackageMissing
from howdah.retrieval.loaders.kinds import RawFile
from howdah.retrieval.loaders.text import INSTALL, storable

_SAYS_NOTHING = re.compile(
    r"\.[A-Za-z]{2,5}$|^(microsoft \w+ - |untitled|unknown|slide \d|(power)?point presentation$|presentation$"
    r"|document\d*$|[\W\d_]*$)",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How far a ZIP file may unpack. `ratio` is unpacked by packed size, and held against what unpacks to more than
    `free` bytes: short texts that repeat themselves are no bombs.
    """

    members: int = 10_000
    member_bytes: int = 256 << 20
    total_bytes: int = 1 << 30
    ratio: int = 200
    free: int = 8 << 20

    def excess(self, members: Sequence[ZipInfo]) -> str | None:
        """What is too much about these members, in a few words. zipfile reads no more than the sizes they declare."""
        if len(members) > self.members:
            return f"has {len(members):,} members, more than {self.members:,}"
        total = sum(member.file_size for member in members)
        if total > self.total_bytes:
            return f"unpacks to {total >> 20:,} MB, more than {self.total_bytes >> 20:,}"
        return next((excess for member in members if (excess := self.excess_of(member))), None)

    def excess_of(self, member: ZipInfo) -> str | None:
        if member.file_size > self.member_bytes:
            return f"unpacks to {member.file_size >> 20:,} MB, more than {self.member_bytes >> 20:,}"
        if member.file_size > self.free and member.file_size > self.ratio * max(1, member.compress_size):
            return f"unpacks to more than {self.ratio} times its size, as a zip bomb does"
        return None


LIMITS = Limits()


@contextmanager
def parsing(file: RawFile, what: str) -> Iterator[None]:
    """Turns whatever a parser raises on a damaged file into a LoadError that says `file` is a damaged `what`."""
    try:
        yield
    except (HowdahError, MemoryError):
        raise
    except Exception as exc:  # parsers fail in ways of their own, wherever the damage leads them
        said = " ".join(str(exc).split())[:200]
        detail = f"{type(exc).__name__}: {said}" if said else type(exc).__name__
        raise file.error(f"is a damaged {what} ({detail})", hint="open it in its program and save it again") from exc


@contextmanager
def opened(file: RawFile, what: str) -> Iterator[ZipFile]:
    """The package, which was found to be within LIMITS when its kind was. Raises LoadError where it is damaged or has
    encrypted parts.
    """
    with parsing(file, what), ZipFile(io.BytesIO(file.data)) as package:
        if any(member.flag_bits & 1 for member in package.infolist()):
            raise file.error("has encrypted parts, which is not supported", hint="save a copy without the password")
        yield package


def part(package: ZipFile, name: str) -> bytes | None:
    try:
        return package.read(name)
    except KeyError:
        return None


def xml_of(data: bytes | None, *, file: RawFile) -> Any:
    """The root element, sound or mended; None where there is nothing. Entities and the network are left alone."""
    try:
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]
    except ImportError as exc:
        raise PackageMissing("lxml", needed_for=f"{file.source}: XML", install=INSTALL) from exc
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True, recover=True)
    return etree.fromstring(data, parser) if data else None


def own_title(root: Any) -> str | None:
    """The Dublin Core title below this element, unless it is a file name or a program's default."""
    found = None if root is None else root.find(".//{http://purl.org/dc/elements/1.1/}title")
    return meaningful("".join(found.itertext())) if found is not None else None


def meaningful(title: str | None) -> str | None:
    title = storable(" ".join((title or "").split()))
    return None if not title or "\ufffd" in title or _SAYS_NOTHING.search(title) else title
