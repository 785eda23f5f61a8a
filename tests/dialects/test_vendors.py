"""The vendor table and the registry of dialects."""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from typing import cast

import pytest

from fallbackio.dialects import DIALECTS, PLACEHOLDER, VENDORS, Dialect, Vendor, quirks_of
from fallbackio.dialects._quirks import QUIRKS
from fallbackio.endpoint import Endpoint
from fallbackio.simulator._routes import target_of

EVERY = pytest.mark.parametrize("vendor", VENDORS.values(), ids=lambda vendor: vendor.name)


@EVERY
def test_a_vendor_can_be_asked(vendor: Vendor) -> None:
    """Every vendor's base URL makes an endpoint whose dialect builds a URL below it."""
    for template in (vendor.base_url, *vendor.base_url_for.values()):
        base_url = PLACEHOLDER.sub("there", template)
        endpoint = Endpoint("some/model", base_url=base_url, vendor=vendor.name, dialect=vendor.dialect)

        url = DIALECTS[vendor.dialect].client.url(endpoint)

        assert url.startswith(f"{base_url}/")
        assert "//" not in url.partition("://")[2]


@EVERY
def test_a_vendor_that_needs_a_key_names_a_variable(vendor: Vendor) -> None:
    """A missing key can always be reported by the name of a variable to set."""
    assert vendor.key_env or not vendor.needs_key
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in vendor.key_env)


@EVERY
def test_keys_travel_encrypted(vendor: Vendor) -> None:
    """Plain HTTP goes to this machine only."""
    assert vendor.base_url.startswith(("https://", "http://localhost:", "http://127.0.0.1:"))


@EVERY
def test_other_addresses_are_urls(vendor: Vendor) -> None:
    """What is offered for `base_url=` is taken there, and is not the address it has anyway."""
    for url in vendor.others:
        assert Endpoint("m", base_url=PLACEHOLDER.sub("there", url)).base_url
        assert url != vendor.base_url
        assert url.startswith("https://")


@EVERY
def test_every_row_is_dated(vendor: Vendor) -> None:
    """A reader can tell how old a fact is."""
    assert re.fullmatch(r"202\d-(0[1-9]|1[0-2])", vendor.verified)


@EVERY
def test_placeholders_are_well_formed(vendor: Vendor) -> None:
    """Every brace belongs to a placeholder, so that none is ever sent, and exceptions need no others."""
    templates = (vendor.base_url, *vendor.base_url_for.values())
    known = set(PLACEHOLDER.findall(vendor.base_url))

    assert not any({"{", "}"} & {*PLACEHOLDER.sub("", template)} for template in templates)
    assert all(set(PLACEHOLDER.findall(template)) <= known for template in templates)
    assert known or not vendor.base_url_for


def test_quirks_belong_to_vendors() -> None:
    """A vendor that was renamed takes its quirks along."""
    assert [name for name in QUIRKS if name not in VENDORS] == []
    assert all(quirks_of(name) for name in QUIRKS)
    assert quirks_of("openrouter") == ()


@pytest.mark.parametrize(
    "value", [*VENDORS.values(), *QUIRKS.values()], ids=lambda value: type(value).__name__
)
def test_a_row_is_a_value(value: object) -> None:
    """Rows can stand in sets, which holds only for what nobody can change."""
    assert len({value, value}) == 1


@EVERY
def test_a_name_cannot_be_mistaken_for_a_separator(vendor: Vendor) -> None:
    """Names hold neither `/` nor `:`, so `vendor/model` and `vendor:model` stay unambiguous."""
    assert re.fullmatch(r"[a-z][a-z0-9]*", vendor.name)
    assert VENDORS[vendor.name] is vendor


@pytest.mark.parametrize("table", [VENDORS, DIALECTS], ids=["vendors", "dialects"])
def test_the_tables_cannot_be_changed(table: object) -> None:
    """One user's change must not reach another's chain."""
    with pytest.raises(TypeError):
        cast("MutableMapping[str, object]", table)["openai"] = None


def test_the_dialects_know_their_names() -> None:
    """A dialect is found by the name it gives itself."""
    assert all(name == dialect.name for name, dialect in DIALECTS.items())


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda dialect: dialect.name)
def test_a_client_finds_its_server(dialect: Dialect, stream: bool) -> None:
    """A client with the dialect's base URL asks where the server side listens, also for odd models."""
    endpoint = Endpoint("org/m:1", base_url=f"http://localhost:1{dialect.base}")
    path = dialect.client.url(endpoint, stream=stream).removeprefix("http://localhost:1/").partition("?")[0]

    target = target_of(path)

    assert target is not None
    assert target.dialect is dialect
    assert target.route.stream in (stream, False)
    assert target.model in ("org/m:1", "")
