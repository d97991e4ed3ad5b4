"""The scheduler's device on JAX: arrays, compiled programs, and what passes between host and device.

Programs are compiled ahead of time, one for each known shape, and counted: nothing retraces in silence.
State that a program replaces is donated to it. The module is long because the order in which programs hand on that
state is one thing, and what each of them takes is read beside it.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from model.config import GemmaConfig
from model.engine.abstract_device import BurstReport, OutOfMemory
from model.engine.options import ResolvedOptions
from model.engine.packing import FamilyWindow, Layout, Place, RowPlanner, lay_out
from model.engine.placement import Placing, make_placed, placed_shapes, shardings_of
from model.engine.programs import decode
from model.engine.programs.attention import PromptRow, path_for, row_attention, slot_attention, usable_path
from model.engine.programs.caches import Caches, PromptCaches, empty_caches, empty_prompt_caches, insert_prompt, realign
from model.engine.programs.decode import Slots
from model.engine.programs.matmul import few_rows_product
from model.engine.requests import Request
from model.engine.transfer import prompt_row, read_report, request_line
from model.errors import RecordError
from model.layers import BlockWeights, GemmaWeights, linear


@dataclass(frozen=True, slots=True)
class StagedPrompt:
    """A prefilled prompt that waits for a slot: a place in a row's keys and values. Its last token isn't cached."""

    row: Caches
    place: Place


@dataclass(frozen=True, slots=True)
class _Burst:
    """A burst under way. `is_clean`: nothing but its steps takes the device's time from `started` on."""

    report: jax.Array
    drafted: bool
    started: float
    is_clean: bool


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What a program is compiled from. `out`: shardings of what it returns, which the next program takes as they are;
    `donate`: which arguments it replaces."""

    make: Callable[..., Any]
    args: tuple[Any, ...]
    out: Any
    donate: tuple[int, ...] = ()


class JaxDevice:
    """Implements `model.engine.abstract_device.Device`. The constructor only remembers; `start` allocates."""

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
        self._waiting = FamilyWindow(min_shared=options.min_shared_prefix, target=options.prefill_row_tokens, unread=1)
        self._is_stacked = isinstance(weights.blocks, BlockWeights)
        self._placing = Placing.of(weights, config)
        self._programs: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self._prefilled_tokens = 0
        self._prefilled_positions = 0
        self._shared_tokens = 0
        self._compiles = 0
        self._compile_s = 0.0
        self._is_ring = self._has_decoded = False  # how the generation cache's columns lie, if any are written
        self._has_prefilled = False  # since the last burst was dispatched
        self._last_read = 0.0

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
            if self._options.prompt_lookup != "always" or self._is_exact:
                self._burst_program(self._window(bucket), drafts=False)
            if self._options.may_draft():
                self._burst_program(self._window(bucket), drafts=True)
        for length in self._options.row_lengths():
            self._prefill_program(length)
        self._compile_s = 0.0  # nobody waited for these

    def _allocate(self) -> None:
        ends = (0, *self._chunk_ends)
        options = self._options
        self._prompts: tuple[PromptCaches, ...] = tuple(
            make_placed(partial(self._prompt_chunk, b - a), self._placing.of_caches)
            for a, b in itertools.pairwise(ends)
        )
        generations = partial(self._caches, self.slots, options.generation_length())
        self._generations = make_placed(generations, self._placing.of_caches)
        state = partial(
            decode.empty_slots, self.slots, options.max_new_tokens, options.max_stop_ids, options.history_length()
        )
        self._state = make_placed(state, self._placing.of_state)
        self._is_ring = self._has_decoded = False
        self._tickets = [-1] * self.slots
        self._reach = [0] * self.slots

    def _caches(self, slots: int, length: int) -> Caches:
        return empty_caches(self._config, slots, length, self._dtype, stacked=self._is_stacked)

    def _prompt_chunk(self, length: int) -> PromptCaches:
        int8 = self._options.prompt_cache == "int8"
        return empty_prompt_caches(self._config, self.slots, length, self._dtype, stacked=self._is_stacked, int8=int8)

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
                f"prompt has {length} tokens, the longest bucket is {longest}",
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
                f"context is {context}",
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
        groups = self._waiting.update({id(request): request.prompt for request in waiting})
        row = self._planner.next_row([group.length for group in groups])
        chosen = {key for member in row.members for key in groups[member].members}
        # A request that waits twice has one key: its first place goes now, the other stays.
        places = {id(request): place for place, request in reversed(list(enumerate(waiting))) if id(request) in chosen}
        return list(places.values())

    def prefill(self, requests: Sequence[Request]) -> list[StagedPrompt]:
        """Prefills prompts together in one row; in exact mode one, in a row of its bucket's length."""
        assert len(requests) == 1 or not self._is_exact
        prompts = [request.prompt[:-1] for request in requests]
        layout, places = lay_out(prompts, min_shared=0 if self._is_exact else self._options.min_shared_prefix)
        used = len(layout.tokens)
        length = next(length for length in self._options.row_lengths() if length >= used)
        row = self._call(self._prefill_program(length), self._weights, prompt_row(layout, length))
        self._has_prefilled = True
        self._prefilled_tokens += used
        self._prefilled_positions += length
        self._shared_tokens += sum(map(len, prompts)) - used
        return [StagedPrompt(row=row, place=place) for place in places]

    def insert(self, slot: int, staged: StagedPrompt, request: Request, ticket: int) -> None:
        """Copies the prompt's keys and values into the slot and starts it."""
        place = staged.place
        width = self._window(place.length)
        line = request_line(request, ticket, self._options)
        where = np.array([place.prefix_start, place.prefix_length, place.tail_start], np.int32)
        chunks = self._chunks(width)
        program = self._insert_program(width)
        written, self._state = self._call(program, chunks, self._state, staged.row, line, np.int32(slot), where)
        self._prompts = (*written, *self._prompts[len(written) :])
        self._tickets[slot] = ticket
        self._reach[slot] = place.length

    def dispatch(self, leave_after: int, *, drafts: bool) -> _Burst:
        """Starts a burst that reads the prompt cache as far as any slot does; its report is copied to the host
        as soon as it is there."""
        window, compiles = self._window(max(self._reach)), self._compiles
        program = self._burst_program(window, drafts=drafts)
        self._order_columns(is_ring=self._writes_ring(drafts))
        is_clean = compiles == self._compiles and not self._has_prefilled
        self._has_prefilled = False
        started = time.perf_counter()
        self._generations, self._state, report = self._call(
            program, self._weights, self._chunks(window), self._generations, self._state, np.int32(leave_after)
        )
        report.copy_to_host_async()
        return _Burst(report, drafts, started, is_clean)

    def read(self, burst: _Burst) -> BurstReport:
        """Waits for a burst's report."""
        array = self._call(np.asarray, burst.report)
        # A burst that was dispatched before the last one was read begins when that one ends.
        began, self._last_read = max(burst.started, self._last_read), time.perf_counter()
        seconds = self._last_read - began if burst.is_clean else None
        report = read_report(array, drafted=burst.drafted, seconds=seconds)
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
        """Programs compiled, and the seconds that those took for which requests waited; tokens prefilled and
        positions computed for them; prompt tokens that sharing saved; the slots."""
        return {
            "compiles": float(self._compiles),
            "compile_s": self._compile_s,
            "prefill_tokens": float(self._prefilled_tokens),
            "prefill_positions": float(self._prefilled_positions),
            "prefill_tokens_shared": float(self._shared_tokens),
            "slots": float(self.slots),
        }

    # --- programs ---

    def _window(self, length: int) -> int:
        """How far a slot's prompt cache must be read for a prompt: to the end of a chunk."""
        return next(end for end in self._chunk_ends if end >= length)

    def _chunks(self, window: int) -> tuple[PromptCaches, ...]:
        return self._prompts[: self._chunk_ends.index(window) + 1]

    def _writes_ring(self, drafts: bool) -> bool:
        return not self._is_exact and not drafts

    def _order_columns(self, *, is_ring: bool) -> None:
        """Moves the generation cache to the order that the next burst writes; free where it lies so."""
        if is_ring == self._is_ring:
            return
        if self._has_decoded:
            self._generations = self._call(self._realign_program(is_ring), self._generations, self._state)
        self._is_ring, self._has_decoded = is_ring, True

    def _program(self, key: tuple[Any, ...], recipe: Callable[..., _Recipe]) -> Callable[..., Any]:
        """The program for a key, `recipe(*key[1:])` compiled when first asked for; asked for at every request, so
        nothing is prepared for one that is there."""
        program = self._programs.get(key)
        if program is None:
            began = time.perf_counter()
            one = recipe(*key[1:])
            jitted = jax.jit(one.make, donate_argnums=one.donate, out_shardings=one.out)
            program = self._programs[key] = self._call(jitted.lower(*one.args).compile)
            self._compiles += 1
            self._compile_s += time.perf_counter() - began
        return program

    def _prefill_program(self, length: int) -> Callable[..., Caches]:
        return self._program(("prefill", length), self._prefill_recipe)

    def _prefill_recipe(self, length: int) -> _Recipe:
        def prefill(weights: GemmaWeights, row: PromptRow) -> Caches:
            return decode.prefill(
                weights,
                row,
                self._config,
                self._dtype,
                attend_row=row_attention(self._path, self._placing.mesh),
                staged_length=self._options.staged_length(),
            )

        empty = prompt_row(Layout.of([]), length)
        return _Recipe(prefill, (self._weights, empty), out=shardings_of(self._staged_shapes()))

    def _insert_program(self, width: int) -> Callable[..., tuple[tuple[PromptCaches, ...], Slots]]:
        return self._program(("insert", width), self._insert_recipe)

    def _insert_recipe(self, width: int) -> _Recipe:
        def insert(
            prompts: tuple[PromptCaches, ...], state: Slots, row: Caches, line: Slots, slot: jax.Array, place: jax.Array
        ) -> tuple[tuple[PromptCaches, ...], Slots]:
            return insert_prompt(prompts, row, slot, place), decode.insert_request(state, line, slot)

        line = request_line(Request(prompt=(0,), max_new_tokens=1, stop_ids=frozenset()), 0, self._options)
        args = (self._chunks(width), self._state, self._staged_shapes(), line, np.int32(0), np.zeros(3, np.int32))
        return _Recipe(insert, args, out=shardings_of(args[:2]), donate=(0, 1))

    def _staged_shapes(self) -> Caches:
        return placed_shapes(partial(self._caches, 1, self._options.staged_length()), self._placing.of_caches)

    def _realign_program(self, to_ring: bool) -> Callable[..., Caches]:
        return self._program(("realign", to_ring), self._realign_recipe)

    def _realign_recipe(self, to_ring: bool) -> _Recipe:
        def move(generations: Caches, state: Slots) -> Caches:
            return realign(generations, state.column, state.generated, to_ring=to_ring)

        return _Recipe(move, (self._generations, self._state), out=shardings_of(self._generations))

    def _burst_program(self, window: int, *, drafts: bool) -> Callable[..., tuple[Caches, Slots, jax.Array]]:
        return self._program(("burst", window, drafts), self._burst_recipe)

    def _burst_recipe(self, window: int, drafts: bool) -> _Recipe:
        def burst(
            weights: GemmaWeights,
            prompts: tuple[PromptCaches, ...],
            generations: Caches,
            state: Slots,
            leave_after: Any,
        ) -> tuple[Caches, Slots, jax.Array]:
            return decode.burst(
                weights,
                prompts,
                generations,
                state,
                leave_after,
                self._config,
                self._dtype,
                attend_slots=slot_attention(jax.default_backend()),
                multiply=linear if self._is_exact else few_rows_product(jax.default_backend()),
                max_steps=self._options.burst_steps,
                is_ring=self._writes_ring(drafts),
                num_drafts=self._options.draft_tokens if drafts else 0,
            )

        args = (self._weights, self._chunks(window), self._generations, self._state, np.int32(0))
        return _Recipe(burst, args, out=(*shardings_of(args[2:4]), self._placing.whole), donate=(2, 3))

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
