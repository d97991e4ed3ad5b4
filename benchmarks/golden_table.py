"""Goldens by generation, layout and mode: how far logits are from those of independent implementations.

    python -m benchmarks.golden_table

Each golden's weights are written in every layout, loaded from it in float32, and compute the golden's sequences; the
engine writes its greedy continuations in each mode. Prints a Markdown table of the largest difference of a logit, and
of the share of continuations that are the golden ones. A GGUF file doesn't state a query scalar, so one of a golden
with another than its head dimension is compared with codemill's own logits for that.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import model
from model.config import _BASE
from model.engine import Engine, EngineOptions, Request
from model.gemma import Gemma
from tests.model.checkpoint.layouts import LAYOUTS

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = (ROOT.parent / "shared" / "golden", ROOT / "tests" / "golden")
GOLDENS = {"mqa": "Gemma 1", "mha": "Gemma 1", "gemma2": "Gemma 2", "gemma3": "Gemma 3", "gemma3_scaled": "Gemma 3"}
MODES = {"exact": ("exact", "off"), "fast": ("fast", "off"), "drafted": ("fast", "always")}


def line_of(name: str, folder: Path) -> list[str]:
    """The cells of one golden."""
    expected, golden = np.load(folder / "expected.npz"), model.load(folder, dtype=jnp.float32)
    _BASE["golden"] = golden.config  # what shapes alone can't state is that of a published model
    weights = jax.tree.map(np.asarray, golden.arrays())
    tokens, cells = jnp.asarray(expected["tokens"]), [GOLDENS[name], f"`{name}`"]
    for layout, write in LAYOUTS.items():
        wanted = expected["logits"]
        if layout == "GGUF" and golden.config.query_scalar not in (None, golden.config.head_dim):
            # Such a file doesn't state the scalar: it is that of the published model with these layers.
            told = replace(golden.config, query_scalar=float(golden.config.head_dim))
            wanted = np.asarray(Gemma(told, weights=golden.arrays())(tokens))
        with tempfile.TemporaryDirectory() as place:
            write(Path(place), weights, golden.config)
            logits = model.load(place, dtype=jnp.float32)(tokens)
        cells.append(f"{np.abs(np.asarray(logits) - wanted).max():.1e}")
    count = expected["greedy"].shape[1]
    prompts = [tuple(expected["tokens"][0, :length].tolist()) for length in expected["prompt_lengths"]]
    for determinism, lookup in MODES.values():
        options = EngineOptions(
            slots=3, prompt_buckets=(16, 48), max_new_tokens=count, determinism=determinism, prompt_lookup=lookup
        )
        with Engine(golden, options=options) as engine:
            asked = [Request(prompt=prompt, max_new_tokens=count, stop_ids=frozenset()) for prompt in prompts]
            found = [list(future.result().tokens) for future in engine.submit(asked)]
        same = sum(ours == theirs for ours, theirs in zip(found, expected["greedy"].tolist(), strict=True))
        cells.append(f"{same} of {len(prompts)}")
    return cells


def main() -> int:
    """Prints the table."""
    head = ["generation", "golden", *LAYOUTS, *MODES]
    print(f"| {' | '.join(head)} |\n|{'---|' * len(head)}")
    with jax.default_matmul_precision("highest"):
        for name in GOLDENS:
            folder = next((one / name for one in FOLDERS if (one / name / "expected.npz").exists()), None)
            if folder is not None:
                print(f"| {' | '.join(line_of(name, folder))} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
