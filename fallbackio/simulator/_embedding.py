"""Embedding requests at a simulated endpoint: the faults are those of plain answers."""

from __future__ import annotations

import math
import random
import zlib

from attrs import frozen

from fallbackio.dialects import EmbeddingCodec, Server, StreamWriter
from fallbackio.errors import AttemptError
from fallbackio.model import EmbeddingRequest, Embeddings, Reply, Request, Usage

__all__ = ["Embedder"]

_DIMENSIONS = 8


@frozen
class Embedder:
    """A server side that answers everything with the vectors of one embedding request."""

    server: Server
    codec: EmbeddingCodec
    request: EmbeddingRequest

    @property
    def stream_type(self) -> str:
        """As the dialect's; there are no streams of vectors."""
        return self.server.stream_type

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """What a chat request of the dialect says."""
        return self.server.read(body, model, stream)

    def write(self, reply: Reply, request: Request) -> bytes:
        """The vectors, in place of the reply."""
        return self.codec.write(_embeddings(self.request), self.request)

    def writer(self, reply: Reply, request: Request) -> StreamWriter:
        """A writer of the dialect."""
        return self.server.writer(reply, request)

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """An error answer of the dialect."""
        return self.server.failure(error)


def _embeddings(request: EmbeddingRequest) -> Embeddings:
    """Unit vectors that depend on model, text and size only, so that equal texts are equal everywhere."""
    size = request.params.get("dimensions")
    size = size if isinstance(size, int) and 0 < size <= 4096 else _DIMENSIONS
    return Embeddings(
        vectors=tuple([_vector(f"{request.model}\n{text}", size) for text in request.inputs]),
        model=request.model,
        usage=Usage(prompt_tokens=sum([len(text) // 4 + 1 for text in request.inputs])),
    )


def _vector(seed: str, size: int) -> tuple[float, ...]:
    lots = random.Random(zlib.crc32(seed.encode()))
    drawn = [lots.gauss(0.0, 1.0) for _ in range(size)]
    length = math.sqrt(sum([one * one for one in drawn]))
    return tuple([round(one / length, 6) for one in drawn])
