"""Compiles the engine's programs for a TPU that isn't present, and reads the compiler's statistics.

libtpu contains the complete TPU compiler: `get_topology_desc` returns devices for a mesh, programs are lowered on
shapes with shardings, and the compiled program provides its memory statistics and HLO text. Nothing runs. The text
yields

    cycles       the compiler's own estimate for a burst of one step, a prefill row, an insert, and for the step alone
    loop copies  copies in a loop's body from HBM to HBM above a size: a cache that is copied each step appears here

Estimates rank variants and serve as a regression baseline; they are never a throughput. Needs the extra `tpu-aot`.
JAX with libtpu looks for a TPU when it starts, so this runs in a separate process: `model.estimates.report`, or

    python -m model.estimates.aot codegemma-2b v5e:1x1x1 --slots 64

Cost: one compilation of about 10 to 60 s for each of three programs, on one core, without device memory.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax.experimental import topologies
from jax.sharding import Mesh

from model.config import PRESETS
from model.engine.options import EngineOptions
from model.engine.placement import Placement
from model.engine.programs.attention import path_for
from model.engine.programs.compiled import EnginePrograms, Program
from model.estimates.hlo import estimated_cycles, loop_copies, step_cycles
from model.estimates.report import ENVIRONMENT, PROGRAMS, ProgramReport, Report, Target, report_to_json
from model.gemma import weight_shapes
from model.layers import GemmaWeights
from model.quantize import quantize
from model.sharding import make_mesh, row_sharding, weight_sharding

LARGE_COPY_BYTES = 4 << 20
HLO_FOLDER = "CODEMILL_HLO_DIR"  # folder for the compiled programs' text, to inspect one that failed the gate


# --- compiling -------------------------------------------------------------------------------------


def compile_report(
    target: Target, programs: Sequence[str] = PROGRAMS, log: Callable[[str], None] = lambda line: None
) -> Report:
    """Compiles programs in this process, which must have been started with `JAX_PLATFORMS=cpu`."""
    reports = {}
    all_programs = engine_programs(target)
    for name in programs:
        log(f"compiling {name}")
        reports[name] = _compile(all_programs[name], name, target)
        log(f"{name}: {reports[name]}")
    versions = {package: metadata.version(package) for package in ("libtpu", "jaxlib")}
    resident = max(report.argument_bytes for report in reports.values())
    return Report(versions=versions, programs=reports, resident_bytes=resident)


def _compile(program: Program, name: str, target: Target) -> ProgramReport:
    compiled = program.lower().compile()
    memory, text = compiled.memory_analysis(), compiled.as_text()
    assert memory is not None and text is not None, "this compiler reports no program statistics"
    if folder := os.environ.get(HLO_FOLDER):
        Path(folder, f"{target.name}, {name}.txt".replace(" ", "_").replace(":", "-")).write_text(text)
    return ProgramReport(
        argument_bytes=memory.argument_size_in_bytes,
        output_bytes=memory.output_size_in_bytes,
        alias_bytes=memory.alias_size_in_bytes,
        temp_bytes=memory.temp_size_in_bytes,
        cycles=estimated_cycles(text),
        step_cycles=step_cycles(text),
        loop_copies=tuple(f"{copy} {size}" for copy, size in loop_copies(text, LARGE_COPY_BYTES)),
    )


def engine_programs(target: Target) -> dict[str, Program]:
    """The most expensive of the engine's programs for a target: over its longest prompts and rows."""
    config = PRESETS[target.preset]
    # Plain decoding, whose steps the baseline counts: the gain from drafting depends on the text.
    options = EngineOptions(
        slots=target.slots,
        prompt_buckets=target.prompt_buckets,
        max_new_tokens=target.max_new_tokens,
        prompt_lookup="off",
    ).resolve("tpu")
    mesh = _mesh(target)
    programs = EnginePrograms(
        weights=_weights(target, mesh),
        config=config,
        options=options,
        slots=options.slots,
        platform="tpu",
        path=path_for("tpu", options.dtype),
        placement=Placement.over(mesh, config),
    )
    window = target.prompt_buckets[-1]
    keys = {
        "burst": ("burst", window, False, options.slots),
        "prefill": ("prefill", options.row_lengths()[-1]),
        "insert": ("insert", window),
    }
    return {name: programs.program(key) for name, key in keys.items()}


def _mesh(target: Target) -> Mesh:
    bounds = {"chips_per_host_bounds": [1, 1, 1]} if target.num_chips == 1 else {}  # by default a host has four
    topology = topologies.get_topology_desc(platform="tpu", topology_name=target.topology, **bounds)
    return make_mesh(PRESETS[target.preset], topology.devices)


def _weights(target: Target, mesh: Mesh) -> GemmaWeights:
    """The parameter tree as shapes with shardings, in 8 bits if the target is int8."""
    config = PRESETS[target.preset]
    tree = weight_shapes(config, jnp.bfloat16)
    if target.weights == "int8":
        tree = jax.eval_shape(quantize, tree)

    def placed(path: Any, leaf: Any) -> Any:
        names = [key.name for key in path if hasattr(key, "name")]
        is_scale = names[-1] == "scale"
        sharding = weight_sharding(names[-2] if names[-1] in ("values", "scale") else names[-1], config, mesh)
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=row_sharding(sharding) if is_scale else sharding)

    return jax.tree_util.tree_map_with_path(placed, tree)


def main(argv: Sequence[str] | None = None) -> int:
    """Compiles the target of the command line and prints the report as JSON; progress goes to stderr."""
    parser = argparse.ArgumentParser(prog="python -m model.estimates.aot", description="Compile the engine for TPUs.")
    parser.add_argument("preset")
    parser.add_argument("topology")
    parser.add_argument("--slots", type=int, required=True)
    parser.add_argument("--prompt_buckets", type=int, nargs="+", default=[128, 256, 512, 1024, 2048])
    parser.add_argument("--max_new_tokens", type=int, default=256)
    parser.add_argument("--weights", default="bfloat16")
    parser.add_argument("--programs", nargs="+", default=PROGRAMS, choices=PROGRAMS)
    fields = vars(parser.parse_args(argv))
    programs = fields.pop("programs")
    target = Target(**{**fields, "prompt_buckets": tuple(fields["prompt_buckets"])})
    print(report_to_json(compile_report(target, programs, lambda line: print(line, file=sys.stderr, flush=True))))
    return 0


if __name__ == "__main__":
    os.environ.update({name: os.environ.get(name, value) for name, value in ENVIRONMENT.items()})
    jax.config.update("jax_platforms", os.environ["JAX_PLATFORMS"])  # JAX read the variable when it was imported
    sys.exit(main())
