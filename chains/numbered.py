"""Passages with numbers of one's own choice: `format_context` counts from 1. Pure."""

import re

from howdah.chains.context import format_context
from howdah.retrieval.types import Hit

_NUMBER = re.compile(r'<passage n="(\d+)"')


def renumbered(context: str, by: int) -> str:
    """`context` with `by` added to each passage's number. Passages cannot hold the delimiter: it is escaped in them."""
    return _NUMBER.sub(lambda match: f'<passage n="{int(match[1]) + by}"', context)


def passage(hit: Hit, n: int, *, question: str, limit: int) -> str:
    """One passage with the number `n`, at most `limit` characters; empty where that is too few."""
    return renumbered(format_context([hit], question=question, limit=limit), n - 1)
