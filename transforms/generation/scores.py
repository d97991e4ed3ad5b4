"""The log-probability of the text that stood in a target's place, under the prompt of its generation.

It tells how well the model knows the text, for choosing rows by their loss. Only targets with a kept answer are
scored. A sum over the tokens in nats; divided by the number of tokens it compares with `lineage.mean_logprob`, which
includes the stop token.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any, Final

import numpy as np
import pyarrow as pa

from model.engine.requests import Generator, ScoreRequest, Scores
from model.errors import RecordError
from transforms.generation.row_state import OriginalScore, RowState
from transforms.work import WorkBroken

# Null where a prompt with its original is longer than the engine's limits.
SCORE_FIELDS: Final = (pa.field("original_logprob", pa.float32()), pa.field("original_tokens", pa.int32()))


def score_originals(generator: Generator, states: Sequence[RowState]) -> Counter[str]:
    """Scores the originals of all targets with a kept answer, and stores them in the rows' states.

    Returns:
        How many tokens were scored (`original_tokens`), and how many originals couldn't be (`originals_not_scored`).

    Raises:
        WorkBroken: The engine has stopped.
    """
    asked: list[tuple[RowState, int]] = []
    requests: list[ScoreRequest] = []
    for state in states:
        for number in dict.fromkeys(item.request for item in state.validated.kept):
            assert state.prepared is not None
            target = state.prepared.requests[number]
            asked.append((state, number))
            requests.append(ScoreRequest(prompt=target.request.prompt, continuations=(target.original,)))
    try:
        futures = generator.score(requests)
    except RuntimeError as error:
        raise WorkBroken(f"the engine no longer accepts prompts: {error}") from error
    counts: Counter[str] = Counter()
    for (state, number), future in zip(asked, futures, strict=True):
        score = _read(future)
        if score is None:
            counts["originals_not_scored"] += 1
        else:
            state.original_scores[number] = score
            counts["original_tokens"] += score.tokens
    return counts


def _read(future: Future[Scores]) -> OriginalScore | None:
    """Waits for a score; None if the text can't be scored."""
    try:
        (logprobs,) = future.result()
    except RecordError:
        return None
    except RuntimeError as error:  # the engine or its device has stopped, whatever the request
        raise WorkBroken(f"the engine failed: {type(error).__name__}") from error
    return OriginalScore(float(np.sum(logprobs, dtype=np.float64)), len(logprobs))


def score_columns(score: OriginalScore | None) -> dict[str, Any]:
    """The values of `SCORE_FIELDS`."""
    values = (None, None) if score is None else score
    return {field.name: value for field, value in zip(SCORE_FIELDS, values, strict=True)}
