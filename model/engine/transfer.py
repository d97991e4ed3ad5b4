"""Transfers between host and device: a request as one line of the slots' arrays, prompts as a row, a burst's report."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.engine.abstract_device import BurstReport, Ended
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
    first_id = len(REPORT_COLUMNS)
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
    steps, tokens, busy = (int(count) for count in last[:3])
    return BurstReport(steps=steps, tokens=tokens, busy=busy, ended=ended, drafted=drafted, seconds=seconds)


def request_line(request: Request, ticket: int, options: ResolvedOptions) -> Slots:
    """A request as one line of the slots' arrays, on the host."""

    def one(value: float, dtype: Any = np.int32) -> Any:
        return np.full(1, value, dtype)

    stop_ids: Any = np.full((1, options.max_stop_ids), -1, np.int32)
    tokens: Any = np.zeros((1, options.max_new_tokens), np.int32)
    column: Any = np.zeros((), np.int32)
    history: Any = np.zeros((1, options.history_length()), np.int32)
    if options.may_draft():
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
