"""What is drilled and how, decided and checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from fallbackio.drill._given import Given
from fallbackio.simulator import Part, Scenario, cast

__all__ = ["Plan"]


@frozen(kw_only=True)
class Plan:
    """A drill that can begin.

    Attributes:
        given: The chain.
        scenario: What happens, with its rate, length and seed.
        sick: The endpoint that is to be in trouble, in place of the first.
        streaming: Whether calls are streamed.
        embedding: Whether they are for vectors, which nobody streams.
        real_time: Whether time passes.
        parts: Who plays what, by the names of the endpoints.

    Raises:
        ConfigError: `sick` is none of the endpoints.
    """

    given: Given
    scenario: Scenario
    sick: str | None = None
    streaming: bool = True
    embedding: bool = False
    real_time: bool = False
    parts: Mapping[str, Part] = field(init=False)

    @parts.default
    def _cast(self) -> Mapping[str, Part]:
        vendors = {one.name: one.vendor for one in self.given.endpoints}
        return cast(self.scenario, vendors, sick=self.sick)
