"""Which version of its reader made a document's text: where one changes, its documents alone are read again."""

VERSIONS: dict[str, int] = {}
"""By media type; 1 where nothing is said. Raise one when its reader gives other text, headings or pages than before."""


def version(media_type: str) -> int:
    return VERSIONS.get(media_type, 1)
