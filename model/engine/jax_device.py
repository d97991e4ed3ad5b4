"""The scheduler's device on JAX: arrays, compiled programs, and transfers between host and device.

Programs (`model.engine.programs.compiled`) are compiled ahead of time, one per known shape, and counted: nothing
retraces silently.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from model.config import GemmaConfig
from model.engine.abstract_device import BurstReport, OutOfMemory
from model.engine.checks import check_not_empty, check_vocabulary
from model.engine.compilation import CompiledPrograms, on_device
from model.engine.options import ResolvedOptions
from model.engine.placement import Placement, shapes_of
from model.engine.prefill_rows import Place, PrefixGroupWindow, RowPlanner, lay_out
from model.engine.programs.attention import path_for, usable_path
from model.engine.programs.caches import Caches
from model.engine.programs.compiled import EnginePrograms, ProgramKey
from model.engine.requests import Request
from model.engine.transfer import prompt_row, read_report, request_line
from model.errors import RecordError
from model.layers import GemmaWeights

# A narrow burst saves this share of the time that its slots suggest, as some requests end before their limit and not
# all of a step's work is in its slots.
_NARROW_SAVES = 0.5


# Bursts that are looked through for stop texts are so many times shorter: a request decodes on to its burst's end.
_WATCHED_PART = 4

# A job starts narrow with at most this part of the slots: 16 rows, which are prepared together, usually have more.
_FEW = 4


@dataclass(frozen=True, slots=True)
class StagedPrompt:
    """A prefilled prompt that waits for a slot: its place in a row's keys and values. Its last token isn't cached."""

    row: Caches
    place: Place


@dataclass(frozen=True, slots=True)
class _Burst:
    """A burst in flight. `is_clean`: from `started` on, the device spends its time on this burst's steps alone."""

    report: jax.Array
    drafted: bool
    width: int
    started: float
    is_clean: bool


