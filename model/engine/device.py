"""The scheduler's device on JAX: arrays, compiled programs, and what passes between host and device.

Programs are compiled ahead of time, one for each known shape, and counted: nothing retraces in silence.
State that a program replaces is donated to it. The module is long because what a program takes and what the
host hands it (a request's line, a row, a report) are read side by side.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from model.config import GemmaConfig
from model.engine import decode
from model.engine.api import Request
from model.engine.attention import PromptRow, path_for, row_attention, usable_path
from model.engine.decode import Caches, Slots
from model.engine.options import ResolvedOptions
from model.engine.packing import Layout, Place, RowPlanner, families, lay_out
from model.engine.sampling import SlotSampling
from model.engine.scheduler import BurstReport, Ended, OutOfMemory
from model.errors import RecordError
from model.layers import BlockWeights, GemmaWeights


@dataclass(frozen=True, slots=True)
class StagedPrompt:
    """A prefilled prompt that waits for a slot: a place in a row's keys and values. Its last token isn't cached."""

    row: Caches
    place: Place


class JaxDevice:
    """Implements `model.engine.scheduler.Device`. The constructor only remembers; `start` allocates."""

    def __init__(self, weights: GemmaWeights, config: GemmaConfig, options: ResolvedOptions):
        self.slots = options.slots
        self._weights = weights
        self._config = config
        self._options = options
        self._dtype = jnp.dtype(options.dtype)
        self._is_exact = options.determinism == "exact"
        self._path = path_for(jax.default_backend(), self._dtype)  # `start` sees whether it serves
        # Exact mode always reads the whole cache: one chunk, one shape.
        self._chunk_ends = options.prompt_buckets[-1:] if self._is_exact else options.prompt_buckets
        self._planner = RowPlanner(options.row_lengths(), options.prefill_row_tokens)
        self._is_stacked = isinstance(weights.blocks, BlockWeights)
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self._prefilled_tokens = 0
        self._prefilled_positions = 0
        self._shared_tokens = 0
        self._compiles = 0

    def start(self) -> None:
        """Moves the weights to their final dtype and allocates the caches."""
        self._weights = cast_weights(self._weights, self._dtype)
        self._path = usable_path(self._path, self._config, self._dtype)
        try:
            self._call(self._allocate)
        except OutOfMemory:
            if not self.shrink():
                raise

    def warm_up(self) -> None:
        """Compiles every program that any request can need."""
        for bucket in self._options.prompt_buckets:
            self._insert_program(bucket)
            self._burst_program(self._window(bucket))
        for length in self._options.row_lengths():
            self._prefill_program(length)

    def _allocate(self) -> None:
        ends = (0, *self._chunk_ends)
        self._prompts = tuple(self._caches(self.slots, b - a) for a, b in itertools.pairwise(ends))
        options = self._options
        self._generations = self._caches(self.slots, options.max_new_tokens + options.draft_tokens)
        self._state = decode.empty_slots(
            self.slots, options.max_new_tokens, options.max_stop_ids, options.history_length()
        )
        self._tickets = [-1] * self.slots
        self._reach = [0] * self.slots

    def _caches(self, slots: int, length: int) -> Caches:
        return decode.empty_caches(self._config, slots, length, self._dtype, stacked=self._is_stacked)

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
        """In exact mode the oldest alone; else what fills a row well."""
        if self._is_exact:
            return [0]
        groups = families(
            [request.prompt[:-1] for request in waiting],
            min_shared=self._options.min_shared_prefix,
            target=self._options.prefill_row_tokens,
        )
        row = self._planner.next_row([group.length for group in groups])
        return [i for member in row.members for i in groups[member].members]

    def prefill(self, requests: Sequence[Request]) -> list[StagedPrompt]:
        """Prefills prompts together in one row; in exact mode one, in a row of its bucket's length."""
        assert len(requests) == 1 or not self._is_exact
        prompts = [request.prompt[:-1] for request in requests]
        layout, places = lay_out(prompts, min_shared=0 if self._is_exact else self._options.min_shared_prefix)
        used = len(layout.tokens)
        length = next(length for length in self._options.row_lengths() if length >= used)
        row = self._call(self._prefill_program(length), self._weights, _prompt_row(layout, length))
        self._prefilled_tokens += used
        self._prefilled_positions += length
        self._shared_tokens += sum(map(len, prompts)) - used
        return [StagedPrompt(row=row, place=place) for place in places]

    def insert(self, slot: int, staged: StagedPrompt, request: Request, ticket: int) -> None:
        """Copies the prompt's keys and values into the slot and starts it."""
        place = staged.place
        width = self._window(place.length)
        line = _line(request, ticket, self._options)
        where = np.array([place.prefix_start, place.prefix_length, place.tail_start], np.int32)
        chunks = self._chunks(width)
        program = self._insert_program(width)
        written, self._state = self._call(program, chunks, self._state, staged.row, line, np.int32(slot), where)
        self._prompts = (*written, *self._prompts[len(written) :])
        self._tickets[slot] = ticket
        self._reach[slot] = place.length

    def dispatch(self, leave_after: int) -> jax.Array:
        """Starts a burst that reads the prompt cache as far as any slot does; its report is copied to the host
        as soon as it is there."""
        window = self._window(max(self._reach))
        self._generations, self._state, report = self._call(
            self._burst_program(window),
            self._weights,
            self._chunks(window),
            self._generations,
            self._state,
            np.int32(leave_after),
        )
        report.copy_to_host_async()
        return report

    def read(self, burst: jax.Array) -> BurstReport:
        """Waits for a burst's report."""
        report = read_report(self._call(np.asarray, burst))
        ended = {line.ticket for line in report.ended}
        for slot, ticket in enumerate(self._tickets):
            if ticket in ended:
                self._reach[slot] = 0
        return report

    def shrink(self) -> bool:
        """In fast mode halves the slots until they fit; in exact mode their number is part of the promise."""
        while not self._is_exact and self.slots > 1:
            self.slots //= 2
            for name in ("_prompts", "_generations", "_state"):  # or the old arrays would stand beside the new
                self.__dict__.pop(name, None)
            self._programs = {key: program for key, program in self._programs.items() if key[0] == "prefill"}
            try:
                self._call(self._allocate)
            except OutOfMemory:
                continue
            return True
        return False

    def stats(self) -> dict[str, float]:
        """Compiled programs; prefilled positions for each token among them; prompt tokens that sharing saved."""
        waste = self._prefilled_positions / self._prefilled_tokens if self._prefilled_tokens else 1.0
        return {
            "compiles": float(self._compiles),
            "padding_waste": waste,
            "prefill_tokens_shared": float(self._shared_tokens),
            "slots": float(self.slots),
        }

    # --- programs ---

    def _window(self, length: int) -> int:
        """How far a slot's prompt cache must be read for a prompt: to the end of a chunk."""
        return next(end for end in self._chunk_ends if end >= length)

    def _chunks(self, window: int) -> tuple[Caches, ...]:
        return self._prompts[: self._chunk_ends.index(window) + 1]

    def _compiled(
        self, key: tuple[Any, ...], make: Callable[..., Any], *args: Any, donate: tuple[int, ...] = ()
    ) -> Any:
        """The program for a key; compiled for the shapes of `args` when first asked for."""
        program = self._programs.get(key)
        if program is None:
            program = self._programs[key] = self._call(jax.jit(make, donate_argnums=donate).lower(*args).compile)
            self._compiles += 1
        return program

    def _prefill_program(self, length: int) -> Callable[..., Caches]:
        def prefill(weights: GemmaWeights, row: PromptRow) -> Caches:
            return decode.prefill(
                weights,
                row,
                self._config,
                self._dtype,
                attend_row=row_attention(self._path),
                staged_length=self._options.staged_length(),
            )

        return self._compiled(
            ("prefill", length), prefill, self._weights, _prompt_row(Layout([], [], [], [], []), length)
        )

    def _insert_program(self, width: int) -> Callable[..., tuple[tuple[Caches, ...], Slots]]:
        def insert(
            prompts: tuple[Caches, ...], state: Slots, row: Caches, line: Slots, slot: jax.Array, place: jax.Array
        ) -> tuple[tuple[Caches, ...], Slots]:
            return decode.insert_prompt(prompts, row, slot, place), decode.insert_request(state, line, slot)

        staged = jax.eval_shape(lambda: self._caches(1, self._options.staged_length()))
        line = _line(Request(prompt=(0,), max_new_tokens=1, stop_ids=frozenset()), 0, self._options)
        args = (self._chunks(width), self._state, staged, line, np.int32(0), np.zeros(3, np.int32))
        return self._compiled(("insert", width), insert, *args, donate=(0, 1))

    def _burst_program(self, window: int) -> Callable[..., tuple[Caches, Slots, jax.Array]]:
        def burst(
            weights: GemmaWeights, prompts: tuple[Caches, ...], generations: Caches, state: Slots, leave_after: Any
        ) -> tuple[Caches, Slots, jax.Array]:
            return decode.burst(
                weights,
                prompts,
                generations,
                state,
                leave_after,
                self._config,
                self._dtype,
                max_steps=self._options.burst_steps,
                is_ring=not self._is_exact and self._options.draft_tokens == 0,
                num_drafts=self._options.draft_tokens,
            )

        args = (self._weights, self._chunks(window), self._generations, self._state, np.int32(0))
        return self._compiled(("burst", window), burst, *args, donate=(2, 3))

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
    return BurstReport(steps=int(last[0]), tokens=int(last[1]), busy=int(last[2]), ended=ended)


