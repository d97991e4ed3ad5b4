"""The lineage of one generated row: everything that its text depends on, so that it can be reproduced or explained.

The engine's part (`engine`) is one JSON string: versions, device and shapes. It repeats in every row of a job, which
costs almost nothing in Parquet's dictionary encoding, and a row that leaves its dataset keeps its complete lineage.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from model.engine.requests import Completion
from transforms.generation.stages import sample_request
from transforms.rows.output import REDACTED_FIELD, SOURCE_FIELDS, source_lineage
from transforms.rows.row import Row
from transforms.tasks.base import TaskRequest

LINEAGE_TYPE = pa.struct(
    [
        *SOURCE_FIELDS,
        REDACTED_FIELD,
        pa.field("target", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("template_version", pa.string(), nullable=False),
        pa.field("prompt_format", pa.string(), nullable=False),
        pa.field("prompt_sha256", pa.string(), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("checkpoint_sha256", pa.string(), nullable=False),
        pa.field("determinism", pa.string(), nullable=False),
        pa.field("engine", pa.string(), nullable=False),
        pa.field("filter_version", pa.string(), nullable=False),
        pa.field("temperature", pa.float32(), nullable=False),
        pa.field("top_k", pa.int32(), nullable=False),
        pa.field("top_p", pa.float32(), nullable=False),
        pa.field("seed", pa.uint32(), nullable=False),
        pa.field("sample", pa.int32(), nullable=False),  # index among the target's samples, from 0
        pa.field("agreement", pa.float32()),  # mean edit similarity to the others that passed; null if there are none
        pa.field("prompt_tokens", pa.int32(), nullable=False),
        pa.field("completion_tokens", pa.int32(), nullable=False),
        pa.field("mean_logprob", pa.float32(), nullable=False),
        pa.field("finish_reason", pa.string(), nullable=False),
    ]
)

# Of a job that compiles or runs answers.
_VERIFIED_FIELDS = (
    pa.field("verification", pa.string()),  # JSON: in what, and by which tools, or what was missing
    pa.field("behavior_agreement", pa.float32()),  # share of equal results for the same inputs; null: can't tell
)

# Of a job whose prompts show other files of the repository: those of the row's prompt, in their order.
_CONTEXT_FIELD = pa.field(
    "context",
    pa.list_(
        pa.field(
            "item",
            pa.struct(
                [
                    pa.field("path", pa.large_string(), nullable=False),
                    pa.field("content_sha256", pa.string(), nullable=False),  # of the raw file
                    pa.field("role", pa.string(), nullable=False),  # copy, definitions, signatures
                    pa.field("tokens", pa.int32(), nullable=False),
                ]
            ),
            nullable=False,
        )
    ),
    nullable=False,
)


def lineage_type(*, is_verified: bool, has_context: bool = False) -> pa.StructType:
    """The lineage of a row; with how it was verified, where answers are compiled or run, and with its prompt's context,
    where prompts have one.
    """
    more = [*(_VERIFIED_FIELDS if is_verified else ()), *([_CONTEXT_FIELD] if has_context else ())]
    return pa.struct([*LINEAGE_TYPE, *more]) if more else LINEAGE_TYPE


@dataclass(frozen=True, kw_only=True)
class JobLineage:
    """The part of the lineage that is the same for all rows of a job."""

    task: str
    template_version: str
    model: str
    checkpoint_sha256: str
    determinism: str
    engine: Mapping[str, Any]
    filter_version: str = "none"

    def of(
        self, row: Row, request: TaskRequest, completion: Completion, *, sample: int = 0, agreement: float | None = None
    ) -> dict[str, Any]:
        """Returns the values of `LINEAGE_TYPE` for one answer."""
        sampling = sample_request(request.request, sample).sampling
        return {
            **source_lineage(row),
            "redacted_sha256": row.redacted_sha256,
            "target": request.target,
            "task": self.task,
            "template_version": self.template_version,
            "prompt_format": request.prompt_format,
            "prompt_sha256": prompt_sha256(request.request.prompt),
            "model": self.model,
            "checkpoint_sha256": self.checkpoint_sha256,
            "determinism": self.determinism,
            "engine": json.dumps(self.engine, sort_keys=True),
            "filter_version": self.filter_version,
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "seed": sampling.seed,
            "sample": sample,
            "agreement": agreement,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": len(completion.tokens),
            "mean_logprob": completion.mean_logprob,
            "finish_reason": completion.finish_reason,
            **({} if request.context is None else {"context": [file._asdict() for file in request.context.files]}),
        }


def prompt_sha256(prompt: Sequence[int]) -> str:
    """Returns the hash of a prompt: SHA-256 of its ids as little-endian 32-bit numbers, in hex.

    >>> prompt_sha256([1, 2]) == prompt_sha256((1, 2)) != prompt_sha256([2, 1])
    True
    """
    return hashlib.sha256(np.asarray(prompt, dtype="<i4").tobytes()).hexdigest()
