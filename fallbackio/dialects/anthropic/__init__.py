"""Anthropic's Messages."""

from fallbackio.dialects._dialect import Dialect, Route
from fallbackio.dialects.anthropic._client import AnthropicClient
from fallbackio.dialects.anthropic._server import AnthropicServer

__all__ = ["DIALECT"]

DIALECT = Dialect("anthropic", (Route("/v1/messages"),), AnthropicClient(), AnthropicServer())
