"""A notebook, whose cells run on a loop that is running already and stays: sync calls and `await` on one store."""

import nbformat
import pytest
from nbclient import NotebookClient

CELLS = [
    """
from langchain_core.embeddings import DeterministicFakeEmbedding
from howdah import PGVector
store = PGVector(DeterministicFakeEmbedding(size=16), connection=URL, collection_name="docs")
store.add_texts(["apple", "pear", "plum"], ids=["1", "2", "3"])
print(sorted(doc.id for doc in store.similarity_search("apple")))
""",
    """
print(sorted(doc.id for doc in await store.asimilarity_search("apple")))
await store.aadd_texts(["fig"], ids=["4"])
print(len(store.similarity_search("apple")))
""",
    """
import asyncio
found = await asyncio.gather(*(store.asimilarity_search("fig", k=9, ef_search=100 + n) for n in range(40)))
print({len(docs) for docs in found})
""",
    """
stop = asyncio.create_task(store.asimilarity_search("fig"))
await asyncio.sleep(0)
stop.cancel()
await asyncio.gather(stop, return_exceptions=True)
retriever = store.as_retriever(search_type="hybrid", search_kwargs={"k": 9})
print(len(await retriever.ainvoke("fig")), len(retriever.invoke("fig")))
""",
    """
async with store:
    await store.adelete(["4"])
await store.aclose()
print(len(await store.asimilarity_search("fig")), len(store.similarity_search("fig")))
""",
]
SAID = ["['1', '2', '3']", "['1', '2', '3']\n4", "{4}", "4 4", "3 3"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the notebook client's own
def test_sync_and_await_in_one_notebook(url):
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(code.replace("URL", repr(url))) for code in CELLS]
    )
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    outputs = [cell.outputs for cell in notebook.cells]
    assert ["".join(part.get("text", repr(part)) for part in parts).strip() for parts in outputs] == SAID
