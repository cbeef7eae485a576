import json
import sys
from pathlib import Path

import pytest

from howdah.retrieval import language
from howdah.retrieval.language import detect_language

XQUAD = Path(__file__).parents[3] / "shared" / "data" / "xquad"
GERMAN = "Der Elefant ist das größte noch lebende Landtier und wird von den Menschen seit alters her verehrt. "
ENGLISH = "The elephant is the largest land animal that is still alive, and people have admired it for ages. "
POLISH = "Słoń jest największym żyjącym zwierzęciem lądowym i od wieków jest podziwiany przez ludzi na świecie. "


@pytest.mark.parametrize(
    ("sentence", "code", "name", "config"),
    [
        (ENGLISH, "en", "english", "english"),
        (GERMAN, "de", "german", "german"),
        (POLISH, "pl", "polish", "simple"),
    ],
)
def test_the_language_sets_the_configuration(sentence, code, name, config):
    found = detect_language([sentence] * 4)
    assert (found.code, found.name, found.config, found.certain) == (code, name, config, True)


@pytest.mark.parametrize("samples", [[], [""], [GERMAN], ["1 2 3 " * 500]])
def test_too_little_text_is_english_but_not_certain(samples):
    found = detect_language(samples)
    assert (found.code, found.config, found.certain) == ("en", "english", False)


def test_a_missing_package_is_english_but_not_certain(monkeypatch):
    monkeypatch.setitem(sys.modules, "py3langid", None)
    assert not detect_language([GERMAN] * 10).certain


def test_a_long_first_document_does_not_decide_alone():
    assert detect_language([ENGLISH * 1000, *[GERMAN * 30] * 9]).code == "de"


def test_no_more_samples_are_drawn_than_are_looked_at():
    def samples():
        for _ in range(11):
            yield GERMAN * 100
        pytest.fail("the whole corpus was read")

    assert detect_language(samples()).code == "de"


def test_every_snowball_configuration_of_postgresql_18_is_reached():
    listed = """arabic armenian basque catalan danish dutch english estonian finnish french german greek hindi hungarian
        indonesian irish italian lithuanian nepali norwegian portuguese romanian russian serbian spanish swedish tamil
        turkish yiddish"""
    assert set(language._STEMMED.values()) == set(listed.split())


@pytest.mark.skipif(not XQUAD.exists(), reason="the data folder shared/data/xquad is not here")
@pytest.mark.parametrize(("name", "code"), [("corpus", "en"), ("corpus.de", "de"), ("corpus.es", "es")])
def test_real_corpora(name, code):
    lines = (XQUAD / f"{name}.jsonl").read_text().splitlines()
    assert detect_language(json.loads(line)["text"] for line in lines).code == code
