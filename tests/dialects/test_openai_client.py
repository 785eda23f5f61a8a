"""What the client side of OpenAI's dialect sends, and how it reads plain answers."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from fallbackio._draft import assemble
from fallbackio.dialects import deltas_of
from fallbackio.dialects.openai._client import OpenAIClient
from fallbackio.endpoint import Endpoint
from fallbackio.errors import (
    AttemptError,
    AuthFailed,
    BadAnswer,
    InvalidRequest,
    Overloaded,
    RateLimited,
    ServerFault,
)
from fallbackio.model import Request, Usage

WIRE = Path(__file__).parent.parent / "wire" / "openai"
CLIENT = OpenAIClient()
HELLO = [{"role": "user", "content": "Hello"}]


def endpoint(vendor: str = "openai", model: str = "gpt-4o", **settings: Any) -> Endpoint:
    return Endpoint(model, vendor=vendor, base_url="https://api.example.com/v1", **settings)


def encoded(
    to: Endpoint, messages: list[dict[str, Any]] = HELLO, *, stream: bool = False, **params: Any
) -> dict[str, Any]:
    body = orjson.loads(CLIENT.encode(Request.of(messages, params, stream=stream), to))
    assert isinstance(body, dict)
    return body


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        ("https://api.example.com/v1", "https://api.example.com/v1/chat/completions"),
        ("https://api.example.com/v1/", "https://api.example.com/v1/chat/completions"),
        (
            "https://x.example.com/d/4o?api-version=1",
            "https://x.example.com/d/4o/chat/completions?api-version=1",
        ),
    ],
)
def test_url(base_url: str, expected: str) -> None:
    """The path is added to any base, with or without a slash at its end, before its query."""
    assert expected == CLIENT.url(Endpoint("m", base_url=base_url))


def test_headers() -> None:
    """The key goes as a bearer token; an endpoint's own headers win, whatever their case."""
    plain = {"content-type": "application/json"}

    assert plain == CLIENT.headers(endpoint())
    assert {**plain, "authorization": "Bearer k"} == CLIENT.headers(endpoint(api_key="k"))
    assert {**plain, "authorization": "Basic x", "X-Title": "t"} == CLIENT.headers(
        endpoint(api_key="k", headers={"authorization": "Basic x", "X-Title": "t"})
    )


def test_everything_passes_through() -> None:
    """Parameters and messages go out as they came, those we do not know included."""
    messages: list[dict[str, Any]] = [
        {"role": "developer", "content": "Be brief.", "name": "x"},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hi"}, {"type": "novelty", "novelty": {"a": 1}}],
        },
    ]
    params: dict[str, Any] = {
        "temperature": 0,
        "tools": [{"type": "function", "function": {"name": "f"}}],
        "novelty": {"deep": [1]},
    }

    assert {"model": "gpt-4o", "messages": messages, **params} == encoded(endpoint(), messages, **params)


def test_stream() -> None:
    """A stream asks for usage, unless the vendor refuses that or the caller said something else."""
    ask = {"include_usage": True}

    assert ask == encoded(endpoint(), stream=True)["stream_options"]
    assert ask == encoded(endpoint("some.host"), stream=True)["stream_options"]
    assert "stream_options" not in encoded(endpoint("mistral"), stream=True)
    assert "stream_options" not in encoded(endpoint(params={"stream_options": None}), stream=True)
    own = {"include_obfuscation": False}
    assert own == encoded(endpoint(), stream=True, stream_options=own)["stream_options"]
    assert encoded(endpoint(), stream=True)["stream"] is True


def test_no_stream() -> None:
    """A plain request says nothing of streams, although its endpoint does for its streamed calls."""
    body = encoded(endpoint(params={"stream_options": {"include_usage": False}}))

    assert {"model", "messages"} == body.keys()


def test_params_of_the_endpoint() -> None:
    """An endpoint's parameters replace the call's, and `None` removes one."""
    body = encoded(endpoint(params={"temperature": 1, "seed": None}), temperature=0, seed=7, top_p=0.5)

    assert (1, 0.5) == (body["temperature"], body["top_p"])
    assert "seed" not in body


