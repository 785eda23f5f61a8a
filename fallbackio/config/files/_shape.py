"""What of a setting can be written in TOML, read off the code that has the setting.

The table of known settings is the signature of `Chain` and the fields of the attrs classes it takes, so
that a setting exists here as soon as it exists there.  A type says the form: a class of settings is a
table, several of them (the strategies) are told apart by `kind`, a class of errors is its name, `None`
is `"off"`, a tuple an array.  A function cannot be written.  Ranges are the constructors' own to judge.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union

import attrs
from attrs import frozen

from fallbackio import errors
from fallbackio._checks import nearest
from fallbackio.config.files._problems import UNKNOWN, Problems
from fallbackio.errors import ConfigError

__all__ = ["BAD", "OFF", "Bad", "Setting", "convert", "settings_of", "table"]

# What stands for `None`, because TOML has none; no setting takes the word otherwise.
OFF = "off"


class Bad:
    """Stands for a value that could not be read; a problem says why."""


BAD: Final = Bad()


@frozen
class Setting:
    """One setting, as the code has it.

    Attributes:
        leaves: The types that its annotation is made of, without `None`.
        optional: Whether `None` is one of its values; not where that stands for a default object, because
            `breaker = "off"` would then switch nothing off.
        default: What it is by default; `attrs.NOTHING` where it has to be given.
        field: The attrs field, if it is one.
    """

    name: str
    leaves: tuple[Any, ...]
    optional: bool
    default: object
    field: attrs.Attribute[Any] | None = None

    @property
    def can_be_written(self) -> bool:
        """Whether TOML has a form for any of its values."""
        return any(_can_be_written(leaf) for leaf in self.leaves)

    @property
    def classes(self) -> tuple[type, ...]:
        """The classes of settings that a table stands for."""
        return tuple([leaf for leaf in self.leaves if attrs.has(leaf)])

    @property
    def words(self) -> tuple[object, ...]:
        """The words that are values."""
        return tuple([word for leaf in self.leaves for word in _literals(leaf)])

    @property
    def is_open(self) -> bool:
        """Whether its names are the user's own, as those of headers are."""
        return any(_origin(leaf) is Mapping for leaf in self.leaves)


def settings_of(what: type | Callable[..., Any]) -> Mapping[str, Setting]:
    """The settings of an attrs class, or of whatever takes keyword arguments, by their names."""
    if isinstance(what, type) and attrs.has(what):
        hints = typing.get_type_hints(what)
        return {
            one.name: _setting(one.name, hints[one.name], _default(one), one)
            for one in attrs.fields(what)
            if one.init
        }
    hints = typing.get_type_hints(what)
    return {
        name: _setting(name, hints[name], attrs.NOTHING if given.default is given.empty else given.default)
        for name, given in inspect.signature(what).parameters.items()
        if name != "self"
    }


def _setting(name: str, hint: object, default: object, field: attrs.Attribute[Any] | None = None) -> Setting:
    leaves = [leaf for leaf in _leaves(hint) if leaf is not NoneType]
    stands_in = default is None and any(attrs.has(leaf) for leaf in leaves)
    optional = NoneType in _leaves(hint) and not stands_in
    return Setting(name, tuple(leaves), optional, default, field)


def _default(field: attrs.Attribute[Any]) -> object:
    given: Any = field.default
    factory = getattr(given, "factory", None)
    return given if factory is None or given.takes_self else factory()


def _origin(hint: object) -> object:
    return typing.get_origin(hint)


def _leaves(hint: object) -> Iterator[Any]:
    """The types within unions and containers; a mapping, a literal, a class or a function is one whole."""
    origin = _origin(hint)
    if origin in (Union, UnionType) or (
        isinstance(origin, type) and not issubclass(origin, Mapping) and _holds(origin)
    ):
        for inner in typing.get_args(hint):
            if inner is not Ellipsis:
                yield from _leaves(inner)
    else:
        yield hint


def _holds(origin: type) -> bool:
    return origin is not type and issubclass(origin, Iterable)


def _literals(leaf: object) -> tuple[object, ...]:
    return typing.get_args(leaf) if _origin(leaf) is Literal else ()


