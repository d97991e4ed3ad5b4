"""What is asked of the compiler for a TPU that isn't there, and what it answers; no JAX.

`report_in_subprocess` runs `model.estimates.aot`, which compiles: JAX with libtpu looks for a TPU when it starts.
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
"""What the compiling process needs: libtpu beside the CPU, and no look for real chips."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What to compile, and for which chips.

    Args:
        preset: A name in `model.config.PRESETS`.
        topology: A name that libtpu knows: `v5e:1x1x1`, `v5e:2x2`, `v6e:1x1`, `v6e:2x2`, `v5p:2x2x1`, ...
        slots: Requests decoded at once.
        prompt_buckets: Prompt lengths; the burst that reaches the longest is compiled.
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
    """What the compiler says of one program; bytes are of one chip.

    Args:
        argument_bytes: Inputs, padding of layouts included.
        output_bytes: Outputs.
        alias_bytes: Outputs that take the place of donated inputs.
        temp_bytes: Temporaries.
        cycles: As in `model.estimates.aot`; where it branches, as around sampling, the dearest way.
        step_cycles: Of the burst: one greedy step, without what comes before and after the loop of steps.
        loop_copies: Large copies in loops' bodies, as `name bytes`.
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
    """The programs of a target, and what lies in one chip's memory beside their temporaries.

    Args:
        versions: Of libtpu and jaxlib: estimates compare only within them.
        programs: `burst`, `prefill`, `insert`, or those of them that were asked for.
        resident_bytes: Weights, caches and slots' state: what is there whichever program runs (without the burst,
            which takes all of it, only what the others take).
    """

    versions: Mapping[str, str]
    programs: Mapping[str, ProgramReport]
    resident_bytes: int

    @property
    def peak_bytes(self) -> int:
        """The most memory that any program needs, beside what is resident."""
        needs = [p.temp_bytes + p.output_bytes - p.alias_bytes for p in self.programs.values()]
        return self.resident_bytes + max(needs)


def is_available() -> bool:
    """Whether libtpu is installed."""
    return importlib.util.find_spec("libtpu") is not None


def report_in_subprocess(target: Target, *, programs: Sequence[str] = PROGRAMS, timeout_s: float = 1800) -> Report:
    """Compiles a target's programs in a process of its own.

    Raises:
        ConfigError: libtpu isn't installed, or the target doesn't compile: the last line of what it said, which for
            lack of memory names `RESOURCE_EXHAUSTED`.
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
    """Reads what `report_to_json` wrote."""
    fields = json.loads(text)
    programs = {
        name: ProgramReport(**{**program, "loop_copies": tuple(program["loop_copies"])})
        for name, program in fields["programs"].items()
    }
    return Report(versions=fields["versions"], programs=programs, resident_bytes=fields["resident_bytes"])
