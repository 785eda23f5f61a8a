"""Programs as LiteLLM's users write them, after its own pages on fallbacks, retries and Routers.

Each is text, because its import line is changed before it runs; `ONE`, `TWO` and `THREE` stand for the
addresses of three simulated endpoints.  `prints` is what LiteLLM 1.110.2 prints as well, against the same
endpoints, but for the programs that say what differs.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from fallbackio.errors import ContentFiltered, ContextTooLong, InvalidRequest, RateLimited
from fallbackio.simulator import Behaviour, Html, InTurn, Silence, Status

__all__ = ["PROGRAMS", "Program"]

DOWN = Behaviour(fault=Status(503))
BROKEN = Behaviour(fault=Status(500))
THROTTLED = Behaviour(fault=Status(429, error=RateLimited))
NO_SUCH_KEY = Behaviour(fault=Status(401))
# LiteLLM knows both by the words that OpenAI has for them.
TOO_LONG = Status(400, error=ContextTooLong, message="This model's maximum context length is 4097 tokens.")
POLICY = Status(
    400, error=ContentFiltered, message="Your request was rejected as a result of the safety system."
)
TOO_SMALL = Behaviour(fault=TOO_LONG)
FILTERED = Behaviour(fault=POLICY)
SAYS_TWO = Behaviour(text="I am two")
SAYS_THREE = Behaviour(text="I am three")


@frozen
class Program:
    """One program: how the endpoints behave while it runs, and what it prints.

    Attributes:
        differs: What LiteLLM does instead, if it prints something else.
    """

    name: str
    text: str
    prints: str
    behaviours: Mapping[str, Behaviour] = field(factory=dict)
    differs: str = ""


PROGRAMS = [
    Program(
        "a call with fallbacks",
        """
from litellm import completion

messages = [{"role": "user", "content": "Hello, how are you?"}]
response = completion(
    model="openai/first", api_key="k", api_base="ONE/v1", messages=messages, fallbacks=["openai/second"]
)
print(response.model, "|", response.choices[0].message.content)
print(response["choices"][0]["message"]["content"] == response.choices[0].message.content)
print(response["choices"][0]["finish_reason"], response.usage.completion_tokens)
""",
        "second | I am one\nTrue\nstop 3\n",
        {"one": Behaviour(fault=InTurn([Status(401), None]), text="I am one")},
    ),
    Program(
        "a model that nobody runs",
        """
from litellm import completion

messages = [{"role": "user", "content": "Hello, how are you?"}]
response = completion(model="bad-model", fallbacks=["gpt-3.5-turbo", "command-nightly"], messages=messages)
print(response.model, response.choices[0].message.content)
""",
        "gpt-3.5-turbo I am two\n",
        {"two": SAYS_TWO},
    ),
    Program(
        "other keys and other places",
        """
import asyncio
from litellm import acompletion

messages = [{"role": "user", "content": "Hello"}]
places = [{"api_key": "second-key", "api_base": "TWO/v1"}, {"api_key": "third-key", "api_base": "THREE/v1"}]


async def main():
    response = await acompletion(
        model="openai/ours", api_key="first-key", api_base="ONE/v1", messages=messages, fallbacks=places
    )
    print(response.choices[0].message.content)


asyncio.run(main())
""",
        "I am three\n",
        {"one": NO_SUCH_KEY, "two": NO_SUCH_KEY, "three": SAYS_THREE},
    ),
    Program(
        "a fallback with messages of its own",
        """
import asyncio
from litellm import acompletion


async def main():
    response = await acompletion(
        model="openai/ours",
        api_key="k",
        api_base="ONE/v1",
        messages=[{"role": "user", "content": "What is the weather like?"}],
        fallbacks=[
            {
                "model": "openai/theirs",
                "api_base": "TWO/v1",
                "messages": [{"role": "user", "content": "What is LiteLLM?"}],
                "temperature": 0.1,
            }
        ],
    )
    print(response.model, response.choices[0].message.content)