def _can_be_written(leaf: object) -> bool:
    if _origin(leaf) in (Literal, Mapping, type):
        return True
    return isinstance(leaf, type) and (issubclass(leaf, str | int | float | tuple) or attrs.has(leaf))


def convert(setting: Setting, value: object, where: str, problems: Problems) -> object:
    """A value of the file as the constructor takes it; `BAD` if it has no such form."""
    if value == OFF and setting.optional:
        return None
    if isinstance(value, dict) and not setting.is_open:
        return _object(setting, value, where, problems)
    if isinstance(value, list):
        items = [_item(setting, item, f"{where}[{at}]", problems) for at, item in enumerate(value)]
        return BAD if BAD in items else tuple(items)
    if setting.classes and not setting.words:
        problems.add(where, _form(setting))
        return BAD
    return _item(setting, value, where, problems)


def _item(setting: Setting, value: object, where: str, problems: Problems) -> object:
    """A value, or one of an array's."""
    if isinstance(value, list):
        return tuple([_item(setting, item, where, problems) for item in value])
    kinds = [leaf for leaf in setting.leaves if _origin(leaf) is type]
    return _error_class(kinds[0], value, where, problems) if kinds and isinstance(value, str) else value


def _object(setting: Setting, value: Mapping[str, Any], where: str, problems: Problems) -> object:
    classes = {one.__name__.lower(): one for one in setting.classes}
    if not classes:
        problems.add(where, "this is no table of settings; give it a value")
        return BAD
    if len(classes) == 1:
        (only,) = classes.values()
        return table(only, value, where, problems)
    kind = value.get("kind")
    if kind is None:
        problems.add(where, "say which: kind = " + ", ".join([f'"{name}"' for name in classes]))
        return BAD
    if not isinstance(kind, str) or kind not in classes:
        problems.add(f"{where}.kind", nearest("kind", kind, classes), UNKNOWN)
        return BAD
    rest = {name: item for name, item in value.items() if name != "kind"}
    return table(classes[kind], rest, where, problems)


def _form(setting: Setting) -> str:
    one = setting.classes[0]
    names = ", ".join(settings_of(one))
    return f"write a table of its settings, {{ … = … }}; it has {names}"


def _error_class(kind: Any, name: str, where: str, problems: Problems) -> object:
    (base,) = typing.get_args(kind)
    known = {
        one.__name__: one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, base) and one is not base
    }
    if name not in known:
        problems.add(where, nearest("kind of failure", name, known), UNKNOWN)
        return BAD
    return known[name]


def table(cls: type, given: Mapping[str, Any], where: str, problems: Problems, **more: Any) -> Any:
    """An object of this attrs class from a table, `more` being settings that are known already.

    `BAD` if anything in it is wrong; every setting that is has a problem of its own.
    """
    known = {name: setting for name, setting in settings_of(cls).items() if name not in more}
    values = {name: _read(known, name, value, where, problems) for name, value in given.items()}
    lacking = [one.name for one in known.values() if one.default is attrs.NOTHING and one.name not in given]
    for name in lacking:
        problems.add(where, f"{name} is missing")
    if lacking or BAD in values.values():
        return BAD
    try:
        return cls(**values, **more)
    except ConfigError as error:  # of several settings together
        problems.add(where, error)
        return BAD


def _read(known: Mapping[str, Setting], name: str, value: object, where: str, problems: Problems) -> object:
    """The value of one setting, if there is such a setting and its converter and validator take it."""
    setting = known.get(name)
    if setting is None:
        problems.unknown(where, name, known)
        return BAD
    place = f"{where}.{name}"
    if not setting.can_be_written:
        problems.add(place, "a function cannot be written in a file; pass adjust= to Chain.from_toml")
        return BAD
    read = convert(setting, value, place, problems)
    field = setting.field
    if read is BAD or field is None:
        return read
    try:
        convert_by: Any = field.converter
        converted = read if convert_by is None else convert_by(read)
        if field.validator is not None:
            # Ours look at the value alone.
            field.validator(None, field, converted)
    except (ConfigError, TypeError) as error:
        problems.add(place, error)
        return BAD
    return read
