"""AWS Bedrock's Converse and ConverseStream."""

from fallbackio.dialects._dialect import Dialect, Route
from fallbackio.dialects.bedrock._client import BedrockClient
from fallbackio.dialects.bedrock._server import BedrockServer

__all__ = ["DIALECT"]

DIALECT = Dialect(
    "bedrock",
    (Route("/model/{model}/converse"), Route("/model/{model}/converse-stream", stream=True)),
    BedrockClient(),
    BedrockServer(),
)
