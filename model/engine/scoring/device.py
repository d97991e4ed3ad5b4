"""Scores parts of requests on one replica's device: rows as in prefill, then the log-probabilities of their tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from model.engine.compilation import CompiledPrograms, on_device
from model.engine.options import ResolvedOptions
from model.engine.prefill_rows import PrefixGroupWindow, RowPlanner, lay_out
from model.engine.programs.compiled import SCORED_AT_ONCE, EnginePrograms
from model.engine.scoring.parts import Branch, Part
from model.engine.transfer import prompt_row
from model.layers import GemmaWeights

# Shared prefixes pay from here on: the prompts of a multiple choice are short, and nothing is copied out of a row.
_LEAST_SHARED = 4

PartScores = dict[int, np.ndarray]  # by the continuation's number within its request


@dataclass(frozen=True, slots=True)
class Scored:
    """Parts that the device is computing: chunks of log-probabilities, for the parts' tokens one after the other."""

    parts: tuple[Part, ...]
    chunks: tuple[jax.Array, ...]


class ScoringDevice:
    """Scores on the device of a replica, beside its decoding, from one thread.

    Args:
        weights: The replica's weights, in their final dtypes.
        programs: What is compiled for it.
        options: The engine's options.
        waiting: The prefix groups of the waiting parts (`score_group_window`), shared by replicas that choose from
            the same ones.
    """

    def __init__(
        self, weights: GemmaWeights, programs: EnginePrograms, options: ResolvedOptions, waiting: PrefixGroupWindow
    ):
        self._weights = weights
        self._programs = programs
        self._lengths = options.score_lengths()
        self._is_exact = options.determinism == "exact"
        self._min_shared = 1 if self._is_exact else least_shared(options)
        self._planner = RowPlanner(self._lengths, options.prefill_row_tokens)
        self._waiting = waiting
        self._compiled = CompiledPrograms()
        self._counts = dict.fromkeys(("score_tokens", "score_positions", "score_tokens_shared", "tokens_scored"), 0)

    def warm_up(self) -> None:
        """Compiles every program that any request may need."""
        for key in self._programs.scoring_keys():
            self._compiled.get(self._programs, key)
        self._compiled.seconds = 0.0  # no request waited for these

    def choose(self, waiting: Sequence[Part]) -> list[int]:
        """Indices of parts to score together: in exact mode the oldest alone, otherwise such as fill a row well."""
        if self._is_exact:
            return [0]
        places = {id(part): place for place, part in enumerate(waiting)}
        groups = self._waiting.update({id(part): part.branches[0].tokens for part in waiting})
        row = self._planner.next_row([group.length for group in groups])
        return [places[key] for member in row.members for key in groups[member].members]

    def dispatch(self, parts: Sequence[Part]) -> Scored:
        """Starts computing one row and returns without waiting. Raises OutOfMemory."""
        branches = [branch for part in parts for branch in part.branches]
        layout, places = lay_out([branch.tokens for branch in branches], min_shared=self._min_shared)
        used = len(layout.tokens)
        length = next(length for length in self._lengths if length >= used)
        hidden = on_device(self._program("hidden", length), self._weights, prompt_row(layout, length))
        where: list[np.ndarray] = []
        tokens: list[int] = []
        for branch, place in zip(branches, places, strict=True):
            for _, continuation in branch.continuations:
                first = branch.prompt_length - 1  # the position that predicts the continuation's first token
                where.append(place.indices(first, first + len(continuation)))
                tokens += continuation
        self._counts["score_tokens"] += used
        self._counts["score_positions"] += length
        self._counts["score_tokens_shared"] += sum(len(branch.tokens) for branch in branches) - used
        self._counts["tokens_scored"] += len(tokens)
        return Scored(tuple(parts), self._logprobs(hidden, np.concatenate(where), np.array(tokens, np.int32)))

    def read(self, scored: Scored) -> list[PartScores]:
        """Waits for a row; returns the scores of its parts."""
        logprobs = np.concatenate([on_device(np.asarray, chunk) for chunk in scored.chunks])
        begin, found = 0, []
        for part in scored.parts:
            scores: PartScores = {}
            for number, continuation in _continuations(part.branches):
                scores[number] = logprobs[begin : begin + len(continuation)].copy()
                begin += len(continuation)
            found.append(scores)
        return found

    def stats(self) -> dict[str, float]:
        """Sums: tokens computed, positions computed for them, tokens saved by sharing, tokens scored; compilations, and
        the most that there may be.
        """
        counts = {name: float(count) for name, count in self._counts.items()}
        return counts | {
            "compiles": float(self._compiled.count),
            "programs": float(len(self._programs.scoring_keys())),
            "score_compile_s": self._compiled.seconds,
        }

    def _logprobs(self, hidden: jax.Array, where: np.ndarray, tokens: np.ndarray) -> tuple[jax.Array, ...]:
        program = self._program("logprobs")
        chunks = []
        for begin in range(0, len(tokens), SCORED_AT_ONCE):
            places, ids = np.zeros((2, SCORED_AT_ONCE), np.int32)
            part = slice(begin, begin + SCORED_AT_ONCE)
            count = len(tokens[part])
            places[:count], ids[:count] = where[part], tokens[part]
            chunk = on_device(program, self._weights, hidden, places, ids)
            chunk.copy_to_host_async()
            chunks.append(chunk)
        return tuple(chunks)

    def _program(self, *key: Any) -> Callable[..., Any]:
        return self._compiled.get(self._programs, key)


def score_group_window(options: ResolvedOptions) -> PrefixGroupWindow:
    """What tells the prefix groups among the parts that wait for devices with these options."""
    return PrefixGroupWindow(
        min_shared=least_shared(options), target=options.prefill_row_tokens, row_lengths=options.score_lengths()
    )


def least_shared(options: ResolvedOptions) -> int:
    """Least length of a prefix that sequences of a row share; 0: never."""
    return min(options.min_shared_prefix, _LEAST_SHARED)


def _continuations(branches: Sequence[Branch]) -> list[tuple[int, tuple[int, ...]]]:
    return [one for branch in branches for one in branch.continuations]
