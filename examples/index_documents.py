"""LangChain's own indexing API with a PGVector: only what changed is written, and what is gone is deleted.

Runs offline on the embedded PostgreSQL, with data in a folder of its own:

    pip install 'howdah[local]'
    python examples/index_documents.py

`index` compares with what its record manager remembers. The one here forgets with the process, so the example begins
with an empty collection. `howdah.sync` needs none: it compares with what is stored, and writes each document and its
bookkeeping in one transaction.
"""

import os
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.indexing import InMemoryRecordManager, index

from howdah import PGVector
from howdah.retrieval.embeddings import load_embeddings

HOME = Path(os.environ.get("HOWDAH_HOME", ".howdah-example"))


def page(source: str, text: str) -> Document:
    return Document(text, metadata={"source": source})


FIRST = [
    page("mars.md", "Mars has two moons."),
    page("venus.md", "Venus has no moon."),
    page("pluto.md", "Pluto is a planet."),
]
SECOND = [
    page("mars.md", "Mars has two moons, Phobos and Deimos."),
    page("venus.md", "Venus has no moon."),
]


def main() -> None:
    records = InMemoryRecordManager(namespace="planets")
    records.create_schema()
    with PGVector(load_embeddings("local"), home=HOME, collection_name="planets") as store:
        store.delete_collection()
        for name, documents in (("first run", FIRST), ("the same again", FIRST), ("changed", SECOND)):
            done = index(documents, records, store, cleanup="full", source_id_key="source", key_encoder="sha256")
            print(f"{name}: {done['num_added']} added, {done['num_skipped']} skipped, {done['num_deleted']} deleted")
        for document in store.similarity_search("moons", k=5):
            print(f"  {document.metadata['source']}: {document.page_content}")


if __name__ == "__main__":
    main()
