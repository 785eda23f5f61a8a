"""The sections of a file of settings: `[chain.NAME]`, `[endpoint.NAME]`, `[pool.NAME]` and `[check]`.

A step is the name of a section, or `vendor/model`.  What is read here needs neither keys nor addresses,
so a file can be checked where its keys are not.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from attrs import frozen

from fallbackio.config._chain import Chain
from fallbackio.config._steps import placed
from fallbackio.config.files._problems import NOT_DEFINED, SECRET, Problems
from fallbackio.config.files._secrets import has_secret, is_secret, secrets_in
from fallbackio.config.files._shape import BAD, Setting, convert, settings_of, table
from fallbackio.endpoint import Endpoint, Pool
from fallbackio.errors import ConfigError
from fallbackio.model import Request

__all__ = ["CHAIN_SETTINGS", "REMOVED", "Given", "Sections", "read_sections", "standing_in"]

# Of an endpoint's section besides the endpoint's own settings: the parameters that it removes, which
# are `None` in code.
REMOVED = "without_params"


@frozen
class Given:
    """One chain as its file gives it: endpoints without keys and addresses, and settings.

    Attributes:
        places: Where each endpoint is described, by its name.
        sound: Whether nothing is wrong with it; otherwise it is what could be read.
    """

    steps: tuple[Endpoint | Pool, ...]
    settings: Mapping[str, Any]
    places: Mapping[str, str]
    sound: bool


@frozen
class Sections:
    """All of a file.

    Attributes:
        names: Of all chains.
        chains: By their names; those of which any endpoint could be read.
        ignored: Codes of findings that `fallbackio check` leaves out.
        unused: Places of sections that no chain asks for.
    """

    names: tuple[str, ...]
    chains: Mapping[str, Given]
    ignored: tuple[str, ...]
    unused: tuple[str, ...]


CHAIN_SETTINGS: Mapping[str, Setting] = MappingProxyType(
    {name: one for name, one in settings_of(Chain.__init__).items() if name not in ("steps", "name")}
)
"""What a chain's section may hold besides its steps, and what only code can pass."""


def read_sections(document: Mapping[str, Any], problems: Problems) -> Sections:
    """All that `document` says; what is wrong with it goes to `problems`."""
    for name in document:
        if name not in ("chain", "endpoint", "pool", "check"):
            problems.unknown("", name, ("chain", "endpoint", "pool", "check"), "section")
    reader = _Reader(problems)
    reader.endpoints = {
        name: reader.endpoint(name, section) for name, section in reader.named(document, "endpoint")
    }
    pools = dict(reader.named(document, "pool"))
    reader.pool_names = pools.keys()
    for name in sorted(pools.keys() & reader.endpoints.keys()):
        problems.add(f"pool.{name}", f"an endpoint is called {name!r} as well; give one another name")
    reader.pools = {name: reader.pool(name, section) for name, section in pools.items()}
    chains = {name: reader.chain(name, section) for name, section in reader.named(document, "chain")}
    if not chains:
        text = 'there is no chain; write [chain.main] and under it steps = ["vendor/model", …]'
        problems.add("chain", text)
    return Sections(
        tuple(chains),
        {name: chain for name, chain in chains.items() if chain is not None},
        reader.ignored(document.get("check", {})),
        reader.unused(),
    )


