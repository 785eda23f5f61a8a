"""OpenAI's Responses as a server speaks it: what the simulator answers with.

The official SDK parses it, streams included.  Items of a stream are closed together at its end, so that
fragments of one may come after another has begun.  Reasoning carries a token in place of encrypted
content where the request asks for that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from attrs import Factory, define

from fallbackio.dialects._shared import scored
from fallbackio.dialects._sse import EVENT_STREAM, encode
from fallbackio.dialects.openai._server import OpenAIServer
from fallbackio.dialects.openai_responses._params import ENCRYPTED, tool_choice_of, tool_of
from fallbackio.dialects.openai_responses._read import read
from fallbackio.errors import AttemptError
from fallbackio.model import Delta, Reply, Request, ToolCallDelta, Usage

__all__ = ["ResponsesServer", "ResponsesWriter"]

Item = dict[str, Any]

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesServer:
    """The server side of the dialect; has no state."""

    stream_type = EVENT_STREAM

    def __init__(self) -> None:
        self._openai = OpenAIServer()

    def read(self, body: bytes, model: str = "", stream: bool = False) -> Request:
        """The request in the terms of chat completions; raises `InvalidRequest`."""
        return read(body)

    def write(self, reply: Reply, request: Request) -> bytes:
        """A plain answer; one without choices is a response without output."""
        items: list[_Item] = []
        for choice in reply.choices[:1]:
            said = choice.message
            if said.reasoning:
                items.append(_Item("reasoning", f"rs_{reply.id}", said.reasoning))
            if said.content or said.refusal or not said.tool_calls:
                item = _Item("message", f"msg_{reply.id}", said.content or "", said.refusal or "")
                item.scores += scored(choice.logprobs)
                items.append(item)
            for number, call in enumerate(said.tool_calls):
                kind = "custom_tool_call" if call.type == "custom" else "function_call"
                items.append(
                    _Item(kind, f"fc_{reply.id}_{number}", call.arguments, call_id=call.id, name=call.name)
                )
        signed = _is_signed(request)
        return orjson.dumps(_ended(reply, request, [item.wire("completed", signed) for item in items]))

    def writer(self, reply: Reply, request: Request) -> ResponsesWriter:
        """A writer for one streamed answer."""
        return ResponsesWriter(reply, request)

    def failure(self, error: AttemptError) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of an error answer, as for chat completions."""
        return self._openai.failure(error)


@define
class _Item:
    """An output item as far as it has been said."""

    kind: str
    item_id: str
    text: str = ""
    refusal: str = ""
    call_id: str = ""
    name: str = ""
    scores: list[Item] = Factory(list)  # log probabilities of the text's tokens

    def wire(self, status: str, signed: bool) -> Item:
        """The item as JSON."""
        item: Item = {"id": self.item_id, "type": self.kind}
        if self.kind == "reasoning":
            item["summary"] = [{"type": "summary_text", "text": self.text}] if self.text else []
            return item | ({"encrypted_content": f"sealed-{self.item_id}"} if signed else {})
        item["status"] = status
        if self.kind == "message":
            return item | {"role": "assistant", "content": self.parts()}
        payload = "input" if self.kind == "custom_tool_call" else "arguments"
        return item | {"call_id": self.call_id, "name": self.name, payload: self.text}

    def parts(self) -> list[Item]:
        """The parts of a message."""
        parts = [_text_part(self.text, self.scores)] if self.text else []
        return [*parts, _refusal_part(self.refusal)] if self.refusal else parts


def _text_part(text: str, scores: list[Item]) -> Item:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": scores}


def _refusal_part(text: str) -> Item:
    return {"type": "refusal", "refusal": text}


