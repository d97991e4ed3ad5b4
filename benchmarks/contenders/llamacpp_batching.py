"""llama.cpp through llama-cpp-python's bindings, batched as its own `parallel` example does it.

Each call of `llama_decode` takes one token of every running sequence and, while there is room, the prompts of sequences
that begin. Keys and values in float32, as everybody else's here; attention as the library chooses.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from serve import Answer, Ask, serve

_POSITIONS = 512 + 200
_BATCH_TOKENS = 1024
_FLOAT32 = 0  # GGML_TYPE_F32


def load(folder: Path, threads: int) -> Any:
    llama_cpp.llama_backend_init()
    opened: dict[str, Any] = {}

    def context_of(file: str, slots: int) -> tuple[Any, int]:
        if file not in opened:
            model = llama_cpp.llama_model_load_from_file(
                str(folder / file).encode(), llama_cpp.llama_model_default_params()
            )
            assert model, f"llama.cpp can't load {file}"
            params = llama_cpp.llama_context_default_params()
            params.n_ctx, params.n_seq_max = slots * _POSITIONS, slots
            params.n_batch, params.n_ubatch = _BATCH_TOKENS, 512
            params.n_threads = params.n_threads_batch = threads
            params.type_k = params.type_v = _FLOAT32
            params.kv_unified = False
            context = llama_cpp.llama_init_from_model(model, params)
            assert context, "llama.cpp can't make a context"
            opened[file] = context, llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))
        return opened[file]

    def run(asks: Sequence[Ask], settings: dict[str, Any]) -> Answer:
        context, vocab_size = context_of(settings["file"], settings["slots"])
        return generate(context, vocab_size, asks, settings["slots"])

    return run


def generate(context: Any, vocab_size: int, asks: Sequence[Ask], slots: int) -> Answer:
    """Continuous batching: a sequence that has ended makes room for the next request at once."""
    memory = llama_cpp.llama_get_memory(context)
    llama_cpp.llama_memory_clear(memory, True)
    batch = llama_cpp.llama_batch_init(_BATCH_TOKENS, 0, 1)
    tokens: list[list[int]] = [[] for _ in asks]
    running: dict[int, int] = {}  # sequence -> request
    free, waiting, steps = list(range(slots)), list(range(len(asks))), 0
    while running or waiting:
        batch.n_tokens = 0
        asking: list[tuple[int, int]] = []  # place in the batch, sequence
        for sequence, request in running.items():
            place = len(asks[request].prompt) + len(tokens[request]) - 1
            _add(batch, tokens[request][-1], place, sequence, wants_logits=True)
            asking.append((batch.n_tokens - 1, sequence))
        while free and waiting and batch.n_tokens + len(asks[waiting[0]].prompt) <= _BATCH_TOKENS:
            sequence, request = free.pop(), waiting.pop(0)
            running[sequence] = request
            last = len(asks[request].prompt) - 1
            for place, token in enumerate(asks[request].prompt):
                _add(batch, token, place, sequence, wants_logits=place == last)
            asking.append((batch.n_tokens - 1, sequence))
        code = llama_cpp.llama_decode(context, batch)
        assert code == 0, f"llama_decode returned {code}"
        steps += 1
        for place, sequence in asking:
            logits = llama_cpp.llama_get_logits_ith(context, place)
            request = running[sequence]
            tokens[request].append(int(np.argmax(np.ctypeslib.as_array(logits, shape=(vocab_size,)))))
            if len(tokens[request]) == asks[request].new_tokens:
                llama_cpp.llama_memory_seq_rm(memory, sequence, -1, -1)
                del running[sequence]
                free.append(sequence)
    llama_cpp.llama_batch_free(batch)
    return Answer(tokens, {"calls": steps})


def _add(batch: Any, token: int, place: int, sequence: int, *, wants_logits: bool) -> None:
    at = batch.n_tokens
    batch.token[at], batch.pos[at] = token, place
    batch.n_seq_id[at] = ctypes.c_int32(1)
    batch.seq_id[at][0] = sequence
    batch.logits[at] = wants_logits
    batch.n_tokens += 1


if __name__ == "__main__":
    serve(load)
