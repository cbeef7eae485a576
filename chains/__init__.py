"""Question in, cited answer out."""

from howdah.chains.agent import rag_agent
from howdah.chains.rag import rag_chain
from howdah.chains.types import Answer, AnswerChunk, Citation

__all__ = ["Answer", "AnswerChunk", "Citation", "rag_agent", "rag_chain"]
