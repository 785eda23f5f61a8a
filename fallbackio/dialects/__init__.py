"""Wire formats: pure codecs, a client side and a server side of each.

`DIALECTS` holds every wire format by the name that `Endpoint(dialect=…)` gives it, `VENDORS` who speaks
which one where.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from fallbackio.dialects._anthropic_client import AnthropicClient
from fallbackio.dialects._anthropic_server import AnthropicServer
from fallbackio.dialects._dialect import Client, Dialect, Server, StreamReader, StreamWriter
from fallbackio.dialects._openai_client import OpenAIClient
from fallbackio.dialects._openai_server import OpenAIServer
from fallbackio.dialects._shared import deltas_of
from fallbackio.dialects._vendors import VENDORS, Vendor

__all__ = [
    "DIALECTS",
    "VENDORS",
    "Client",
    "Dialect",
    "Server",
    "StreamReader",
    "StreamWriter",
    "Vendor",
    "deltas_of",
]

_FORMATS = (
    Dialect("openai", "/v1/chat/completions", OpenAIClient(), OpenAIServer()),
    Dialect("anthropic", "/v1/messages", AnthropicClient(), AnthropicServer()),
)

DIALECTS: Mapping[str, Dialect] = MappingProxyType({dialect.name: dialect for dialect in _FORMATS})
"""Every wire format by its name."""
