"""This project's engine: `fast` mode, with everything auto-detected except the shapes, which follow from the
requests.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serve import Answer, Ask, serve

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

PROMPT_BUCKETS, MAX_NEW_TOKENS = (128, 256, 512), 200


def load(folder: Path, threads: int) -> Any:
    import model
    from model.engine import Engine, EngineOptions, Request

    engines: dict[str, Engine] = {}

    def engine_of(weights: str) -> Engine:
        if weights not in engines:
            for engine in engines.values():
                engine.close()
            gemma = model.load(folder / "model", quantize="int8" if weights == "int8" else None)
            options = EngineOptions(prompt_buckets=PROMPT_BUCKETS, max_new_tokens=MAX_NEW_TOKENS, prompt_lookup="off")
            engines[weights] = Engine(gemma, options=options)
            engines[weights].start(warm_up=True)
        return engines[weights]

    def run(asks: Sequence[Ask], settings: dict[str, Any]) -> Answer:
        engine = engine_of(settings["weights"])
        requests = [
            Request(prompt=tuple(ask.prompt), max_new_tokens=ask.new_tokens, stop_ids=frozenset()) for ask in asks
        ]
        tokens = [list(future.result().tokens) for future in engine.submit(requests)]
        return Answer(tokens, {name: round(value, 4) for name, value in engine.stats().items()})

    return run


if __name__ == "__main__":
    serve(load)
