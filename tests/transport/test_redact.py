"""Keys and prompts do not come back in what providers say."""

from __future__ import annotations

import json
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError, InvalidRequest, RateLimited
from fallbackio.model import FunctionCall, Message, Request, ToolCall
from fallbackio.transport._redact import MAX_MESSAGE, MAX_PROMPT, QUOTE, redact, secrets_of

KEY = "sk-test-0123456789"
PROMPT = "My patient Jane Roe was diagnosed with a rare disease last May."


def told(said: str, request: Request, *secrets: str) -> str:
    return redact(InvalidRequest(said), secrets, request).message


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (f"Incorrect API key provided: {KEY}.", "Incorrect API key provided: [key]."),
        (f"Invalid value: '{PROMPT}'", "Invalid value: '[prompt]'"),
        (f"Invalid value: '{PROMPT[:30]}…'", "Invalid value: '[prompt]…'"),
        (f"Invalid value: '…{PROMPT[25:]}'", "Invalid value: '…[prompt]'"),
        (f"no '{PROMPT[:20]}' nor '{PROMPT[30:]}'!", "no '[prompt]' nor '[prompt]'!"),
        ("prompt is too long: 210000 tokens > 200000 maximum", None),
        ("", None),
    ],
    ids=["key", "whole prompt", "its beginning", "its end", "two quotations", "no quotation", "nothing said"],
)
def test_what_is_quoted_is_taken_out(said: str, expected: str | None) -> None:
    """A key or a run of the prompt's characters in a provider's message is replaced."""
    request = Request.of([{"role": "user", "content": [{"type": "text", "text": PROMPT}]}], {})

    error = redact(InvalidRequest(said), (KEY,), request)

    assert (said if expected is None else expected) == error.message
    assert KEY not in str(error)
    assert KEY not in repr(error)


def test_short_prompts_are_taken_out_too() -> None:
    """A prompt shorter than a quotation's least length is still not repeated."""
    request = Request.of(" sword\nfish ", {})

    assert told("cannot parse 'Sword fish' here", request) == "cannot parse '[prompt]' here"
    assert told("no sword fish", request) == "no [prompt]"


LINES = 'He said: "It\'s done."\n\nThen he left C:\\new\\table for good,\tat ten.'


@pytest.mark.parametrize(
    "quoted",
    [
        " ".join(LINES.split()),
        LINES.upper(),
        orjson.dumps(LINES).decode(),
        orjson.dumps(orjson.dumps(LINES).decode()).decode(),
        repr(LINES),
        json.dumps(LINES.replace("It", "Ìţ")),
    ],
    ids=["white space collapsed", "capitals", "JSON", "JSON in JSON", "repr", "JSON in ASCII"],
)
def test_other_forms_of_the_prompt(quoted: str) -> None:
    """A quotation is known by what it means, not by how it is written."""
    request = Request.of(LINES.replace("It", "Ìţ") if "\\u" in quoted else LINES, {})

    message = told(f"invalid input {quoted}, sorry", request)

    assert message.replace('"', "").replace("\\", "").replace("'", "") == "invalid input [prompt], sorry"


@pytest.mark.parametrize(
    ("message", "params"),
    [
        ({"content": "hi", "reasoning_content": PROMPT}, {}),
        ({"content": "hi", "of_a_vendor": {"deep": [{"down": PROMPT}]}}, {}),
        ({"content": None, "tool_calls": [ToolCall("1", FunctionCall("f", PROMPT))]}, {}),
        (Message(PROMPT), {}),
        ({"content": "hi"}, {"user": PROMPT}),
        ({"content": "hi"}, {"tools": [{"function": {"description": PROMPT}}]}),
        ({"content": "hi"}, {"prediction": {"type": "content", "content": PROMPT}}),
        ({"content": "hi"}, {"stop": [PROMPT]}),
    ],
    ids=["reasoning", "unknown", "tool call", "message", "user", "tools", "prediction", "stop"],
)
def test_all_texts_of_a_request_are_looked_for(
    message: Message | dict[str, Any], params: Mapping[str, Any]
) -> None:
    """Wherever in messages or parameters a text stands, it is not repeated."""
    given: list[Message | dict[str, Any]] = [
        message if isinstance(message, Message) else {"role": "assistant", **message}
    ]

    assert told(f"bad: {PROMPT}", Request.of(given, params)) == "bad: [prompt]"


def test_the_formats_own_words_stay() -> None:
    """Roles, types and settings are no secrets, and an error without them says nothing."""
    said = "Unsupported value: 'medium' of a user's function; use low, auto or developer"
    tools = [{"type": "function", "function": {"name": "f"}}]
    request = Request.of("hello", {"tools": tools, "tool_choice": "auto", "reasoning_effort": "medium"})

    assert told(said, request) == said


def test_who_asks_is_not_repeated() -> None:
    """A user's name is taken out though it is short."""
    assert told("alice_7 is blocked", Request.of("hello", {"user": "alice_7"})) == "[prompt] is blocked"


