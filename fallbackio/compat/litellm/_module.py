"""What LiteLLM has on its module besides functions and classes: settings."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from fallbackio.compat.litellm._process import PROCESS
from fallbackio.errors import ConfigError

__all__ = ["OF_CALLS", "watch"]

# Settings that are parameters of every call which does not say otherwise.
OF_CALLS = frozenset(
    {
        "api_base",
        "api_key",
        "api_version",
        "drop_params",
        "fallbacks",
        "headers",
        "num_retries",
        "organization",
        "request_timeout",
        "stream_timeout",
    }
)

# Settings that change nothing in an answer.
_SILENT = frozenset(
    {
        "disable_aiohttp_transport",
        "disable_streaming_logging",
        "json_logs",
        "log_raw_request_response",
        "modify_params",
        "print_verbose",
        "redact_messages_in_exceptions",
        "set_verbose",
        "suppress_debug_info",
        "telemetry",
        "turn_off_message_logging",
        "use_aiohttp_transport",
        "verbose",
    }
)


class _Watched(ModuleType):
    """A module that notices what is set on it: an ignored setting would change what a program does."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("__") or name in self.__dict__ or isinstance(value, ModuleType):
            super().__setattr__(name, value)  # the import system, and tests that put a stand-in in place
        else:
            _set(name, value)

    def __getattr__(self, name: str) -> Any:
        if name in OF_CALLS:
            return PROCESS.settings.get(name)
        raise AttributeError(f"litellm.{name} is not here; docs/from-litellm.md says what is")


def watch(module: str) -> None:
    """Take settings of this module for all calls that follow; one that would be lost is a `ConfigError`."""
    sys.modules[module].__class__ = _Watched


def _set(name: str, value: Any) -> None:
    if name in OF_CALLS:
        PROCESS.settings[name] = value
    elif name not in _SILENT and value:
        raise ConfigError(
            f"litellm.{name} is not taken; settings of the whole program are {', '.join(sorted(OF_CALLS))}. "
            "Callbacks are the sinks of a Router; see docs/from-litellm.md"
        )
