"""Settings: frozen dataclasses whose fields define their default, help text and limits once, for all layers.

    @dataclass(frozen=True, kw_only=True)
    class TokenLimits(Settings):
        max_new_tokens: int = setting(128, help="Tokens generated for a target, at most.", minimum=1)

    TokenLimits(max_new_tokens=0)        ConfigError: max_new_tokens is 0, the minimum is 1

A class that needs another's settings inherits them, and passes them on as one object: `options.part(TokenLimits)`.
The jobs' flags are such fields (`jobs.options`). Imports neither JAX nor Beam.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from model.errors import ConfigError, shown

T = TypeVar("T", bound="Settings")

Operational = bool | Literal["unless_exact"]
REQUIRED = dataclasses.MISSING


def setting(
    default: Any = REQUIRED,
    *,
    help: str,
    operational: Operational = False,
    choices: Sequence[str] | None = None,
    metavar: str | None = None,
    minimum: float | None = None,
    maximum: float | None = None,
    is_path: bool = False,
    **more: Any,
) -> Any:
    """Declares one setting as a dataclass field.

    Args:
        default: The default value; without it, the setting is required.
        help: One sentence for `--help`, including the unit if there is one.
        operational: Whether it is a runtime option, which doesn't affect the output, so that a resumed job may change
            it. "unless_exact": a runtime option with determinism `fast`; with `exact` it affects the tokens.
        choices: The only values allowed; by default, those of the annotation if it is a Literal.
        metavar: Placeholder of the value in the help.
        minimum: Minimum value, inclusive.
        maximum: Maximum value, inclusive.
        is_path: Whether it can name a file or folder: only the last part of its name is ever published.
        more: Metadata that a higher layer adds to the field.
    """
    metadata = {
        "help": help,
        "operational": operational,
        "choices": tuple(choices) if choices else None,
        "metavar": metavar,
        "minimum": minimum,
        "maximum": maximum,
        "is_path": is_path,
        **more,
    }
    return dataclasses.field(default=default, metadata=metadata, kw_only=True)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base class of all settings: checks every field against its choices and limits on creation. Raises ConfigError."""

    def __post_init__(self) -> None:
        choices = choices_of(type(self))  # type: ignore[arg-type]  # mypy takes a class for one of its instances
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            for one in value if isinstance(value, tuple) else (value,):
                if one is not None:
                    _check_value(self.called(field.name), one, choices[field.name], field.metadata)

    def called(self, name: str) -> str:
        """Name of a setting in messages: its field's name, or its flag if it has one."""
        return name

    def values_of(self, cls: type[Settings]) -> dict[str, Any]:
        """The values of the settings inherited from `cls`, by name."""
        assert isinstance(self, cls), f"{type(self).__name__} has no {cls.__name__}"
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(cls)}

    def part(self, cls: type[T]) -> T:
        """The settings inherited from `cls`, as an instance of `cls`."""
        return cls(**self.values_of(cls))


@functools.cache
def choices_of(cls: type[Settings]) -> Mapping[str, tuple[str, ...] | None]:
    """The allowed values of each field; None if there is no such list."""
    hints = typing.get_type_hints(cls)
    return {
        field.name: field.metadata.get("choices")
        or (typing.get_args(hint) if typing.get_origin(hint := hints[field.name]) is Literal else None)
        for field in dataclasses.fields(cls)
    }


def _check_value(called: str, value: Any, choices: tuple[str, ...] | None, limits: Mapping[str, Any]) -> None:
    if choices is not None and value not in choices:
        near = difflib.get_close_matches(str(value)[:100], choices, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ConfigError(f"{called} is {shown(value)}, expected one of {', '.join(choices)}{hint}")
    least, most = limits.get("minimum"), limits.get("maximum")
    # `not >=` rather than `<`, because NaN would pass the latter.
    if least is not None and not value >= least:
        raise ConfigError(f"{called} is {value}, the minimum is {least}")
    if most is not None and not value <= most:
        raise ConfigError(f"{called} is {value}, the maximum is {most}")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{called} is {value}, it must be a finite number")
