"""Requests and answers, neutral to providers and shaped as OpenAI's chat completions.

Everything here is a frozen value without I/O.  `to_dict` gives OpenAI's wire shape.  One rule bites in
practice: what a user or a provider says that we do not know is kept (`params`, `extra`) and passed on
untouched.
"""

from fallbackio.model._delta import Delta, Restarted, ToolCallDelta
from fallbackio.model._embedding import EmbeddingRequest, Embeddings
from fallbackio.model._reply import Choice, FunctionCall, Message, Reply, ToolCall
from fallbackio.model._report import NO_REPORT, Attempt, Outcome, Report
from fallbackio.model._request import ROLES, Request
from fallbackio.model._usage import NO_USAGE, Usage

__all__ = [
    "NO_REPORT",
    "NO_USAGE",
    "ROLES",
    "Attempt",
    "Choice",
    "Delta",
    "EmbeddingRequest",
    "Embeddings",
    "FunctionCall",
    "Message",
    "Outcome",
    "Reply",
    "Report",
    "Request",
    "Restarted",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
]
