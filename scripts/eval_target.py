"""What an evaluation searches: a test set's own documents in a collection of their own, or a collection of the user's."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from howdah.retrieval.errors import InvalidInput, NotFound
from howdah.scripts import output
from howdah.scripts.eval_gold import tell_moved
from howdah.scripts.session import Session

if TYPE_CHECKING:
    from howdah.retrieval.collection import Spec
    from howdah.retrieval.evaluation.beir import TestSet
    from howdah.retrieval.evaluation.ranking import Named
    from howdah.retrieval.evaluation.scratch import Shape
    from howdah.retrieval.evaluation.searching import Progress
    from howdah.retrieval.vectorstore import PGVector

ALL_MODES = ("hybrid", "dense", "lexical")


@dataclass(frozen=True, kw_only=True)
class Target:
    """The store, how its hits are named, what it holds, the modes it has, and relevant ids that it does not hold."""

    store: "PGVector"
    named: "Named"
    corpus: Mapping[str, Any]
    spec: "Spec"
    absent: Sequence[str] = ()

    @property
    def modes(self) -> Sequence[str]:
        """Those that the collection has: words only where it keeps them, both together only with cosines."""
        from howdah.retrieval.collection import Metric

        if not self.spec.lexical:
            return ("dense",)
        return ALL_MODES if self.spec.metric is Metric.COSINE else ("dense", "lexical")


def scratch(session: Session, tests: "TestSet", shape: "Shape", progress: "Progress") -> Target:
    """The test set's documents, loaded unless they are there from before."""
    from howdah.retrieval.embeddings import load_embeddings
    from howdah.retrieval.evaluation.ranking import by_corpus_id
    from howdah.retrieval.evaluation.scratch import load
    from howdah.retrieval.vectorstore import PGVector

    if session.collection_flag is not None:
        raise InvalidInput(
            f"{tests.corpus} has the documents to search, and --collection names others",
            hint="leave --collection out, or evaluate a folder without corpus.jsonl",
        )
    session.prepare()
    embeddings = load_embeddings(session.settings.embeddings or "local")

    def opens(name: str) -> PGVector:
        return PGVector(
            embeddings, connection=session.conninfo, home=session.home, collection_name=name, cache=session.cache,
            storage=shape.storage, config=shape.config,
        )  # fmt: skip

    loaded = load(opens, tests, shape, progress)
    store = opens(loaded.name)
    absent = sorted(tests.relevant - loaded.facts.ids)
    if len(absent) == len(tests.relevant):
        raise InvalidInput(
            f"{tests.corpus} holds none of the documents that {tests.qrels_file} calls relevant, for example {absent[0]!r}",
            hint="corpus-id in the judgements is the _id of a document",
        )
    return Target(
        store=store,
        named=by_corpus_id,
        corpus={
            "kind": "beir", "folder": str(tests.folder), "sha256": loaded.facts.sha256, "documents": len(loaded.facts.ids),
            "rows": shape.cut, "collection": loaded.name,
        },
        spec=store.store.get(loaded.name).spec,
        absent=absent,
    )  # fmt: skip


def own(session: Session, tests: "TestSet", shape: "Shape") -> Target:
    """The user's collection, as it is."""
    from howdah.retrieval.evaluation.own import own as found_in
    from howdah.retrieval.evaluation.scratch import Shape

    if shape != Shape():
        raise InvalidInput(
            "--chunked, --storage and --config are about a test set's own documents, and this one has none",
            hint=f"leave them out: collection {session.collection!r} is searched as it is",
        )
    _check_there(session, tests)
    tell_moved(session, tests.folder)
    store = session.vectors()
    found = found_in(store, tests)
    return Target(
        store=store,
        named=found.named,
        corpus={"kind": "collection", "name": session.collection, "chunks": found.chunks, "documents": found.documents},
        spec=store.store.get(session.collection).spec,
        absent=found.absent,
    )


def _check_there(session: Session, tests: "TestSet") -> None:
    if session.store.find(session.collection) is None:
        session.store.check_not_elsewhere(session.collection)
        raise NotFound(
            f"there is no collection {session.collection!r} to search, and {str(tests.folder)!r} has no corpus.jsonl",
            hint="--collection names yours; with corpus.jsonl the test set's own documents are searched",
        )


def versions(store: "PGVector") -> dict[str, str]:
    """Of everything that has a say in the figures."""
    from importlib.metadata import version
    from platform import python_version

    server = store.database.server
    return {
        "howdah": version("howdah"),
        "python": python_version(),
        "postgresql": f"{server.version // 10_000}.{server.version % 10_000}",
        "pgvector": ".".join(map(str, server.vector_version)),
        **{package: version(package) for package in ("ir-measures", "pytrec-eval-terrier", "numpy")},
    }


def tell_absent(absent: Sequence[str], relevant: int) -> None:
    """A word on relevant documents that no search can find."""
    if absent:
        output.warn(
            f"{len(absent):,} of {output.plural(relevant, 'relevant document')} are not there and count as not found:"
            f" {', '.join(absent[:3])}{' …' if len(absent) > 3 else ''}"
        )
