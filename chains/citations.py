"""From a passage and a range in it to a citation; and where in a passage a text stands. Pure."""

from howdah.chains.folding import fold
from howdah.chains.sentences import Span
from howdah.chains.types import Citation
from howdah.retrieval.types import Hit


def citation(hit: Hit, span: Span, *, n: int) -> Citation:
    """Citation number `n` of `hit.content[span]`; `start` and `end` count in the document, where the hit knows them."""
    start, end = place(hit, span) or (None, None)
    return Citation(
        n=n,
        id=hit.id,
        source=hit.source,
        title=hit.title,
        page=hit.page and hit.page + hit.content.count("\f", 0, span.start),  # a form feed ends each page
        start=start,
        end=end,
        quote=hit.content[span.start : span.end],
        also_in=hit.also_in,
    )


def locate(text: str, content: str) -> Span | None:
    """Where `text` stands in `content`, whole words only; case, accents, white space, quotation marks and emphasis aside."""
    wanted = fold(text.strip().rstrip(".!?…。！？")).text.strip()
    if not wanted:
        return None
    folded = fold(content)
    begin = folded.text.find(wanted)
    while begin >= 0:
        end = begin + len(wanted)
        if folded.whole(begin, end):
            return folded.span(begin, end, content)
        begin = folded.text.find(wanted, begin + 1)
    return None


def place(hit: Hit, span: Span) -> tuple[int, int] | None:
    """`hit.content[span]` in code points of the document; None where the hit does not know, or contradicts itself."""
    if hit.start is None or (hit.end is not None and hit.end - hit.start != len(hit.content)):
        return None  # the content is not the document's own text: another library has trimmed it
    return hit.start + span.start, hit.start + span.end
