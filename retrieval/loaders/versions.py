"""Which version of its reader made a document's text: where one changes, its documents alone are read again."""

VERSIONS: dict[str, int] = {
    "application/pdf": 2,  # a form feed ends each page
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": 2,
    "application/vnd.oasis.opendocument.presentation": 2,
}
"""By media type; 1 where nothing is said. Raise one when its reader gives other text, headings or pages than before."""


def version(media_type: str) -> int:
    return VERSIONS.get(media_type, 1)
