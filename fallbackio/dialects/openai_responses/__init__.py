"""OpenAI's Responses, where its newest models are served with all they can do."""

from fallbackio.dialects._dialect import Dialect, Route
from fallbackio.dialects.openai_responses._client import ResponsesClient
from fallbackio.dialects.openai_responses._server import ResponsesServer

__all__ = ["DIALECT"]

DIALECT = Dialect(
    "openai_responses", (Route("/v1/responses"),), ResponsesClient(), ResponsesServer(), base="/v1"
)