asyncio.run(main())
""",
        "theirs I am two\n",
        {"one": NO_SUCH_KEY, "two": SAYS_TWO},
    ),
    Program(
        "models in a loop",
        """
import litellm
from litellm import completion, embedding

messages = [{"role": "user", "content": "Hello, how are you?"}]
for model in ["claude-sonnet-4-5", "gpt-3.5-turbo", "chatgpt-test"]:
    try:
        response = completion(model=model, messages=messages, max_retries=0)
        print(response.choices[0].message.content)
        break
    except litellm.exceptions.AuthenticationError as e:
        print("error occurred:", e.status_code, e.llm_provider)
    except Exception as e:
        print("another error occurred:", type(e).__name__)
""",
        "error occurred: 401 anthropic\nI am two\n",
        {"one": NO_SUCH_KEY, "two": SAYS_TWO},
    ),
    Program(
        "a larger model, by hand",
        """
from litellm import completion, ContextWindowExceededError

larger = [{"model": "openai/larger", "api_base": "TWO/v1"}]
messages = [{"role": "user", "content": "Hello, how are you?"}]
try:
    response = completion(model="openai/small", api_base="ONE/v1", api_key="k", messages=messages)
except ContextWindowExceededError as e:
    print(type(e).__name__, e.status_code)
    for model in larger:
        response = completion(**model, api_key="k", messages=messages)
        print(response.choices[0].message.content)
""",
        "ContextWindowExceededError 400\nI am two\n",
        {"one": TOO_SMALL, "two": SAYS_TWO},
    ),
    Program(
        "a larger model, by a dict",
        """
from litellm import completion

messages = [{"content": "how does a court case get to the Supreme Court?" * 50, "role": "user"}]
response = completion(
    model="gpt-3.5-turbo", messages=messages, context_window_fallback_dict={"gpt-3.5-turbo": "gpt-4o"}
)
print(response.model, response.choices[0].message.content)
""",
        "gpt-4o I am larger\n",
        {"two": Behaviour(fault=InTurn([TOO_LONG, None]), text="I am larger")},
    ),
    Program(
        "retries",
        """
from litellm import completion

messages = [{"role": "user", "content": "Hello"}]
response = completion(model="gpt-3.5-turbo", messages=messages, num_retries=2)
print(response.choices[0].message.content)
""",
        "third time\n",
        {"two": Behaviour(fault=InTurn([Status(500), Status(500), None]), text="third time")},
    ),
    Program(
        "a stream",
        """
import asyncio
from litellm import acompletion


async def main():
    response = await acompletion(
        model="openai/ours", api_key="k", api_base="TWO/v1", stream=True,
        messages=[{"role": "user", "content": "Hello"}],
    )
    async for chunk in response:
        print(chunk.choices[0].delta.content or "", end="")
    print("|", chunk.choices[0].finish_reason, chunk.model)


asyncio.run(main())
""",
        "I am two| stop ours\n",
        {"two": SAYS_TWO},
    ),
    Program(
        "a stream with its usage",
        """
from litellm import completion

response = completion(
    model="openai/ours", api_key="k", api_base="TWO/v1", stream=True, stream_options={"include_usage": True},
    messages=[{"role": "user", "content": "Hello"}],
)
text, role = "", None
for chunk in response:
    if chunk.choices:
        text += chunk.choices[0].delta.content or ""
        role = role or chunk.choices[0].delta.role
print(role, text, chunk.usage.completion_tokens)
""",
        "assistant I am two 3\n",
        {"two": SAYS_TWO},
    ),
    Program(
        "a stream with fallbacks",
        """
import asyncio
from litellm import acompletion