@pytest.mark.parametrize(
    ("vendor", "model", "given", "expected"),
    [
        ("openai", "gpt-4o", "max_tokens", "max_tokens"),
        ("openai", "gpt-4.1-mini", "max_tokens", "max_tokens"),
        ("openai", "gpt-35-turbo", "max_tokens", "max_tokens"),
        ("openai", "gpt-oss-120b", "max_tokens", "max_tokens"),
        ("openai", "o1", "max_tokens", "max_completion_tokens"),
        ("openai", "o3-mini-2025-01-31", "max_tokens", "max_completion_tokens"),
        ("openai", "o4-mini", "max_tokens", "max_completion_tokens"),
        ("openai", "gpt-5", "max_tokens", "max_completion_tokens"),
        ("openai", "gpt-5.1-codex", "max_tokens", "max_completion_tokens"),
        ("openai", "gpt-6", "max_tokens", "max_completion_tokens"),
        ("openai", "ft:gpt-5-mini:org::1", "max_tokens", "max_completion_tokens"),
        ("openai", "gpt-4o", "max_completion_tokens", "max_completion_tokens"),
        ("deepseek", "deepseek-chat", "max_completion_tokens", "max_tokens"),
        ("some.host", "o1", "max_completion_tokens", "max_tokens"),
        ("some.host", "o1", "max_tokens", "max_tokens"),
    ],
)
def test_limit_of_tokens(vendor: str, model: str, given: str, expected: str) -> None:
    """The limit goes out under the name that vendor and model take."""
    params: dict[str, Any] = {given: 9}
    body = encoded(endpoint(vendor, model), **params)

    assert {expected: 9} == {name: value for name, value in body.items() if name.startswith("max_")}


def test_limit_of_the_endpoint() -> None:
    """An endpoint's own limit goes out as it is and leaves no second one."""
    body = encoded(endpoint("some.host", params={"max_completion_tokens": 5}), max_tokens=9)

    assert {"max_completion_tokens": 5} == {
        name: value for name, value in body.items() if name.startswith("max_")
    }


@pytest.mark.parametrize(
    ("model", "params", "expected"),
    [
        ("gpt-5.6", {}, "none"),
        ("gpt-6-mini", {}, "none"),
        ("gpt-5.6", {"reasoning_effort": "low"}, "low"),
        ("gpt-5.1", {}, None),
        ("gpt-4o", {}, None),
    ],
)
def test_tools_without_effort(model: str, params: dict[str, Any], expected: str | None) -> None:
    """Models that refuse tools with their default effort are told not to reason, unless the caller chose."""
    tools = [{"type": "function", "function": {"name": "f"}}]

    assert expected == encoded(endpoint(model=model), tools=tools, **params).get("reasoning_effort")
    assert "reasoning_effort" not in encoded(endpoint(model=model))


@pytest.mark.parametrize(
    ("vendor", "expected"), [("openai", "developer"), ("together", "system"), ("some.host", "system")]
)
def test_developer(vendor: str, expected: str) -> None:
    """Vendors that do not know the role `developer` are sent `system`; the caller's messages stay."""
    messages = [{"role": "developer", "content": "Be brief.", "name": "x"}, *HELLO]
    body = encoded(endpoint(vendor), messages)

    assert [{**messages[0], "role": expected}, *HELLO] == body["messages"]
    assert "developer" == messages[0]["role"]


@pytest.mark.parametrize(("vendor", "kept"), [("openai", False), ("mistral", False), ("deepseek", True)])
def test_reasoning_of_history(vendor: str, kept: bool) -> None:
    """Reasoning in the history goes back to vendors that want it, not to those that refuse the field."""
    history = [*HELLO, {"role": "assistant", "content": "Hi", "reasoning_content": "Hm"}, *HELLO]
    sent = encoded(endpoint(vendor), history)["messages"][1]

    assert kept == ("reasoning_content" in sent)
    assert "reasoning_content" in history[1]


def test_own_values_in_the_history() -> None:
    """A reply's message and its tool calls go back as they are; integer keys become text."""
    reply = CLIENT.decode((WIRE / "tools.json").read_bytes())
    assistant = {"role": "assistant", "content": None, "tool_calls": reply.tool_calls}
    body = encoded(endpoint(), [assistant], logit_bias={50256: -100})

    assert [call.to_dict() for call in reply.tool_calls] == body["messages"][0]["tool_calls"]
    assert {"50256": -100} == body["logit_bias"]


@pytest.mark.parametrize(
    "value", [{1, 2}, b"secret", object(), 2**70, "\ud800"], ids=lambda value: type(value).__name__
)
def test_no_json(value: object) -> None:
    """What is no JSON is our error and quotes nothing of the request."""
    with pytest.raises(InvalidRequest, match="the request is no JSON") as caught:
        CLIENT.encode(Request.of([{"role": "user", "content": ["secret", value]}], {}), endpoint())

    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_check_passes_everything() -> None:
    """Nothing that callers say in OpenAI's terms is inexpressible."""
    request = Request.of(HELLO, {"novelty": 1, "top_k": 4})
    CLIENT.check(request, endpoint("some.host"))

    assert () == CLIENT.dropped(request, endpoint("some.host", unsupported="drop"))


