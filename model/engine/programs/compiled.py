"""The list of the engine's programs: what each is compiled from, and which arguments it replaces.

    key                               what it does                                       replaces
    ("prefill", length)               keys and values of one row of prompts              nothing
    ("insert", window)                copies a prompt from its row into a slot           prompt chunks, slots
    ("burst", window, drafts, width)  decode steps of the first `width` slots, which     generation cache, slots
                                      read prompts up to the window
    ("move",)                         moves a request from one slot to another           all caches, slots
    ("release",)                      ends what a slot decodes                           slots
    ("realign", to_ring)              moves the generation cache's columns               nothing
    ("hidden", length)                hidden states of one row of sequences to score     nothing
    ("logprobs",)                     log-probabilities of some of a row's tokens        nothing

A window is the end of a prompt chunk: how far a slot's prompt cache is read or written. A width below the number of
slots is for the end of a job, when few requests are left: they are moved into the first slots, and the others are
neither computed nor read. The caches keep their size, so that a request may be inserted anywhere at any time. This is
the only such list: the device compiles the programs that it runs from it, and `model.estimates.aot` those that it
estimates for chips that aren't present.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from model.config import GemmaConfig
from model.engine.options import ResolvedOptions
from model.engine.placement import Placement, make_placed, placed_shapes, shardings_of
from model.engine.programs import decode, scoring
from model.engine.programs.attention import Path, row_attention, slot_attention
from model.engine.programs.caches import (
    Caches,
    PromptCaches,
    copy_slot,
    empty_caches,
    empty_prompt_caches,
    first_slots,
    insert_prompt,
    realign,
    with_first_slots,
)
from model.engine.programs.matmul import few_rows_matmul
from model.engine.programs.rows import PromptRow
from model.engine.programs.slots import Slots, empty_slots, insert_request, move_request, release_slot
from model.layers import BlockWeights, GemmaWeights, linear

ProgramKey = tuple[Any, ...]

# Tokens whose log-probabilities are computed at once: they fill a matrix unit, and their logits take 128 MB with
# Gemma's vocabulary.
SCORED_AT_ONCE = 128

# A burst may decode a half, a quarter, ... of the slots; this many widths.
_NARROW_WIDTHS = 4


class EngineArrays(NamedTuple):
    """The arrays that the programs pass to each other, or their shapes with shardings.

    Args:
        prompts: The prompt cache's chunks.
        generations: The generation cache.
        slots: The slots' state.
    """

    prompts: tuple[PromptCaches, ...]
    generations: Caches
    slots: Slots


@dataclass(frozen=True, slots=True)
class Program:
    """The inputs for compiling one program.

    Args:
        function: The function it computes.
        args: Its arguments, as shapes with shardings.
        out: Shardings of its outputs, which are the next program's inputs as they are.
        donated: Indices of the arguments that it replaces.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    out: Any
    donated: tuple[int, ...] = ()

    def lower(self) -> jax.stages.Lowered:
        """The lowered program, ready to compile."""
        return jax.jit(self.function, donate_argnums=self.donated, out_shardings=self.out).lower(*self.args)


