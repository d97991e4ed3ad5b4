"""Greedy completions of the engine in both modes equal those of two independent implementations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model import load
from model.engine import Engine, EngineOptions, Request
from model.engine.programs.attention import slot_attention

ROOT = Path(__file__).parents[3]
FOLDERS = (ROOT / "tests" / "golden", ROOT.parent / "shared" / "golden")


FIRST = [("mqa", "cpu"), ("mha", "cpu"), ("mha", "tpu")]
LATER = [("gemma2", "cpu"), ("gemma3_scaled", "tpu")]
MODES = [("exact", "off"), ("fast", "off"), ("fast", "always")]


@pytest.mark.parametrize(
    ("name", "attends_as_on", "determinism", "prompt_lookup"),
    [(*case, *mode) for case in FIRST for mode in MODES[:2]] + [(*case, *mode) for case in LATER for mode in MODES],
)
def test_greedy_continuations_are_the_golden_ones(name, attends_as_on, determinism, prompt_lookup, monkeypatch):
    """The windows of later generations are 6 tokens, so that prompts and completions reach beyond them."""
    monkeypatch.setattr("model.engine.programs.compiled.slot_attention", lambda platform: slot_attention(attends_as_on))
    golden = next((path for folder in FOLDERS if (path := folder / name / "expected.npz").exists()), None)
    if golden is None:
        pytest.skip("the golden numbers are not in this checkout")
    expected = np.load(golden)
    count = expected["greedy"].shape[1]
    requests = [
        Request(prompt=tuple(expected["tokens"][0, :n].tolist()), max_new_tokens=count, stop_ids=frozenset())
        for n in expected["prompt_lengths"]
    ]
    options = EngineOptions(
        slots=3,
        prompt_buckets=(4, 16, 48) if name in dict(LATER) else (32, 48),
        max_new_tokens=count,
        determinism=determinism,
        prompt_lookup=prompt_lookup,
        min_shared_prefix=4,
    )
    with Engine(load(golden.parent), options=options) as engine:
        tokens = [future.result().tokens for future in engine.submit(requests)]
    assert tokens == [tuple(line) for line in expected["greedy"].tolist()]
