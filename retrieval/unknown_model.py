"""Collections whose embedding model nobody has named: adopted rows do not say who embedded them."""

from typing import NoReturn

from langchain_core.embeddings import Embeddings

from howdah.retrieval.collection import UNKNOWN_MODEL
from howdah.retrieval.embeddings import LocalEmbeddings, identity, load_embeddings
from howdah.retrieval.errors import InvalidInput, ModelUnavailable, PackageMissing


class UnknownModel(Embeddings):
    """Stands in for the model of such a collection: all that needs no embedding works, and the rest says what to do."""

    model = UNKNOWN_MODEL

    def __init__(self, collection: str) -> None:
        self._collection = collection

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._refuse()

    def embed_query(self, text: str) -> list[float]:
        return self._refuse()

    def _refuse(self) -> NoReturn:
        raise InvalidInput(
            f"collection {self._collection!r} was adopted without saying which model had embedded its rows",
            hint="set HOWDAH_EMBEDDINGS=provider:model, or run howdah adopt again with --model provider:model",
        )


def model_of(identity: str) -> Embeddings:
    """The model that a collection remembers by this name. Raises InvalidInput where nobody knows which it was."""
    if identity == UNKNOWN_MODEL:
        raise InvalidInput(
            "the model that embedded these rows is not known, so nothing can be embedded with it",
            hint="name it first: howdah adopt … --model provider:model",
        )
    return load_embeddings(identity)


def model_identity(name: str, *, dimensions: int) -> str:
    """What a collection of so many dimensions remembers of the model of that name; loaded, where its package is there.

    Raises InvalidInput for a name that is none, and for the local model where the dimensions are not its own.
    """
    try:
        model = load_embeddings(name)
    except (PackageMissing, ModelUnavailable):
        return name.strip()
    if isinstance(model, LocalEmbeddings) and model.dimensions != dimensions:
        raise InvalidInput(
            f"the model {name!r} makes {model.dimensions} dimensions and these rows have {dimensions:,}",
            hint="name the model that embedded them: --model provider:model",
        )
    return identity(model).name
