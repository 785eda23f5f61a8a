"""Wire formats: pure codecs, a client side and a server side of each.

`DIALECTS` holds every wire format by the name that `Endpoint(dialect=…)` gives it, `VENDORS` who speaks
which one where.
"""

from __future__ import annotations

from fallbackio.dialects._dialect import (
    Client,
    CredentialKind,
    Dialect,
    EmbeddingCodec,
    Route,
    Server,
    StreamReader,
    StreamWriter,
)
from fallbackio.dialects._limits import Limit, limits_of
from fallbackio.dialects._models import names_of, window_of
from fallbackio.dialects._portable import repaired
from fallbackio.dialects._quirks import quirks_of
from fallbackio.dialects._registry import DIALECTS
from fallbackio.dialects._shared import deltas_of
from fallbackio.dialects._state import placed, placed_deltas
from fallbackio.dialects._vendors import PLACEHOLDER, VENDORS, Vendor

__all__ = [
    "DIALECTS",
    "PLACEHOLDER",
    "VENDORS",
    "Client",
    "CredentialKind",
    "Dialect",
    "EmbeddingCodec",
    "Limit",
    "Route",
    "Server",
    "StreamReader",
    "StreamWriter",
    "Vendor",
    "deltas_of",
    "placed",
    "placed_deltas",
    "names_of",
    "quirks_of",
    "repaired",
    "window_of",
    "limits_of",
]
