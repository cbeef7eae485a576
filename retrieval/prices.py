"""What embedding costs at APIs with a published price: for estimates, never for bills.

US$ per million tokens at the provider itself, without free tiers and batch discounts. Prices change: with each stands
the provider's own page, and where and when the price was read, which was not always there. An address that is not the
provider's own, such as a gateway or Azure, may charge another.
"""

from typing import NamedTuple


class Price(NamedTuple):
    """US$ per million tokens, the provider's page, and where and when it was read."""

    dollars: float
    page: str
    read: str


OPENAI = "https://platform.openai.com/docs/pricing/"
OPENAI_NEWS = (
    "https://openai.com/index/new-embedding-models-and-api-updates/ of 2024-01-25, unchanged in lists of 2026-05"
)
VOYAGE = "https://docs.voyageai.com/docs/pricing"
COHERE = "https://cohere.com/pricing"
MISTRAL = "https://mistral.ai/pricing"
GEMINI = "https://ai.google.dev/gemini-api/docs/pricing"

PRICES = {
    "openai:text-embedding-3-small": Price(0.02, OPENAI, OPENAI_NEWS),
    "openai:text-embedding-3-large": Price(0.13, OPENAI, OPENAI_NEWS),
    "openai:text-embedding-ada-002": Price(0.10, OPENAI, OPENAI_NEWS),
    "voyageai:voyage-3": Price(0.06, VOYAGE, "the page itself, in a copy without a date, 2026-11-24"),
    "voyageai:voyage-3-lite": Price(0.02, VOYAGE, "the page itself, in a copy without a date, 2026-11-24"),
    "voyageai:voyage-3-large": Price(
        0.18, VOYAGE, "https://vercel.com/ai-gateway/models/voyage-3-large.md, 2026-11-24"
    ),
    "voyageai:voyage-3.5": Price(0.06, VOYAGE, "lists of third parties of 2025-11 and 2026-05, which agree"),
    "voyageai:voyage-3.5-lite": Price(0.02, VOYAGE, "lists of third parties of 2025-11 and 2026-05, which agree"),
    "voyageai:voyage-code-3": Price(0.18, VOYAGE, "lists of third parties of 2025-11 and 2026-05, which agree"),
    "cohere:embed-v4.0": Price(0.12, COHERE, "https://developer.puter.com/tutorials/cohere-api-pricing/ of 2026-06"),
    # Cohere no longer lists these; what they cost while it did.
    "cohere:embed-english-v3.0": Price(
        0.10, COHERE, "https://www.getmaxim.ai/bifrost/llm-cost-calculator/provider/cohere, 2026-11-24"
    ),
    "cohere:embed-multilingual-v3.0": Price(
        0.10, COHERE, "https://www.getmaxim.ai/bifrost/llm-cost-calculator/provider/cohere, 2026-11-24"
    ),
    "mistralai:mistral-embed": Price(0.10, MISTRAL, "https://opencode.ai/data/mistral/mistral-embed.md, 2026-11-24"),
    "google_genai:gemini-embedding-001": Price(
        0.15, GEMINI, "https://opencode.ai/data/google/gemini-embedding-001.md, 2026-11-24"
    ),
}
"""By the names of `embeddings.identity`."""


def price(identity_name: str, tokens: int) -> float | None:
    """US$ for embedding that many tokens, 0.0 with the local model, None where no price is known."""
    provider, _, model = identity_name.partition(":")
    if provider == "local":
        return 0.0
    # Google's own names may begin so.
    found = PRICES.get(f"{provider}:{model.removeprefix('models/')}")
    return None if found is None else found.dollars * tokens / 1_000_000
