"""The options of `codemill estimate`, which a dry run uses unchanged. Imports neither Beam nor JAX."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from jobs.options.fields import OptionSet, option
from model.config import PRESETS
from model.errors import ConfigError
from model.roofline import DEVICES, Device

DEFAULT_MODEL = "codegemma-2b"
DEFAULT_MAX_PROMPT, DEFAULT_MAX_NEW = 2048, 256
# Most middles and docstrings have a few lines. A job's finished units give a better value.
ASSUMED_NEW_TOKENS = 80


@dataclass(frozen=True, kw_only=True)
class EstimateOptions(OptionSet):
    """Estimate lower bounds for generating over a corpus: slots, tokens, time and cost per device. Runs no model."""

    path: str | None = option(
        None,
        help="Output of a generation job, unfinished or finished; its plan is used.",
        positional=True,
        metavar="OUT",
        is_path=True,
    )
    input: tuple[str, ...] = option(
        (), help="Alternatively: Parquet files, folders or globs.", metavar="GLOB", is_path=True
    )
    content_column: str | None = option(None, help="With --input: column with the file's text; auto-detected.")
    model: str | None = option(
        None,
        help=f"A preset ({', '.join(PRESETS)}), a checkpoint, or embedded; default: the job's model.",
        is_path=True,
    )
    device: tuple[str, ...] = option(
        (), help=f"Devices to estimate: {', '.join(DEVICES)}; default: all.", metavar="NAME"
    )
    chips: int | None = option(None, help="Chips per model replica; default: the fewest that fit it.", minimum=1)
    slots: int | None = option(None, help="Requests decoded concurrently; default: as many as fit.", minimum=1)
    weights: Literal["auto", "bfloat16", "int8", "float32"] = option(
        "auto", help="Weight precision; auto: the job's option, else bfloat16 (float32 on CPU)."
    )
    cache: Literal["auto", "bfloat16", "int8", "float32"] = option(
        "auto", help="KV cache precision; auto: as for --weights."
    )
    prompts_per_row: float | None = option(
        None, help="Prompts per row; default: as measured in finished units, else 1.", minimum=1e-9, metavar="PROMPTS"
    )
    prompt_tokens: float | None = option(
        None, help="Mean tokens per prompt; default: as measured, else estimated from the rows' bytes.", minimum=1
    )
    new_tokens: float | None = option(
        None, help=f"Mean tokens generated per prompt; default: as measured, else {ASSUMED_NEW_TOKENS}.", minimum=1
    )
    max_prompt_tokens: int | None = option(
        None, help=f"Maximum prompt length; default: the job's, else {DEFAULT_MAX_PROMPT}.", minimum=1, metavar="TOKENS"
    )
    max_new_tokens: int | None = option(
        None,
        help=f"Maximum completion length; default: the job's, else {DEFAULT_MAX_NEW}.",
        minimum=1,
        metavar="TOKENS",
    )
    price_per_hour: tuple[str, ...] = option(
        (),
        help="Price per chip-hour: one number for all devices, or per device, e.g. v5e=1.20 h100=3.",
        metavar="PRICE",
    )
    efficiency: tuple[float, ...] = option(
        (0.25, 0.6), help="Two assumed efficiencies, as fractions of roofline speed, for the range.", metavar="SHARE"
    )
    compile: bool = option(False, help="Compile for each TPU with libtpu, if installed, to check that the slots fit.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.path is None) == (not self.input):
            raise ConfigError("pass either a job's output or --input")
        for name in self.device:
            device_named(name)
        if len(self.efficiency) != 2 or not 0 < self.efficiency[0] <= self.efficiency[1] <= 1:
            shown = " ".join(map(str, self.efficiency))
            raise ConfigError(f"--efficiency is {shown}; expected two fractions above 0 and up to 1, the lower first")
        prices_of(self.price_per_hour)


def device_named(name: str, flag: str = "--device") -> Device:
    """Returns a device by its name. Raises ConfigError if it is unknown."""
    if name not in DEVICES:
        raise ConfigError(f"{flag} {name} is unknown; devices are {', '.join(DEVICES)}")
    return DEVICES[name]


def prices_of(words: Sequence[str]) -> dict[str, float]:
    """Parses prices per chip-hour, by device. Raises ConfigError."""
    prices: dict[str, float] = {}
    for word in words:
        name, _, number = word.rpartition("=")
        try:
            price = float(number)
        except ValueError:
            price = -1.0
        if not 0 <= price < float("inf"):
            raise ConfigError(f"--price_per_hour {word}: expected a number, or DEVICE=PRICE, e.g. v5e=1.20")
        for device in (device_named(name, "--price_per_hour").name,) if name else DEVICES:
            prices[device] = price
    return prices
