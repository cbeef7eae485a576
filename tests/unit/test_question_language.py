"""Which language a question is in: eight of ten words at most are needed, and none is guessed."""

import json
from pathlib import Path

import pytest

from howdah.chains.language import language_of

XQUAD = Path(__file__).parents[3] / "shared" / "data" / "xquad"


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I install it?", "en"),
        ("Wie installiere ich das?", "de"),
        ("Größe?", "de"),
        ("¿Cuándo murió?", "es"),
        ("Où est-il né ?", "fr"),
        ("Come si installa?", "it"),
        ("Onde está o arquivo?", "pt"),
        ("Hoe kan ik het installeren?", "nl"),
        ("索引是什么？", "zh"),
        ("インデックスとは何ですか", "ja"),
        ("인덱스란 무엇입니까?", "ko"),
        ("Что такое индекс?", "ru"),
        ("ما هو الفهرس؟", "ar"),
        ("What does 索引 mean?", "en"),
        ("HNSW ef_search", None),
        ("42", None),
        ("", None),
    ],
)
def test_by_words_and_letters(text: str, language: str | None) -> None:
    assert language_of(text) == language


@pytest.mark.skipif(not XQUAD.is_dir(), reason="XQuAD is not on this machine")
@pytest.mark.parametrize(
    ("file", "language"), [("queries.jsonl", "en"), ("queries.de.jsonl", "de"), ("queries.es.jsonl", "es")]
)
def test_xquads_questions(file: str, language: str) -> None:
    found = [language_of(json.loads(line)["text"]) for line in (XQUAD / file).read_text(encoding="utf-8").splitlines()]
    assert sum(code == language for code in found) >= 0.95 * len(found)
    assert sum(code not in (language, None) for code in found) <= 0.01 * len(found)