DETAILED = Usage(prompt_tokens=9, completion_tokens=4, cached_tokens=2, reasoning_tokens=1)
CALL = ("call_a", "weather", '{"city":"Oslo"}', "function")

# text, reasoning, finish reason, tool calls, usage
ANSWERS: dict[str, tuple[Any, ...]] = {
    "text": ("Grüße", None, "stop", [], DETAILED),
    "tools": (
        None,
        None,
        "tool_calls",
        [CALL, ("call_b", "time", "{}", "function"), ("call_c", "sql", "select 1", "custom")],
        DETAILED,
    ),
    "deepseek": ("42", "Hm", "stop", [], DETAILED),
    "openrouter": ("42", "Hm", "stop", [], DETAILED),
    "mistral": ("42", "Hm", "length", [("a1b2c3d4e", *CALL[1:])], DETAILED),
    "together": ("Hi", None, "stop", [], Usage()),
    "no_finish": ("Hi", None, "stop", [], DETAILED),
}


@pytest.mark.parametrize(("name", "expected"), ANSWERS.items(), ids=ANSWERS.keys())
def test_answers(name: str, expected: tuple[Any, ...]) -> None:
    """Each vendor's plain answer is read into the same shape."""
    reply = CLIENT.decode((WIRE / f"{name}.json").read_bytes())
    message = reply.message
    calls = [(call.id, call.name, call.arguments, call.type) for call in message.tool_calls]

    assert expected == (message.content, message.reasoning, reply.finish_reason, calls, reply.usage)
    assert ("chatcmpl-1", "gpt-4o-2024-08-06", 1760000000) == (reply.id, reply.model, reply.created)


def test_refusal() -> None:
    """The model's own refusal is an answer."""
    reply = CLIENT.decode((WIRE / "refusal.json").read_bytes())

    assert ("I cannot help.", None) == (reply.message.refusal, reply.message.content)


def test_what_we_do_not_know_is_kept() -> None:
    """Fields of the answer, the choice and the message that have no name here stay in `extra`."""
    reply = CLIENT.decode((WIRE / "text.json").read_bytes())

    assert {"service_tier": "default", "system_fingerprint": "fp_1"} == reply.extra
    assert {"logprobs": None} == reply.choices[0].extra
    assert {"annotations": []} == reply.message.extra


@pytest.mark.parametrize("name", ["text", "tools", "refusal"])
def test_beside_the_sdk(name: str) -> None:
    """The official SDK reads the same out of an answer as out of our copy of it."""
    body = (WIRE / f"{name}.json").read_bytes()
    theirs = ChatCompletion.model_validate_json(body)
    ours = ChatCompletion.model_validate(CLIENT.decode(body).to_dict())

    assert theirs.choices == ours.choices
    assert theirs.usage is not None
    assert ours.usage is not None
    assert theirs.usage.total_tokens == ours.usage.total_tokens


def test_deltas_of() -> None:
    """A plain answer to a streamed request can be told as deltas that add up to it."""
    for name in ("text", "tools", "mistral", "together"):
        reply = CLIENT.decode((WIRE / f"{name}.json").read_bytes())
        again = assemble(deltas_of(reply))

        assert (reply.id, reply.model, reply.created, reply.usage) == (
            again.id,
            again.model,
            again.created,
            again.usage,
        )
        assert (reply.tool_calls, reply.text, reply.finish_reason) == (
            again.tool_calls,
            again.text,
            again.finish_reason,
        )


@pytest.mark.parametrize("given", [1e308, "secret", [], {"content": 5}, {"content": {"token": "x"}}], ids=str)
def test_logprobs_that_are_none(given: Any) -> None:
    """What is no object of lists is left out, and breaks nobody who puts the pieces together."""
    reply = CLIENT.decode(answer(logprobs=given, finish_reason="stop"))

    assert reply.choices[0].logprobs is None
    assert assemble(deltas_of(reply)).text == "Hi"


def answer(**choice: Any) -> bytes:
    return orjson.dumps({"id": "c", "choices": [{"index": 0, "message": {"content": "Hi"}, **choice}]})


# Deeper than orjson writes, not deeper than it reads.
DEEP = answer(message={"tool_calls": [{"function": {"name": "f", "arguments": ["secret"]}}]}).replace(
    b'["secret"]', b"[" * 300 + b'"secret"' + b"]" * 300
)

