from __future__ import annotations

import re

import jax
import pytest

from benchmarks import accelerator
from benchmarks.engine import entries
from model.config import GemmaConfig
from model.gemma import init_weights

CONFIG = GemmaConfig(num_layers=1, d_model=32, d_ff=64, num_heads=2, num_kv_heads=1, head_dim=16, vocab_size=128)


@pytest.fixture(scope="module")
def bench() -> accelerator.Bench:
    weights = init_weights(jax.random.key(0), CONFIG)
    return accelerator.Bench(CONFIG, weights, slots=3, row_tokens=64, prompt_tokens=16, new_tokens=100)


def test_a_step_is_timed_with_every_slot_busy_in_the_context_that_it_had(bench):
    seconds, context = bench.step_s(repeats=3)
    assert seconds > 0
    # The first burst of 16 steps isn't counted, three are: 16 + 16 to 16 + 64 tokens of context.
    assert context == 16 + (16 + 64) / 2


def test_a_row_contains_complete_prompts_except_for_their_last_tokens_and_no_more_than_exist(bench):
    assert bench.row_tokens == 3 * 15  # four would fit
    assert bench.prefill_s(repeats=2) > 0


def test_requests_that_end_in_the_first_burst_are_refused_with_what_to_do():
    weights = init_weights(jax.random.key(0), CONFIG)
    short = accelerator.Bench(CONFIG, weights, slots=2, row_tokens=32, prompt_tokens=16, new_tokens=8)
    with pytest.raises(ValueError, match="more --new_tokens"):
        short.step_s(repeats=1)


def test_the_table_names_the_ceilings_and_a_line_for_each_number_of_slots(capsys, monkeypatch):
    monkeypatch.setitem(accelerator.SIZES, "tiny", CONFIG)
    monkeypatch.setitem(accelerator.LARGE, "cpu", (1 << 12, 32))
    sizes = ["--slots", "2", "4", "--row_tokens", "32", "--prompt_tokens", "16", "--new_tokens", "64"]
    accelerator.main(["--preset", "tiny", *sizes, "--repeats", "2"])
    shown = capsys.readouterr().out
    assert re.search(r"Measured here: \d+ GB/s", shown)
    assert "| decode, 2 slots |" in shown and "| decode, 4 slots |" in shown and "| prefill, a row of 30 |" in shown


def test_on_a_gpu_those_race_who_run_there_and_each_is_told_so():
    racing = entries([32], "gpu")
    assert {entry.python for entry in racing} == {"own", "others"}
    assert all(entry.settings["platform"] == "gpu" for entry in racing if entry.python == "others")
