"""Text that is about to be shown: without links' targets, pictures, HTML, and characters that hide or command. Pure."""

import html
import re
import unicodedata

from howdah.chains.links import LINK
from howdah.chains.sentences import LIST_ITEM

_TARGET = r"\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
_LABEL = r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\]"
_IMAGE = re.compile(rf"!\s?{_LABEL}(?:{_TARGET}|\[[^\[\]]*\])?")
_LINK = re.compile(rf"{_LABEL}{_TARGET}")
_REFERENCE = re.compile(r"(?<!\w)\[([^\[\]]*[^\W\d][^\[\]]*)\]\[([^\[\]]*)\]")
_DEFINITION = re.compile(
    r"^[ \t>*+-]*\[[^\[\]]+\]:[ \t]*\n?[ \t]*(?:<[^<>\n]*>|\S+)(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?[ \t]*$"
    r"|\[[^\[\]]+\]:[ \t]*(?:<[^<>\n]*>|\S*[:/.]\S+)",  # and what would be one on a line of its own
    re.MULTILINE,
)
_ELEMENTS = (
    "a|applet|area|audio|b|base|bgsound|blockquote|body|br|button|canvas|center|code|dd|details|div|dl|dt|em|embed|font|form"
    "|frame|frameset|h[1-6]|head|hr|html|i|iframe|img|input|ins|kbd|label|layer|li|link|map|mark|marquee|math|meta|noscript"
    "|object|ol|option|p|param|passage|picture|pre|s|script|section|select|slot|small|source|span|strike|strong|style|sub"
    "|summary|sup|svg|table|tbody|td|template|textarea|th|thead|title|tr|track|u|ul|video|xml"
)
_AUTOLINK = re.compile(r"<([a-z][a-z0-9+.-]{1,30}:[^<>\s]*|[^<>\s@]+@[^<>\s]+)>", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|$)|<!\[CDATA\[|\]\]>", re.DOTALL)
_TAG = re.compile(
    rf"</?(?:{_ELEMENTS})(?:[\s/][^<>]*)?>|<(?:{_ELEMENTS})\s[^<>]*=[^<>]*"  # the second is closed by nothing, or later
    r"|</?[a-z][\w:-]*\s[^<>]*=[^<>]*>?|</[a-z][\w:-]*>|<[!?][^<>]*>?"  # any other element that has attributes
    r"|<\|[^<>|]*\|?>?|</?(?:start|end)_of_turn>|<<?/?SYS>?>|\[/?(?:INST|SYS)\]",  # the delimiters of chat templates
    re.DOTALL | re.IGNORECASE,
)
_ESCAPE = re.compile(
    r"(?:\x1b\]|\x9d)[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b[PX^_][^\x1b]*(?:\x1b\\)?|\x1b."
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufff9-\ufffb\u20e3\ufe00-\ufe0f\U000e0000-\U000e0fff]")
_JOINER = re.compile(r"(?<=[^\x00-\u05ff])[\u200c\u200d](?=[^\x00-\u05ff])")  # which Persian, Hindi and emoji need
_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|quot|#0*(?:34|38|60|62)|#x0*(?:22|26|3c|3e));)#?\w{1,31};", re.IGNORECASE)
_NUMBERED = re.compile(r"([ \t]*)\d{1,3}[.)](?=[ \t])")
_ROUNDS = 6  # what is taken out may have hidden another one


def clean(text: str) -> str:
    """`text` as plain prose; what a link or picture says stays, where it leads goes."""
    plain = _revealed(visible(_ENTITY.sub(lambda entity: html.unescape(entity[0]), text)))
    for _ in range(_ROUNDS):
        before = plain
        plain = _AUTOLINK.sub(r"\1", plain)
        plain = _TAG.sub("", _COMMENT.sub("", _DEFINITION.sub("", plain)))
        plain = _REFERENCE.sub(_referred, _LINK.sub(_said, _IMAGE.sub(r"\1", plain)))
        if plain == before:
            break
    return plain.replace("](", "] (").strip()


def visible(text: str) -> str:
    """`text` without terminal commands and the characters that no reader sees."""
    bare = _CONTROL.sub("", _ESCAPE.sub("", text))
    if bare.isascii():
        return bare
    kept = {match.start() for match in _JOINER.finditer(bare)}
    return "".join(char for place, char in enumerate(bare) if place in kept or not _hidden(char))


def _hidden(char: str) -> bool:
    """Zero width, direction overrides, soft hyphens, tags; not the private characters of some fonts."""
    return unicodedata.category(char) == "Cf" or char in "\u115f\u1160\u3164\uffa0\u2800"


def unnumbered(text: str) -> str:
    """`1. text` as `- text`: the model's own count is held by no passage."""
    return _NUMBERED.sub(r"\1-", text, count=1)


def without_item(text: str) -> str:
    """`text` without the list marker that it begins with."""
    item = LIST_ITEM.match(text)
    return text[item.end() :] if item else text


def _revealed(text: str) -> str:
    """`text` in its plain forms, where these show a link that other forms of its letters hide."""
    plain = unicodedata.normalize("NFKC", text)
    more = plain.count("://") > text.count("://") or len(LINK.findall(plain)) > len(LINK.findall(text))
    return plain if more else text


def _said(link: re.Match[str]) -> str:
    """A link on a number is a citation in disguise."""
    return f"[{link[1]}]" if link[1].isdigit() else link[1]


def _referred(link: re.Match[str]) -> str:
    """`[text][1]` is text and a citation; `[text][name]` a link that is defined elsewhere."""
    return f"{link[1]} [{link[2]}]" if link[2].isdigit() else link[1]
