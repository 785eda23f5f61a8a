"""OpenAI's embeddings at Azure's addresses."""

from __future__ import annotations

from fallbackio.dialects.azure._address import url_of
from fallbackio.dialects.openai._embeddings import OpenAIEmbeddings
from fallbackio.endpoint import Endpoint

__all__ = ["AzureEmbeddings"]


class AzureEmbeddings(OpenAIEmbeddings):
    """The codec; has no state."""

    def url(self, endpoint: Endpoint) -> str:
        """Where embedding requests of `endpoint` go."""
        return url_of(endpoint, "embeddings")