async def main():
    response = await acompletion(
        model="openai/ours", api_key="k", api_base="ONE/v1", stream=True,
        messages=[{"role": "user", "content": "Hello"}],
        fallbacks=[{"model": "openai/theirs", "api_base": "TWO/v1"}],
    )
    async for chunk in response:
        print(chunk.choices[0].delta.content or "", end="")
    print()


asyncio.run(main())
""",
        "I am two\n",
        {"one": NO_SUCH_KEY, "two": SAYS_TWO},
    ),
    Program(
        "a mocked answer",
        """
import litellm
from litellm import completion

litellm.set_verbose = False
messages = [{"role": "user", "content": "This is a test request"}]
response = completion(model="gpt-3.5-turbo", messages=messages, mock_response="It's simple to use")
print(response.choices[0].message.content, response.usage.total_tokens)
for chunk in completion(model="gpt-3.5-turbo", messages=messages, mock_response="It's simple", stream=True):
    print(chunk.choices[0].delta.content or "", end="")
print()
try:
    completion(model="gpt-3.5-turbo", messages=messages, mock_response="litellm.RateLimitError")
except litellm.RateLimitError as e:
    print(e.status_code)
""",
        "It's simple to use 30\nIt's simple\n429\n",
    ),
    Program(
        "a Router with fallbacks",
        """
import asyncio
from litellm import Router

model_list = [
    {"model_name": "fast", "litellm_params": {"model": "openai/a", "api_base": "ONE/v1", "api_key": "k"}},
    {"model_name": "fast", "litellm_params": {"model": "openai/b", "api_base": "ONE/v1", "api_key": "k"}},
    {"model_name": "good", "litellm_params": {"model": "openai/c", "api_base": "TWO/v1", "api_key": "k"}},
]
router = Router(model_list=model_list, fallbacks=[{"fast": ["good"]}], num_retries=0, timeout=30)


async def main():
    response = await router.acompletion(model="fast", messages=[{"role": "user", "content": "Hello"}])
    print(response.model, response.choices[0].message.content)
    response = await router.acompletion(model="good", messages=[{"role": "user", "content": "Hello"}])
    print(response.choices[0].message.content)


asyncio.run(main())
""",
        "c I am two\nI am two\n",
        {"one": BROKEN, "two": SAYS_TWO},
    ),
    Program(
        "a Router without await",
        """
from litellm import Router

router = Router(
    model_list=[
        {"model_name": "bad", "litellm_params": {"model": "openai/a", "api_base": "ONE/v1", "api_key": "k"}},
        {"model_name": "good", "litellm_params": {"model": "openai/c", "api_base": "TWO/v1", "api_key": "k"}},
    ],
    fallbacks=[{"bad": ["good"]}],
)
response = router.completion(
    model="bad", messages=[{"role": "user", "content": "Hey, how's it going?"}], mock_testing_fallbacks=True
)
print(response.choices[0].message.content)
""",
        "I am two\n",
        {"two": SAYS_TWO},
    ),
    Program(
        "a Router's three kinds of fallbacks",
        """
import asyncio
from litellm import Router


def place(name, **more):
    return {"model_name": name, "litellm_params": {"model": "openai/" + name, "api_key": "k", **more}}


router = Router(
    model_list=[
        place("small", api_base="ONE/v1"),
        place("strict", api_base="TWO/v1"),
        place("larger", mock_response="from the larger one"),
        place("lenient", mock_response="from the lenient one"),
        place("other", mock_response="from another one"),
    ],
    context_window_fallbacks=[{"small": ["larger"]}],
    content_policy_fallbacks=[{"strict": ["lenient"]}],
    fallbacks=[{"small": ["other"]}, {"strict": ["other"]}],
    num_retries=0,
)


async def main():
    for group in ["small", "strict"]:
        response = await router.acompletion(model=group, messages=[{"role": "user", "content": "Hello"}])
        print(response.choices[0].message.content)


asyncio.run(main())
""",
        "from the larger one\nfrom the lenient one\n",
        {"one": TOO_SMALL, "two": FILTERED},
    ),
    Program(
        "a Router's fallbacks of fallbacks, and default ones",
        """
