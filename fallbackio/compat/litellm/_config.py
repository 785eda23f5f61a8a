"""LiteLLM's configuration file as a `Router`, with a word on every setting in it.

Nothing is dropped in silence: each setting is named as taken exactly, approximately, without effect or
not at all, with the reason.  The file is LiteLLM's proxy's; what makes a proxy of it (keys of its users, a
database, callbacks) is not taken.  `environment_variables` are read where the file refers to them, and set
for nobody.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import field, frozen

from fallbackio._checks import nearest
from fallbackio.compat.litellm._endpoints import from_environment
from fallbackio.compat.litellm._table import CALL, DEPLOYMENT, ROUTER, Parameter
from fallbackio.compat.litellm.router import Router
from fallbackio.errors import ConfigError
from fallbackio.events import EventSink

__all__ = ["Imported", "Taken", "from_litellm_config"]

Degree = Literal["exactly", "approximately", "without effect", "not at all"]

_SECTIONS = ("model_list", "router_settings", "litellm_settings", "general_settings", "environment_variables")


@frozen
class Taken:
    """What became of one setting of a file.

    Attributes:
        where: Its place, for example `"router_settings.cooldown_time"`.
        degree: `"exactly"`, `"approximately"`, `"without effect"` or `"not at all"`.
        why: How it is meant here, or why it is not taken.

    Example:
        >>> print(taken.where, taken.degree, taken.why)
        router_settings.redis_host not at all breakers and limits are kept in this process
    """

    where: str
    degree: Degree
    why: str


@frozen
class Imported:
    """A file of LiteLLM's, as far as it could be taken.

    Attributes:
        router: What it describes.
        taken: A word on every setting, in the order of the file.

    Example:
        >>> imported = from_litellm_config("config.yaml")
        >>> for one in imported.of("not at all"):
        ...     print(one.where, one.why)
    """

    router: Router
    taken: tuple[Taken, ...] = field(repr=False)

    def of(self, degree: Degree) -> tuple[Taken, ...]:
        """The settings that were taken to this degree."""
        return tuple([one for one in self.taken if one.degree == degree])


def from_litellm_config(source: str | os.PathLike[str], *, sinks: Iterable[EventSink] = ()) -> Imported:
    """The Router that a configuration of LiteLLM's describes, and what became of each of its settings.

    `source` is a path, or the YAML text itself where it has more than one line; `sinks` are the
    Router's.  Needs the extra `litellm`.

    Raises:
        ConfigError: For a file that cannot be read or is no configuration; PyYAML is not installed.

    Example:
        >>> imported = from_litellm_config("config.yaml")
        >>> response = await imported.router.acompletion(model="ours", messages=messages)
    """
    loaded = _loaded(source)
    reading = _Reading()
    for section in loaded:
        if section not in _SECTIONS:
            reading.note(section, "not at all", "no section that is known")
    variables = {name: str(value) for name, value in _mapping(loaded, "environment_variables").items()}
    for name in variables:
        reading.note(f"environment_variables.{name}", "exactly", "read where the file refers to it")

    def look(name: str) -> str | None:
        return variables.get(name) or from_environment(name)

    deployments = list(reading.deployments(loaded.get("model_list") or []))
    settings = reading.router_settings(loaded)
    for name in _mapping(loaded, "general_settings"):
        reading.note(f"general_settings.{name}", "not at all", "of LiteLLM's proxy")
    return Imported(Router.looking_up(look, deployments, sinks, **settings), tuple(reading.taken))


class _Reading:
    """Goes through a file and keeps a note of every setting."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []

    def note(self, where: str, degree: Degree, why: str) -> None:
        """What became of the setting at this place."""
        self.taken.append(Taken(where, degree, why))

    def _row(self, where: str, row: Parameter | None, unknown: str) -> bool:
        """Note what the table says; true if the setting is taken."""
        if row is None:
            self.note(where, "not at all", unknown)
            return False
        self.note(where, "not at all" if row.how == "refused" else row.how, row.why)
        return row.how in ("exactly", "approximately")

    def deployments(self, entries: Any) -> Iterator[dict[str, Any]]:
        """The entries of `model_list` with what can be taken of them."""
        if not isinstance(entries, list):
            raise ConfigError(f"model_list must be a list, not {type(entries).__name__}")
        for number, entry in enumerate(entries):
            if not isinstance(entry, Mapping) or not isinstance(entry.get("litellm_params"), Mapping):
                raise ConfigError(f"model_list[{number}] needs a model_name and litellm_params")
            where = f"model_list[{number}]"
            params = {
                name: value
                for name, value in entry["litellm_params"].items()
                if self._param(f"{where}.litellm_params.{name}", name)
            }
            info = {
                name: value
                for name, value in (entry.get("model_info") or {}).items()
                if self._info(f"{where}.model_info.{name}", name)
            }
            yield {"model_name": entry.get("model_name"), "litellm_params": params, "model_info": info}

    def _param(self, where: str, name: str) -> bool:
        if name not in DEPLOYMENT:
            self.note(where, "exactly", "a parameter that is sent to the provider")
            return True
        return self._row(where, DEPLOYMENT[name], "")

    def _info(self, where: str, name: str) -> bool:
        known = name in _INFO
        self.note(where, "exactly" if known else "without effect", _INFO.get(name, "of LiteLLM's proxy"))
        return known

    def router_settings(self, loaded: Mapping[str, Any]) -> dict[str, Any]:
        """What `Router` is given: `router_settings`, and of `litellm_settings` what means the same."""
        settings: dict[str, Any] = {}
        for name, value in _mapping(loaded, "litellm_settings").items():
            where = f"litellm_settings.{name}"
            if name in ("drop_params", "extra_headers") and self._row(where, CALL[name], ""):
                settings.setdefault("default_litellm_params", {})[name] = value
            elif name in ("request_timeout", *_BOTH) and self._row(where, ROUTER[name], ""):
                settings[name] = value
            elif name == "set_verbose":
                self._row(where, CALL[name], "")
            elif name not in ("drop_params", "extra_headers", "request_timeout", *_BOTH):
                self.note(where, "not at all", _NOT_TAKEN.get(name, "of LiteLLM's module or proxy"))
        for name, value in _mapping(loaded, "router_settings").items():
            where = f"router_settings.{name}"
            hint = str(nearest("parameter of Router", name, ROUTER))
            if self._row(where, ROUTER.get(name), hint):
                settings[name] = value
        return settings


