"""The composition root: the public `Chain`, where endpoints, breakers, transport and log meet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Self

import attrs

from fallbackio import clock
from fallbackio._checks import are_several, is_number
from fallbackio.breaker import BreakerPolicy
from fallbackio.chain import (
    Accept,
    Coordinator,
    Delivery,
    FallbackRule,
    Limits,
    OnBreak,
    RetryPolicy,
    Setup,
    Strategy,
    named,
    needs_of,
    parse_rules,
)
from fallbackio.config._making import Making
from fallbackio.config._pools import arranged, resolve_steps
from fallbackio.config._reload import Reloaded, Source, reloaded, retire, succeeding
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import ChainClosed, ConfigError
from fallbackio.events import ChainSink, EventSink
from fallbackio.observe import EarlyWarning, Fanout
from fallbackio.transport import Session

if TYPE_CHECKING:
    from fallbackio.config.checks import Finding

__all__ = ["Chain"]

_EARLY_WARNING = EarlyWarning()


class Chain(Coordinator):
    """An ordered list of endpoints that answers as one.

    Asks the first endpoint, and the next ones as the ones before fail; leaves alone what is
    broken until it recovers.  Use it as an async context manager, or call `aclose` when done.  It
    belongs to the event loop of its first call.  Durations are seconds, `None` switches a limit off.

    Args:
        steps: What to ask, in order: `"vendor/model"` strings (keys from the environment),
            `Endpoint`s, and `Pool`s of interchangeable ones.
        timeout: The whole call.
        attempt_timeout: One attempt: `complete` until the answer is whole, `stream` until its
            first content.  Where it would take all that is left of the call, that is shared evenly
            among the endpoints not yet asked.
        ttft_timeout: Until the first content of an attempt.  With it, `complete` asks for a stream
            upstream, so that a stall is seen within seconds while a long answer may take its time.
            `"adaptive"`: half as long again as the longest of the endpoint's own times (their
            99.9th percentile), 1 s at the least, no limit below 20 answers.
        idle_timeout: Between two contents of a streamed answer.
        connect_timeout: Until a new connection stands: name look-up, TCP and TLS.
        max_retries: Repeats of endpoints already tried, in all, per call.
        max_queue: Calls that may wait for room at once, where endpoints have limits (`rpm`, `tpm`,
            `max_in_flight`, or learnt from the provider); more fail at once.
        min_rate: `(chars_per_s, over_s)`: an answer that brings fewer characters than that, over so
            many seconds, counts as stalled, before and after its commit point.
        commit: How much of a streamed answer has to be there before any of it is delivered:
            `"first_content"`, a number of characters, or `"complete"`.
        on_break: What happens when a streamed answer breaks after that.  `"continue"`: another
            endpoint goes on from the text so far; `delta.seam` shows where.  `"restart"`: a
            `Restarted` delta says to drop what came, then a whole new answer follows.  `"raise"`:
            `StreamBroken` with the text so far.  A tuple gives an order of preference; where nothing
            in it works (tool calls and JSON answers are not continued), `StreamBroken` is raised.
        strategy: When the next attempt starts: `"sequence"`, after a failure; `"hedge"`, after a
            delay as well; `"race"`, all at once; or a `Sequence`, `Hedge` or `Race`.
        breaker: When an endpoint is left alone, and for how long; each has a breaker of its own.
        retry: How repeats wait.
        fallback_on: Failures that go on to the next endpoint although they would be raised at
            once: error classes, HTTP statuses, or functions of the error that return true (go
            on), false (raise) or `None` (no opinion); a list of them, or one.
        accept: A function of the `Reply`, plain or async, asked before a whole answer is delivered: true
            takes it; false, or a text that says why, rejects it, and the next endpoint is asked.  The
            breaker hears nothing of it.  A stream is then delivered when it is whole.
        order: Whom to ask first: `"given"`, as the steps are given; `"cheapest"`, by their price, unknown
            ones last; `"fastest"`, by the time to the first content as it is learnt.
        require: What every endpoint must have, of `"tools"`, `"vision"`, `"json_schema"` and for example
            `"context>=100000"`; those known not to have it are left out.
        warm: Share of calls, up to 1, that ask a later step first (answers count), so that a spare that
            has rotted is found before it is needed.
        upstream: `"stream"` makes `complete` ask for a stream upstream also without a
            `ttft_timeout`.
        early_warning: When to say that more calls than usual fall back, with an event and an error in
            the log; `None` for never.
        sinks: Told of every event, each in a thread of its own; see `fallbackio.events.EventSink`.
        max_answer_bytes: A longer answer is a `BadAnswer`.
        name: What log and events call the chain.
        seed: Of the jitter, for repeatable tests.

    Raises:
        ConfigError: For an empty chain, an unknown vendor, a missing key, a name given twice, a
            setting out of its range.

    Example:
        >>> async with fallbackio.Chain(["openai/gpt-6-luna", "anthropic/claude-sonnet-5-5"]) as chain:
        ...     reply = await chain.complete("Say hello.")
        ...     print(reply.text, reply.report.endpoint)
    """

    def __init__(
        self,
        steps: Sequence[str | Endpoint | Pool],
        *,
        timeout: float | None = 300.0,
        attempt_timeout: float | None = 60.0,
        ttft_timeout: float | Literal["adaptive"] | None = None,
        idle_timeout: float | None = 30.0,
        connect_timeout: float | None = 10.0,
        max_retries: int = 2,
        max_queue: int = 1000,
        min_rate: tuple[float, float] | None = None,
        commit: int | Literal["first_content", "complete"] = "first_content",
        on_break: OnBreak | tuple[OnBreak, ...] = "continue",
        strategy: Literal["sequence", "hedge", "race"] | Strategy = "sequence",
        breaker: BreakerPolicy | None = None,
        retry: RetryPolicy | None = None,
        fallback_on: Iterable[FallbackRule] | FallbackRule = (),
        accept: Accept | None = None,
        order: Literal["given", "cheapest", "fastest"] = "given",
        require: Iterable[str] = (),
        warm: float = 0.0,
        upstream: Literal["plain", "stream"] = "plain",
        sinks: Iterable[EventSink | ChainSink] = (),
        early_warning: EarlyWarning | None = _EARLY_WARNING,
        max_answer_bytes: int = 32 * 2**20,
        name: str = "chain",
        seed: int | None = None,
    ) -> None:
        _one_of("order", order, ("given", "cheapest", "fastest"))
        _one_of("upstream", upstream, ("plain", "stream"))
        _name(name)
        _seed(seed)
        _is("strategy", strategy, str | Strategy, '"sequence", "hedge", "race", or a Sequence, Hedge or Race')
        _is("breaker", breaker, BreakerPolicy | None, "a BreakerPolicy, such as BreakerPolicy(consecutive=5)")
        _is("retry", retry, RetryPolicy | None, "a RetryPolicy; how often is max_retries=")
        _is(
            "early_warning",
            early_warning,
            EarlyWarning | None,
            "an EarlyWarning, such as EarlyWarning(ratio=0.1)",
        )
        if not are_several(sinks):
            raise ConfigError(
                f"sinks must be a list of functions of one event, not {sinks!r}; put it in a list"
            )
        if accept is not None and not callable(accept):
            raise ConfigError(f"accept must be a function of the reply, not {accept!r}")
        if not is_number(warm) or not 0 <= warm <= 1:
            raise ConfigError(f"warm must be a share from 0 to 1, not {warm!r}")
        limits = Limits(
            timeout=timeout,
            attempt_timeout=attempt_timeout,
            ttft_timeout=ttft_timeout,
            idle_timeout=idle_timeout,
            connect_timeout=connect_timeout,
            max_retries=max_retries,
            min_rate=min_rate,
        )
        needs = needs_of(require)
        chance = clock.chance(seed)
        tell = Fanout(sinks, chain=name, early_warning=early_warning)
        session = Session(connect_timeout=connect_timeout, max_answer_bytes=max_answer_bytes)
        making = self._making = Making(session, breaker or BreakerPolicy(), chance, tell)
        setup = Setup(
            name=name,
            steps=making.steps(arranged(resolve_steps(steps), order, needs), compared=order == "fastest"),
            limits=limits,
            retry=retry or RetryPolicy(),
            max_queue=max_queue,
            strategy=named(strategy),
            delivery=Delivery(commit=commit, on_break=on_break),
            upstream=upstream,
            accept=accept,
            warm=warm,
            fastest=order == "fastest",
            needs=needs,
            overrule=parse_rules(fallback_on),
        )
        super().__init__(setup, tell=tell, chance=chance, end=session.aclose)
        self._source: Source | None = None

    @classmethod
    def from_toml(
        cls,
        path: str | os.PathLike[str],
        *,
        name: str | None = None,
        adjust: Callable[[Endpoint], Endpoint] | None = None,
        **given: Any,
    ) -> Self:
        """The chain that a file describes; `docs/configuration.md` has its form.

        Args:
            path: The file.
            name: Of the chain, where the file has several.
            adjust: A function of each endpoint as the file has it, without key and address, that returns
                the one to use; for what cannot be written (`token`, `adapt`).
            given: Settings of the chain, which win over the file's; `sinks` and `accept` among them.

        Raises:
            ConfigError: For a file that cannot be read, anything in it that is wrong or unknown, and
                missing keys.

        Example:
            >>> chain = fallbackio.Chain.from_toml("chain.toml", name="chat", sinks=[print])
        """
        source = Source(Path(path).absolute(), name, adjust, given)
        chain = source.load(cls)
        chain._source = attrs.evolve(source, name=chain._setup.name)
        return chain

    def reload(self, path: str | os.PathLike[str] | None = None) -> Reloaded:
        """Read the file again, or another with a chain of the same name, and go on by it; what changed.

        Calls under way go on as they began; the next ones go by the new settings.  Endpoints that are
        asked the same, at the same place and with the same key, keep their breakers and what was learnt
        of them, and so does the connection pool.  `sinks`, `seed`, and all else that was given to
        `from_toml`, stay.  If anything is wrong, nothing changes.

        Raises:
            ConfigError: As `from_toml`; also for a chain that was made without a file, or is closed.

        Example:
            >>> loop.add_signal_handler(signal.SIGHUP, chain.reload)
        """
        if self._gate.closed:
            raise ChainClosed(f"{self._setup.name} is closed")
        if self._source is None:
            raise ConfigError("a chain is reloaded from its file, and this one has none: use Chain.from_toml")
        source = self._source if path is None else attrs.evolve(self._source, path=Path(path).absolute())
        # Its sinks are ours, and are told already.
        fresh = attrs.evolve(source, given={**source.given, "sinks": ()}).load(type(self))
        old, making = self._setup, self._making.again(fresh._making.policy)
        setup = succeeding(old, fresh._setup, making)
        # From here on nothing fails, and nobody runs between the first line and the last.
        for route in setup.routes:
            route.breaker.follow(making.policy)
        making.session.follow(fresh._making.session)
        self._tell.warn(None if fresh._tell.rate is None else fresh._tell.rate.policy, setup.name)
        self._source, self._making, self._setup = source, making, setup
        retire(old, setup)
        return reloaded(old, setup, source.path)

    def check(self, *, ignore: Iterable[str] = ()) -> list[Finding]:
        """What production would find later, the worst first; sends nothing.

        `ignore` are codes to leave out; `docs/checks.md` lists all.

        Example:
            >>> for finding in chain.check():
            ...     print(finding.code, finding.what, finding.mend)
        """
        # Most programs are checked before they run, and need not load the rules.
        from fallbackio.config.checks._judging import check_setup

        return check_setup(self._setup, self._making.policy, ignore=ignore)


def _is(name: str, value: object, kind: type | UnionType, what: str) -> None:
    if not isinstance(value, kind):
        raise ConfigError(f"{name} must be {what}, not {value!r}")


def _name(name: object) -> None:
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise ConfigError(f"name must be a non-empty string without line breaks, not {name!r}")


def _seed(seed: object) -> None:
    if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
        raise ConfigError(f"seed must be a whole number, or None for a new one each time, not {seed!r}")


def _one_of(name: str, value: object, options: tuple[str, ...]) -> None:
    if value not in options:
        raise ConfigError(f"{name} must be one of {', '.join(map(repr, options))}, not {value!r}")
