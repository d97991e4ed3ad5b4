"""Transfers between host and device: a request as one line of the slots' arrays, prompts as a row, a burst's report."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from model.engine.abstract_device import BurstReport, Generated
from model.engine.options import ResolvedOptions
from model.engine.prefill_rows import Layout
from model.engine.programs.decode import REPORT_COLUMNS
from model.engine.programs.rows import PromptRow
from model.engine.programs.sampling import SlotSampling
from model.engine.programs.slots import Slots
from model.engine.requests import Request


def read_report(report: np.ndarray, *, drafted: bool = False, seconds: float | None = None) -> BurstReport:
    """Parses the report of `decode.burst` (see there for its layout); the caller passes the remaining fields."""
    lines, last = report[:-1], report[-1]
    ids_at = len(REPORT_COLUMNS)
    ended: list[Generated] = []
    running: list[Generated] = []
    for line in lines[lines[:, 2] > 0]:
        ticket, is_active, count, stopped_by = line[:ids_at].tolist()
        ids, logprob_bits = line[ids_at:].reshape(2, -1)
        (running if is_active else ended).append(
            Generated(
                ticket=ticket,
                tokens=ids[:count],
                logprobs=logprob_bits[:count].view(np.float32),
                stop_id=None if stopped_by < 0 else stopped_by,
            )
        )
    steps, tokens, busy = (int(count) for count in last[:3])
    return BurstReport(
        steps=steps, tokens=tokens, busy=busy, ended=ended, running=running, drafted=drafted, seconds=seconds
    )


def request_line(request: Request, ticket: int, options: ResolvedOptions) -> Slots:
    """A request as one line of the slots' arrays, on the host."""

    def one(value: float, dtype: Any = np.int32) -> Any:
        return np.array((value,), dtype)

    new = _new_line(options.max_stop_ids, options.max_new_tokens, options.history_length())
    history: Any = new.history
    if options.may_draft():
        history = np.zeros_like(history)
        history[0, : len(request.prompt)] = request.prompt
    sampling = request.sampling
    return replace(
        new,
        ticket=one(ticket),
        token=one(request.prompt[-1]),
        prompt_length=one(len(request.prompt) - 1),
        limit=one(request.max_new_tokens),
        stop_ids=_stop_line(request.stop_ids, options.max_stop_ids),
        history=history,
        sampling=SlotSampling(
            seed=one(sampling.seed & 0xFFFFFFFF, np.uint32),
            temperature=one(sampling.temperature, np.float32),
            top_k=one(sampling.top_k),
            top_p=one(sampling.top_p, np.float32),
        ),
    )


@lru_cache(maxsize=8)
def _new_line(max_stop_ids: int, max_new_tokens: int, history_length: int) -> Slots:
    """What all requests' lines have in common; its arrays are never written, as a program may still read them."""

    def full(value: float, *shape: int, dtype: Any = np.int32) -> Any:
        return np.full(shape, value, dtype)

    return Slots(
        ticket=full(0, 1),
        is_active=full(True, 1, dtype=np.bool_),
        token=full(0, 1),
        prompt_length=full(0, 1),
        generated=full(0, 1),
        limit=full(0, 1),
        stop_ids=full(-1, 1, max_stop_ids),
        stopped_by=full(-1, 1),
        tokens=full(0, 1, max_new_tokens),
        logprobs=full(0.0, 1, max_new_tokens, dtype=np.float32),
        history=full(0, 1, history_length),
        sampling=SlotSampling(
            seed=full(0, 1, dtype=np.uint32),
            temperature=full(0.0, 1, dtype=np.float32),
            top_k=full(0, 1),
            top_p=full(1.0, 1, dtype=np.float32),
        ),
        column=full(0),
    )


@lru_cache(maxsize=256)
def _stop_line(stop_ids: frozenset[int], max_stop_ids: int) -> Any:
    """Stop ids as a line; most requests of a job have the same. Never written, as `_new_line`."""
    line = np.full((1, max_stop_ids), -1, np.int32)
    line[0, : len(stop_ids)] = sorted(stop_ids)
    return line


def prompt_row(layout: Layout, length: int) -> PromptRow:
    """A layout as arrays of a row's length; padding is a separate segment that no token attends to."""
    used = len(layout.tokens)

    def padded(values: np.ndarray, padding: int) -> Any:
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