import asyncio
from litellm import Router


def place(name, **more):
    return {"model_name": name, "litellm_params": {"model": "openai/" + name, "api_key": "k", **more}}


router = Router(
    model_list=[
        place("a", mock_response=Exception("a is broken")),
        place("b", mock_response=Exception("b is broken")),
        place("c", mock_response="I am c"),
        place("d", mock_response="I am d"),
    ],
    fallbacks=[{"a": ["b"]}, {"b": ["c"]}],
    default_fallbacks=["d"],
    num_retries=0,
)


async def main():
    for group in ["a", "unknown"]:
        response = await router.acompletion(model=group, messages=[{"role": "user", "content": "Hello"}])
        print(response.choices[0].message.content)


asyncio.run(main())
""",
        "I am c\nI am d\n",
    ),
    Program(
        "a Router's client-side fallbacks",
        """
import asyncio
from litellm import Router

router = Router(
    model_list=[
        {"model_name": "a", "litellm_params": {"model": "openai/a", "api_base": "ONE/v1", "api_key": "k"}},
        {"model_name": "b", "litellm_params": {"model": "openai/b", "api_base": "TWO/v1", "api_key": "k"}},
    ],
    num_retries=0,
)


async def main():
    response = await router.acompletion(
        model="a",
        messages=[{"role": "user", "content": "Hello"}],
        fallbacks=[{"model": "b", "messages": [{"role": "user", "content": "What is LiteLLM?"}]}],
    )
    print(response.model, response.choices[0].message.content)


asyncio.run(main())
""",
        "b I am two\n",
        {"one": BROKEN, "two": SAYS_TWO},
    ),
    Program(
        "a Router's stream",
        """
import asyncio
from litellm import Router

router = Router(
    model_list=[
        {"model_name": "a", "litellm_params": {"model": "openai/a", "api_base": "ONE/v1", "api_key": "k"}},
        {"model_name": "b", "litellm_params": {"model": "openai/b", "api_base": "TWO/v1", "api_key": "k"}},
    ],
    fallbacks=[{"a": ["b"]}],
    num_retries=0,
)