class JaxDevice:
    """Implements `model.engine.abstract_device.Device`. The constructor stores its arguments; `start` allocates.

    Args:
        weights, config, options: The model and the engine's shapes.
        waiting: The prefix groups of the waiting prompts (`prefix_group_window`), shared by replicas that choose from
            the same ones; by default its own.
    """

    def __init__(
        self,
        weights: GemmaWeights,
        config: GemmaConfig,
        options: ResolvedOptions,
        *,
        waiting: PrefixGroupWindow | None = None,
    ):
        self.slots = options.slots
        self._weights = weights
        self._config = config
        self._options = options
        self._dtype = jnp.dtype(options.dtype)
        self._is_exact = options.determinism == "exact"
        self._planner = RowPlanner(options.row_lengths(), options.prefill_row_tokens)
        self._waiting = waiting or prefix_group_window(options)
        self._compiled = CompiledPrograms()
        self._prefilled_tokens = 0
        self._prefilled_positions = 0
        self._shared_tokens = 0
        self._full_step_s = 0.0  # of a step of all slots, as last measured
        self._is_ring = self._has_decoded = False  # order of the generation cache's columns, if any are written
        self._has_prefilled = False  # since the last burst was dispatched
        self._last_read = 0.0

    def start(self) -> None:
        """Casts the weights to their final dtype and allocates the caches."""
        self._weights = cast_weights(self._weights, self._dtype)
        platform = jax.default_backend()
        self._programs = EnginePrograms(
            weights=shapes_of(self._weights),
            config=self._config,
            options=self._options,
            slots=self.slots,
            platform=platform,
            path=usable_path(path_for(platform, self._dtype), self._config, self._dtype),
            placement=Placement.of(self._weights, self._config),
        )
        try:
            on_device(self._allocate)
        except OutOfMemory:
            if not self.shrink():
                raise

    def warm_up(self) -> None:
        """Compiles every program that any request may need."""
        for key in self._programs.every_key():
            self._program(*key)
        self._compiled.seconds = 0.0  # no request waited for these

    @property
    def weights(self) -> GemmaWeights:
        """The weights in their final dtypes, after `start`."""
        return self._weights

    @property
    def programs(self) -> EnginePrograms:
        """What is compiled for this device, after `start`."""
        return self._programs

    def _allocate(self) -> None:
        self._prompts, self._generations, self._state = self._programs.allocate()
        self._is_ring = self._has_decoded = False
        self._tickets = [-1] * self.slots
        self._reach = [0] * self.slots

    # --- called by the scheduler ---

    def check(self, request: Request) -> None:
        """Raises RecordError if the request doesn't fit the engine's shapes."""
        options, length = self._options, len(request.prompt)
        longest = options.prompt_buckets[-1]
        check_not_empty(request.prompt)
        if length > longest:
            raise RecordError(
                "prompt_too_long",
                f"prompt has {length} tokens, the longest bucket is {longest}",
            )
        if not 0 < request.max_new_tokens <= options.max_new_tokens:
            raise RecordError(
                "max_new_tokens_out_of_range",
                f"max_new_tokens is {request.max_new_tokens}, the engine was configured for 1 to "
                f"{options.max_new_tokens}; raise the engine's max_new_tokens",
            )
        total, context = length + request.max_new_tokens, self._config.context_length
        if total > context:
            raise RecordError(
                "prompt_too_long",
                f"prompt has {length} tokens and up to {request.max_new_tokens} new, together {total}; the model's "
                f"context is {context}",
            )
        if len(request.stop_ids) > options.max_stop_ids:
            raise RecordError(
                "too_many_stop_ids",
                f"request has {len(request.stop_ids)} stop ids, the limit is {options.max_stop_ids}; "
                "raise the engine's max_stop_ids",
            )
        check_vocabulary("prompt", request.prompt, self._config.vocab_size)
        sampling = request.sampling
        if not (sampling.temperature >= 0 and sampling.top_k >= 0 and 0 < sampling.top_p <= 1):
            raise RecordError(
                "sampling_out_of_range",
                f"temperature {sampling.temperature}, top_k {sampling.top_k}, top_p {sampling.top_p}; "
                "they must be >= 0, >= 0 and in (0, 1]",
            )

    def choose(self, waiting: Sequence[Request]) -> list[int]:
        """In exact mode the oldest request alone; otherwise requests that fill a row well."""
        if not self._has_decoded and (self._is_exact or len(waiting) > self.slots // _FEW):
            self._compiled.begin(self._programs, self._first_burst())  # beside the first prefill
        if self._is_exact:
            return [0]
        groups = self._waiting.update({id(request): request.prompt for request in waiting})
        row = self._planner.next_row([group.length for group in groups])
        chosen = {key for member in row.members for key in groups[member].members}
        # A request that was submitted twice has one key: its first place is taken now, the other one stays.
        places = {id(request): place for place, request in reversed(list(enumerate(waiting))) if id(request) in chosen}
        return list(places.values())

    def prefill(self, requests: Sequence[Request]) -> list[StagedPrompt]:
        """Prefills prompts together in one row; in exact mode a single prompt, in a row of its bucket's length."""
        assert len(requests) == 1 or not self._is_exact
        prompts = [request.prompt[:-1] for request in requests]
        layout, places = lay_out(prompts, min_shared=0 if self._is_exact else self._options.min_shared_prefix)
        used = len(layout.tokens)
        length = self._row_length(used)
        row = on_device(self._program("prefill", length), self._weights, prompt_row(layout, length))
        self._has_prefilled = True
        self._prefilled_tokens += used
        self._prefilled_positions += length
        self._shared_tokens += sum(map(len, prompts)) - used
        return [StagedPrompt(row=row, place=place) for place in places]

    def _row_length(self, used: int) -> int:
        """The length of the row that holds so many tokens: the least one, or a longer one that is compiled already."""
        lengths = [length for length in self._options.row_lengths() if length >= used]
        if self._is_exact or not self._full_step_s:
            return lengths[0]
        # A step of all slots computes as many positions, and reads the weights besides.
        position_s = self._full_step_s / self.slots
        keys: list[ProgramKey] = [("prefill", length) for length in lengths]
        length: int = self._compiled.choose(keys, lambda key: (key[1] - lengths[0]) * position_s)[1]
        return length

    def _first_burst(self) -> ProgramKey:
        """The burst that any slots' prompts can start with."""
        longest = self._programs.windows(1)[-1]
        return ("burst", longest, self._options.may_draft() and self._options.prompt_lookup == "always", self.slots)

    def insert(self, slot: int, staged: StagedPrompt, request: Request, ticket: int) -> None:
        """Copies the prompt's keys and values into the slot and starts decoding it."""
        place = staged.place
        window = self._programs.insert_window(place.length)
        line = request_line(request, ticket, self._options)
        where = np.array([place.prefix_start, place.prefix_length, place.tail_start], np.int32)
        chunks = self._programs.chunks(self._prompts, window)
        program = self._program("insert", window)
        written, self._state = on_device(program, chunks, self._state, staged.row, line, np.int32(slot), where)
        self._prompts = (*written, *self._prompts[len(written) :])
        self._tickets[slot] = ticket
        self._reach[slot] = place.length

    def width_for(self, active: int, steps_left: int, *, drafts: bool) -> int:
        """The fewest slots for which a program is compiled; on a CPU, also if compiling it pays, or if it is the first
        one to be compiled: a job of few requests then never needs another.
        """
        is_cpu = self._programs.platform == "cpu"
        is_first = active <= self.slots // _FEW and not self._compiled.has_kind("burst")
        for width in self._programs.narrow_widths():
            if width < active:
                continue
            if ("move",) in self._compiled and self._narrow_key(drafts, width) in self._compiled:
                return width
            if is_cpu and (is_first or self._pays(width, steps_left)):
                return width
        return self.slots

    def _narrow_key(self, drafts: bool, width: int) -> ProgramKey:
        """The key of a burst of the first slots: a compiled one if possible, although it may read further."""
        needed = self._programs.window(max(self._reach))
        keys: list[ProgramKey] = [("burst", window, drafts, width) for window in self._programs.windows(needed)]
        return next((key for key in keys if key in self._compiled), keys[-1])

    def _full_key(self, drafts: bool) -> ProgramKey:
        """The key of a burst of all slots, which reads as far as the longest prompt in one, or further if the program
        for that isn't compiled and wouldn't pay yet. The first one serves prompts of any length.
        """
        keys: list[ProgramKey] = [
            ("burst", window, drafts, self.slots) for window in self._programs.windows(max(self._reach))
        ]
        if not any(map(self._compiled.exists, keys)):
            return keys[-1]
        burst_s = self._full_step_s * self._options.burst_steps
        return self._compiled.choose(keys, lambda key: (1 - keys[0][1] / key[1]) * burst_s)

    def _pays(self, width: int, steps_left: int) -> bool:
        """Whether compiling a narrow burst costs less time than it is expected to save."""
        missing = ["burst"] if ("move",) in self._compiled else ["burst", "insert"]  # a move resembles an insert
        compile_s = sum(self._compiled.last_s.get(kind, 0.0) for kind in missing)
        saved_s = _NARROW_SAVES * (1 - width / self.slots) * self._full_step_s * steps_left
        return saved_s > compile_s

    def release(self, slot: int) -> None:
        """Makes a slot idle."""
        self._state = on_device(self._program("release"), self._state, np.int32(slot))
        self._tickets[slot], self._reach[slot] = -1, 0

    def move(self, source: int, target: int) -> None:
        """Copies a slot's caches and state to another slot; the first one is idle from then on."""
        arrays = on_device(
            self._program("move"), self._prompts, self._generations, self._state, np.int32(source), np.int32(target)
        )
        self._prompts, self._generations, self._state = arrays
        self._tickets[target], self._tickets[source] = self._tickets[source], -1
        self._reach[target], self._reach[source] = self._reach[source], 0

    def dispatch(self, leave_after: int, *, drafts: bool, width: int, is_watched: bool) -> _Burst:
        """Starts a burst that reads the prompt cache as far as the longest prompt in a slot. Its report is copied to
        the host as soon as it is available.
        """
        compiles = self._compiled.count
        key = self._full_key(drafts) if width == self.slots else self._narrow_key(drafts, width)
        program, window = self._program(*key), key[1]
        self._order_columns(is_ring=self._programs.writes_ring(drafts=drafts))
        is_clean = compiles == self._compiled.count and not self._has_prefilled
        self._has_prefilled = False
        started = time.perf_counter()
        self._generations, self._state, report = on_device(
            program,
            self._weights,
            self._programs.chunks(self._prompts, window),
            self._generations,
            self._state,
            np.int32(leave_after),
            np.int32(max(1, self._options.burst_steps // _WATCHED_PART) if is_watched else self._options.burst_steps),
        )
        report.copy_to_host_async()
        return _Burst(report, drafts, width, started, is_clean)

    def read(self, burst: _Burst) -> BurstReport:
        """Waits for a burst's report."""
        array = on_device(np.asarray, burst.report)
        # A burst that was dispatched before the previous one was read starts when that one ends.
        began, self._last_read = max(burst.started, self._last_read), time.perf_counter()
        seconds = self._last_read - began if burst.is_clean else None
        report = read_report(array, drafted=burst.drafted, seconds=seconds)
        if seconds is not None and report.steps and burst.width == self.slots:
            self._full_step_s = seconds / report.steps
        ended = {line.ticket for line in report.ended}
        for slot, ticket in enumerate(self._tickets):
            if ticket in ended:
                self._reach[slot] = 0
        return report

    def shrink(self) -> bool:
        """In fast mode, halves the slots until they fit. In exact mode their number is guaranteed: returns False."""
        while not self._is_exact and self.slots > 1:
            self.slots //= 2
            for name in ("_prompts", "_generations", "_state"):  # or both old and new would be in memory
                self.__dict__.pop(name, None)
            self._compiled.keep_only("prefill")
            self._programs = replace(self._programs, slots=self.slots)
            try:
                on_device(self._allocate)
            except OutOfMemory:
                continue
            return True
        return False

    def stats(self) -> dict[str, float]:
        """Number of compiled programs and the most that there may be, the seconds of those for which requests waited,
        and those of one that is being compiled; tokens prefilled and positions computed for them; prompt tokens saved
        by shared prefixes; slots.
        """
        return {
            "compiles": float(self._compiled.count),
            "programs": float(len(self._programs.every_key())),
            "compile_s": self._compiled.seconds,
            "compiling_s": self._compiled.compiling_s,
            "prefill_tokens": float(self._prefilled_tokens),
            "prefill_positions": float(self._prefilled_positions),
            "prefill_tokens_shared": float(self._shared_tokens),
            "slots": float(self.slots),
        }

    # --- programs ---

    def _order_columns(self, *, is_ring: bool) -> None:
        """Moves the generation cache's columns into the order that the next burst writes, if they aren't in it
        already.
        """
        if self._has_decoded and is_ring != self._is_ring:
            self._generations = on_device(self._program("realign", is_ring), self._generations, self._state)
        self._is_ring, self._has_decoded = is_ring, True

    def _program(self, *key: Any) -> Callable[..., Any]:
        """The program of a key in `EnginePrograms`, compiled on first use."""
        return self._compiled.get(self._programs, key)


def prefix_group_window(options: ResolvedOptions) -> PrefixGroupWindow:
    """What tells the prefix groups among the prompts that wait for devices with these options."""
    return PrefixGroupWindow(
        min_shared=options.min_shared_prefix,
        target=options.prefill_row_tokens,
        row_lengths=options.row_lengths(),
        unread=1,
    )


def cast_weights(weights: GemmaWeights, dtype: Any) -> GemmaWeights:
    """Casts matrices to the compute dtype; norms and int8 scales, which are small, keep their dtype."""

    def cast(path: Any, leaf: jax.Array) -> jax.Array:
        name = path[-1].name
        if name.endswith("_norm") or name == "scale" or not jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.asarray(leaf)
        return jnp.asarray(leaf, dtype)

    return jax.tree_util.tree_map_with_path(cast, weights)
