"""Requests to the compiler for a TPU that isn't present, and its report; doesn't import JAX.

`report_in_subprocess` runs `model.estimates.aot`, which compiles, in a separate process, because JAX with libtpu looks
for a TPU when it starts.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from model.config import PRESETS
from model.errors import ConfigError

PROGRAMS = ("burst", "prefill", "insert")
ENVIRONMENT = {"JAX_PLATFORMS": "cpu", "TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1"}
"""Environment of the compiling process: libtpu in addition to the CPU, without a search for real chips."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What to compile, and for which chips.

    Args:
        preset: A name in `model.config.PRESETS`.
        topology: A topology name of libtpu: `v5e:1x1x1`, `v5e:2x2`, `v6e:1x1`, `v6e:2x2`, `v5p:2x2x1`, ...
        slots: Requests decoded concurrently.
        prompt_buckets: Prompt lengths; the burst that reads up to the longest one is compiled.
        max_new_tokens: Length of the generation cache.
        weights: `bfloat16` or `int8`.
    """

    preset: str
    topology: str
    slots: int
    prompt_buckets: tuple[int, ...] = (128, 256, 512, 1024, 2048)
    max_new_tokens: int = 256
    weights: str = "bfloat16"

    def __post_init__(self) -> None:
        if self.preset not in PRESETS:
            raise ConfigError(f"unknown preset {self.preset}; presets are {', '.join(PRESETS)}")
        if self.weights not in ("bfloat16", "int8"):
            raise ConfigError(f"weights is {self.weights}; it can be bfloat16 or int8")

    @property
    def num_chips(self) -> int:
        """Chips of the topology: the product of the numbers in its name."""
        return math.prod(int(size) for size in self.topology.split(":")[1].split("x"))

    @property
    def name(self) -> str:
        """A key for baselines."""
        return f"{self.preset} {self.weights} on {self.topology}, {self.slots} slots"


@dataclass(frozen=True, kw_only=True)
class ProgramReport:
    """The compiler's statistics of one program; bytes are per chip.

    Args:
        argument_bytes: Inputs, including padding of layouts.
        output_bytes: Outputs.
        alias_bytes: Outputs that reuse the memory of donated inputs.
        temp_bytes: Temporaries.
        cycles: As in `model.estimates.aot`; for branches, such as those around sampling, the most expensive one.
        step_cycles: For the burst: one greedy step, without the work before and after the loop of steps.
        loop_copies: Large copies in loop bodies, as `name bytes`.
    """

    argument_bytes: int
    output_bytes: int
    alias_bytes: int
    temp_bytes: int
    cycles: int
    step_cycles: int
    loop_copies: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    """The programs of a target, and the contents of one chip's memory besides their temporaries.

    Args:
        versions: Of libtpu and jaxlib: estimates are comparable only within the same ones.
        programs: `burst`, `prefill`, `insert`, or those of them that were requested.
        resident_bytes: Weights, caches and slots' state: in memory whichever program runs. (The burst takes all of it;
            if it isn't among the programs, only what the others take.)
    """

    versions: Mapping[str, str]
    programs: Mapping[str, ProgramReport]
    resident_bytes: int

    @property
    def peak_bytes(self) -> int:
        """The maximum memory that any program needs, including the resident bytes."""
        needs = [p.temp_bytes + p.output_bytes - p.alias_bytes for p in self.programs.values()]
        return self.resident_bytes + max(needs)


def is_available() -> bool:
    """Whether libtpu is installed."""
    return importlib.util.find_spec("libtpu") is not None


def report_in_subprocess(target: Target, *, programs: Sequence[str] = PROGRAMS, timeout_s: float = 1800) -> Report:
    """Compiles a target's programs in a separate process.

    Raises:
        ConfigError: libtpu isn't installed, or the target doesn't compile: contains the last line of the error output,
            which for lack of memory names `RESOURCE_EXHAUSTED`.
    """
    if not is_available():
        raise ConfigError("libtpu isn't installed; pip install 'codemill[tpu-aot]'")
    command = [sys.executable, "-m", "model.estimates.aot", target.preset, target.topology]
    command += ["--slots", str(target.slots)]
    command += ["--prompt_buckets", *map(str, target.prompt_buckets), "--max_new_tokens", str(target.max_new_tokens)]
    command += ["--weights", target.weights, "--programs", *programs]
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
    environment = {**os.environ, **ENVIRONMENT, "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()] or ["no error message"]
        raise ConfigError(f"{target.name} doesn't compile: {lines[-1].strip()}")
    return report_from_json(done.stdout)


def report_to_json(report: Report) -> str:
    """The report as JSON."""
    return json.dumps(asdict(report), indent=1, sort_keys=True)


def report_from_json(text: str) -> Report:
    """Parses the output of `report_to_json`."""
    fields = json.loads(text)
    programs = {
        name: ProgramReport(**{**program, "loop_copies": tuple(program["loop_copies"])})
        for name, program in fields["programs"].items()
    }
    return Report(versions=fields["versions"], programs=programs, resident_bytes=fields["resident_bytes"])
