"""Ollama's errors, read and written: a status and a text, nothing else.

The status decides; where Ollama uses one for several things (400, 500) the words that its server says
decide first.  What a model or this build of Ollama cannot do is an `InvalidRequest` with
`everywhere=False`, and a model that is not there says how to get it.  Bodies may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import orjson

from fallbackio.dialects import _signs
from fallbackio.dialects._shared import shape, short
from fallbackio.dialects._signs import sign
from fallbackio.errors import AttemptError, ContextTooLong, InvalidRequest, ModelNotFound, Overloaded

__all__ = ["failure", "in_band", "message_of", "status_of"]

_SIGNS = (
    sign(
        r"exceeds? (?:the )?(?:maximum |available )?context|input length exceeds|exceed_context_size",
        ContextTooLong,
        "the input length exceeds the context length",
        *(400, 500, None),
    ),
    sign(
        r"not found, try pulling|^model (?:.{1,200} )?not found",
        ModelNotFound,
        "model not found",
        *(400, 404, None),
    ),
    sign(r"server busy", Overloaded, "server busy, please try again", *(500, 503, None)),
    sign(
        # "cannot unmarshal" is a schema, an option or a field that this build of Ollama does not read.
        r"does not support|only supports|not supported|cannot unmarshal|invalid think|\boption \""
        r"|requires MLX|cannot run this remote model",
        InvalidRequest,
        "the model does not support this",
        *(400, 500, 501, None),
    ),
)
_PULL = re.compile(r"model ['\"]([^'\"\s]{1,200})['\"]")


def failure(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """The error that an answer with a failing status stands for; never raises."""
    error = _advised(_signs.failure_of(_complaint(body), status, headers, _SIGNS))
    error.request_id = headers.get("x-request-id") or None
    return error


def in_band(message: object) -> AttemptError:
    """The error that an `error` inside a 200 stands for."""
    return _advised(_signs.in_band_of(short(message) if isinstance(message, str) else "", _SIGNS))


def _complaint(body: bytes) -> str:
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return shape(body)
    said = answer.get("error") if isinstance(answer, dict) else None
    if isinstance(said, dict):  # a proxy's, in OpenAI's form
        said = said.get("message")
    return short(said) if isinstance(said, str) else ""


def _advised(error: AttemptError) -> AttemptError:
    """The error itself, saying what to do: a missing model can be fetched, a missing path is a slip."""
    message = error.message
    if not isinstance(error, ModelNotFound) or "ollama pull" in message:
        return error
    advice = "does base_url lead to Ollama?"
    if "not found" in message:
        named = _PULL.search(message)
        advice = f"run `ollama pull {named[1] if named else 'MODEL'}` on its host"
    error.message = f"{message}; {advice}" if message else advice
    return error


def status_of(error: AttemptError) -> int:
    """The status under which an error of ours is reported."""
    return _signs.status_of(error, {})


def message_of(error: AttemptError) -> str:
    """What Ollama would say for an error of ours."""
    return _signs.worded(error, _SIGNS)