@dataclass(frozen=True)
class EnginePrograms:
    """The programs for one model, in one set of shapes, on one kind of device.

    Args:
        weights: Shapes with shardings of the weights, in their final dtypes.
        config: The model's shapes.
        options: The engine's options.
        slots: Requests decoded concurrently; fewer than in the options if memory didn't suffice.
        platform: `cpu`, `gpu` or `tpu`.
        path: The attention path of prefill.
        placement: Placement of the arrays.
    """

    weights: GemmaWeights
    config: GemmaConfig
    options: ResolvedOptions
    slots: int
    platform: str
    path: Path
    placement: Placement

    def every_key(self) -> list[ProgramKey]:
        """Keys of all programs that any request may need."""
        found: dict[ProgramKey, None] = {}
        windows = [self.window(bucket) for bucket in self.options.prompt_buckets]
        drafting = [False] if self.options.prompt_lookup != "always" or self._is_exact else []
        drafting += [True] if self.options.may_draft() else []
        found |= dict.fromkeys(("insert", self.insert_window(bucket)) for bucket in self.options.prompt_buckets)
        for window in windows:
            found |= dict.fromkeys(("burst", window, drafts, self.slots) for drafts in drafting)
        for width in self.narrow_widths():  # they are used for a moment only: one program for every prompt's length
            found |= dict.fromkeys(("burst", windows[-1], drafts, width) for drafts in drafting)
            found["move",] = None
        if len(drafting) > 1:  # bursts of both kinds alternate
            found |= dict.fromkeys([("realign", True), ("realign", False)])
        found["release",] = None
        return [*found, *(("prefill", length) for length in self.options.row_lengths())]

    def scoring_keys(self) -> list[ProgramKey]:
        """Keys of all programs that scoring may need."""
        return [*(("hidden", length) for length in self.options.score_lengths()), ("logprobs",)]

    def program(self, key: ProgramKey) -> Program:
        """The program of a key."""
        of_kind: dict[str, Callable[..., Program]] = {
            "prefill": self._prefill,
            "insert": self._insert,
            "burst": self._burst,
            "move": self._move,
            "release": self._release,
            "realign": self._realign,
            "hidden": self._hidden,
            "logprobs": self._logprobs,
        }
        kind, *shape = key
        return of_kind[kind](*shape)

    def allocate(self) -> EngineArrays:
        """The arrays, empty, created on their devices."""
        return self._arrays(make_placed)

    def shapes(self) -> EngineArrays:
        """The shapes and shardings of the arrays that `allocate` creates."""
        return self._arrays(placed_shapes)

    def window(self, length: int) -> int:
        """How far a slot's prompt cache must be read for a prompt: to the end of a chunk."""
        return next(end for end in self._chunk_ends if end >= length)

    def insert_window(self, length: int) -> int:
        """How far an insert writes a slot's prompt cache. On a CPU to its end, since compiling another program takes
        longer than all that it would save: copying is fast beside computing there.
        """
        return self._chunk_ends[-1] if self.platform == "cpu" else self.window(length)

    def windows(self, least: int) -> list[int]:
        """All windows from `least` on, ascending."""
        return [end for end in self._chunk_ends if end >= least]

    def chunks(self, prompts: tuple[PromptCaches, ...], window: int) -> tuple[PromptCaches, ...]:
        """The prompt cache's chunks up to a window."""
        return prompts[: self._chunk_ends.index(window) + 1]

    def narrow_widths(self) -> list[int]:
        """The numbers of first slots, ascending, that a burst may decode alone; none in exact mode, whose shapes are
        frozen.
        """
        if self._is_exact:
            return []
        return [width for halvings in range(_NARROW_WIDTHS, 0, -1) if (width := self.slots >> halvings)]

    def writes_ring(self, *, drafts: bool) -> bool:
        """Whether a burst writes the generation cache as a ring (`model.engine.programs.caches`)."""
        return not self._is_exact and not drafts

    @property
    def _is_exact(self) -> bool:
        return self.options.determinism == "exact"

    @property
    def _chunk_ends(self) -> tuple[int, ...]:
        # Exact mode always reads the entire cache: one chunk, one shape.
        return self.options.prompt_buckets[-1:] if self._is_exact else self.options.prompt_buckets

    @property
    def _dtype(self) -> Any:
        return jnp.dtype(self.options.dtype)

    # --- arrays ---

    def _arrays(self, made: Callable[[Callable[[], Any], Callable[[Any], Any]], Any]) -> EngineArrays:
        chunks = itertools.pairwise((0, *self._chunk_ends))
        generations = partial(self._caches, self.slots, self.options.generation_length())
        return EngineArrays(
            prompts=tuple(made(partial(self._prompt_chunk, *chunk), self.placement.of_caches) for chunk in chunks),
            generations=made(generations, self.placement.of_caches),
            slots=made(partial(self._slots, self.slots), self.placement.of_state),
        )

    def _caches(self, slots: int, length: int) -> Caches:
        return empty_caches(self.config, slots, length, self._dtype, stacked=self._is_stacked)

    def _prompt_chunk(self, begin: int, end: int) -> PromptCaches:
        stored = {"stacked": self._is_stacked, "int8": self.options.prompt_cache == "int8"}
        return empty_prompt_caches(self.config, self.slots, end - begin, self._dtype, begin=begin, **stored)

    def _slots(self, slots: int) -> Slots:
        options = self.options
        return empty_slots(slots, options.max_new_tokens, options.max_stop_ids, options.history_length())

    @property
    def _is_stacked(self) -> bool:
        return isinstance(self.weights.blocks, BlockWeights)

    def _staged(self) -> Caches:
        return placed_shapes(partial(self._caches, 1, self.options.staged_length()), self.placement.of_caches)

    def _numbers(self, *shape: int) -> Any:
        return placed_shapes(lambda: jnp.zeros(shape, jnp.int32), self.placement.of_state)

    # --- programs ---

    def _prefill(self, length: int) -> Program:
        def prefill(weights: GemmaWeights, row: PromptRow) -> Caches:
            return decode.prefill(
                weights,
                row,
                self.config,
                self._dtype,
                attend_row=row_attention(self.path, self.placement.mesh),
                staged_length=self.options.staged_length(),
            )

        return Program(prefill, (self.weights, self._row(length)), out=shardings_of(self._staged()))

    def _row(self, length: int) -> PromptRow:
        ids = self._numbers(length)
        return PromptRow(tokens=ids, positions=ids, segment=ids, parent=ids, begin=ids, used=self._numbers())

    def _insert(self, window: int) -> Program:
        def insert(
            prompts: tuple[PromptCaches, ...],
            slots: Slots,
            row: Caches,
            line: Slots,
            slot: Int[Array, ""],
            place: Int[Array, " 3"],
        ) -> tuple[tuple[PromptCaches, ...], Slots]:
            length = line.prompt_length[0]
            written = insert_prompt(prompts, row, slot, place, length, self.config.windows)
            return written, insert_request(slots, line, slot)

        prompts, _, slots = self.shapes()
        line = placed_shapes(partial(self._slots, 1), self.placement.of_state)
        replaced = (self.chunks(prompts, window), slots)
        args = (*replaced, self._staged(), line, self._numbers(), self._numbers(3))
        return Program(insert, args, out=shardings_of(replaced), donated=(0, 1))

    def _burst(self, window: int, drafts: bool, width: int) -> Program:
        def burst(
            weights: GemmaWeights,
            prompts: tuple[PromptCaches, ...],
            generations: Caches,
            slots: Slots,
            leave_after: Int[Array, ""],
            max_steps: Int[Array, ""],
        ) -> tuple[Caches, Slots, Int[Array, "slots_and_one report"]]:
            narrow_generations, narrow_slots, report = decode.burst(
                weights,
                tuple(first_slots(chunk, width) for chunk in prompts),
                first_slots(generations, width),
                slots.first(width),
                leave_after,
                max_steps,
                self.config,
                self._dtype,
                attend_slots=slot_attention(self.platform),
                multiply=linear if self._is_exact else few_rows_matmul(self.platform),
                is_ring=self.writes_ring(drafts=drafts),
                num_drafts=self.options.draft_tokens if drafts else 0,
            )
            return with_first_slots(generations, narrow_generations), slots.with_first(narrow_slots), report

        prompts, generations, slots = self.shapes()
        args = (self.weights, self.chunks(prompts, window), generations, slots, self._numbers(), self._numbers())
        return Program(burst, args, out=(*shardings_of((generations, slots)), self.placement.whole), donated=(2, 3))

    def _move(self) -> Program:
        def move(
            prompts: tuple[PromptCaches, ...],
            generations: Caches,
            slots: Slots,
            source: Int[Array, ""],
            target: Int[Array, ""],
        ) -> EngineArrays:
            return EngineArrays(
                prompts=tuple(copy_slot(chunk, source, target) for chunk in prompts),
                generations=copy_slot(generations, source, target),
                slots=move_request(slots, source, target),
            )

        arrays = self.shapes()
        args = (*arrays, self._numbers(), self._numbers())
        return Program(move, args, out=shardings_of(arrays), donated=(0, 1, 2))

    def _release(self) -> Program:
        _, _, slots = self.shapes()
        return Program(release_slot, (slots, self._numbers()), out=shardings_of(slots), donated=(0,))

    def _realign(self, to_ring: bool) -> Program:
        def move(generations: Caches, slots: Slots) -> Caches:
            return realign(generations, slots.column, slots.generated, to_ring=to_ring)

        _, generations, slots = self.shapes()
        return Program(move, (generations, slots), out=shardings_of(generations))

    def _hidden(self, length: int) -> Program:
        def hidden(weights: GemmaWeights, row: PromptRow) -> Array:
            return scoring.hidden_row(
                weights,
                row,
                self.config,
                self._dtype,
                attend_row=row_attention(self.path, self.placement.mesh),
                padded_length=self.options.score_lengths()[-1],
            )

        return Program(hidden, (self.weights, self._row(length)), out=self.placement.whole)

    def _logprobs(self) -> Program:
        def hidden_states() -> Array:
            return jnp.zeros((self.options.score_lengths()[-1], self.config.d_model), self._dtype)

        hidden, some = placed_shapes(hidden_states, self.placement.of_state), self._numbers(SCORED_AT_ONCE)
        logprobs = partial(scoring.token_logprobs, final_cap=self.config.final_cap)
        return Program(logprobs, (self.weights, hidden, some, some), out=self.placement.whole)
