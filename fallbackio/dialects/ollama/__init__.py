"""Ollama's own chat, in lines of JSON."""

from fallbackio.dialects._dialect import Dialect, Route
from fallbackio.dialects.ollama._client import OllamaClient
from fallbackio.dialects.ollama._embedding import OllamaEmbedding
from fallbackio.dialects.ollama._server import OllamaServer

__all__ = ["DIALECT"]

DIALECT = Dialect(
    "ollama",
    (Route("/api/chat"), Route("/api/embed", embeds=True)),
    OllamaClient(),
    OllamaServer(),
    embedding=OllamaEmbedding(),
)
