"""Reads back what `transforms.fim.formats.fim_document` lays out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transforms.fim.formats import ControlIds, FimMode


@dataclass(frozen=True, slots=True)
class FimParts:
    """A document read back: token ids of each part. `path_line` holds the line's end, or nothing."""

    mode: FimMode
    path_line: list[int]
    prefix: list[int]
    middle: list[int]
    suffix: list[int]


def read_fim_document(control: ControlIds, ids: Sequence[int], *, prefix_tokens: int | None = None) -> FimParts:
    """Reads back what `fim_document` laid out.

    Args:
        control: The control ids.
        ids: The document, without `bos` and what follows its middle.
        prefix_tokens: Length of the prefix; needed for `spm_v2` alone.

    Raises:
        ValueError: The control tokens are not those of one of the layouts, or `prefix_tokens` is missing.
    """
    marks = {control.fim_prefix: "p", control.fim_suffix: "s", control.fim_middle: "m"}
    places = [index for index, id_ in enumerate(ids) if id_ in marks]
    order = "".join(marks[ids[place]] for place in places)
    if order not in ("psm", "spm"):
        raise ValueError(f"control tokens stand in the order {order or '(none)'}; layouts are psm, spm and spm_v2")
    texts = [list(ids[a + 1 : b]) for a, b in zip(places, [*places[1:], len(ids)], strict=True)]
    path_line, last = list(ids[: places[0]]), texts[2]
    if order == "spm":
        return FimParts("spm", path_line, texts[1], last, texts[0])
    if prefix_tokens is None or places[1] > places[0] + 1:
        # An empty prefix reads the same in psm and spm_v2; so does the document.
        return FimParts("psm", path_line, texts[0], last, texts[1])
    return FimParts("spm_v2", path_line, last[:prefix_tokens], last[prefix_tokens:], texts[1])