def test_the_latest_message_is_searched_first() -> None:
    """A long history or an image in front does not hide what was asked last."""
    image = [{"type": "image_url", "image_url": {"url": "A" * 5_000_000}}]
    contents: list[Any] = ["B" * 2 * MAX_PROMPT, image, PROMPT]
    request = Request.of([{"role": "user", "content": content} for content in contents], {})

    assert told(f"bad: {PROMPT}", request) == "bad: [prompt]"


def test_the_code_is_cleaned_too() -> None:
    """Providers' codes are shown as well, so they are cleaned as well."""
    error = redact(
        RateLimited("slow down", code=f"limit:{KEY}:swordfish"), (KEY,), Request.of("swordfish", {})
    )

    assert error.code == "limit:[key]:[prompt]"


def test_long_messages_are_cut() -> None:
    """An error is a sentence, not a page."""
    assert len(told("x" * 10_000, Request.of("hello", {}))) == MAX_MESSAGE


@pytest.mark.parametrize("over", range(len(KEY)))
def test_a_key_at_the_cut(over: int) -> None:
    """Wherever a message was cut, no telling part of a key is left at its end."""
    cut = ("x" * MAX_MESSAGE + KEY)[over : MAX_MESSAGE + over]
    long = "x" * (MAX_MESSAGE - over) + KEY

    assert KEY[:6] not in told(cut, Request.of("hello", {}), KEY)
    assert KEY[:6] not in told(long, Request.of("hello", {}), KEY)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"api_key": KEY}, {KEY}),
        ({"api_key": "x"}, set()),
        ({"api_key": "none"}, set()),
        ({"api_key": "EMPTY"}, set()),
        ({"headers": {"api-key": KEY, "X-Beta": "v2"}}, {KEY}),
        ({"headers": {"Authorization": f"Bearer {KEY}"}}, {f"Bearer {KEY}", KEY}),
        ({}, set()),
        (
            {"base_url": "http://h/v1?api-version=2024-10-21&key=a%2Fsecret1&x=y"},
            {"a%2Fsecret1", "a/secret1"},
        ),
    ],
    ids=["key", "a stand-in", "a word", "in capitals", "own header", "own authorization", "none", "query"],
)
def test_secrets_of_an_endpoint(settings: dict[str, Any], expected: set[str]) -> None:
    """The key and the values of own headers and queries are secrets; words too short for one are not."""
    assert set(secrets_of(Endpoint("model", **{"base_url": "http://localhost/v1"} | settings))) == expected


def test_a_request_id_repeats_no_key() -> None:
    """It goes into logs and spans, and is a provider's word as well; of the prompt it has nothing."""
    error = redact(InvalidRequest(request_id=f"{KEY}-hello"), (KEY,), Request.of("hello", {}))

    assert error.request_id == "[key]-hello"


def collapsed(text: str) -> str:
    return " ".join(text.split())


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="\\"), min_size=2 * QUOTE)
AROUND = st.text(
    st.characters(codec="utf-8", exclude_characters="\\", exclude_categories=["Cc"]), max_size=40
)
FORMS: Sequence[Callable[[str], str]] = [
    str,
    str.upper,
    str.lower,
    str.swapcase,
    lambda text: orjson.dumps(text).decode()[1:-1],
]


@example(prompt="x" * 40, cut=(0, 9), before="", after="", form=str)
@example(prompt="ΑΣ " + string.ascii_letters, cut=(0, 1), before="", after="", form=str.lower)
@given(
    prompt=PLAIN.filter(lambda text: len(collapsed(text)) >= QUOTE),
    cut=st.tuples(st.integers(0), st.integers(0)),
    before=AROUND,
    after=AROUND,
    form=st.sampled_from(FORMS),
)
def test_no_quotation_is_kept(
    prompt: str, cut: tuple[int, int], before: str, after: str, form: Callable[[str], str]
) -> None:
    """Sixteen characters of the prompt never stay, in whatever case, collapsed or escaped."""
    text = collapsed(prompt)
    start = cut[0] % (len(text) - QUOTE + 1)
    end = start + QUOTE + cut[1] % (len(text) - start - QUOTE + 1)
    quoted = form(text[start:end])

    message = told(f"{before}«{quoted}»{after}", Request.of(prompt, {}))

    kept = {quoted[at : at + QUOTE] for at in range(len(quoted) - QUOTE + 1)}
    assert not [piece for piece in kept if piece in message and piece not in f"{before}«»{after}"]


@given(said=st.text(max_size=400), prompt=st.text(max_size=400), secret=st.text(max_size=20))
def test_any_text_can_be_cleaned(said: str, prompt: str, secret: str) -> None:
    """Whatever is said and asked, cleaning ends, and says no more than was said."""
    error = redact(AttemptError(said), (secret,) if len(secret) > 5 else (), Request.of(prompt, {}))

    assert len(error.message) <= MAX_MESSAGE
    assert error.args == (error.message,)
