"""How a simulated endpoint behaves: how fast, how much it says, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from attrs import field, frozen

from fallbackio.errors import ConfigError
from fallbackio.model import Delta, FunctionCall, ToolCall
from fallbackio.simulator import _checks
from fallbackio.simulator._answers import Script, split, words
from fallbackio.simulator._latency import Fixed, Latency
from fallbackio.simulator.faults import Fault

__all__ = ["Behaviour"]


def _latency(given: Latency | float) -> Latency:
    try:
        return Fixed(given) if isinstance(given, int | float) else given
    except ConfigError as error:
        raise ConfigError(f"latency: {error}") from None


def _tool_calls(given: Sequence[ToolCall | Mapping[str, Any]]) -> Sequence[ToolCall]:
    if not isinstance(given, list | tuple):
        raise ConfigError(f"tool_calls must be a list, not {given!r}")
    return tuple(_tool_call(index, call) for index, call in enumerate(given))


def _tool_call(index: int, given: ToolCall | Mapping[str, Any]) -> ToolCall:
    if isinstance(given, ToolCall):
        return given
    if not isinstance(given, Mapping) or not isinstance(given.get("name"), str):
        raise ConfigError(f'tool_calls[{index}] must be {{"name": …, "arguments": {{…}}}}, not {given!r}')
    if unknown := given.keys() - {"id", "name", "arguments"}:
        raise _checks.nearest(
            f"field of tool_calls[{index}]", next(iter(unknown)), ["id", "name", "arguments"]
        )
    arguments = given.get("arguments", {})
    written = arguments if isinstance(arguments, str) else orjson.dumps(arguments).decode()
    return ToolCall(str(given.get("id", f"call_{index}")), FunctionCall(given["name"], written))


@frozen(kw_only=True)
class Behaviour:
    """What an endpoint does with a request; by default it answers 16 words at once.

    Attributes:
        latency: Seconds until the first content: a number, `Fixed`, or `Lognormal`.
        tokens: How many words it says, 0 to 1,000,000; `max_tokens` of a request cuts them.
        pace_s: Seconds between two of them.  A plain answer comes after all that time.
        burst: How many of them come at once, in one piece and after the time of as many; 1 or more.
        text: What it says, word by word, in place of `tokens` words.
        reasoning_tokens: How many words of visible reasoning come first.
        tool_calls: The tools it calls in place of a text, `ToolCall`s or
            `{"name": …, "arguments": {…}}`.  Without them it calls a tool, with arguments that fit its
            schema, when the request insists (`tool_choice`).
        finish_reason: In place of the one that fits.
        fault: What goes wrong; `None` for nothing.

    Raises:
        ConfigError: For a setting out of its range.

    Example:
        >>> Behaviour(latency=Lognormal(0.4), tokens=64, pace_s=0.02, fault=Sometimes(0.1, Status(503)))
    """

    latency: Latency = field(
        default=Fixed(0.0),
        converter=_latency,
        validator=_checks.check("a number of seconds or a latency", lambda value: isinstance(value, Latency)),
    )
    tokens: int = field(default=16, validator=_checks.count)
    pace_s: float = field(default=0.0, validator=_checks.seconds)
    burst: int = field(default=1, validator=[_checks.count, _checks.over_zero])
    text: str | None = field(default=None, validator=_checks.text, repr=False)
    reasoning_tokens: int = field(default=0, validator=_checks.count)
    tool_calls: Sequence[ToolCall] = field(default=(), converter=_tool_calls)
    finish_reason: str | None = field(default=None, validator=_checks.text)
    fault: Fault | None = field(
        default=None,
        validator=_checks.check("a fault of fallbackio.simulator", lambda value: isinstance(value, Fault)),
    )

    def script(self) -> Script:
        """What it says to any request."""
        spoken = words(self.tokens) if self.text is None else split(self.text)
        return Script(
            spoken=[Delta(text=word) for word in spoken],
            thoughts=[Delta(reasoning=word) for word in words(self.reasoning_tokens, "thought")],
            tool_calls=self.tool_calls,
            finish_reason=self.finish_reason,
            fixed=self.text is not None,
        )
