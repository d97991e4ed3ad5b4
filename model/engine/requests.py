"""The engine's input and output as plain values, without JAX.

Rows, tasks and tests create these; `model.engine.Engine` runs them. A request is
self-contained: its result depends only on its own fields and the weights, never on
its slot, other requests or the order of submission.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np

from model.engine.settings import SamplingSettings
from model.engine.stopping import StopTexts

FinishReason = Literal["stop", "stop_text", "length"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How the next token is sampled. `temperature=0` is greedy and ignores the other fields.

    Args:
        temperature, top_k, top_p: As in `model.engine.settings.SamplingSettings`; the engine checks them.
        seed: Seed of this request's random stream, an unsigned 32-bit number that the caller
            derives from job seed, row hash, target and sample number.
    """

    temperature: float = SamplingSettings.temperature
    top_k: int = SamplingSettings.top_k
    top_p: float = SamplingSettings.top_p
    seed: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One prompt to continue.

    Args:
        prompt: Token ids, including the beginning-of-sequence id.
        max_new_tokens: Maximum number of generated tokens, including the stop token.
        stop_ids: Generation ends with the first of these ids.
        sampling: How tokens are sampled.
        stop_texts: Texts that end generation as well; None: none do. The completion is then cut behind the first token
            with which such a text is complete, so that it holds the text, and depends on the request alone.
    """

    prompt: tuple[int, ...]
    max_new_tokens: int
    stop_ids: frozenset[int]
    sampling: Sampling = field(default_factory=Sampling)
    stop_texts: StopTexts | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Completion:
    """The text generated for one prompt, as tokens.

    Args:
        tokens: The generated ids, without the stop id that ended them.
        finish_reason: `stop` (a stop id was generated), `stop_text` (a text of the request's) or `length`
            (max_new_tokens was reached).
        stop_id: The stop id that ended it, or None.
        mean_logprob: Mean natural-log probability of all generated tokens (including the stop id)
            under the model's own distribution: temperature 1, no top-k or top-p.
        prompt_tokens: Length of the prompt in tokens.
    """

    tokens: tuple[int, ...]
    finish_reason: FinishReason
    stop_id: int | None
    mean_logprob: float
    prompt_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRequest:
    """A prompt, and the continuations whose tokens are to be scored; the prompt is computed once for all of them.

    Args:
        prompt: Token ids, including the beginning-of-sequence id.
        continuations: Token ids that follow the prompt, each list by itself.
    """

    prompt: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]


# Natural-log probabilities under the model's own distribution: a float32 array per continuation, one for each token.
Scores = tuple[np.ndarray, ...]


class EngineStopped(RuntimeError):
    """The engine has been closed or has crashed; a crash's error is the `__cause__`."""


class Generator(Protocol):
    """The part of an engine's interface that tasks and jobs use; tests pass a fake one.

    A future fails with `RecordError("prompt_too_long", ...)` if the prompt doesn't fit.
    """

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]: ...

    def score(self, requests: Sequence[ScoreRequest]) -> list[Future[Scores]]: ...

    def stats(self) -> dict[str, float]: ...

    def fingerprint(self) -> dict[str, Any]:
        """Versions, device and shapes: what tokens depend on besides the request. JSON-serializable, for the
        lineage.
        """
        ...

    def close(self) -> None: ...
