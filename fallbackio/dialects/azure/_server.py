"""Azure OpenAI as a server speaks it: OpenAI's answers with what Azure adds to them.

The content filter's findings stand in every answer, a stream begins with an event that has no choices
and no id, and errors carry the status in place of a code.  Fields that Azure does not know are refused.
"""

from __future__ import annotations

from typing import Any

import orjson

from fallbackio.dialects._sse import EVENT_STREAM, encode
from fallbackio.dialects.openai import _request
from fallbackio.dialects.openai._server import OpenAIServer, OpenAIWriter
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    ContentFiltered,
    InvalidRequest,
    ModelNotFound,
    RateLimited,
)
from fallbackio.model import Reply, Request

__all__ = ["AzureServer", "AzureWriter"]

# fmt: off
_FIELDS = frozenset((
    "audio", "data_sources", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs",
    "max_completion_tokens", "max_tokens", "metadata", "modalities", "n", "parallel_tool_calls",
    "prediction", "presence_penalty", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store",
    "stream_options", "temperature", "tool_choice", "tools", "top_logprobs", "top_p", "user",
    "user_security_context", "verbosity",
))
# fmt: on

_SAFE = {
    name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")
}
_PROMPT = [
    {
        "prompt_index": 0,
        "content_filter_results": {**_SAFE, "jailbreak": {"filtered": False, "detected": False}},
    }
]


class AzureServer:
    """The server side of the dialect; has no state."""

    stream_type = EVENT_STREAM

    def __init__(self) -> None:
        self._openai = OpenAIServer()

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """The request; raises `InvalidRequest`.  A deployment in the path counts, not the body's model."""
        request = _request.read(body, model)
        for name in request.params:
            if name not in _FIELDS:
                raise InvalidRequest(f"Unrecognized request argument supplied: {name}")
        return request

    def write(self, reply: Reply, request: Request) -> bytes:
        """A plain answer, with what the filter found."""
        answer = orjson.loads(self._openai.write(reply, request))
        for choice in answer["choices"]:
            choice.setdefault("content_filter_results", _SAFE)
        return orjson.dumps({**answer, "prompt_filter_results": _PROMPT})

    def writer(self, reply: Reply, request: Request) -> AzureWriter:
        """A writer for one streamed answer."""
        return AzureWriter(reply, request)

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an error answer."""
        status, headers, body = self._openai.failure(error)
        if error.request_id is not None:
            headers["apim-request-id"] = error.request_id
        said = orjson.loads(body)["error"]
        if error.code is None and isinstance(error, ModelNotFound):
            said = {"code": "DeploymentNotFound", "message": said["message"]}
        elif error.code is None and isinstance(error, AuthFailed | RateLimited):
            said = {"code": str(status), "message": said["message"]}
        elif isinstance(error, ContentFiltered):
            said |= {"code": "content_filter", "param": "prompt", "type": None, "status": status}
            said["innererror"] = {
                "code": "ResponsibleAIPolicyViolation",
                "content_filter_result": {**_SAFE, "hate": {"filtered": True, "severity": "high"}},
            }
        return status, headers, orjson.dumps({"error": said})


class AzureWriter(OpenAIWriter):
    """One streamed answer; the filter speaks first."""

    def start(self) -> bytes:
        """What the filter thinks of the prompt, then the role of every choice."""
        verdict = {"id": "", "object": "", "created": 0, "model": "", "choices": []}
        return encode(orjson.dumps({**verdict, "prompt_filter_results": _PROMPT})) + super().start()

    def _choice(self, index: int, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        found = _SAFE if delta.get("content") else {}
        return {**super()._choice(index, delta, finish_reason), "content_filter_results": found}