def _line(request: Request, ticket: int, options: ResolvedOptions) -> Slots:
    """A request as one line of the slots' arrays, on the host."""

    def one(value: float, dtype: Any = np.int32) -> Any:
        return np.full(1, value, dtype)

    stop_ids: Any = np.full((1, options.max_stop_ids), -1, np.int32)
    tokens: Any = np.zeros((1, options.max_new_tokens), np.int32)
    column: Any = np.zeros((), np.int32)
    history: Any = np.zeros((1, options.history_length()), np.int32)
    if options.draft_tokens:
        history[0, : len(request.prompt)] = request.prompt
    stop_ids[0, : len(request.stop_ids)] = sorted(request.stop_ids)
    sampling = request.sampling
    return Slots(
        ticket=one(ticket),
        is_active=one(True, np.bool_),
        token=one(request.prompt[-1]),
        prompt_length=one(len(request.prompt) - 1),
        generated=one(0),
        limit=one(request.max_new_tokens),
        stop_ids=stop_ids,
        stopped_by=one(-1),
        logprob_sum=one(0.0, np.float32),
        tokens=tokens,
        history=history,
        sampling=SlotSampling(
            seed=one(sampling.seed & 0xFFFFFFFF, np.uint32),
            temperature=one(sampling.temperature, np.float32),
            top_k=one(sampling.top_k),
            top_p=one(sampling.top_p, np.float32),
        ),
        column=column,
    )


def _prompt_row(layout: Layout, length: int) -> PromptRow:
    """A layout as arrays of a row's length; padding is a segment of its own, that nobody reads."""
    used = len(layout.tokens)

    def padded(values: list[int], padding: int) -> Any:
        array = np.full(length, padding, np.int32)
        array[:used] = values
        return array

    num_used: Any = np.int32(used)
    return PromptRow(
        tokens=padded(layout.tokens, 0),
        positions=padded(layout.positions, 0),
        segment=padded(layout.segment, -1),
        parent=padded(layout.parent, -1),
        begin=padded(layout.begin, used),
        used=num_used,
    )
