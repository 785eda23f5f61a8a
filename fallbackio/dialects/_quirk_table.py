"""What vendors of OpenAI's format, or some of their models, do not take of it.  Data only.

A row is made where a vendor refuses or ignores something, with where that was read; what merely has
another default is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

__all__ = ["QUIRKS", "Quirk"]

_NONE: Mapping[str, Any] = MappingProxyType({})


@frozen
class Quirk:
    """What a vendor, or some of its models, does not take of OpenAI's format.

    Attributes:
        model: The models it holds for, searched in the name; `None` for all.
        whose: The same in words.
        refuses: Parameters that it refuses or ignores.
        values: Values of a parameter that it refuses; for an object its `type`.
        renames: Its own names of parameters.
        at_most: The largest value that it takes.
        message_fields: Fields of a message that it refuses.
        parts: Types of content parts that it refuses; these cannot be left out.
        empty_calls: Whether it takes `tool_calls: []`.
        strict: Whether it knows `strict` of tools and schemas.
        closes_schemas: Whether a strict schema must say `additionalProperties: false`.
        call_id_chars: How many letters and digits a tool call's id must have, and nothing else; 0 for any.
        marks_prefill: Whether a last turn of the model must say that it is to be gone on with.
        watched: The parameters that `check` looks for.

    Example:
        >>> QUIRKS["mistral"][0].renames["seed"]
        'random_seed'
    """

    model: re.Pattern[str] | None = None
    whose: str = ""
    refuses: frozenset[str] = frozenset()
    values: Mapping[str, frozenset[str]] = field(default=_NONE, hash=False)
    renames: Mapping[str, str] = field(default=_NONE, hash=False)
    at_most: Mapping[str, float] = field(default=_NONE, hash=False)
    message_fields: frozenset[str] = frozenset()
    parts: frozenset[str] = frozenset()
    empty_calls: bool = True
    strict: bool = True
    closes_schemas: bool = False
    call_id_chars: int = 0
    marks_prefill: bool = False
    watched: frozenset[str] = field(init=False)

    @watched.default
    def _watched(self) -> frozenset[str]:
        return self.refuses.union(self.values)


_PENALTIES = frozenset({"frequency_penalty", "presence_penalty"})

# Where each was read (2026-08 to 2026-11): Groq, its page on OpenAI compatibility.  Cerebras, the same and
# any-llm (schemas).  DeepSeek, vercel/ai and pydantic-ai.  Moonshot, pydantic-ai and BrowserOS#1.  Together,
# any-llm.  DashScope, pydantic-ai.  xAI, vercel/ai, and lobe-chat for which models.  Mistral refuses unknown
# fields (422): these are OpenAI's that mistralai 3.7 does not have; it wants ids of its own form (3280) and a
# mark on a last turn.  OpenAI, its reasoning guide; from gpt-5.1 on sampling goes with no effort, and so it
# has the last word there.
_OPENAI = (
    Quirk(
        model=re.compile(r"^(?:ft:)?(?:o\d|gpt-5(?![.\d]))(?!.*-chat)"),
        whose="o1 to gpt-5",
        refuses=_PENALTIES | {"logprobs", "temperature", "top_logprobs", "top_p"},
    ),
    Quirk(
        model=re.compile(r"^(?:ft:)?(?:o[3-9]|gpt-5(?![.\d]))(?!.*-chat)"),
        whose="o3 to gpt-5",
        refuses=frozenset({"stop"}),
    ),
)

QUIRKS: Mapping[str, tuple[Quirk, ...]] = MappingProxyType(
    {
        "openai": _OPENAI,
        "azure": _OPENAI,  # by a deployment's name, where it is the model's
        "groq": (
            Quirk(
                refuses=frozenset({"logit_bias", "logprobs", "n", "top_logprobs"}),
                message_fields=frozenset({"name"}),
            ),
        ),
        "cerebras": (
            Quirk(
                refuses=_PENALTIES | {"logit_bias", "parallel_tool_calls", "service_tier"},
                closes_schemas=True,
            ),
            Quirk(model=re.compile("gpt-oss"), whose="gpt-oss", refuses=frozenset({"disable_reasoning"})),
        ),
        "deepseek": (
            Quirk(
                refuses=frozenset({"seed", "top_k"}),
                values=MappingProxyType({"response_format": frozenset({"json_schema"})}),
            ),
            Quirk(
                model=re.compile("reasoner"),
                whose="the reasoner",
                values=MappingProxyType({"tool_choice": frozenset({"required"})}),
            ),
        ),
        "moonshot": (
            Quirk(
                refuses=_PENALTIES | {"parallel_tool_calls"},
                values=MappingProxyType(
                    {"reasoning_effort": frozenset({"none"}), "tool_choice": frozenset({"required"})}
                ),
                strict=False,
            ),
        ),
        "xai": (
            Quirk(
                model=re.compile(r"^(?!.*non-reasoning)(?:grok-(?:3-mini|4|code))"),
                whose="reasoning models",
                refuses=_PENALTIES | {"stop"},
            ),
        ),
        "mistral": (
            Quirk(
                refuses=frozenset(
                    {
                        "audio",
                        "function_call",
                        "functions",
                        "logit_bias",
                        "modalities",
                        "moderation",
                        "prompt_cache_options",
                        "prompt_cache_retention",
                        "safety_identifier",
                        "store",
                        "user",
                        "verbosity",
                        "web_search_options",
                    }
                ),
                renames=MappingProxyType({"seed": "random_seed"}),
                at_most=MappingProxyType({"temperature": 1.5}),
                call_id_chars=9,
                marks_prefill=True,
            ),
        ),
        "together": (Quirk(empty_calls=False),),
        "dashscope": (Quirk(parts=frozenset({"file"})),),
    }
)
"""The quirks of a vendor by its name; one without any is not here."""
