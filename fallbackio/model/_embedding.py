"""Texts that are to become vectors, and the vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

from fallbackio.errors import InvalidRequest
from fallbackio.model._report import NO_REPORT, Report
from fallbackio.model._request import Request, check_finite
from fallbackio.model._usage import NO_USAGE, Usage

__all__ = ["EmbeddingRequest", "Embeddings"]


@frozen(kw_only=True)
class EmbeddingRequest:
    """Texts to be turned into vectors, before it is known by whom.

    Attributes:
        inputs: The texts.
        params: OpenAI's parameters by their names, for example `dimensions`.
        model: Empty on the client side; what a server side read from the wire.

    Example:
        >>> EmbeddingRequest.of("Hello", {"dimensions": 256}).inputs
        ('Hello',)
    """

    inputs: tuple[str, ...] = field(repr=False)
    params: Mapping[str, Any] = field(factory=dict, repr=False)
    model: str = ""

    @classmethod
    def of(cls, inputs: str | Sequence[str], params: Mapping[str, Any]) -> EmbeddingRequest:
        """A request from what a user passes.

        Raises:
            InvalidRequest: For anything but a text or a list of texts, an empty list or an empty text, and
                for a parameter that is NaN or infinite.
        """
        texts: object = (inputs,) if isinstance(inputs, str) else inputs
        if not isinstance(texts, list | tuple) or not texts:
            raise InvalidRequest("inputs must be a text or a list of at least one text")
        for position, text in enumerate(texts):
            if not isinstance(text, str) or not text:
                raise InvalidRequest(f"inputs[{position}] must be a non-empty text")
        if "model" in params:
            raise InvalidRequest(
                "model= is not a parameter here: the endpoints of the chain name their models"
            )
        check_finite(params)
        return cls(inputs=tuple(texts), params=params)

    def as_messages(self) -> Request:
        """The same texts as messages, for whatever counts or quotes those."""
        return Request(messages=tuple([{"content": text} for text in self.inputs]), params=self.params)


@frozen(kw_only=True)
class Embeddings:
    """Vectors, one for each input and in their order.

    Attributes:
        vectors: Lists of as many floats as the model has dimensions.
        model: The model that made them, as the provider names it.
        usage: Tokens of the inputs.
        report: How the call went.

    Example:
        >>> embeddings = await chain.embed(["Hello", "World"])
        >>> len(embeddings.vectors), len(embeddings.vectors[0])
        (2, 1536)
    """

    vectors: tuple[tuple[float, ...], ...] = field(repr=False)
    model: str = ""
    usage: Usage = NO_USAGE
    report: Report = NO_REPORT