FAILURES: dict[str, tuple[bytes, type[AttemptError], str]] = {
    "empty": (b"", BadAnswer, "an empty body in place of JSON"),
    "blank lines": (b"\n\n\n", BadAnswer, "an empty body in place of JSON"),
    "HTML": (b" <html>secret</html>", BadAnswer, "HTML in place of JSON"),
    "text": (b"secret", BadAnswer, "6 bytes in place of JSON"),
    "cut": (b'{"id": "secret', BadAnswer, "broken JSON in place of JSON"),
    "stream": (b'data: {"secret": 1}\n\n', BadAnswer, "an event stream in place of JSON"),
    "no UTF-8": (b"\x1f\x8bsecret", BadAnswer, "bytes in place of JSON"),
    "array": (b'["secret"]', BadAnswer, "a JSON array in place of an object"),
    "null": (b"null", BadAnswer, "a JSON null in place of an object"),
    "number": (b"42", BadAnswer, "a JSON value in place of an object"),
    "no choices": (b'{"secret": 1}', BadAnswer, "without choices"),
    "empty choices": (b'{"choices": []}', BadAnswer, "without choices"),
    "choices of null": (b'{"choices": null}', BadAnswer, "without choices"),
    "choices of a wrong type": (b'{"choices": "secret"}', BadAnswer, "without choices"),
    "choice of a wrong type": (b'{"choices": ["secret"]}', BadAnswer, "without a message"),
    "no message": (b'{"choices": [{"text": "secret"}]}', BadAnswer, "without a message"),
    "content of a wrong type": (answer(message={"content": 5}), BadAnswer, "neither text nor parts"),
    "calls of a wrong type": (answer(message={"tool_calls": "secret"}), BadAnswer, "no list"),
    "call of a wrong type": (answer(message={"tool_calls": ["secret"]}), BadAnswer, "no object"),
    "nothing at all": (answer(message={"content": None}), BadAnswer, "without content or finish reason"),
    "tool calls without one": (
        answer(message={"content": None}, finish_reason="tool_calls"),
        BadAnswer,
        "ends with tool_calls and has none",
    ),
    "empty list of tool calls": (
        answer(message={"content": "", "tool_calls": []}, finish_reason="tool_calls"),
        BadAnswer,
        "ends with tool_calls and has none",
    ),
    "arguments too deep": (DEEP, BadAnswer, "nested too deep"),
    "error": (b'{"error": {"message": "busy", "code": 429}}', RateLimited, "busy"),
    "error beside choices": (b'{"error": {"code": 401}, "choices": []}', AuthFailed, "401"),
    "bare error": (b'{"error": "went wrong"}', ServerFault, "went wrong"),
    "flat error": (b'{"object": "error", "message": "bad", "code": 400}', InvalidRequest, "bad"),
    "finish reason error": (answer(finish_reason="error"), ServerFault, "error"),
    "finish reason with its error": (
        answer(finish_reason="error", error={"code": 429, "message": "busy"}),
        RateLimited,
        "busy",
    ),
    "starved": (
        answer(finish_reason="insufficient_system_resource"),
        Overloaded,
        "insufficient_system_resource",
    ),
}


@pytest.mark.parametrize(("body", "kind", "words"), FAILURES.values(), ids=FAILURES.keys())
def test_failures(body: bytes, kind: type[AttemptError], words: str) -> None:
    """What is no answer is an error of its own class; garbage is described and never quoted."""
    with pytest.raises(AttemptError, match=words) as caught:
        CLIENT.decode(body)

    assert kind is type(caught.value)
    assert "secret" not in str(caught.value)


def thinking(depth: int) -> bytes:
    """An answer with so many parts of reasoning, each within the one before."""
    part: bytes = b'{"type":"text","text":"Hm"}'
    for _ in range(depth):
        part = b'{"type":"thinking","thinking":[' + part + b"]}"
    return b'{"choices":[{"message":{"content":[' + part + b',{"type":"text","text":"42"}]}}]}'


@pytest.mark.parametrize(("depth", "reasoning"), [(1, "Hm"), (2, None), (450, None)])
def test_thinking_has_one_level(depth: int, reasoning: str | None) -> None:
    """Reasoning is the parts right within `thinking`, as Mistral has them; what lies deeper is left out."""
    message = CLIENT.decode(thinking(depth)).message

    assert ("42", reasoning) == (message.content, message.reasoning)


@given(st.binary() | st.recursive(st.none() | st.text(), lambda inner: st.lists(inner)).map(orjson.dumps))
def test_any_body(body: bytes) -> None:
    """Whatever the body is, it is read or it is one of our errors."""
    try:
        reply = CLIENT.decode(body)
    except AttemptError:
        return
    assert reply.choices