# What stands in `litellm_settings` as well as in `router_settings`.
_BOTH = (
    "num_retries",
    "fallbacks",
    "context_window_fallbacks",
    "content_policy_fallbacks",
    "default_fallbacks",
    "allowed_fails",
    "cooldown_time",
)

_INFO = {
    "id": "the deployment's name in the ledger and for calls",
    "base_model": "read for embeddings and the context window",
    "max_input_tokens": "its context window",
    "order": "as `order` of litellm_params",
    "supports_function_calling": "what it can do, for `require=`",
    "supports_vision": "what it can do, for `require=`",
    "supports_response_schema": "what it can do, for `require=`",
}

_NOT_TAKEN = {
    "cache": "answers are not cached",
    "cache_params": "answers are not cached",
    "callbacks": "give `from_litellm_config` sinks",
    "success_callback": "give `from_litellm_config` sinks",
    "failure_callback": "give `from_litellm_config` sinks",
    "json_logs": "logging is the application's to set up",
}


def _mapping(loaded: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    found = loaded.get(section) or {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"{section} must be a mapping, not {type(found).__name__}")
    return found


def _loaded(source: str | os.PathLike[str]) -> Mapping[str, Any]:
    try:
        import yaml
    except ImportError:
        raise ConfigError(
            "reading LiteLLM's configuration needs PyYAML: pip install 'fallbackio[litellm]'"
        ) from None
    text, named = (source, "the text") if isinstance(source, str) and "\n" in source else _read(source)
    try:
        loaded = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # Its message quotes the line, which may hold a key.
        mark = getattr(error, "problem_mark", None)
        at = f" at line {mark.line + 1}" if mark is not None else ""
        raise ConfigError(f"{named} is no YAML{at}") from None
    if not isinstance(loaded, Mapping):
        raise ConfigError(f"{named} is no configuration of LiteLLM's: it has no sections")
    return loaded


def _read(source: str | os.PathLike[str]) -> tuple[str, str]:
    path = Path(source)
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'no text'}") from None
