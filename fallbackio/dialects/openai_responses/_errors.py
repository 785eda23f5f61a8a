"""What an error of Responses means: OpenAI's, and the codes that only a response can fail with."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from fallbackio.dialects._shared import short
from fallbackio.dialects.openai import _errors as openai_errors
from fallbackio.dialects.openai._values import string
from fallbackio.errors import AttemptError, ContentFiltered, InvalidRequest, ServerFault

__all__ = ["failed", "failure"]

# fmt: off
_BAD_IMAGES = (
    "invalid_image", "invalid_image_format", "invalid_base64_image", "invalid_image_url",
    "image_too_large", "image_too_small", "image_parse_error", "invalid_image_mode", "image_file_too_large",
    "unsupported_image_media_type", "empty_image_file", "failed_to_download_image", "image_file_not_found",
)
# fmt: on
_POLICIES = ("bio_policy", "misalignment_policy_violation", "image_content_policy_violation")

# Another endpoint may know the image's type or reach its address, and has its own policy; what was kept
# at this provider (reasoning, earlier responses) no other one misses.
_ONLY_HERE = ("data_residency_mismatch", "previous_response_not_found", "invalid_encrypted_content")

_KINDS: dict[str, type[AttemptError]] = {
    **dict.fromkeys((*_BAD_IMAGES, *_ONLY_HERE), InvalidRequest),
    **dict.fromkeys(_POLICIES, ContentFiltered),
    "vector_store_timeout": ServerFault,
}

# Said without a code, with a 400 or a 404.
_KEPT_ELSEWHERE = re.compile(
    r"^Item (?:with id )?'[^']{1,200}' (?:not found|of type)|encrypted content is not supported",
    re.IGNORECASE,
)


def failed(said: object) -> AttemptError:
    """The error that a failed response (`{"code", "message"}`) or an `error` event stands for."""
    if not isinstance(said, dict):
        return openai_errors.in_band({"error": said})
    code, message = string(said.get("code")), string(said.get("message"))
    if kind := _KINDS.get(code):
        return _here(kind(short(message), code=code))
    # There is one place for codes and types: an `error` event has "error" for its type.
    return openai_errors.in_band({**said, "type": code} if said.get("type") in (None, "error") else said)


def failure(status: int, headers: Mapping[str, str], body: bytes) -> AttemptError:
    """The error that an answer with a failing status stands for; never raises."""
    error = openai_errors.failure(status, headers, body)
    kind: type[AttemptError] | None = _KINDS.get(error.code or "")
    if kind is None and status in (400, 404) and _KEPT_ELSEWHERE.search(error.message):
        kind = InvalidRequest
    if kind is None:
        return error
    facts: dict[str, Any] = {"status": status, "code": error.code, "request_id": error.request_id}
    return _here(kind(error.message, **facts))


def _here(error: AttemptError) -> AttemptError:
    if isinstance(error, InvalidRequest):
        error.everywhere = False
    return error
