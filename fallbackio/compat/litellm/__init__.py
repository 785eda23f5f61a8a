"""LiteLLM's door: programs written for its `completion`, `acompletion` and `Router` run over chains.

Change the import, `from fallbackio.compat import litellm`, and the rest stays.  What differs on purpose
is told in docs/from-litellm.md.  Settings that LiteLLM has on its module (`litellm.drop_params = True`)
are taken where they are parameters of a call, and refused where they would be lost.
"""

from __future__ import annotations

from fallbackio.compat.litellm import _module, exceptions
from fallbackio.compat.litellm._completion import acompletion, aembedding, completion, embedding
from fallbackio.compat.litellm._config import Imported, Taken, from_litellm_config
from fallbackio.compat.litellm._fields import EmbeddingResponse, Message, ModelResponse, ModelResponseStream
from fallbackio.compat.litellm._stream import CustomStreamWrapper
from fallbackio.compat.litellm.exceptions import (
    APIConnectionError,
    APIError,
    AuthenticationError,
    BadGatewayError,
    BadRequestError,
    ContentPolicyViolationError,
    ContextWindowExceededError,
    InternalServerError,
    MidStreamFallbackError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    ServiceUnavailableError,
    Timeout,
    UnprocessableEntityError,
    UnsupportedParamsError,
)
from fallbackio.compat.litellm.router import AllowedFailsPolicy, RetryPolicy, Router

__all__ = [
    # calls
    "acompletion",
    "aembedding",
    "completion",
    "embedding",
    # routers
    "AllowedFailsPolicy",
    "RetryPolicy",
    "Router",
    # configuration
    "Imported",
    "Taken",
    "from_litellm_config",
    # answers
    "CustomStreamWrapper",
    "EmbeddingResponse",
    "Message",
    "ModelResponse",
    "ModelResponseStream",
    # errors
    "exceptions",
    "APIConnectionError",
    "APIError",
    "AuthenticationError",
    "BadGatewayError",
    "BadRequestError",
    "ContentPolicyViolationError",
    "ContextWindowExceededError",
    "InternalServerError",
    "MidStreamFallbackError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "ServiceUnavailableError",
    "Timeout",
    "UnprocessableEntityError",
    "UnsupportedParamsError",
]

_module.watch(__name__)
