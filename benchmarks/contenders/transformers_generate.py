"""Hugging Face transformers: `generate` in static batches, and its continuous batching.

float32 on the CPU, bfloat16 on a GPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from serve import Answer, Ask, batches, serve
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

CACHE_BLOCKS = 128  # of 256 positions: room for 32 sequences of the longest


def load(folder: Path, threads: int) -> Any:
    torch.set_num_threads(threads)
    models: dict[str, Any] = {}

    def model_on(platform: str) -> Any:
        if platform not in models:
            dtype, device = (torch.bfloat16, "cuda") if platform == "gpu" else (torch.float32, "cpu")
            model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=dtype, attn_implementation="sdpa")
            models[platform] = model.to(device).eval()
            models[platform].generation_config = GenerationConfig(eos_token_id=None, pad_token_id=0, bos_token_id=1)
        return models[platform]

    def run(asks: Sequence[Ask], settings: dict[str, Any]) -> Answer:
        with torch.inference_mode():
            model = model_on(settings["platform"])
            if settings["mode"] == "static":
                return static(model, asks, settings["batch"], sort=settings.get("sort", False))
            return continuous(model, asks)

    return run


def static(model: Any, asks: Sequence[Ask], size: int, *, sort: bool) -> Answer:
    """Pads on the left to the longest prompt of a batch; decodes until its last request has ended."""
    order = sorted(range(len(asks)), key=lambda i: len(asks[i].prompt)) if sort else list(range(len(asks)))
    tokens: list[list[int]] = [[] for _ in asks]
    for indices in batches(order, size):  # type: ignore[arg-type]
        group = [asks[i] for i in indices]  # type: ignore[index]
        width = max(len(ask.prompt) for ask in group)
        ids = torch.zeros(len(group), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, ask in enumerate(group):
            ids[row, width - len(ask.prompt) :] = torch.tensor(ask.prompt)
            mask[row, width - len(ask.prompt) :] = 1
        longest = max(ask.new_tokens for ask in group)
        ids, mask = ids.to(model.device), mask.to(model.device)
        out = model.generate(ids, attention_mask=mask, do_sample=False, max_new_tokens=longest, min_new_tokens=longest)
        for i, ask, row in zip(indices, group, out.tolist(), strict=True):
            tokens[i] = row[width : width + ask.new_tokens]  # type: ignore[index]
    return Answer(tokens)


def continuous(model: Any, asks: Sequence[Ask]) -> Answer:
    """`init_continuous_batching`, each request with its own number of new tokens."""
    config = GenerationConfig(eos_token_id=-1, pad_token_id=0, bos_token_id=1, do_sample=False, max_new_tokens=200)
    manager = model.init_continuous_batching(
        generation_config=config,
        continuous_batching_config=ContinuousBatchingConfig(num_blocks=CACHE_BLOCKS, max_batch_tokens=1024),
    )
    manager.start()
    try:
        names = [
            manager.add_request(ask.prompt, request_id=f"r{i}", max_new_tokens=ask.new_tokens, eos_token_id=-1)
            for i, ask in enumerate(asks)
        ]
        found: dict[str, list[int]] = {}
        while len(found) < len(names):
            result = manager.get_result(timeout=5)
            if result is None:
                assert manager.is_running(), "continuous batching has stopped"
                continue
            assert not result.error, result.error
            if result.is_finished():
                found[result.request_id] = list(result.generated_tokens)
    finally:
        manager.stop(block=True)
    return Answer([found[name] for name in names])


if __name__ == "__main__":
    serve(load)
