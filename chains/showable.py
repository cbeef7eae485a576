"""The last look at a text before a reader sees it: nothing in it may act, and nothing may pass for a citation. Pure."""

import re

from howdah.chains.calls import calls_tool
from howdah.chains.clean import clean, visible
from howdah.chains.links import harmful, unlinked
from howdah.chains.markers import without_markers
from howdah.chains.words import content_words

_ACTS = re.compile(
    r"\]\(|^[ \t>*+-]*\[[^\[\]]+\]:[ \t]*\S+[ \t]*$|!\[[^\[\]]*\]\["  # Markdown
    r"|<[a-z][\w:-]*\s[^<>]*=|<(?:a|img|script|iframe|svg|style|link|base|form|input|object|embed|meta|video|audio)\b|<!--"
    r"|(?<!\w)(?:https?|ftp|file)://|(?<!\w)(?:javascript|vbscript):|(?<!\w)data:\w+/|\bwww\.\w|<\|",
    re.IGNORECASE | re.MULTILINE,
)


def inert(text: str) -> str:
    """`text` with its addresses as plain text; "" where something would be left that a page or a terminal acts on."""
    shown = unlinked(text)
    return "" if harmful(text) or _ACTS.search(shown) or visible(shown) != shown else shown


def quotable(text: str) -> str:
    """A passage's own sentence as it is shown, without the numbers that look like ours; "" where it cannot be shown."""
    if calls_tool(visible(text)):
        return ""
    shown = inert(without_markers(clean(text)))
    return shown if content_words(shown) and not calls_tool(shown) else ""
