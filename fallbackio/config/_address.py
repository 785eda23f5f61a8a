"""Where a vendor is, for this environment: its data with the account and the region filled in.

What is missing is a `ConfigError` that names every variable to set; a value that would make another
address than the one meant (a host with a slash, a region with a dot) is one as well.  The odd rule: a
variable that holds a whole address may leave out the scheme and the port, which are then the
vendor's own, as `OLLAMA_HOST=gpu-1` does.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from attrs import frozen

from fallbackio.config._environ import first_set, which_set
from fallbackio.dialects import PLACEHOLDER, Vendor
from fallbackio.endpoint import Endpoint
from fallbackio.errors import ConfigError

__all__ = ["Standing", "address_of", "standing_of"]

# What may stand for a placeholder, by its place: a whole host, a part of one, a segment of the path.
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")
_SEGMENT = re.compile(r"[A-Za-z0-9_~-][A-Za-z0-9._:~-]*")

_HERE = ("localhost", "127.0.0.1")


@frozen
class Standing:
    """What this environment has for a vendor; never a value of a secret.

    Attributes:
        key: The variable that its key is read from, or `None` if none is set.
        address: The variable that its whole address is read from, if one is set.
        missing: What is yet to be set, each as `"A or B"`; the key included if it needs one.

    Example:
        >>> standing_of(VENDORS["groq"]).missing
        ('GROQ_API_KEY',)
    """

    key: str | None
    address: str | None
    missing: tuple[str, ...]


def standing_of(vendor: Vendor) -> Standing:
    """Which variables of `vendor` are set, and which are missing."""
    key, address = which_set(vendor.key_env), which_set(vendor.base_env)
    missing = () if address else _missing(vendor)
    if vendor.needs_key and key is None:
        missing = (" or ".join(vendor.key_env), *missing)
    return Standing(key, address, missing)


def address_of(vendor: Vendor) -> str:
    """The base URL of `vendor` here.

    Raises:
        ConfigError: For a variable that is missing or holds what cannot stand in its place.
    """
    given = which_set(vendor.base_env)
    return _with_query(_given(given, vendor) if given is not None else _filled(vendor), vendor)


def _missing(vendor: Vendor) -> tuple[str, ...]:
    """The variables to set, of which the one for the whole address stands in for the first."""
    asked = [names.split("|") for names in dict.fromkeys(PLACEHOLDER.findall(_template(vendor)))]
    return tuple(
        [
            " or ".join((*names, *(vendor.base_env if place == 0 else ())))
            for place, names in enumerate(asked)
            if which_set(names) is None
        ]
    )


def _template(vendor: Vendor) -> str:
    first = PLACEHOLDER.search(vendor.base_url)
    value = first_set(first[1].split("|")) if first else None
    return vendor.base_url_for.get(value or "", vendor.base_url)


def _filled(vendor: Vendor) -> str:
    if missing := _missing(vendor):
        raise ConfigError(
            f"no address for {vendor.name}: set {' and '.join(missing)} in the environment, "
            "or pass Endpoint(..., base_url=...)"
        )
    return PLACEHOLDER.sub(lambda place: _value(place, vendor), _template(vendor))


def _value(place: re.Match[str], vendor: Vendor) -> str:
    names = place[1].split("|")
    value = first_set(names) or ""
    before, after = place.string[: place.start()], place.string[place.end() :]
    if before.endswith("://") and after[:1] in ("", "/"):
        # Databricks' own tools want a scheme here, and browsers' address bars end in a slash.
        value = value.removeprefix(before).rstrip("/")
        form, meant = _HOST, "a host such as example.com"
    elif "/" in before.partition("://")[2]:
        form, meant = _SEGMENT, "a name without slashes or spaces"
    else:
        form, meant = _LABEL, "a name of letters, digits and hyphens"
    if not form.fullmatch(value):
        raise ConfigError(f"{which_set(names)} must be {meant}, for the address of {vendor.name}")
    return value


def _given(name: str, vendor: Vendor) -> str:
    """The address that the variable `name` holds, completed where it is only a host."""
    value = (first_set((name,)) or "").rstrip("/")
    usual = urlsplit(PLACEHOLDER.sub("x", vendor.base_url))
    if "://" not in value:
        if not _may_be_host(value, usual.hostname or ""):
            raise ConfigError(
                f"{name} is no address of {vendor.name}: write one such as https://host.example"
            )
        host, slash, path = value.partition("/")
        value = f"{usual.scheme}://{_with_port(host, usual.hostname or '', usual.port)}{slash}{path}"
    value = value.removesuffix(vendor.base_tail).rstrip("/")
    try:
        Endpoint("model", base_url=value)
    except ConfigError as error:
        raise ConfigError(f"{name} is no address of {vendor.name}: {error}") from None
    return value


def _may_be_host(value: str, usual: str) -> bool:
    """Whether it can be meant, without a scheme; a key could, and names are looked up in the open.

    A machine nearby is called by one word; a vendor's never is.
    """
    return usual in _HERE or not re.fullmatch(r"[^.:/]*", value) or value in _HERE


def _with_port(given: str, usual_host: str, usual_port: int | None) -> str:
    parts = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:.*)?", given)
    if parts is None:
        return given  # an IPv6 address without brackets, which is refused with advice
    host, port = parts[1], parts[2] or (f":{usual_port}" if usual_port else "")
    # Ollama's server listens at 0.0.0.0, where nobody can be asked.
    return f"{usual_host if host in ('', '0.0.0.0') else host}{port}"  # noqa: S104


def _with_query(url: str, vendor: Vendor) -> str:
    """`url` with the vendor's query, unless somebody wrote a path or a query of their own."""
    variables = {name: variable for name, variable in vendor.query_env.items() if which_set((variable,))}
    if not variables or urlsplit(url).path or urlsplit(url).query:
        return url
    return f"{url}?{'&'.join([f'{name}={_word(variable, vendor)}' for name, variable in variables.items()])}"


def _word(variable: str, vendor: Vendor) -> str:
    value = first_set((variable,)) or ""
    if not _SEGMENT.fullmatch(value):
        raise ConfigError(f"{variable} must be a word such as 2024-10-21, for the address of {vendor.name}")
    return value
