"""`fallbackio ask`: one question, the answer as it comes, and who gave it.

The answer goes to stdout and everything about it to stderr, so that the answer alone can be piped.
Exit codes: 0 answered, 1 not answered, 2 asked wrongly, 130 interrupted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from fallbackio.cli._shell import complain, printable, quiet_log, run
from fallbackio.config import Chain
from fallbackio.endpoint import Endpoint
from fallbackio.errors import (
    AttemptError,
    ChainExhausted,
    ConfigError,
    DeadlineExceeded,
    FallbackError,
    StreamBroken,
)
from fallbackio.model import Attempt, Reply

__all__ = ["ask"]

_ADDRESSED = re.compile(r"(?P<model>.+?)@(?:(?P<dialect>\w+)\+)?(?P<url>https?://.*)", re.DOTALL)


def ask(
    question: Annotated[str, typer.Argument(help="What to ask; - reads it from stdin.")],
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Who is asked first, for example openai/gpt-6-luna.",
        ),
    ],
    fallback: Annotated[
        list[str] | None,
        typer.Option("--fallback", "-f", metavar="MODEL", help="Who is asked next. May be repeated."),
    ] = None,
    system: Annotated[str | None, typer.Option(metavar="TEXT", help="A system message.")] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="The whole call.")] = 300.0,
    attempt_timeout: Annotated[
        float, typer.Option(metavar="SECONDS", help="One model, until the first content of its answer.")
    ] = 60.0,
    max_tokens: Annotated[int | None, typer.Option(metavar="N", help="Length of the answer.")] = None,
    temperature: Annotated[
        float | None, typer.Option(metavar="X", help="How freely it answers; 0 is least.")
    ] = None,
    stream: Annotated[
        bool, typer.Option("--stream/--no-stream", help="Show the answer as it comes, or once it is whole.")
    ] = True,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            envvar="FALLBACKIO_API_KEY",
            show_envvar=True,
            help="Sent to models given as name@URL; better set in the environment.",
        ),
    ] = None,
) -> None:
    """Ask a question; the answer comes from the first model that is up.

    A MODEL is vendor/model, with the vendor's key from the environment, or name@URL for any server
    that speaks OpenAI's API (llama3@http://localhost:8000/v1), or name@anthropic+URL for one that
    speaks Anthropic's.  The answer goes to stdout; who gave it, and who did not, to stderr.
    """
    try:
        steps = _steps([model, *(fallback or ())], api_key)
        chain = Chain(steps, timeout=timeout, attempt_timeout=attempt_timeout)
        messages = _messages(question, system)
        params = {"max_tokens": max_tokens, "temperature": temperature}
        given = {name: value for name, value in params.items() if value is not None}
        with quiet_log():
            reply = run(partial(_answer, chain, messages, given, stream))
    except FallbackError as error:
        _explain(error)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    _tell(reply)


def _steps(models: Sequence[str], api_key: str | None) -> list[str | Endpoint]:
    twice = [name for name, times in Counter(models).items() if times > 1]
    if twice:
        raise ConfigError(f"{twice[0]!r} is given twice")
    return [_step(given, api_key) for given in models]


def _step(given: str, api_key: str | None) -> str | Endpoint:
    """What a chain takes: `vendor/model` as it is, `name@URL` as an endpoint called so."""
    addressed = _ADDRESSED.fullmatch(given)
    if addressed is None:
        return given
    model, dialect, url = addressed.group("model", "dialect", "url")
    try:
        host = urlsplit(url).netloc
    except ValueError as error:
        raise ConfigError(f"{url!r} is no URL: {error}") from error
    if "@" in host:
        raise ConfigError(f"keep the key of {model!r} out of its URL: set FALLBACKIO_API_KEY")
    return Endpoint(model, name=given, base_url=url, dialect=dialect or "openai", api_key=api_key)


def _messages(question: str, system: str | None) -> list[dict[str, str]]:
    if question == "-":
        question = typer.get_text_stream("stdin", errors="replace").read()
    if not question.strip():
        raise ConfigError("the question is empty")
    asked = {"role": "user", "content": question}
    return [asked] if system is None else [{"role": "system", "content": system}, asked]


@contextmanager
def _page() -> Iterator[Callable[[str], None]]:
    """What writes to stdout; at the end it ends the line, also of an answer that broke off."""
    last = "\n"

    def write(text: str) -> None:
        nonlocal last
        if shown := printable(text):
            typer.echo(shown, nl=False)
            last = shown[-1]

    try:
        yield write
    finally:
        if last != "\n":
            typer.echo()


async def _answer(
    chain: Chain, messages: Sequence[Mapping[str, str]], params: Mapping[str, Any], stream: bool
) -> Reply:
    """The reply, after it has been written to stdout."""
    async with chain:
        with _page() as write:
            if not stream:
                reply = await chain.complete(messages, **params)
                write(reply.text or reply.message.refusal or "")
                return reply
            async with chain.stream(messages, **params) as answer:
                async for delta in answer:
                    write(delta.text or delta.refusal)
            return answer.reply


def _tell(reply: Reply) -> None:
    """Who answered, after who did not."""
    report, usage = reply.report, reply.usage
    _ledger(report.attempts)
    facts = [f"{report.endpoint} answered in {report.duration_s:.2f} s"]
    facts += [f"first content after {report.ttft_s:.2f} s"] if report.ttft_s is not None else []
    facts += [f"{usage.prompt_tokens} tokens in, {usage.completion_tokens} out"] if usage else []
    facts += ["cut at its length limit"] if reply.finish_reason == "length" else []
    _note(", ".join(facts))


def _explain(error: FallbackError) -> None:
    """What went wrong in a sentence, then what each model failed with."""
    match error:
        case ChainExhausted(retry_after_s=None):
            complain("no model answered")
        case ChainExhausted(retry_after_s=wait_s):
            complain(f"no model answered; try again in {wait_s:.0f} s")
        case DeadlineExceeded(timeout_s=limit_s):
            complain(f"no answer within {limit_s:g} s")
        case StreamBroken():
            complain("the answer broke off; what is above is all that came")
        case _:
            complain(error)
    _ledger(attempt for attempt in error.attempts if attempt.error is not error)


def _ledger(attempts: Iterable[Attempt]) -> None:
    """A line for each attempt that did not win."""
    for attempt in attempts:
        if attempt.outcome != "won":
            what: AttemptError | str = attempt.error or attempt.endpoint
            _note(f"{attempt.outcome} after {attempt.duration_s:.2f} s: {what}")


def _note(line: str) -> None:
    typer.secho(printable(line), err=True, dim=True)
