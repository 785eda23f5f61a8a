"""Azure OpenAI: OpenAI's chat completions and embeddings at a resource of one's own."""

from fallbackio.dialects._dialect import Dialect, Route
from fallbackio.dialects.azure._client import AzureClient
from fallbackio.dialects.azure._embeddings import AzureEmbeddings
from fallbackio.dialects.azure._server import AzureServer

__all__ = ["DIALECT"]

DIALECT = Dialect(
    "azure",
    (
        Route("/openai/v1/chat/completions"),
        Route("/openai/deployments/{model}/chat/completions"),
        Route("/openai/v1/embeddings", embeds=True),
        Route("/openai/deployments/{model}/embeddings", embeds=True),
    ),
    AzureClient(),
    AzureServer(),
    base="/openai/v1",
    embedding=AzureEmbeddings(),
)
