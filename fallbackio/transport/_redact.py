"""Keeping keys and prompts out of what providers say.

Providers quote: "Incorrect API key provided: sk-…", "Invalid value: 'the prompt'".  Their short
message goes into our errors, so whatever of a key or of the caller's texts it repeats is taken out
first.  They do not quote to the letter, so both sides are compared in one plain form: letter case
does not count, white space counts as one blank, an escape (JSON's or Python's, at any depth) as
what it stands for.  This runs only when an attempt has failed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any
from urllib.parse import unquote, urlsplit

from attrs import frozen

from fallbackio.endpoint import Endpoint
from fallbackio.errors import AttemptError
from fallbackio.model import Message, Request, ToolCall

__all__ = ["redact", "secrets_of"]

MAX_MESSAGE = 300
# What is looked through before the message is cut; the dialects cut earlier.
MAX_SAID = 10 * MAX_MESSAGE

# Header values below this are words (`gzip`, `2024-06`), keys below theirs are stand-ins (`x`).
MIN_SECRET = 8
MIN_KEY = 4
# What servers without keys tell people to write there; words of messages, and no secrets.
_STAND_INS = frozenset({"dummy", "empty", "lm-studio", "no-key", "none", "null", "ollama", "unused", "vllm"})
# Where a message was cut in the middle of a secret, so much of its beginning gives it away.
MIN_BEGINNING = 6

# A run of so many characters that stands in the prompt too is a quotation; shorter ones are words
# that anybody may use.
QUOTE = 16
# Wherever a quotation begins, one of the message's aligned blocks of this length lies within it.
BLOCK = QUOTE // 2
# Shorter texts are quoted whole, if at all; the shortest are words again.
MIN_TEXT = 4
# Searched is the beginning of each text, the latest message first: an image must not hide the rest.
MAX_TEXT = 50_000
MAX_PROMPT = 200_000

# Their values are the format's own words.
_VOCABULARY = frozenset({"role", "type"})
# Parameters whose short values are the caller's; those of the others ("auto", "low") are the format's.
_PERSONAL = ("user", "safety_identifier", "metadata", "prediction")


def secrets_of(endpoint: Endpoint) -> tuple[str, ...]:
    """What `endpoint` sends to prove who it is: its key, and the values of its own headers and query."""
    key = endpoint.api_key or ""
    found = {key} if len(key) >= MIN_KEY and key.lower() not in _STAND_INS else set()
    values = [*endpoint.headers.values(), *_asked_with(endpoint.base_url or "")]
    for value in values:  # "Bearer …" is quoted with its first word or without
        found.update(part for part in (value, *value.split()) if len(part) >= MIN_SECRET)
    return tuple(sorted(found, key=len, reverse=True))


def _asked_with(url: str) -> Iterator[str]:
    """The values in a query, as they are sent and as they are meant."""
    for pair in urlsplit(url).query.split("&"):
        name, _, value = pair.partition("=")
        if name != "api-version":
            yield from (value, unquote(value))


def redact(error: AttemptError, secrets: Sequence[str], request: Request) -> AttemptError:
    """The same error, what it says without secrets and without quotations of the request."""
    error.request_id = error.request_id and _without_secrets(error.request_id, secrets)
    if error.message or error.code:
        asked = _Asked.of(request)
        error.message = _clean(error.message, secrets, asked)[:MAX_MESSAGE]
        error.code = error.code and _clean(error.code, secrets, asked)
        error.args = (error.message,)
    return error


def _clean(said: str, secrets: Sequence[str], asked: _Asked) -> str:
    return _without_quotes(_without_secrets(said[:MAX_SAID], secrets), asked)


def _without_secrets(said: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        said = said.replace(secret, "[key]")
    for secret in secrets:
        said = _without_beginning(said, secret)
    return said


def _without_beginning(said: str, secret: str) -> str:
    for length in range(len(secret) - 1, MIN_BEGINNING - 1, -1):
        if said.endswith(secret[:length]):
            return said[:-length] + "[key]"
    return said


def _without_quotes(said: str, asked: _Asked) -> str:
    units = _UNIT.findall(said)
    plain, origin = "", []  # the plain form, and which unit each of its characters comes from
    for at, unit in enumerate(units):
        for char in _folded(unit):
            if not (char == " " and plain.endswith(" ")):
                plain += char
                origin.append(at)
    hidden = {
        at for start, end in _quotations(plain, asked) for at in range(origin[start], origin[end - 1] + 1)
    }
    runs = groupby(range(len(units)), hidden.__contains__)
    return "".join(["[prompt]" if quoted else "".join([units[at] for at in run]) for quoted, run in runs])


def _quotations(said: str, asked: _Asked) -> Iterator[tuple[int, int]]:
    """From where to where `said` repeats what was asked; the pieces may overlap."""
    for text in asked.short:
        for found in re.finditer(re.escape(text), said):
            yield found.span()
    ended = 0
    for block in range(0, len(said) - BLOCK + 1, BLOCK):
        if block + QUOTE <= ended or said[block : block + BLOCK] not in asked.text:
            continue
        for start in range(max(block - BLOCK + 1, 0), min(block, len(said) - QUOTE) + 1):
            if start + QUOTE > ended and (end := _quoted(said, start, asked.text)):
                ended = max(end, ended)
                yield start, end


def _quoted(said: str, start: int, text: str) -> int:
    """Where the quotation that begins at `start` ends; 0 if there is none."""
    end = start + QUOTE
    at = text.find(said[start:end])
    if at < 0:
        return 0
    at += QUOTE
    while end < len(said) and said[end : end + 1] == text[at : at + 1]:
        end, at = end + 1, at + 1
    return end


@frozen
class _Asked:
    """The caller's texts in the plain form: all of them as one, and those that are quoted whole."""

    text: str
    short: frozenset[str]

    @classmethod
    def of(cls, request: Request) -> _Asked:
        own = [*_strings(request.messages[::-1]), *_strings([request.params.get(name) for name in _PERSONAL])]
        others = _strings([value for name, value in request.params.items() if name not in _PERSONAL])
        text = "\0".join([text[:MAX_TEXT] for text in (*own, *others)])[:MAX_PROMPT]
        short = [_plain(text) for text in own if len(text) < 4 * QUOTE]
        return cls(_plain(text), frozenset([text for text in short if MIN_TEXT <= len(text) < QUOTE]))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Message | ToolCall):
        yield from _strings(value.to_dict())
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if not (name in _VOCABULARY and isinstance(inner, str)):
                yield from _strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _strings(inner)


# Any number of backslashes, and what they make of the character behind them.
_ESCAPE = re.compile(r"\\+(?:[uU][0-9a-fA-F]{4}|[xX][0-9a-fA-F]{2}|.)?", re.DOTALL)
_UNIT = re.compile(rf"{_ESCAPE.pattern}|.", re.DOTALL)
# Beside those by number; capitals too, since letter case does not count.
_NAMED = {**dict.fromkeys("fnrtFNRT", " "), **dict.fromkeys("bB", "\b")}


def _meant(escape: re.Match[str]) -> str:
    said = escape[0].lstrip("\\")
    if len(said) > 1:
        return chr(int(said[1:], 16))
    return _NAMED.get(said, said)


def _folded(text: str) -> str:
    """One unit of a message in the plain form."""
    text = _ESCAPE.sub(_meant, text)
    # Through capitals first, because the small letters are more: ı and i, ſ and s are one there.
    return " " if text.isspace() else text.upper().casefold()


def _plain(text: str) -> str:
    """A text in the plain form."""
    if "\\" in text:
        text = _ESCAPE.sub(_meant, text)
    return " ".join(text.split()).upper().casefold()
