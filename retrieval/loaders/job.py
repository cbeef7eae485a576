"""One file to be parsed, as it travels to the process that parses it."""

from dataclasses import dataclass, field
from pathlib import Path, PurePath

from howdah.retrieval.loaders.archive import Member
from howdah.retrieval.loaders.file import extract, read
from howdah.retrieval.loaders.kinds import RawFile
from howdah.retrieval.loaders.options import PLAIN, LoadOptions
from howdah.retrieval.types import Extract


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A file by its path, a member of an archive, or bytes; `name` is the name that bytes go by, else `source` is.

    It can be pickled.
    """

    content: Path | Member | bytes = field(repr=False)
    source: str
    name: str | None = None
    options: LoadOptions = PLAIN


def parse(job: Job) -> Extract:
    """What `extract` and `read` give. Raises LoadError as they do."""
    if isinstance(job.content, Path):
        return extract(job.content, source=job.source, options=job.options)
    if isinstance(job.content, Member):
        return read(job.content.raw())
    name = PurePath(job.name or job.source)
    return read(RawFile(source=job.source, name=name, data=job.content, options=job.options))
