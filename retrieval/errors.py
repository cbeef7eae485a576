"""Every error that Howdah raises on purpose.

HowdahError
├── InvalidInput (ValueError)       the caller gave something unusable; nothing was written
│   ├── DimensionMismatch           an embedding's length differs from its column's
│   ├── InvalidFilter               a metadata filter that cannot be compiled
│   └── CollectionMismatch          an argument contradicts what the collection remembers
├── NotFound (LookupError)          a collection, document or conversation of that name does not exist
├── DependencyMissing (RuntimeError)
│   ├── PackageMissing (ImportError)  an optional package is not installed
│   ├── DatabaseUnavailable           no connection to the server, or it may not be used
│   ├── ExtensionMissing              pgvector is not there, or too old
│   ├── SchemaMissing                 Howdah's tables are not there, or older than this program
│   ├── EmbeddedError                 the embedded server cannot run
│   └── ModelUnavailable              a model cannot be loaded or does not answer
├── NotAdopted (LookupError)        the rows are there, in another library's tables
├── AdoptionDiffers                 copied rows are not found as their source's are; the copy was rolled back
└── LoadError                       one source cannot be read; the others can
"""

from shlex import quote


class HowdahError(Exception):
    """Base class. `message` says what happened, got and wanted; `hint` is the next step."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(f"{message}; {hint}" if hint else message)
        self.message, self.hint = message, hint

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[HowdahError], args: tuple[object, ...], state: dict[str, object]) -> HowdahError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class InvalidInput(HowdahError, ValueError):
    """The caller gave something that cannot be used; nothing was written."""


class DimensionMismatch(InvalidInput):
    """An embedding's length differs from its column's."""

    def __init__(self, *, got: int, want: int, collection: str) -> None:
        super().__init__(
            f"embedding has {got} dimensions but collection {collection!r} stores {want}",
            hint="use the model that the collection was built with, or another collection",
        )
        self.got, self.want, self.collection = got, want, collection


class InvalidFilter(InvalidInput):
    """A metadata filter that cannot be compiled; the message says how to write it."""


class CollectionMismatch(InvalidInput):
    """An argument contradicts what the collection remembers (model, storage, metric, lexical)."""


class NotFound(HowdahError, LookupError):
    """A collection, document or conversation of that name does not exist."""


class DependencyMissing(HowdahError, RuntimeError):
    """Something outside this process is needed and is not there; `hint` says how to get it."""


class PackageMissing(DependencyMissing, ImportError):
    """An optional Python package is not installed."""

    def __init__(self, package: str, *, needed_for: str, install: str) -> None:
        super().__init__(f"{needed_for} needs the package {package!r}, which is not installed", hint=f"run: {install}")
        self.package, self.install = package, install


class DatabaseUnavailable(DependencyMissing):
    """The server cannot be reached, refuses the login, or lacks the database."""


class ExtensionMissing(DependencyMissing):
    """The vector extension is not in this database, or is older than 0.8.0."""


class SchemaMissing(DependencyMissing):
    """Howdah's tables are missing from this database, or of another version than this program's."""


class EmbeddedError(DependencyMissing):
    """The embedded server cannot be installed, started or reached."""


class ModelUnavailable(DependencyMissing):
    """A model cannot be loaded, or its API does not answer."""


class NotAdopted(HowdahError, LookupError):
    """The collection's rows are in another library's tables; `howdah adopt` takes them over."""

    def __init__(self, *, collection: str, rows: int, table: str) -> None:
        super().__init__(
            f"collection {collection!r} has {rows:,} rows in {table} and none in Howdah's tables",
            hint=f"run: howdah adopt --collection {quote(collection)}",
        )
        self.collection, self.rows, self.table = collection, rows, table


class AdoptionDiffers(HowdahError):
    """Source and copy do not give the same nearest rows by exact search; nothing was written."""

    def __init__(self, *, source: str, collection: str, ids: list[str], of: int) -> None:
        super().__init__(
            f"{len(ids)} of {of} searches find other rows in collection {collection!r} than in {source}, the first one for"
            f" id {ids[0]!r}; the copy was rolled back",
            hint="look for triggers on Howdah's tables, then run it again",
        )
        self.source, self.collection, self.ids, self.of = source, collection, ids, of


class LoadError(HowdahError):
    """One source cannot be read. `source` names it; the rest of the load goes on.

    `lasting`: trying again is in vain until the source changes, or the program does.
    """

    def __init__(self, source: str, reason: str, *, hint: str = "", lasting: bool = True) -> None:
        super().__init__(f"{source}: {reason}", hint=hint)
        self.source, self.reason, self.lasting = source, reason, lasting
