"""Embeddings through a chain: vectors of different models do not mix, so the chain may not either."""

from __future__ import annotations

from collections.abc import Sequence

from fallbackio.chain._route import Route
from fallbackio.endpoint import Endpoint
from fallbackio.errors import BadAnswer, ConfigError
from fallbackio.model import Embeddings

__all__ = ["check_space", "check_vectors"]


def check_space(routes: Sequence[Route]) -> None:
    """Raise `ConfigError` unless all endpoints make vectors of the same space."""
    first, *others = [route.spec for route in routes]
    for spec in (first, *others):
        if spec.fn is not None:
            raise ConfigError(f"{spec.name} is a function and cannot embed; leave it out of this chain")
        for what, ours, theirs in (
            ("model", _model(first), _model(spec)),
            ("dimensions", first.params.get("dimensions"), spec.params.get("dimensions")),
        ):
            if ours != theirs:
                raise ConfigError(
                    f"vectors of {first.name} and {spec.name} do not mix: their {what} differ ({ours} and "
                    f"{theirs}); a chain embeds with one model only. Where a deployment's name is not its "
                    "model's, give Endpoint(..., embedding_model=...)"
                )


def _model(spec: Endpoint) -> str:
    """The model's own name: without the vendor's path before it, as routers write it."""
    return (spec.embedding_model or spec.model).rpartition("/")[2].lower()


def check_vectors(embeddings: Embeddings, count: int, size: int | None) -> int:
    """The vectors' dimensions; raises `BadAnswer` unless there are `count`, of one size, the given."""
    vectors = embeddings.vectors
    if len(vectors) != count:
        raise BadAnswer(f"{len(vectors)} vectors for {count} inputs")
    wanted = size or len(vectors[0])
    for vector in vectors:
        if not vector or len(vector) != wanted:
            raise BadAnswer(f"a vector of {len(vector)} dimensions in place of {wanted}")
    return len(vectors[0])
