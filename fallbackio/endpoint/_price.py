"""What a model costs."""

from __future__ import annotations

from attrs import field, frozen

from fallbackio._checks import check, is_number
from fallbackio.errors import ConfigError

__all__ = ["Price", "as_price"]

_not_negative = check("a number, 0 or more", lambda value: is_number(value) and value >= 0)


@frozen
class Price:
    """What a model costs, in US dollars per million tokens.

    Attributes:
        input: Tokens of the prompt.
        output: Tokens of the answer, reasoning included.
        cached_input: Tokens of the prompt that the provider had cached; `None` if they cost the same.
        cache_write: Tokens of the prompt that it puts into its cache; `None` if they cost the same.

    Example:
        >>> Endpoint("openai/gpt-6-sol", price=Price(4, 10, 0.4))
    """

    input: float = field(validator=_not_negative)
    output: float = field(validator=_not_negative)
    cached_input: float | None = field(default=None, validator=_not_negative)
    cache_write: float | None = field(default=None, validator=_not_negative)

    @property
    def blended(self) -> float:
        """Input and output together, to compare by."""
        return self.input + self.output


def as_price(given: object) -> Price | None:
    """A price, or the pair that stands for one; what caches cost is told by its name."""
    if given is None or isinstance(given, Price):
        return given
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise ConfigError(
            f"price must be a Price or a pair (input, output), dollars per million, not {given!r}"
        )
    return Price(*given)
