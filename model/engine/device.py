"""The scheduler's device on JAX: arrays, compiled programs, and what passes between host and device.

Programs are compiled ahead of time, one for each known shape, and counted: nothing retraces in silence.
State that a program replaces is donated to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from model.config import GemmaConfig
from model.engine import decode
from model.engine.api import Request
from model.engine.decode import Caches, Slots
from model.engine.options import ResolvedOptions
from model.engine.sampling import SlotSampling
from model.engine.scheduler import BurstReport, Ended, OutOfMemory
from model.errors import RecordError
from model.layers import BlockWeights, GemmaWeights


@dataclass(frozen=True, slots=True)
class StagedPrompt:
    """A prefilled prompt that waits for a slot.

    Args:
        row: Keys and values of the row that it was prefilled in.
        offset: Where in the row it begins.
        length: How many of its tokens are cached: all but the last.
    """

    row: Caches
    offset: int
    length: int


class JaxDevice:
    """Implements `model.engine.scheduler.Device`. The constructor only remembers; `start` allocates."""

    def __init__(self, weights: GemmaWeights, config: GemmaConfig, options: ResolvedOptions):
        self.slots = options.slots
        self._weights = weights
        self._config = config
        self._options = options
        self._dtype = jnp.dtype(options.dtype)
        self._is_stacked = isinstance(weights.blocks, BlockWeights)
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self._prefilled_tokens = 0
        self._prefilled_positions = 0
        self._compiles = 0

    def start(self) -> None:
        """Moves the weights to their final dtype and allocates the caches."""
        self._weights = cast_weights(self._weights, self._dtype)
        self._allocate()

    def warm_up(self) -> None:
        """Compiles every program that any request can need."""
        self._burst_program()
        for bucket in self._options.prompt_buckets:
            row = self._prefill_program(bucket)
            self._insert_program(bucket, bucket)
            del row

    def _allocate(self) -> None:
        def caches(length: int) -> Caches:
            return decode.empty_caches(self._config, self.slots, length, self._dtype, stacked=self._is_stacked)

        self._prompts = caches(self._options.prompt_buckets[-1])
        self._generations = caches(self._options.max_new_tokens)
        self._state = decode.empty_slots(self.slots, self._options.max_new_tokens, self._options.max_stop_ids)

    # --- what the scheduler calls ---

    def check(self, request: Request) -> None:
        """Raises RecordError where the request doesn't fit the engine's shapes."""
        options, length = self._options, len(request.prompt)
        longest = options.prompt_buckets[-1]
        if length == 0:
            raise RecordError("prompt_empty", "prompt has no tokens; it needs at least the begin-of-sequence id")
        if length > longest:
            raise RecordError(
                "prompt_too_long",
                f"prompt has {length} tokens, the longest bucket is {longest}; "
                "raise --max_prompt_tokens or lower --context_lines",
            )
        if not 0 < request.max_new_tokens <= options.max_new_tokens:
            raise RecordError(
                "max_new_tokens_out_of_range",
                f"max_new_tokens is {request.max_new_tokens}, the engine was built for 1 to "
                f"{options.max_new_tokens}; raise the engine's max_new_tokens",
            )
        total, context = length + request.max_new_tokens, self._config.context_length
        if total > context:
            raise RecordError(
                "prompt_too_long",
                f"prompt has {length} tokens and {request.max_new_tokens} may follow, together {total}; the model's "
                f"context is {context}; lower --max_new_tokens or --context_lines",
            )
        if len(request.stop_ids) > options.max_stop_ids:
            raise RecordError(
                "too_many_stop_ids",
                f"request has {len(request.stop_ids)} stop ids, the limit is {options.max_stop_ids}; "
                "raise the engine's max_stop_ids",
            )
        top, bottom = max(request.prompt), min(request.prompt)
        if bottom < 0 or top >= self._config.vocab_size:
            raise RecordError(
                "token_out_of_vocabulary",
                f"prompt has token id {bottom if bottom < 0 else top}, the model knows 0 to "
                f"{self._config.vocab_size - 1}; check that tokenizer and model belong together",
            )
        sampling = request.sampling
        if not (sampling.temperature >= 0 and sampling.top_k >= 0 and 0 < sampling.top_p <= 1):
            raise RecordError(
                "sampling_out_of_range",
                f"temperature {sampling.temperature}, top_k {sampling.top_k}, top_p {sampling.top_p}; "
                "they must be >= 0, >= 0 and in (0, 1]",
            )

    def choose(self, waiting: Sequence[Request]) -> list[int]:
        """One prompt at a time, the oldest."""
        return [0]

    def prefill(self, requests: Sequence[Request]) -> list[StagedPrompt]:
        """Prefills each prompt alone, at position 0 of its bucket."""
        staged = []
        for request in requests:
            length = len(request.prompt) - 1
            bucket = self._bucket(length)
            tokens = np.zeros((1, bucket), np.int32)
            tokens[0, :length] = request.prompt[:-1]
            row = self._call(self._prefill_program(bucket), self._weights, tokens)
            staged.append(StagedPrompt(row=row, offset=0, length=length))
            self._prefilled_tokens += max(length, 1)
            self._prefilled_positions += bucket
        return staged

    def insert(self, slot: int, staged: StagedPrompt, request: Request, ticket: int) -> None:
        """Copies the prompt's keys and values into the slot and starts it."""
        width = self._bucket(staged.length)
        row_length = _row_length(staged.row)
        start = min(staged.offset, row_length - width)
        line = _line(request, ticket, staged.offset - start, self._options)
        program = self._insert_program(row_length, width)
        at = (np.int32(slot), np.int32(start))
        self._prompts, self._state = self._call(program, self._prompts, self._state, staged.row, line, *at)

    def dispatch(self, leave_after: int) -> jax.Array:
        """Starts a burst; its report is copied to the host as soon as it is there."""
        self._generations, self._state, report = self._call(
            self._burst_program(),
            self._weights,
            self._prompts,
            self._generations,
            self._state,
            np.int32(leave_after),
        )
        report.copy_to_host_async()
        return report

    def read(self, burst: jax.Array) -> BurstReport:
        """Waits for a burst's report."""
        return read_report(self._call(np.asarray, burst))

    def shrink(self) -> bool:
        """Nothing to give up: slots are fixed."""
        return False

    def stats(self) -> dict[str, float]:
        """Compiled programs, and prefilled positions for each prompt token among them."""
        waste = self._prefilled_positions / self._prefilled_tokens if self._prefilled_tokens else 1.0
        return {"compiles": float(self._compiles), "padding_waste": waste, "slots": float(self.slots)}

    # --- programs ---

    def _bucket(self, length: int) -> int:
        return next(bucket for bucket in self._options.prompt_buckets if bucket >= length)

    def _compiled(self, key: tuple[Any, ...], make: Callable[[], Any], *args: Any, donate: tuple[int, ...] = ()) -> Any:
        """The program for a key; compiled for the shapes of `args` when first asked for."""
        program = self._programs.get(key)
        if program is None:
            lowered = jax.jit(make(), donate_argnums=donate).lower(*args)
            program = self._programs[key] = self._call(lowered.compile)
            self._compiles += 1
        return program

    def _prefill_program(self, bucket: int) -> Callable[..., Caches]:
        def make() -> Callable[..., Caches]:
            return lambda weights, tokens: decode.prefill(weights, tokens, self._config, self._dtype)

        tokens = jax.ShapeDtypeStruct((1, bucket), jnp.int32)
        return self._compiled(("prefill", bucket), make, self._weights, tokens)

    def _insert_program(self, row_length: int, width: int) -> Callable[..., tuple[Caches, Slots]]:
        def insert(
            prompts: Caches, state: Slots, row: Caches, line: Slots, slot: jax.Array, start: jax.Array
        ) -> tuple[Caches, Slots]:
            return decode.insert_cache(prompts, row, slot, start, width), decode.insert_request(state, line, slot)

        row = jax.eval_shape(
            lambda: decode.empty_caches(self._config, 1, row_length, self._dtype, stacked=self._is_stacked)
        )
        request = Request(prompt=(0,), max_new_tokens=1, stop_ids=frozenset())
        args = (self._prompts, self._state, row, _line(request, 0, 0, self._options), np.int32(0), np.int32(0))
        return self._compiled(("insert", row_length, width), lambda: insert, *args, donate=(0, 1))

    def _burst_program(self) -> Callable[..., tuple[Caches, Slots, jax.Array]]:
        def burst(weights: GemmaWeights, prompts: Caches, generations: Caches, state: Slots, leave_after: Any) -> Any:
            return decode.burst(
                weights,
                prompts,
                generations,
                state,
                leave_after,
                self._config,
                self._dtype,
                max_steps=self._options.burst_steps,
                is_ring=self._options.determinism == "fast",
            )

        args = (self._weights, self._prompts, self._generations, self._state, np.int32(0))
        return self._compiled(("burst",), lambda: burst, *args, donate=(2, 3))

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Calls into JAX, telling lack of memory from other faults."""
        try:
            return function(*args)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" in str(error):
                raise OutOfMemory(str(error).splitlines()[0]) from error
            raise


def cast_weights(weights: GemmaWeights, dtype: Any) -> GemmaWeights:
    """Matrices in the compute dtype; norms and int8 scales, which are small, stay as they are."""

    def cast(path: Any, leaf: jax.Array) -> jax.Array:
        name = path[-1].name
        if name.endswith("_norm") or name == "scale" or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(leaf)
        return jnp.asarray(leaf, dtype)

    return jax.tree_util.tree_map_with_path(cast, weights)


def read_report(report: np.ndarray) -> BurstReport:
    """Reads what `decode.burst` reports (see there for the layout)."""
    lines, last = report[:-1], report[-1]
    first_id = len(decode.REPORT_COLUMNS)
    ended = []
    for line in lines[(lines[:, 1] == 0) & (lines[:, 2] > 0)]:
        ticket, _, generated, stopped_by, logprob_bits = line[:first_id]
        ended.append(
            Ended(
                ticket=int(ticket),
                tokens=tuple(line[first_id : first_id + generated].tolist()),
                stop_id=None if stopped_by < 0 else int(stopped_by),
                logprob_sum=float(np.int32(logprob_bits).view(np.float32)),
            )
        )
    return BurstReport(steps=int(last[0]), tokens=int(last[1]), ended=ended)


def _line(request: Request, ticket: int, prompt_begin: int, options: ResolvedOptions) -> Slots:
    """A request as one line of the slots' arrays, on the host."""

    def one(value: float, dtype: Any = np.int32) -> Any:
        return np.full(1, value, dtype)

    stop_ids: Any = np.full((1, options.max_stop_ids), -1, np.int32)
    tokens: Any = np.zeros((1, options.max_new_tokens), np.int32)
    column: Any = np.zeros((), np.int32)
    stop_ids[0, : len(request.stop_ids)] = sorted(request.stop_ids)
    sampling = request.sampling
    return Slots(
        ticket=one(ticket),
        is_active=one(True, np.bool_),
        token=one(request.prompt[-1]),
        prompt_begin=one(prompt_begin),
        prompt_length=one(len(request.prompt) - 1),
        generated=one(0),
        limit=one(request.max_new_tokens),
        stop_ids=stop_ids,
        stopped_by=one(-1),
        logprob_sum=one(0.0, np.float32),
        tokens=tokens,
        sampling=SlotSampling(
            seed=one(sampling.seed & 0xFFFFFFFF, np.uint32),
            temperature=one(sampling.temperature, np.float32),
            top_k=one(sampling.top_k),
            top_p=one(sampling.top_p, np.float32),
        ),
        column=column,
    )


def _row_length(row: Caches) -> int:
    return int((row if isinstance(row, decode.Cache) else row[0]).key.shape[-2])
