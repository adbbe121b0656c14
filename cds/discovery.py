"""Entry points -> the one plugin of that name, built with its own table, or an error that lists what there is."""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from cds.errors import ConfigError, PluginError

Door = TypeVar("Door")


def installed(group: str) -> Mapping[str, EntryPoint]:
    """Every plugin of a door, by name, without importing any of them."""
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def named(group: str, name: str) -> EntryPoint:
    """The plugin of that name, not yet imported.

    Raises
    ------
    ConfigError
        When there is none; the message lists what there is.
    """
    plugins = installed(group)
    if name not in plugins:
        known = ", ".join(plugins) or "none"
        raise ConfigError(f"no plugin named {name!r} for {group}{nearest(name, plugins)}; there are: {known}")
    return plugins[name]


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` where a known name is close, ``""`` otherwise."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f" (did you mean {close[0]!r}?)" if close else ""


def build(
    group: str, name: str, door: type[Door], table: Mapping[str, object], common: Mapping[str, object] | None = None
) -> Door:
    """The plugin `name` of `group`, imported now and built with its settings.

    Parameters
    ----------
    door
        The Protocol that the plugin must keep.
    table
        The plugin's own table of the configuration; a key that its ``Settings`` does not have is refused.
    common
        Values of the host (``device``, ``data_dir``), given only to settings that have such a field
        and do not set it themselves.

    Raises
    ------
    ConfigError
        When the name or a key is unknown, or a value has the wrong type.
    PluginError
        When the plugin does not import, has no ``Settings``, or does not keep the door's contract.
    """
    factory = _load(group, named(group, name))
    settings_type = getattr(factory, "Settings", None)
    if not isinstance(settings_type, type) or not dataclasses.is_dataclass(settings_type):
        raise PluginError(f"plugin {name!r} of {group} has no dataclass `Settings`; see docs/howto")
    plugin = factory(_settings(f"{group} {name!r}", settings_type, table, common or {}))
    if not isinstance(plugin, door):
        raise PluginError(f"plugin {name!r} of {group} does not keep the contract of {door.__name__}")
    return plugin


def _load(group: str, point: EntryPoint) -> typing.Callable[[object], object]:
    try:
        loaded = point.load()
    except Exception as error:
        # Importing a stranger's code may raise anything; the node must say which plugin it was.
        raise PluginError(
            f"plugin {point.name!r} of {group} does not import: {type(error).__name__}: {error}"
        ) from error
    if not callable(loaded):
        raise PluginError(f"plugin {point.name!r} of {group} is not a class: {point.value}")
    return typing.cast("typing.Callable[[object], object]", loaded)


def _settings(where: str, kind: type, table: Mapping[str, object], common: Mapping[str, object]) -> object:
    fields = {field.name for field in dataclasses.fields(kind) if field.init}
    for key in table:
        if key not in fields:
            known = ", ".join(sorted(fields)) or "none"
            raise ConfigError(f"unknown key {key!r} for {where}{nearest(key, fields)}; there are: {known}")
    values = {key: value for key, value in common.items() if key in fields} | dict(table)
    hints = typing.get_type_hints(kind)
    try:
        return kind(**{key: _coerce(f"{where}: {key}", value, hints[key]) for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _coerce(where: str, value: object, hint: object) -> object:
    """TOML's values as the field wants them: lists as tuples, ints as floats; anything else must fit."""
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(value)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in typing.get_args(hint):
            return None
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    if isinstance(value, str) and hint in _FROM_TEXT:
        return _from_text(where, value, hint)
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and (not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool)):
        raise ConfigError(f"{where} must be {hint.__name__}, not {type(value).__name__}")
    return value


_BOOLEANS: typing.Final = {"true": True, "false": False}
_FROM_TEXT: typing.Final = (int, float, bool)


def _from_text(where: str, value: str, hint: object) -> object:
    """Read what an environment variable says, where the field is no text."""
    try:
        if hint is bool:
            return _BOOLEANS[value.lower()]
        return int(value) if hint is int else float(value)
    except (KeyError, ValueError):
        raise ConfigError(f"{where} must be {getattr(hint, '__name__', hint)}, not {value!r}") from None
