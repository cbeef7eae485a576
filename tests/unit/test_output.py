"""Words that commands print."""

import pytest

from howdah.scripts.output import plural


@pytest.mark.parametrize(
    ("count", "noun", "said"),
    [
        (1, "query", "1 query"),
        (2, "query", "2 queries"),
        (0, "row", "0 rows"),
        (1_200, "kept embedding", "1,200 kept embeddings"),
        (2, "day", "2 days"),
    ],
)
def test_a_count_has_its_noun(count: int, noun: str, said: str) -> None:
    assert plural(count, noun) == said
