"""llama.cpp's own server, in this process, through the bindings of xllamacpp.

Its slots take requests as they become free (continuous batching): each call of the model contains one token of every
running sequence and, while there is room, the prompts of new ones. Keys and values are float32, as for all other
contenders; the library chooses the attention. No prompt is cached from one round to the next.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import xllamacpp
from serve import Answer, Ask, serve

_POSITIONS = 512 + 200
_BATCH_TOKENS = 1024
_QUIET = -1


def load(folder: Path, threads: int) -> Any:
    opened: dict[str, Any] = {}

    def server_of(file: str, slots: int) -> Any:
        if file not in opened:
            params = xllamacpp.CommonParams()
            params.model.path = str(folder / file)
            params.n_ctx, params.n_parallel = slots * _POSITIONS, slots
            params.n_batch, params.n_ubatch = _BATCH_TOKENS, 512
            params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
            params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
            params.kv_unified = False
            params.cache_prompt = params.cache_idle_slots = False
            params.cache_ram_mib = 0
            params.verbosity = _QUIET
            opened[file] = xllamacpp.Server(params)
        return opened[file]

    def run(asks: Sequence[Ask], settings: dict[str, Any]) -> Answer:
        server = server_of(settings["file"], settings["slots"])
        with ThreadPoolExecutor(len(asks)) as pool:
            return Answer(list(pool.map(lambda ask: complete(server, ask), asks)), {})

    return run


def complete(server: Any, ask: Ask) -> list[int]:
    """The greedy tokens of one request, parsed from the text of the made-up pieces (`random_model`).

    Raises RuntimeError if the server refuses it or generates another number of tokens.
    """
    order = {
        "prompt": list(map(int, ask.prompt)), "n_predict": ask.new_tokens, "ignore_eos": True, "temperature": 0.0,
        "samplers": ["temperature"], "cache_prompt": False,
    }  # fmt: skip
    answer = server.handle_completions(order)
    answer = json.loads(answer) if isinstance(answer, str) else answer
    tokens = [int(id_) for id_ in re.findall(r"t(\d+)", answer["choices"][0]["text"])] if "choices" in answer else []
    if not tokens or answer["usage"]["completion_tokens"] != ask.new_tokens:
        raise RuntimeError(f"llama.cpp answered {str(answer)[:300]}")
    return tokens


if __name__ == "__main__":
    serve(load)
