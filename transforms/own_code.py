"""A user's own classes in jobs: found by module, file or entry point, and hashed, so that a change is noticed.

    my_module:MyStage      a module that Python finds, also one in the current folder
    stages/mine.py:MyStage a file
    short                  an entry point of the group, which an installed package declares

Each process of a job loads the class by the same text, so modules must be there on every host.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import importlib
import importlib.util
import os
import sys
import typing
from collections.abc import Mapping, Sequence
from importlib import metadata
from types import ModuleType
from typing import Any, Final, TypeVar

from model.errors import ConfigError, one_line

FILTERS: Final = "codemill.filters"
"""The group of entry points of filter stages."""
TASKS: Final = "codemill.tasks"
"""The group of entry points of tasks."""

T = TypeVar("T")

_NOTHING: Final[Mapping[str, Any]] = {}


def load_class(name: str, base: type[T], *, group: str, flag: str, called: str) -> type[T]:
    """The class of this name.

    Args:
        name: `MODULE:CLASS`, `FILE.py:CLASS` or the name of an entry point.
        base: What the class must be derived from.
        group: The group of entry points.
        flag: The option that named it, for messages.
        called: The base class's public name, for messages.

    Raises:
        ConfigError: There is no such class, its module raises, or it is derived from something else.
    """
    module_name, colon, class_name = name.rpartition(":")
    if not colon:
        module_name, class_name = _entry_point(name, group, flag)
    found = getattr(_module(module_name, flag), class_name, None)
    if not isinstance(found, type):
        raise ConfigError(f"{flag} {name}: {module_name} has no class {class_name}")
    if not issubclass(found, base):
        raise ConfigError(f"{flag} {name}: {class_name} isn't derived from {called}")
    return found


def make_own(kind: type[T], values: Sequence[str], *, flag: str, given: Mapping[str, Any] = _NOTHING) -> T:
    """Makes an object of a dataclass, or of a class without parameters.

    Args:
        kind: The class.
        values: `NAME=VALUE` for fields of type str, int, float or bool; the others keep their defaults.
        flag: The option that gave the values, for messages.
        given: The values of fields that the job gives, which `values` can't.

    Raises:
        ConfigError: A field doesn't exist, a value is of another type or none was given, or the class raises so.
    """
    types = typing.get_type_hints(kind) if dataclasses.is_dataclass(kind) else {}
    fields = [name for name in _names(kind) if name not in given]
    found = dict(given)
    for word in values:
        name, separator, text = word.partition("=")
        if not separator:
            raise ConfigError(f"{flag} {word}: expected NAME=VALUE")
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"{kind.__name__} has {', '.join(fields) or 'none'}"
            raise ConfigError(f"{flag} {word}: no field {name}; {hint}")
        found[name] = _value(text, types[name], f"{flag} {word}")
    try:
        return kind(**found)
    except TypeError as error:
        raise ConfigError(f"{kind.__name__}: {one_line(str(error))}; give its fields with {flag}") from None


def code_sha256(kind: type) -> str:
    """The hash of the file that a class is defined in."""
    with open(str(sys.modules[kind.__module__].__file__), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def check_unchanged(sha256: str, frozen: str, *, flag: str) -> None:
    """Raises ConfigError if a job was started with other code; a hash of "" is none."""
    if frozen not in ("", sha256):
        raise ConfigError(f"the code of {flag} changed during the job; restore it, or start a new --output")


def check_names(own: Any, taken: set[str], *, flag: str, other: str) -> None:
    """Checks the `name` and the `fields` of a user's class or object, and adds its columns to those that are taken.

    Raises:
        ConfigError: It has no name, or a column that `other` gives.
    """
    kind = (own if isinstance(own, type) else type(own)).__name__
    name = getattr(own, "name", None)
    if not isinstance(name, str) or not name or "/" in name:
        raise ConfigError(f"{flag}: {kind} needs a name, a text without /")
    for field in own.fields:
        if field.name in taken:
            raise ConfigError(f"{flag}: {kind} gives the column {field.name}, which {other} gives")
        taken.add(field.name)


def entry_points(group: str) -> dict[str, metadata.EntryPoint]:
    """What installed packages declare in a group of entry points, by name."""
    return {point.name: point for point in metadata.entry_points(group=group)}


def _names(kind: type) -> list[str]:
    return [field.name for field in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def _entry_point(name: str, group: str, flag: str) -> tuple[str, str]:
    points = entry_points(group)
    if name not in points:
        known = f"; installed packages declare {', '.join(sorted(points))}" if points else ""
        raise ConfigError(f"{flag} {name}: expected MODULE:CLASS, FILE.py:CLASS or the name of an entry point{known}")
    return points[name].module, points[name].attr


def _module(name: str, flag: str) -> ModuleType:
    try:
        return _file_module(name) if name.endswith(".py") else _named_module(name)
    except FileNotFoundError:
        raise ConfigError(f"{flag}: no such file {name}") from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"{flag}: can't import {name}: {error}") from None
    except Exception as error:
        what = f"{type(error).__name__}: {one_line(str(error))}"
        raise ConfigError(f"{flag}: {name} can't be imported: {what}") from error


def _named_module(name: str) -> ModuleType:
    # A command has its own folder on the path, not the current one.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    return importlib.import_module(name)


def _file_module(path: str) -> ModuleType:
    """The module of a file, under a name that depends on its path and content."""
    with open(path, "rb") as file:
        digest = hashlib.sha256(os.path.abspath(path).encode() + b"\0" + file.read()).hexdigest()
    name = f"codemill_own_{digest[:16]}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def _value(text: str, kind: Any, where: str) -> Any:
    """A value of a field's type."""
    if kind is bool:
        if text not in ("true", "false"):
            raise ConfigError(f"{where}: expected true or false")
        return text == "true"
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            raise ConfigError(f"{where}: expected {'a whole number' if kind is int else 'a number'}") from None
    if kind is str:
        return text
    raise ConfigError(f"{where}: only fields of type str, int, float and bool can be given")
