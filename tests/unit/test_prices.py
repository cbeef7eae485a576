"""What embedding costs, by the names that a collection remembers."""

import pytest
from langchain_openai import OpenAIEmbeddings

from howdah.retrieval.embeddings import LOCAL_IDENTITY, identity
from howdah.retrieval.prices import PRICES, price


@pytest.mark.parametrize(
    ("name", "dollars"),
    [
        # Of the providers' announcements: $0.00002, $0.00013 and $0.0001 per 1,000 tokens.
        ("openai:text-embedding-3-small", 0.00002 * 5_000),
        ("openai:text-embedding-3-large", 0.00013 * 5_000),
        ("openai:text-embedding-ada-002", 0.0001 * 5_000),
        ("voyageai:voyage-3", 0.00006 * 5_000),
        ("google_genai:models/gemini-embedding-001", 0.15 * 5),
        (LOCAL_IDENTITY, 0.0),
    ],
)
def test_five_million_tokens(name, dollars):
    assert price(name, 5_000_000) == pytest.approx(dollars)


@pytest.mark.parametrize("name", ["openai:gpt-5", "ollama:bge-m3", "azure_openai:text-embedding-3-small", "house", ""])
def test_what_is_not_known_has_no_price(name):
    assert price(name, 5) is None


def test_names_are_those_that_identities_have():
    model = OpenAIEmbeddings(model="text-embedding-3-small", api_key="sk-nothing")
    assert price(identity(model).name, 1_000_000) == 0.02
    assert all(each.page.startswith("https://") and each.read for each in PRICES.values())
