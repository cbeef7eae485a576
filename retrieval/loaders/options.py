"""What a user may say about how files are read."""

from dataclasses import dataclass, fields

from howdah.retrieval.errors import InvalidInput


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """How files are read; the same for every file of a load.

    `passwords` are tried one after the other on encrypted files. `columns` are the columns (or keys) of tables and JSON
    records that become text, in this order; empty for all of them. What is left out can still be filtered by: each
    record's short values are its metadata, chosen or not.

    Raises InvalidInput for anything but sequences of strings.
    """

    passwords: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for option in fields(self):
            value = getattr(self, option.name)
            if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
                raise InvalidInput(f"{option.name} must be a tuple of strings, got {type(value).__name__}")

    def __repr__(self) -> str:
        return f"LoadOptions(passwords=<{len(self.passwords)}>, columns={self.columns!r})"


PLAIN = LoadOptions()
