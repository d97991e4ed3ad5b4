"""User settings for which spans become middles; `transforms.fim.spans` samples them. Imports no parser."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from model.errors import ConfigError
from model.settings import Settings, setting


@dataclass(frozen=True, kw_only=True)
class SpanSettings(Settings):
    """Kinds and lengths of middles."""

    span_kinds: tuple[str, ...] = setting(
        (),
        help="Span kinds or mixes (default, ide) with weights, e.g. single_line=3 block=1, or ide.",
        metavar="KIND=WEIGHT",
    )
    min_chars: int = setting(3, help="Minimum middle length in characters.", minimum=1, metavar="CHARS")
    max_chars: int = setting(600, help="Maximum middle length in characters.", minimum=1, metavar="CHARS")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.mix()

    def mix(self) -> dict[str, float]:
        """The weight of each kind that is named. Raises ConfigError if a weight is not a number."""
        return parse_mix(self.span_kinds, self.called("span_kinds"))


def parse_mix(words: Sequence[str], called: str = "span_kinds") -> dict[str, float]:
    """Parses words of the form `kind=weight` or `kind`, which has weight 1; a word may list several, separated by
    commas.

    >>> parse_mix(["single_line=3,expression", "block=2"])
    {'single_line': 3.0, 'expression': 1.0, 'block': 2.0}

    Args:
        words: The values of the setting.
        called: The setting's name in messages.

    Raises:
        ConfigError: A weight isn't a number of at least 0.
    """
    mix = {}
    for word in filter(None, (part.strip() for part in ",".join(words).split(","))):
        kind, _, number = word.partition("=")
        try:
            weight = float(number or 1)
        except ValueError:
            weight = math.nan
        if not 0 <= weight < math.inf:
            raise ConfigError(f"{called} {word}: expected KIND=WEIGHT, as in single_line=3")
        mix[kind.strip()] = weight
    return mix
