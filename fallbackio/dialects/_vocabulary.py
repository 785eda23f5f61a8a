"""Which of OpenAI's parameters an API has words for; the others are refused, or left out and noted.

Values that mean the default need no saying and pass.  What nobody here knows goes out untouched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from fallbackio.dialects._outgoing import Params, effective, refusal, schema_of
from fallbackio.endpoint import Endpoint
from fallbackio.model import EmbeddingRequest, Request

__all__ = ["NO_FIELD", "Rule", "Vocabulary", "lost_parallel", "lost_shape"]

# Whether a value would be lost, beside all parameters of its request and on this model.
Rule = Callable[[Any, Params, str], bool]

# OpenAI's parameters that few others have a field for, with the values that mean the default and so pass.
NO_FIELD: Mapping[str, tuple[object, ...]] = MappingProxyType(
    {
        "audio": (),
        "function_call": ("none", "auto"),
        "functions": ([],),
        "logit_bias": ({},),
        "metadata": ({},),
        "modalities": (["text"],),
        "moderation": (),
        "n": (1,),
        "prediction": (),
        "prompt_cache_key": (),
        "prompt_cache_options": (),
        "prompt_cache_retention": (),
        "safety_identifier": (),
        "service_tier": ("auto", "default"),
        "store": (False,),
        "user": (),
        "verbosity": ("medium",),
        "web_search_options": (),
    }
)


@frozen
class Vocabulary:
    """The parameters of one API.

    Attributes:
        api: What errors call it.
        no_field: Those that it has no field for, with the values that may be left unsaid.
        rules: Those that it has a field for, but not for every value or on every model.
    """

    api: str
    no_field: Mapping[str, tuple[object, ...]]
    rules: Mapping[str, Rule] = field(factory=dict)

    def check(self, request: Request, endpoint: Endpoint) -> None:
        """Raise `InvalidRequest` for parameters that would be lost, unless the endpoint drops them."""
        if endpoint.unsupported == "error":
            self._refuse(effective(request, endpoint), endpoint)

    def dropped(self, request: Request, endpoint: Endpoint) -> tuple[str, ...]:
        """What `said` leaves out because the endpoint says `unsupported="drop"`."""
        if endpoint.unsupported != "drop":
            return ()
        return self.lost(effective(request, endpoint), endpoint.model)

    def said(self, request: Request | EmbeddingRequest, endpoint: Endpoint) -> dict[str, Any]:
        """The parameters that can be said; raises `InvalidRequest` for others unless they are dropped."""
        params = effective(request, endpoint)
        lost = self._refuse(params, endpoint)
        return {
            name: value for name, value in params.items() if name not in self.no_field and name not in lost
        }

    def lost(self, params: Params, model: str) -> tuple[str, ...]:
        """Names of the parameters that would be lost on `model`."""
        return tuple([name for name, value in params.items() if self._loses(name, value, params, model)])

    def _loses(self, name: str, value: Any, params: Params, model: str) -> bool:
        if name in self.no_field:
            return value not in self.no_field[name]
        return name in self.rules and self.rules[name](value, params, model)

    def _refuse(self, params: Params, endpoint: Endpoint) -> tuple[str, ...]:
        """Those that are dropped."""
        lost = self.lost(params, endpoint.model)
        if lost and endpoint.unsupported == "error":
            raise refusal(lost, self.api)
        return lost


def lost_parallel(value: Any, params: Params, model: str) -> bool:
    """A `Rule` for where calls one at a time cannot be asked for."""
    return value is False and bool(params.get("tools")) and params.get("tool_choice") != "none"


def lost_shape(value: Any, params: Params, model: str) -> bool:
    """A `Rule` for where text, any JSON and a schema are the formats that can be asked for."""
    if not isinstance(value, Mapping):
        return True
    if value.get("type") == "json_schema":
        return schema_of(value) is None
    return value.get("type") not in ("text", "json_object")