class ResponsesWriter:
    """One streamed answer; see `StreamWriter` for the contract."""

    def __init__(self, reply: Reply, request: Request) -> None:
        self._reply = reply
        self._request = request
        self._signed = _is_signed(request)
        self._number = 0
        # What has begun, in the order of the output: "reasoning", "message", or a call's number.
        self._items: dict[str | int, _Item] = {}
        self._places: dict[str | int, int] = {}
        # The parts that the message has, in their order.
        self._parts: list[str] = []

    def start(self) -> bytes:
        """`response.created` and `response.in_progress`; no output yet."""
        response = _response(self._reply, self._request, "in_progress", [])
        return self._event("response.created", response=response) + self._event(
            "response.in_progress", response=response
        )

    def write(self, delta: Delta) -> bytes:
        """A piece of text, reasoning, refusal or tool calls; others are empty."""
        wire = b""
        if delta.reasoning:
            wire += self._think(delta.reasoning)
        if delta.text:
            wire += self._speak("output_text", delta.text, scored(delta.logprobs))
        if delta.refusal:
            wire += self._speak("refusal", delta.refusal)
        for fragment in delta.tool_calls:
            wire += self._call(fragment)
        return wire

    def ping(self) -> bytes:
        """A comment."""
        return b": ping\n\n"

    def error(self, error: AttemptError) -> bytes:
        """An error in-band."""
        said = orjson.loads(OpenAIServer().failure(error)[2])["error"]
        return self._event("error", code=said["code"] or said["type"], message=said["message"], param=None)

    def malformed(self) -> bytes:
        """An event whose JSON is cut off."""
        return encode(b'{"type":"response.output_text.delta","sequ', "response.output_text.delta")

    def finish(self, reply: Reply) -> bytes:
        """The end of every item, and the response repeated whole."""
        wire = b"".join([self._close(key) for key in self._items])
        response = _ended(reply, self._request, [self._wire(key) for key in self._items])
        return wire + self._event(f"response.{response['status']}", response=response)

    def _wire(self, key: str | int) -> Item:
        return self._items[key].wire("completed", self._signed)

    def _begin(self, key: str | int, item: _Item) -> bytes:
        if key in self._items:
            return b""
        place = self._places[key] = len(self._items)
        self._items[key] = item
        wire = self._event(
            "response.output_item.added", output_index=place, item=item.wire("in_progress", False)
        )
        if key == "reasoning":
            part = {"type": "summary_text", "text": ""}
            wire += self._of(key, "response.reasoning_summary_part.added", summary_index=0, part=part)
        return wire

    def _think(self, text: str) -> bytes:
        wire = self._begin("reasoning", _Item("reasoning", f"rs_{self._reply.id}"))
        self._items["reasoning"].text += text
        return wire + self._of(
            "reasoning", "response.reasoning_summary_text.delta", summary_index=0, delta=text
        )

    def _speak(self, part: str, text: str, scores: Sequence[Item] = ()) -> bytes:
        wire = self._begin("message", _Item("message", f"msg_{self._reply.id}"))
        item = self._items["message"]
        if part not in self._parts:
            self._parts.append(part)
            empty = _text_part("", []) if part == "output_text" else _refusal_part("")
            wire += self._of(
                "message", "response.content_part.added", content_index=len(self._parts) - 1, part=empty
            )
        said: Item = {"content_index": self._parts.index(part), "delta": text}
        if part == "refusal":
            item.refusal += text
        else:
            item.text += text
            item.scores += scores
            said["logprobs"] = scores
        return wire + self._of("message", f"response.{part}.delta", **said)

    def _call(self, fragment: ToolCallDelta) -> bytes:
        key = fragment.index
        kind = "custom_tool_call" if fragment.type == "custom" else "function_call"
        item_id = f"fc_{self._reply.id}_{key}"
        wire = self._begin(key, _Item(kind, item_id, call_id=fragment.id, name=fragment.name))
        if not fragment.arguments:
            return wire
        self._items[key].text += fragment.arguments
        return wire + self._of(key, f"response.{_payload(self._items[key])}.delta", delta=fragment.arguments)

    def _close(self, key: str | int) -> bytes:
        item = self._items[key]
        if item.kind == "reasoning":
            wire = self._of(key, "response.reasoning_summary_text.done", summary_index=0, text=item.text)
            part = {"type": "summary_text", "text": item.text}
            wire += self._of(key, "response.reasoning_summary_part.done", summary_index=0, part=part)
        elif item.kind == "message":
            wire = b"".join([self._part_done(at, part) for at, part in enumerate(self._parts)])
        else:
            payload = "input" if item.kind == "custom_tool_call" else "arguments"
            wire = self._of(key, f"response.{_payload(item)}.done", **{payload: item.text, "name": item.name})
        return wire + self._event(
            "response.output_item.done", output_index=self._places[key], item=self._wire(key)
        )

    def _part_done(self, at: int, part: str) -> bytes:
        item = self._items["message"]
        if part == "refusal":
            said: Item = {"refusal": item.refusal}
            whole = _refusal_part(item.refusal)
        else:
            said = {"text": item.text, "logprobs": item.scores}
            whole = _text_part(item.text, item.scores)
        done = self._of("message", f"response.{part}.done", content_index=at, **said)
        return done + self._of("message", "response.content_part.done", content_index=at, part=whole)

    def _of(self, key: str | int, kind: str, **said: Any) -> bytes:
        """An event about an item."""
        return self._event(kind, item_id=self._items[key].item_id, output_index=self._places[key], **said)

    def _event(self, kind: str, **said: Any) -> bytes:
        number, self._number = self._number, self._number + 1
        return encode(orjson.dumps({"type": kind, "sequence_number": number, **said}), kind)


def _payload(item: _Item) -> str:
    return "custom_tool_call_input" if item.kind == "custom_tool_call" else "function_call_arguments"


def _is_signed(request: Request) -> bool:
    include = request.params.get("include")
    return isinstance(include, list) and ENCRYPTED in include


def _ended(reply: Reply, request: Request, output: list[Item]) -> Item:
    reason = _REASONS.get(reply.finish_reason) if reply.choices else None
    response = _response(reply, request, "incomplete" if reason else "completed", output)
    response["incomplete_details"] = {"reason": reason} if reason else None
    return response | {"usage": _usage(reply.usage)}


def _response(reply: Reply, request: Request, status: str, output: list[Item]) -> Item:
    """A response object; much of it repeats the request."""
    params = request.params
    return {
        "id": reply.id,
        "object": "response",
        "created_at": reply.created,
        "status": status,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": params.get("max_completion_tokens"),
        "metadata": params.get("metadata", {}),
        "model": reply.model or request.model,
        "output": output,
        "parallel_tool_calls": params.get("parallel_tool_calls", True),
        "previous_response_id": None,
        "reasoning": {"effort": params.get("reasoning_effort"), "summary": None},
        "store": params.get("store", True),
        "temperature": params.get("temperature", 1.0),
        "tool_choice": tool_choice_of(params.get("tool_choice", "auto")),
        "tools": [tool_of(tool) for tool in params.get("tools", ())],
        "top_p": params.get("top_p", 1.0),
        "truncation": "disabled",
        "usage": None,
    }


def _usage(usage: Usage) -> Item:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.total_tokens,
    }
