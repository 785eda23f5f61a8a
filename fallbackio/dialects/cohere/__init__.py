"""Cohere's chat, version 2."""

from fallbackio.dialects._dialect import Dialect, Route
from fallbackio.dialects.cohere._client import CohereClient
from fallbackio.dialects.cohere._embedding import CohereEmbedding
from fallbackio.dialects.cohere._server import CohereServer

__all__ = ["DIALECT"]

DIALECT = Dialect(
    "cohere",
    (Route("/v2/chat"), Route("/v2/embed", embeds=True)),
    CohereClient(),
    CohereServer(),
    base="/v2",
    embedding=CohereEmbedding(),
)
