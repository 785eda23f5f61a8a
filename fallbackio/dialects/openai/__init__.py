"""OpenAI's chat completions, which most vendors and local servers speak, and its embeddings."""

from fallbackio.dialects._dialect import Dialect, Route
from fallbackio.dialects.openai._client import OpenAIClient
from fallbackio.dialects.openai._embeddings import OpenAIEmbeddings
from fallbackio.dialects.openai._server import OpenAIServer

__all__ = ["DIALECT"]

DIALECT = Dialect(
    "openai",
    (Route("/v1/chat/completions"), Route("/v1/embeddings", embeds=True)),
    OpenAIClient(),
    OpenAIServer(),
    base="/v1",
    embedding=OpenAIEmbeddings(),
)
