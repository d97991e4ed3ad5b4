"""Options: fields of a frozen dataclass, with help, limits, and whether a resumed job may change them.

    @dataclass(frozen=True, kw_only=True)
    class Options(OptionSet):
        \"""Fill in the middle of files.\"""
        spans: int = option(4, help="Spans chosen in each file.", minimum=1)

Each field is an option that affects the output (*semantic* in identifiers: it changes rows, so a resumed job refuses a
change), unless it is declared a runtime option (`operational`). The dataclass checks values against choices and limits
when it is created, wherever the values come from (`jobs.options.command_line` parses them).
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import json
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal, TypeVar

from model.settings import REQUIRED, Operational, Settings, choices_of, setting

T = TypeVar("T", bound="OptionSet")

NOUNS = {int: "an integer", float: "a number", str: "text", bool: "true or false"}


def option(default: Any = REQUIRED, *, positional: bool = False, internal: str = "", **declared: Any) -> Any:
    """Declares one option as a dataclass field.

    Args:
        default: The value if neither flag nor config sets one; without a default the option is required.
        positional: The value is given without a flag (`codemill corpus SOURCE...`).
        internal: What the value stands for, if the job sets it and freezes it with the others; it is neither a flag nor
            a config key.
        declared: Help, limits and the other arguments of `model.settings.setting`.
    """
    return setting(default, positional=positional, internal=internal, **declared)


@dataclass(frozen=True)
class Kind:
    """A field's annotation: the type of one value, whether it is a list, and whether None is allowed."""

    scalar: type
    is_list: bool
    is_optional: bool


def _kind_of(annotation: Any) -> Kind:
    origin, args = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        inner = [arg for arg in args if arg is not type(None)]
        assert len(inner) == 1 and len(args) == 2, f"an option is T or T | None, got {annotation}"
        return dataclasses.replace(_kind_of(inner[0]), is_optional=True)
    if origin is tuple:
        assert len(args) == 2 and args[1] is Ellipsis, f"a list option is tuple[T, ...], got {annotation}"
        return dataclasses.replace(_kind_of(args[0]), is_list=True)
    if origin is Literal:
        return Kind(str, False, False)
    assert annotation in NOUNS, f"an option is text, a number, a truth value or a tuple of them, got {annotation}"
    return Kind(annotation, False, False)


@dataclass(frozen=True)
class Field:
    """One option with its resolved type."""

    name: str
    kind: Kind
    default: Any
    help: str
    operational: Operational
    choices: tuple[str, ...] | None
    metavar: str | None
    minimum: float | None
    maximum: float | None
    is_path: bool
    positional: bool = False
    internal: str = ""

    @property
    def flag(self) -> str:
        return self.metavar or self.name.upper() if self.positional else f"--{self.name}"


def fields_of(cls: type[OptionSet]) -> tuple[Field, ...]:
    """The options of `cls` in the order of the help: its own before inherited ones."""
    return _fields_of(cls)  # type: ignore[arg-type]  # mypy treats the class as an instance


@functools.cache
def _fields_of(cls: Any) -> tuple[Field, ...]:
    hints, choices = typing.get_type_hints(cls), choices_of(cls)
    found = []
    for field in dataclasses.fields(cls):
        assert "help" in field.metadata, f"{cls.__name__}.{field.name} must be declared with option(...)"
        metadata = {**field.metadata, "choices": choices[field.name]}
        found.append(Field(name=field.name, kind=_kind_of(hints[field.name]), default=field.default, **metadata))
    own_first = [name for base in cls.__mro__ for name in inspect.get_annotations(base)]
    return tuple(sorted(found, key=lambda field: own_first.index(field.name)))


@dataclass(frozen=True, kw_only=True)
class OptionSet(Settings):
    """Base class of all options: settings that are also flags.

    Attributes:
        resumes: Whether a job with these options can be resumed, so that some of them may not change.
        takes_beam: Whether it passes what follows `--` to Beam.
    """

    resumes: ClassVar[bool] = False
    takes_beam: ClassVar[bool] = False

    def called(self, name: str) -> str:
        """The option's flag."""
        return next(field.flag for field in fields_of(type(self)) if field.name == name)

    @classmethod
    def description(cls) -> str:
        """The first paragraph of the class's docstring, for the help."""
        return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


# --- values ------------------------------------------------------------------------------------------


def all_options(options: OptionSet) -> dict[str, Any]:
    """Every option by name, in JSON types (lists for tuples)."""
    return {
        field.name: list(value) if isinstance(value := getattr(options, field.name), tuple) else value
        for field in fields_of(type(options))
    }


def from_all_options(cls: type[T], values: Mapping[str, Any]) -> T:
    """Rebuilds options from the result of `all_options`, for example in another process.

    Raises:
        ConfigError: A value is outside its limits.
    """
    return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def semantic_options(options: OptionSet) -> dict[str, Any]:
    """The options that affect the output, by name, in JSON types: a resumed job must have the same values.

    With `--determinism exact` these include the options that determine the device's shapes.
    """
    is_exact = getattr(options, "determinism", None) == "exact"
    operational = {
        field.name
        for field in fields_of(type(options))
        if field.operational is True or (field.operational == "unless_exact" and not is_exact)
    }
    return {name: value for name, value in all_options(options).items() if name not in operational}


def defaults_of(options: OptionSet, names: Iterable[str]) -> dict[str, Any]:
    """The defaults of these options as JSON has them: what an older version, which had no such option, ran with."""
    defaults = {field.name: field.default for field in fields_of(type(options)) if field.default is not REQUIRED}
    return {name: json.loads(json.dumps(value)) for name, value in defaults.items() if name in set(names)}


def internal_options(options: OptionSet) -> dict[str, str]:
    """What each option stands for that no flag sets, by its name."""
    return {field.name: field.internal for field in fields_of(type(options)) if field.internal}


def changed_options(
    before: Mapping[str, Any], after: Mapping[str, Any], internal: Mapping[str, str] = MappingProxyType({})
) -> list[str]:
    """One line per option that differs between two `semantic_options`, sorted by name.

    Args:
        before: The options of the job as it was started.
        after: The options now.
        internal: As `internal_options` returns it.

    >>> changed_options({"seed": 0, "limit": 5}, {"seed": 1, "limit": 5})
    ['--seed was 0, is now 1']
    """
    absent = "absent"
    return [
        f"{internal[name]} changed"
        if name in internal
        else f"--{name} was {before.get(name, absent)}, is now {after.get(name, absent)}"
        for name in sorted({*before, *after})
        if before.get(name, absent) != after.get(name, absent)
    ]
