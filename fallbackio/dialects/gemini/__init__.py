"""Google's Gemini: generateContent and embeddings, at AI Studio and at Vertex AI."""

from fallbackio.dialects._dialect import Dialect, Route
from fallbackio.dialects.gemini._client import GeminiClient
from fallbackio.dialects.gemini._embedding import GeminiEmbedding
from fallbackio.dialects.gemini._server import GeminiServer

__all__ = ["DIALECT"]

_VERTEX = "projects/{project}/locations/{location}/publishers/google/models/{model}"

# Google's own client asks AI Studio under v1 and Vertex under v1beta1 unless told otherwise.
_MODELS = ("/v1beta/models/{model}", "/v1/models/{model}", f"/v1/{_VERTEX}", f"/v1beta1/{_VERTEX}")

DIALECT = Dialect(
    "gemini",
    tuple(
        route
        for path in _MODELS
        for route in (
            Route(f"{path}:generateContent"),
            Route(f"{path}:streamGenerateContent", stream=True),
            Route(f"{path}:batchEmbedContents", embeds=True),
            Route(f"{path}:embedContent", embeds=True),
            Route(f"{path}:predict", embeds=True),
        )
    ),
    GeminiClient(),
    GeminiServer(),
    base="/v1beta",
    embedding=GeminiEmbedding(),
)