async def main():
    response = await router.acompletion(
        model="a", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    async for chunk in response:
        print(chunk.choices[0].delta.content or "", end="")
    print()


asyncio.run(main())
""",
        "I am two\n",
        {"one": BROKEN, "two": SAYS_TWO},
    ),
    Program(
        "a Router's errors",
        """
import asyncio
import litellm
from litellm import Router
from litellm.exceptions import RateLimitError

router = Router(
    model_list=[
        {"model_name": "a", "litellm_params": {"model": "openai/a", "api_base": "ONE/v1", "api_key": "k"}},
        {"model_name": "b", "litellm_params": {"model": "openai/b", "api_base": "TWO/v1", "api_key": "k"}},
    ],
    fallbacks=[{"a": ["b"]}],
    num_retries=0,
)


async def main():
    try:
        await router.acompletion(model="a", messages=[{"role": "user", "content": "Hello"}])
    except RateLimitError as e:
        print("rate limited:", e.status_code)
    try:
        await router.acompletion(model="nobody", messages=[{"role": "user", "content": "Hello"}])
    except litellm.BadRequestError as e:
        print("bad request:", e.status_code)


asyncio.run(main())
""",
        "rate limited: 429\nbad request: 400\n",
        {"one": THROTTLED, "two": BROKEN},
    ),
    Program(
        "a Router's alias and default parameters",
        """
import asyncio
from litellm import Router

router = Router(
    model_list=[{"model_name": "a", "litellm_params": {"model": "openai/a", "api_key": "k"}}],
    model_group_alias={"gpt-4": "a"},
    default_litellm_params={"api_base": "TWO/v1", "max_tokens": 1},
)


async def main():
    response = await router.acompletion(model="gpt-4", messages=[{"role": "user", "content": "Hello"}])
    print(response.choices[0].message.content, response.choices[0].finish_reason)
    response = await router.acompletion(
        model="gpt-4", messages=[{"role": "user", "content": "Hello"}], max_tokens=2
    )
    print(response.choices[0].message.content)


asyncio.run(main())
""",
        "I length\nI am\n",
        {"two": SAYS_TWO},
    ),
    Program(
        "embeddings",
        """
import asyncio
from litellm import aembedding, embedding

response = embedding(model="openai/text-embedding-3-small", api_base="TWO/v1", api_key="k", input=["Hello"])
print(response.model, response.data[0]["index"], len(response["data"]))


async def main():
    response = await aembedding(
        model="openai/text-embedding-3-small", api_base="TWO/v1", api_key="k", input=["Hello", "World"]
    )
    print(len(response.data))


asyncio.run(main())
""",
        "text-embedding-3-small 0 1\n2\n",
    ),
    Program(
        "a conversation with a tool",
        """
import json
from litellm import completion

tools = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
place = {"model": "openai/ours", "api_base": "ONE/v1", "api_key": "k"}
response = completion(messages=messages, tools=tools, tool_choice="required", **place)
message = response.choices[0].message
print(message.content, message.tool_calls[0].function.name, response.choices[0].finish_reason)
messages.append(message)
for call in message.tool_calls:
    arguments = json.loads(call.function.arguments)
    messages.append({"role": "tool", "tool_call_id": call.id, "name": call.function.name, "content": "rain"})
response = completion(messages=messages, tools=tools, **place)
print(response.choices[0].message.content, response.choices[0].message.tool_calls)
""",
        "None weather tool_calls\nword0 word1 word2 None\n",
        {"one": Behaviour(tokens=3)},
    ),
    Program(
        "a timeout that holds",
        """
import asyncio
import time
import litellm
from litellm import acompletion


async def main():
    started = time.monotonic()
    try:
        await acompletion(
            model="openai/ours", api_key="k", api_base="ONE/v1", timeout=0.6, max_retries=2,
            messages=[{"role": "user", "content": "Hello"}],
            fallbacks=[{"api_base": "TWO/v1"}],
        )
    except litellm.Timeout as e:
        print("timeout", time.monotonic() - started < 1.5)


asyncio.run(main())
""",
        "timeout True\n",
        {"one": Behaviour(fault=Silence()), "two": Behaviour(fault=Silence())},
        differs="two endpoints are asked three times each, 0.6 s long; then it raises a bare Exception",
    ),
    Program(
        "no fallback for a bad request",
        """
import litellm
from litellm import completion

try:
    response = completion(
        model="openai/ours", api_key="k", api_base="ONE/v1", messages=[{"role": "user", "content": "Hello"}],
        fallbacks=[{"api_base": "TWO/v1"}],
    )
    print("answered")
except litellm.BadRequestError as e:
    print("bad request", e.status_code)
""",
        "bad request 400\n",
        {"one": Behaviour(fault=Status(400, error=InvalidRequest)), "two": SAYS_TWO},
        differs="the fallback is asked the same, and here it answers",
    ),
    Program(
        "an honest end of a stream",
        """
import asyncio
import litellm
from litellm import acompletion


async def main():
    text = ""
    try:
        response = await acompletion(
            model="openai/ours", api_key="k", api_base="ONE/v1", stream=True,
            messages=[{"role": "user", "content": "Hello"}],
        )
        async for chunk in response:
            text += chunk.choices[0].delta.content or ""
        print("whole:", repr(text))
    except litellm.APIError as e:
        print("no answer")


asyncio.run(main())
""",
        "no answer\n",
        {"one": Behaviour(fault=Html(200))},
        differs="a page of HTML with a 200 is an empty answer that has stopped of itself",
    ),
]
