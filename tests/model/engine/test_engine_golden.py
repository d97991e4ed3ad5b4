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


@pytest.mark.parametrize("determinism", ["exact", "fast"])
@pytest.mark.parametrize(("name", "attends_as_on"), [("mqa", "cpu"), ("mha", "cpu"), ("mha", "tpu")])
def test_greedy_continuations_are_the_golden_ones(name, attends_as_on, determinism, monkeypatch):
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
        slots=3, prompt_buckets=(32, 48), max_new_tokens=count, determinism=determinism, prompt_lookup="off"
    )
    with Engine(load(golden.parent), options=options) as engine:
        tokens = [future.result().tokens for future in engine.submit(requests)]
    assert tokens == [tuple(line) for line in expected["greedy"].tolist()]
