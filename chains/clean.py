"""Text that is about to be shown: without links' targets, pictures, HTML and control characters. Pure."""

import re

from howdah.chains.sentences import LIST_ITEM

_IMAGE = re.compile(r"!\[([^\]]*)\](?:\([^)]*\)|\[[^\]]*\])?")
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_ELEMENTS = (
    "a|audio|b|base|body|br|button|code|details|div|em|embed|font|form|h[1-6]|head|hr|html|i|iframe|img|input|li|link|math|meta"
    "|object|ol|p|passage|pre|script|source|span|strong|style|sub|summary|sup|svg|table|tbody|td|th|thead|tr|u|ul|video"
)
_TAG = re.compile(rf"</?(?:{_ELEMENTS})\b[^<>]*>?|<!--.*?-->", re.DOTALL | re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_NUMBERED = re.compile(r"([ \t]*)\d{1,3}[.)](?=[ \t])")


def clean(text: str) -> str:
    """`text` as plain prose; what a link or picture says stays, where it leads goes."""
    plain = _CONTROL.sub("", text)
    plain = _LINK.sub(_said, _IMAGE.sub(r"\1", plain))
    return _TAG.sub("", plain).strip()


def unnumbered(text: str) -> str:
    """`1. text` as `- text`: the model's own count is held by no passage."""
    return _NUMBERED.sub(r"\1-", text, count=1)


def without_item(text: str) -> str:
    """`text` without the list marker that it begins with."""
    item = LIST_ITEM.match(text)
    return text[item.end() :] if item else text


def _said(link: re.Match[str]) -> str:
    """A link on a number is a citation in disguise."""
    return f"[{link[1]}]" if link[1].isdigit() else link[1]
