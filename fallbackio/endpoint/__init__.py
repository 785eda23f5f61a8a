"""Endpoints, and the protocol by which the coordinator opens one attempt at one.

An `Endpoint` is a specification: it does nothing and owns nothing.  What can be asked is a
`Provider`; transport makes one for each endpoint, over HTTP or around a function of the user's.
"""

from fallbackio.endpoint._checks import CAPABILITIES
from fallbackio.endpoint._endpoint import Answerer, Endpoint, TokenSource, server_of
from fallbackio.endpoint._pool import Pool
from fallbackio.endpoint._price import Price
from fallbackio.endpoint._provider import Heard, Limited, Note, Provider, Upstream, unheard, unnoted

__all__ = [
    "CAPABILITIES",
    "Answerer",
    "Endpoint",
    "Heard",
    "Limited",
    "Note",
    "Pool",
    "Price",
    "Provider",
    "TokenSource",
    "Upstream",
    "server_of",
    "unheard",
    "unnoted",
]
