"""An engine that answers prompts from a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from model.engine.requests import Completion, Request
from model.tokenizer import Tokenizer


class ScriptedEngine:
    """Answers each prompt with the text of the first key that occurs in it; sample n gets the n-th of several texts.

    Args:
        tokenizer: The vocabulary.
        script: Texts by key.
    """

    def __init__(self, tokenizer: Tokenizer, script: Mapping[str, Sequence[str]]):
        self._tokenizer, self._script = tokenizer, script
        self._asked: dict[str, int] = {}

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request) -> Future[Completion]:
        prompt = self._tokenizer.decode(request.prompt)
        key = next(key for key in self._script if key in prompt)
        number = self._asked[key] = self._asked.get(key, -1) + 1
        text = self._script[key][number % len(self._script[key])]
        future: Future[Completion] = Future()
        tokens = tuple(self._tokenizer.encode(text))
        future.set_result(
            Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=9)
        )
        return future

    def stats(self) -> dict[str, float]:
        return {"slot_occupancy": 1.0}

    def fingerprint(self) -> dict[str, Any]:
        return {"engine": "scripted"}

    def close(self) -> None:
        pass