class _Reader:
    """Reads one file."""

    def __init__(self, problems: Problems) -> None:
        self.problems = problems
        self.endpoints: dict[str, Endpoint | None] = {}  # `None` for one with a problem
        self.pools: dict[str, Pool | None] = {}
        self.pool_names: Iterable[str] = ()
        self._used: set[str] = set()
        self._pool_places: dict[str, dict[str, str]] = {}

    def named(self, document: Mapping[str, Any], kind: str) -> Iterable[tuple[str, dict[str, Any]]]:
        """The sections `[kind.NAME]`."""
        sections = document.get(kind, {})
        if not isinstance(sections, dict):
            self.problems.add(kind, f"this is a section: write [{kind}.main]")
            return
        for name, section in sections.items():
            if isinstance(section, dict):
                yield name, section
            else:
                self.problems.add(
                    f"{kind}.{name}", f"a {kind} has a name: write [{kind}.main] and its settings under it"
                )

    def endpoint(self, name: str, section: Mapping[str, Any]) -> Endpoint | None:
        """One endpoint, called as its section is."""
        where = f"endpoint.{name}"
        given = dict(section)
        before = len(self.problems.found)
        self._no_secrets(given, where)
        self._no_name(given, where)
        removed = given.pop(REMOVED, [])
        if "model" not in given and "/" in name:
            given["model"] = name
        if not isinstance(removed, list) or not all(isinstance(one, str) for one in removed):
            self.problems.add(f"{where}.{REMOVED}", "write an array of parameters' names")
            removed = []
        made = table(Endpoint, given, where, self.problems, name=name, **_removing(given, removed))
        if made is BAD or len(self.problems.found) > before:
            return None
        try:
            return placed(made)
        except ConfigError as error:
            self.problems.add(f"{where}.{_at_fault(made)}", error)
            return None

    def _no_secrets(self, given: dict[str, Any], where: str) -> None:
        """Take out what must not stand in a file; its value is not shown."""
        text = 'keep keys out of the file: api_key_env = "THE_VARIABLE" names the variable that holds it'
        if given.pop("api_key", None) is not None:
            self.problems.add(f"{where}.api_key", text, SECRET)
        params = given.get("params")
        if isinstance(params, dict) and (places := list(secrets_in(params, f"{where}.params"))):
            del given["params"]
            for place in places:
                self.problems.add(place, text, SECRET)
        if has_secret(str(given.get("base_url", ""))):
            del given["base_url"]
            text = 'keep keys out of the file: base_url_env = "THE_VARIABLE" in place of it, or headers_env'
            self.problems.add(f"{where}.base_url", text, SECRET)
        headers = given.get("headers")
        if not isinstance(headers, dict):
            return
        secret = [name for name, value in headers.items() if is_secret(name, value)]
        given["headers"] = {name: value for name, value in headers.items() if name not in secret}
        for header in secret:
            text = f'keep keys out of the file: headers_env = {{ {header} = "THE_VARIABLE" }} in place of it'
            self.problems.add(f"{where}.headers.{header}", text, SECRET)

    def _no_name(self, given: dict[str, Any], where: str) -> None:
        if given.pop("name", None) is not None:
            text = "leave it out: what stands in the section's heading is the name"
            self.problems.add(f"{where}.name", text)

    def pool(self, name: str, section: Mapping[str, Any]) -> Pool | None:
        """One pool; its members are endpoints."""
        where = f"pool.{name}"
        given = dict(section)
        self._no_name(given, where)
        members, places, sound = self._steps(given.pop("endpoints", []), f"{where}.endpoints", pools=False)
        self._pool_places[name] = places
        made = table(Pool, given, where, self.problems, endpoints=members or ["-"])
        return None if made is BAD or not sound else made

    def chain(self, name: str, section: Mapping[str, Any]) -> Given | None:
        """One chain, or what of it could be read."""
        where = f"chain.{name}"
        before = len(self.problems.found)
        given = dict(section)
        self._no_name(given, where)
        steps, places, sound = self._steps(given.pop("steps", []), f"{where}.steps", pools=True)
        read = {one: self._setting(one, value, where) for one, value in given.items()}
        settings = {one: value for one, value in read.items() if value is not BAD}
        if len(self.problems.found) == before:
            self._are_taken(settings, where, name)  # each is; now together, and under this name
        sound = sound and len(self.problems.found) == before
        return Given(tuple(steps), settings, places, sound) if steps else None

    def _setting(self, name: str, value: object, where: str) -> object:
        setting = CHAIN_SETTINGS.get(name)
        if setting is None:
            self.problems.unknown(where, name, ["steps", *CHAIN_SETTINGS])
            return BAD
        place = f"{where}.{name}"
        if not setting.can_be_written:
            self.problems.add(place, f"this cannot be written; pass it: Chain.from_toml(path, {name}=…)")
            return BAD
        read = convert(setting, value, place, self.problems)
        return read if read is not BAD and self._are_taken({name: read}, place) else BAD

    def _are_taken(self, settings: Mapping[str, Any], where: str, name: str = "chain") -> bool:
        """Whether a chain takes these."""
        try:
            standing_in(settings, name)
        except ConfigError as error:
            self.problems.add(where, error)
            return False
        return True

    def _steps(self, given: object, where: str, *, pools: bool) -> tuple[list[Any], dict[str, str], bool]:
        """The endpoints (and pools) that are named, where they are described, and whether all is well."""
        if not isinstance(given, list) or not given:
            self.problems.add(where, 'write an array of names, such as ["openai/gpt-6-luna", "backup"]')
            return [], {}, False
        steps: list[Any] = []
        places: dict[str, str] = {}
        for at, name in enumerate(given):
            place = f"{where}[{at}]"
            step = self._step(name, place, pools)
            if step is None:
                continue
            new = self._pool_places[name] if isinstance(step, Pool) else {step.name: self._place(name, place)}
            if twice := sorted(new.keys() & places.keys()):
                self.problems.add(place, f"{twice[0]!r} is there already", NOT_DEFINED)
                continue
            steps.append(step)
            places |= new
        return steps, places, len(steps) == len(given)

    def _place(self, name: str, place: str) -> str:
        return f"endpoint.{name}" if name in self.endpoints else place

    def _step(self, name: object, where: str, pools: bool) -> Endpoint | Pool | None:
        if not isinstance(name, str):
            text = "write 'vendor/model' or a section's name; an endpoint's settings go into [endpoint.NAME]"
            self.problems.add(where, text)
            return None
        self._used.add(name)
        if name in self.endpoints:
            return self.endpoints[name]
        if name in self.pool_names:
            if pools:
                return self.pools[name]
            self.problems.add(where, f"{name!r} is a pool, and a pool's members are endpoints", NOT_DEFINED)
            return None
        return self._from_vendor(name, where, [*self.endpoints, *(self.pool_names if pools else ())])

    def _from_vendor(self, name: str, where: str, known: Iterable[str]) -> Endpoint | None:
        try:
            return placed(Endpoint(name))
        except ConfigError as error:
            says_vendor = "/" in name or ":" in name
            close = difflib.get_close_matches(name, known, n=1)
            if says_vendor:
                self.problems.add(where, error)
            elif close:
                self.problems.add(
                    where, f"no section is called {name!r}; did you mean {close[0]!r}?", NOT_DEFINED
                )
            else:
                text = (
                    f"no section is called {name!r}; write 'vendor/model', or [endpoint.{name}] and its model"
                )
                self.problems.add(where, text, NOT_DEFINED)
            return None

    def ignored(self, section: object) -> tuple[str, ...]:
        """What `[check]` says."""
        if not isinstance(section, dict):
            self.problems.add("check", 'this is a section: write [check] and under it ignore = ["FB101"]')
            return ()
        for name in section:
            if name != "ignore":
                self.problems.unknown("check", name, ["ignore"])
        codes = section.get("ignore", [])
        if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
            self.problems.add("check.ignore", 'write an array of codes, such as ["FB101"]')
            return ()
        return tuple(codes)

    def unused(self) -> tuple[str, ...]:
        """Sections that nothing asks for."""
        places = {f"endpoint.{name}": name for name in self.endpoints} | {
            f"pool.{name}": name for name in self.pools
        }
        return tuple([place for place, name in places.items() if name not in self._used])


def standing_in(settings: Mapping[str, Any], name: str = "chain") -> Chain:
    """A chain of these settings whose endpoint is not one of the file's: to see whether they are taken.

    Raises:
        ConfigError: They are not.
    """
    return Chain([Endpoint.calling(_silent, name="standing-in")], **{**settings, "name": name})


async def _silent(request: Request) -> str:
    return ""


def _removing(given: dict[str, Any], removed: object) -> dict[str, Any]:
    """`params` with `None` for what is removed; taken out of `given`, if there is anything to remove."""
    if not isinstance(removed, list) or not removed:
        return {}
    params = given.pop("params", {})
    return {"params": {**params, **dict.fromkeys(removed)}} if _is_table(params) else {}


def _at_fault(endpoint: Endpoint) -> str:
    """Which setting `placed` finds fault with."""
    return "vendor" if endpoint.vendor else "model"


def _is_table(value: object) -> bool:
    return isinstance(value, dict)
