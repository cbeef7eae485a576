"""From a passage and a range in it to a citation; and where in a passage a text stands. Pure."""

from howdah.chains.sentences import Span
from howdah.chains.types import Citation
from howdah.chains.words import UNSPACED
from howdah.retrieval.types import Hit

_SAME = str.maketrans("’‘‛“”„‟«»—–−‐‑", "'''" + 6 * '"' + 5 * "-")
_UNSEEN = frozenset("*`_\u00ad\u200b\u200c\u200d\u2060\ufeff")


def citation(hit: Hit, span: Span, *, n: int) -> Citation:
    """Citation number `n` of `hit.content[span]`; `start` and `end` count in the document, where the hit knows them."""
    placed = hit.start is not None
    return Citation(
        n=n,
        id=hit.id,
        source=hit.source,
        title=hit.title,
        page=hit.page,
        start=(hit.start or 0) + span.start if placed else None,
        end=(hit.start or 0) + span.end if placed else None,
        quote=hit.content[span.start : span.end],
        also_in=hit.also_in,
    )


def locate(text: str, content: str) -> Span | None:
    """Where `text` stands in `content`, whole words only; case, white space, quotation marks and emphasis aside."""
    wanted, _ = _folded(text.strip().rstrip(".!?…。！？"))
    wanted = wanted.strip()
    if not wanted:
        return None
    folded, places = _folded(content)
    begin = folded.find(wanted)
    while begin >= 0:
        end = begin + len(wanted)
        if _whole(folded, begin, end):
            return Span(places[begin], places[end - 1] + 1)
        begin = folded.find(wanted, begin + 1)
    return None


def _folded(text: str) -> tuple[str, list[int]]:
    """`text` in one spelling, and for each of its characters the place that it came from."""
    folded: list[str] = []
    places: list[int] = []
    for place, char in enumerate(text.translate(_SAME)):
        if char in _UNSEEN or (char.isspace() and folded[-1:] == [" "]):
            continue
        for lower in " " if char.isspace() else char.casefold():
            folded.append(lower)
            places.append(place)
    return "".join(folded), places


def _whole(text: str, begin: int, end: int) -> bool:
    return not (_joined(text[begin - 1 : begin + 1]) or _joined(text[end - 1 : end + 1]))


def _joined(pair: str) -> bool:
    return len(pair) == 2 and pair.isalnum() and not UNSPACED.search(pair)
