"""One tiny request to each endpoint of a file, to see whether it answers today."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

import anyio
from attrs import frozen

from fallbackio import errors
from fallbackio.config._chain import Chain
from fallbackio.config._steps import complete
from fallbackio.config.checks._abilities import is_embedding
from fallbackio.config.files._file import members_of, sections_of
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError, FallbackError
from fallbackio.model import Report as CallReport

__all__ = ["Tried", "try_file"]

# So many are asked at once: a file may list a hundred keys.
AT_ONCE = 8
WAIT_S = 30.0
QUESTION = "Reply with the word OK."
# The least that every API takes.
MAX_TOKENS = 16

_MENDS: Mapping[type[FallbackError], str] = MappingProxyType(
    {
        errors.AuthFailed: "check the key and what it may do; the variable may hold another than you think",
        errors.QuotaExhausted: "pay, or raise the plan's limit",
        errors.ModelNotFound: "check the model's name, and whether this key may use it",
        errors.RateLimited: "wait, and set rpm and tpm so that the chain keeps to them",
        errors.Overloaded: "wait; this is what the other endpoints are for",
        errors.ServerFault: "wait; this is what the other endpoints are for",
        errors.TimedOut: "look at the vendor's status page, or at your network",
        errors.ConnectionFailed: "check base_url, the proxy and the network; start the server if it is yours",
        errors.BadAnswer: "check base_url and dialect: what answers there speaks another format",
        errors.InvalidRequest: "check params and headers of this endpoint",
        ConfigError: "mend what it says",
    }
)


@frozen(kw_only=True)
class Tried:
    """How one endpoint answered.

    Attributes:
        where: Its place in the file.
        model: The model that says it answered.
        seconds: How long it took.
        error: What it failed with, in words; empty if it answered.
        mend: What to do about that.
    """

    endpoint: str
    where: str
    seconds: float
    model: str = ""
    error: str = ""
    mend: str = ""


async def try_file(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    adjust: Callable[[Endpoint], Endpoint] | None = None,
) -> list[Tried]:
    """Ask each endpoint of a file, or of its chain `name`, at most eight at once, 30 s each.

    Costs a few tokens each.  `adjust` is as for `Chain.from_toml`.

    Example:
        >>> for tried in await try_file("chain.toml"):
        ...     print(tried.endpoint, tried.seconds, tried.error or "answers")
    """
    sections, _ = sections_of(path)
    specs: dict[str, tuple[Endpoint, str]] = {}
    for chain, given in sections.chains.items():
        if name in (None, chain):
            for spec in [one for step in given.steps for one in members_of(step)]:
                specs.setdefault(
                    spec.name, (spec if adjust is None else adjust(spec), given.places[spec.name])
                )
    tried: dict[str, Tried] = {}
    at_once = anyio.CapacityLimiter(AT_ONCE)

    async def one(spec: Endpoint, where: str) -> None:
        async with at_once:
            tried[spec.name] = await _tried(spec, where)

    async with anyio.create_task_group() as group:
        for spec, where in specs.values():
            group.start_soon(one, spec, where)
    return [tried[name] for name in specs]


async def _tried(spec: Endpoint, where: str) -> Tried:
    try:
        # Completed here, so that a missing key is this endpoint's failure and nobody else's.
        async with Chain([complete(spec)], timeout=WAIT_S, attempt_timeout=None, max_retries=0) as chain:
            if is_embedding(spec):
                embeddings = await chain.embed("OK")
                return _answered(spec, where, embeddings.model, embeddings.report)
            reply = await chain.complete(QUESTION, max_tokens=MAX_TOKENS)
            return _answered(spec, where, reply.model, reply.report)
    except FallbackError as error:
        last = error.attempts[-1] if error.attempts else None
        cause = last.error if last is not None and last.error is not None else error
        return Tried(
            endpoint=spec.name,
            where=where,
            seconds=(last.duration_s or 0.0) if last is not None else 0.0,
            error=str(cause).removeprefix(f"{spec.name}: "),
            mend=next((text for kind, text in _MENDS.items() if isinstance(cause, kind)), ""),
        )


def _answered(spec: Endpoint, where: str, model: str, report: CallReport) -> Tried:
    return Tried(endpoint=spec.name, where=where, seconds=report.duration_s, model=model)
