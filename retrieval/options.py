"""PGVector's arguments, read once: what langchain-postgres' class takes works here or says what replaces it."""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from howdah.retrieval.collection import UNKNOWN_MODEL, Collection, Metric, Spec, Storage
from howdah.retrieval.conninfo import Conninfo, parse
from howdah.retrieval.errors import CollectionMismatch, InvalidInput
from howdah.retrieval.promoted import Promoted

_METRICS = {
    "cosine": Metric.COSINE,
    "l2": Metric.L2,
    "euclidean": Metric.L2,
    "inner": Metric.INNER_PRODUCT,
    "inner_product": Metric.INNER_PRODUCT,
    "max_inner_product": Metric.INNER_PRODUCT,
}


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the caller said about the collection; None where nothing was said."""

    name: str
    model: str
    strong_model: bool
    dimensions: int | None = None
    storage: Storage | None = None
    metric: Metric | None = None
    lexical: bool | None = None
    config: str | None = None
    metadata: Mapping[str, Any] | None = None
    promoted: Mapping[str, Promoted] | None = None
    next_model: str | None = None

    def spec(self, *, dimensions: int, language: str, config: str) -> Spec:
        """A new collection's Spec: what was said, else the defaults."""
        if self.dimensions is not None and self.dimensions != dimensions:
            raise InvalidInput(
                f"embedding_length is {self.dimensions} and the model gives {dimensions} dimensions",
                hint="leave embedding_length out: it is read off the first embedding",
            )
        return Spec(
            model=self.model,
            dimensions=dimensions,
            storage=self.storage or Storage.HALFVEC,
            metric=self.metric or Metric.COSINE,
            lexical=self.lexical is not False,
            language=self.config or language,
            config=self.config or config,
            metadata=self.metadata or {},
            promoted=self.promoted or {},
        )

    def check(self, collection: Collection) -> None:
        """Raise CollectionMismatch where something said contradicts the collection; warn where it only may."""
        spec = collection.spec
        said = {
            "storage": (self.storage, spec.storage),
            "distance_strategy": (self.metric, spec.metric),
            "lexical": (self.lexical, spec.lexical),
            "config": (self.config, spec.config),
            "embedding_length": (self.dimensions, spec.dimensions),
        }
        for name, (value, has) in said.items():
            if value is not None and value != has:
                raise CollectionMismatch(
                    f"collection {collection.name!r} was made with {name}={_shown(has)} and this says {_shown(value)}",
                    hint=f"leave {name} out, or use another collection",
                )
        for key, item in (self.promoted or {}).items():
            if spec.promoted.get(key) != item:
                raise CollectionMismatch(
                    f"collection {collection.name!r} has not promoted {key!r} as {item.kind.label}",
                    hint=f"run: howdah collections promote {collection.name} {key}={item.kind.label}",
                )
        if spec.model not in (self.model, self.next_model) and UNKNOWN_MODEL not in (self.model, spec.model):
            self._other_model(collection)

    def follows(self, collection: Collection | None) -> bool:
        """Whether the collection has been switched to the model that was announced."""
        return (
            collection is not None
            and self.next_model not in (None, self.model)
            and (collection.spec.model == self.next_model)
        )

    def check_own(self, collection: Collection) -> None:
        """Raise CollectionMismatch for vectors of the caller's: they are the first model's, and the collection has the next."""
        if self.follows(collection):
            self._other_model(collection, certain=True)

    def _other_model(self, collection: Collection, *, certain: bool = False) -> None:
        text = f"collection {collection.name!r} was embedded with {collection.spec.model!r} and this model is {self.model!r}"
        certain = certain or self.model in collection.former
        if certain or (self.strong_model and _is_strong(collection.spec.model)):
            raise CollectionMismatch(text, hint="use that model, or another collection")
        warnings.warn(f"{text}; vectors of two models cannot be compared", UserWarning, stacklevel=6)


def _is_strong(model: str) -> bool:
    """Whether an identity names a model rather than a class (see embeddings.identity)."""
    return ":" in model and not model.startswith("class:")


def _shown(value: object) -> str:
    if isinstance(value, Storage):
        return repr(value.type_name)
    return repr(value.label) if isinstance(value, Metric) else repr(value)


def metric_of(value: Any) -> Metric | None:
    """A Metric from its name, langchain-postgres' DistanceStrategy included."""
    if value is None or isinstance(value, Metric):
        return value
    name = str(getattr(value, "value", value)).lower()
    if name not in _METRICS:
        raise InvalidInput(f"distance_strategy {value!r} is not known", hint="use 'cosine', 'l2' or 'inner_product'")
    return _METRICS[name]


def storage_of(value: Any) -> Storage | None:
    if value is None or isinstance(value, Storage):
        return value
    if value not in {member.type_name for member in Storage}:
        raise InvalidInput(f"storage {value!r} is not known", hint="use 'halfvec' (half the size) or 'vector'")
    return Storage.of(value)


def conninfo_of(connection: Any) -> Conninfo | None:
    """A connection argument as Conninfo: a URL, or a SQLAlchemy engine, whose URL is taken. None is the embedded server."""
    if connection is None or isinstance(connection, Conninfo):
        return connection
    if isinstance(connection, str):
        return parse(connection)
    url = getattr(connection, "url", None)
    if url is not None and hasattr(url, "render_as_string"):
        return parse(url.render_as_string(hide_password=False))
    raise InvalidInput(
        f"connection is {type(connection).__name__} and must be a URL or an engine",
        hint="pass a psycopg pool as pool=, or the URL as connection=",
    )


def langchain_arguments(
    *, use_jsonb: bool | None, async_mode: bool | None, engine_args: Mapping[str, Any] | None, logger: Any
) -> None:
    """Say what became of the arguments that have no work here."""
    if use_jsonb is False:
        raise InvalidInput("use_jsonb=False: metadata is always jsonb here", hint="leave the argument out")
    for name, value in (("use_jsonb", use_jsonb), ("async_mode", async_mode)):
        if value is not None:
            warnings.warn(f"{name} is not needed: {_NOT_NEEDED[name]}", UserWarning, stacklevel=4)
    if engine_args:
        unknown = sorted(set(engine_args) - {"pool_size", "max_overflow", "pool_pre_ping", "pool_recycle", "echo"})
        replacement = "pool_size=, and connection settings in the URL"
        if unknown:
            raise InvalidInput(f"engine_args {unknown} have no meaning here", hint=f"use {replacement}")
        warnings.warn(
            f"engine_args are SQLAlchemy's; of them pool_size is used: use {replacement}", UserWarning, stacklevel=4
        )
    if logger is not None:
        warnings.warn("logger is not used: configure the logger 'howdah' instead", UserWarning, stacklevel=4)


_NOT_NEEDED = {"use_jsonb": "metadata is always jsonb", "async_mode": "every store has sync and async methods"}
Relevance = Callable[[float], float]
