"""Links in every spelling, and their addresses as text that nothing makes clickable. Pure."""

import re

_END = r"[^\s<>\"'`|\\]"
_TOP = (
    "com|org|net|edu|gov|mil|int|info|biz|io|ai|app|dev|co|tv|xyz|top|site|online|shop|store|club|live|link|click|page|cloud"
    "|tech|icu|example|test|invalid|onion|ru|cn|su|tk|cf|gq|de|uk|fr|jp|br|eu|xn--[\\w-]+"
)
LINK = re.compile(
    rf"(?<![\w+.-])[a-z][a-z0-9+.-]{{1,30}}:(?:\\?/){{2,}}{_END}+"  # a scheme
    rf"|(?<!\w)(?:javascript|vbscript|livescript)\s*:\s*{_END}+"
    r"|(?<!\w)data:[\w/+.-]*[;,]\S+|(?<!\w)(?:mailto|sms|tel|blob|file|intent|view-source):[^\s<>\"'`]+"
    rf"|(?<![\w.])www\.{_END}+"
    rf"|(?<![\w:/.])//[\w-]+(?:\.[\w-]+)+(?:[:/?#]{_END}*)?"
    r"|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    rf"|(?<![\w@/.-])(?:[\w-]+\.)+(?:{_TOP})(?![\w-])(?:[:/?#]{_END}*)?"
    r"|(?<!\w)[\w-]+(?:\s?[\[({]\s?(?:\.|dot)\s?[\])}]\s?[\w-]+)+[^\s<>\"'`]*",  # evil[.]example, evil (dot) example
    re.IGNORECASE,
)
_TAIL = ".,;:!?)]}*_…"
_WEB = re.compile(r"(?:https?|hxxps?):/*|^//", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:(?:\\?/)*", re.IGNORECASE)
_OPENED_BY_NOTHING = re.compile(
    r"(?:postgres(?:ql)?|mysql|mariadb|sqlite|redis|mongodb|jdbc|amqp|kafka|nats|bolt|duckdb)\b", re.IGNORECASE
)
_HARMFUL = re.compile(r"\s*(?:javascript|vbscript|livescript|data|blob|intent|view-source)\s*:", re.IGNORECASE)
_CODE = re.compile(r"(`+|~~~+)[\s\S]+?\1")


def links(text: str) -> frozenset[str]:
    """The addresses in `text`, those of the web without scheme and `www.`."""
    return frozenset(_address(match[0].rstrip(_TAIL)).removesuffix("/") for match in LINK.finditer(text))


def without_links(text: str) -> str:
    return LINK.sub(" ", text)


def harmful(text: str) -> bool:
    """Whether `text` has an address that is itself a program or a page."""
    return any(_HARMFUL.match(match[0]) for match in LINK.finditer(text))


def unlinked(text: str) -> str:
    """`text` with each address as code, without scheme and without what follows the path: to be read, not to be followed.

    Where a link leads is the document's word alone, and its query can say something about the reader.
    """
    code = [match.span() for match in _CODE.finditer(text)]

    def shown(match: re.Match[str]) -> str:
        whole = match[0].rstrip(_TAIL)
        tail = match[0][len(whole) :]
        within = any(start <= match.start() < end for start, end in code)
        return (_plain(whole) if within else f"`{_plain(whole)}`") + tail

    return LINK.sub(shown, text)


def _address(link: str) -> str:
    return _WEB.sub("", link, count=1).casefold().removeprefix("www.")


def _plain(link: str) -> str:
    """An address for reading: `example.org/docs…`."""
    if _OPENED_BY_NOTHING.match(link):
        return link
    if "@" in link and "/" not in link:
        return _SCHEME.sub("", link, count=1).partition("?")[0]
    bare = _SCHEME.sub("", link, count=1).lstrip("/\\")
    bare = bare[4:] if bare[:4].casefold() == "www." else bare
    path = re.split(r"[?#]", bare, maxsplit=1)[0]
    host, slash, rest = path.partition("/")
    return f"{host.rpartition('@')[2]}{slash}{rest}{'…' if path != bare else ''}"
