"""Question in, cited answer out."""

from howdah.chains.rag import rag_chain
from howdah.chains.types import Answer, AnswerChunk, Citation

__all__ = ["Answer", "AnswerChunk", "Citation", "rag_chain"]
