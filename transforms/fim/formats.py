"""Lays out prefix, middle and suffix as token ids.

    psm     <fim_prefix> prefix <fim_suffix> suffix <fim_middle> middle
    spm     <fim_suffix> suffix <fim_prefix> prefix <fim_middle> middle
    spm_v2  <fim_prefix> <fim_suffix> suffix <fim_middle> prefix middle

A prompt is `<bos>`, then complete context files (`path⏎content<file_separator>` each), optionally the line `path⏎` of
the file itself, then the layout up to the start of the middle. There is nothing between a control token and text. All
of it is built from ids: text is encoded separately and never yields a control id, so every layout can be parsed again.

`psm` is CodeGemma's published format (arXiv 2406.11409 and its model card). Its SPM string is unpublished, so the two
SPM dialects are named options and recorded in each row. `spm_v2` is variant 2 of Bavarian et al. (arXiv 2207.14255,
appendix D) as the Megatron-LM forks of NVIDIA and BigCode train it. In it, prefix and middle are one run of text, so
parsing it requires the length of the prefix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal, Protocol, cast, get_args

from model.errors import ConfigError

FimMode = Literal["psm", "spm", "spm_v2"]
Part = Literal["prefix", "middle", "suffix"]
FIM_MODES: Final = cast("tuple[FimMode, ...]", get_args(FimMode))


class ControlIds(Protocol):
    """The control tokens of the layouts; a `model.tokenizer.Tokenizer` has them."""

    @property
    def bos(self) -> int: ...
    @property
    def eos(self) -> int: ...
    @property
    def fim_prefix(self) -> int: ...
    @property
    def fim_middle(self) -> int: ...
    @property
    def fim_suffix(self) -> int: ...
    @property
    def file_separator(self) -> int: ...


def fim_prompt(
    control: ControlIds,
    mode: FimMode,
    prefix: Sequence[int],
    suffix: Sequence[int],
    *,
    path_line: Sequence[int] = (),
    context: Iterable[Sequence[int]] = (),
) -> list[int]:
    """Lays out a prompt for the middle.

    Args:
        control: The control ids.
        mode: The layout.
        prefix: Ids of the text before the hole.
        suffix: Ids of the text after it.
        path_line: Ids of `path⏎`, or empty.
        context: For each preceding context file, the ids of its path line and content.
    """
    ids = [control.bos]
    for file in context:
        ids += [*file, control.file_separator]
    return [*ids, *path_line, *_before_middle(control, mode, prefix, suffix)]


def fim_document(
    control: ControlIds,
    mode: FimMode,
    prefix: Sequence[int],
    middle: Sequence[int],
    suffix: Sequence[int],
    *,
    path_line: Sequence[int] = (),
) -> list[int]:
    """Lays out one training document; the packer adds the tokens around it (`bos`, a separator)."""
    return [*path_line, *_before_middle(control, mode, prefix, suffix), *middle]


def fim_layout(control: ControlIds, mode: FimMode) -> tuple[int | Part, ...]:
    """The order of control ids and parts in a training document."""
    if mode == "psm":
        return control.fim_prefix, "prefix", control.fim_suffix, "suffix", control.fim_middle, "middle"
    if mode == "spm":
        return control.fim_suffix, "suffix", control.fim_prefix, "prefix", control.fim_middle, "middle"
    return control.fim_prefix, control.fim_suffix, "suffix", control.fim_middle, "prefix", "middle"


def path_line_text(path: str) -> str:
    """The first line that names the file, or "" if it has no path or one that doesn't fit into a line."""
    return f"{path}\n" if path and not any(char in path for char in "\r\n\0") else ""


def fim_stop_ids(control: ControlIds) -> frozenset[int]:
    """The ids that end a middle: those of the four FIM control tokens that there are, or the end of the sequence."""
    return frozenset(known_ids(control, "fim_prefix", "fim_middle", "fim_suffix", "file_separator", "eos"))


def has_fim_tokens(control: ControlIds) -> bool:
    """Whether the vocabulary has control tokens of the layouts: CodeGemma's does, other Gemmas' don't.

    One that has some of them is meant to have them all.
    """
    return any(True for _ in known_ids(control, "fim_prefix", "fim_middle", "fim_suffix"))


def document_end(control: ControlIds) -> int:
    """The id behind a document of training data: the file separator, or the end of the sequence where there is none."""
    return next(known_ids(control, "file_separator", "eos"))


def check_fim_rate(control: ControlIds, fim_rate: float, vocabulary: str) -> None:
    """Raises ConfigError if documents are to get FIM and the vocabulary has no control tokens for it."""
    if fim_rate > 0 and not has_fim_tokens(control):
        raise ConfigError(
            f"the vocabulary of {vocabulary} has no infilling tokens, as CodeGemma's has; --fim_rate 0 makes plain text"
        )


def known_ids(control: ControlIds, *names: str) -> Iterator[int]:
    """The ids of those of the named control tokens that the vocabulary has."""
    for name in names:
        try:
            yield getattr(control, name)
        except ConfigError:  # a vocabulary without CodeGemma's own control tokens
            continue


def strip_final_separator(control: ControlIds, ids: Sequence[int]) -> list[int]:
    """Removes file separators and ends of sequence from the end of the ids."""
    end, final = len(ids), set(known_ids(control, "file_separator", "eos"))
    while end and ids[end - 1] in final:
        end -= 1
    return list(ids[:end])


def _before_middle(control: ControlIds, mode: FimMode, prefix: Sequence[int], suffix: Sequence[int]) -> list[int]:
    parts = {"prefix": prefix, "suffix": suffix, "middle": ()}
    laid = ([part] if isinstance(part, int) else parts[part] for part in fim_layout(control, mode))
    return [id_ for part in laid for id_ in part]
