"""What a user settles of each task: its default, help text and limits stand here alone.

A task inherits its settings, and so do its job's options, whose flags they are. Imports nothing that takes time, so
that `--help` answers at once; the tasks themselves are modules of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.engine.settings import GenerationSettings
from model.settings import setting
from transforms.fim.settings import SpanSettings


@dataclass(frozen=True, kw_only=True)
class InfillSettings(SpanSettings, GenerationSettings):
    """`transforms.tasks.infill`."""

    spans_per_file: int = setting(1, help="Spans cut out of each file, at most.", minimum=1, metavar="SPANS")
    max_middle_tokens: int = setting(
        128, help="A span whose original text is longer than this is rejected.", minimum=1, metavar="TOKENS"
    )
    fim_format: Literal["mixed", "psm", "spm", "spm_v2"] = setting(
        "mixed", help="Layout of the prompt; mixed: half psm, half spm, by each target's seed."
    )
    path_line: bool = setting(False, help="Begin each prompt with the file's path on a line of its own.")
    stop_at_newline: bool = setting(True, help="End a single_line middle at the first line break.")
    require: tuple[str, ...] = setting(
        ("not_empty", "no_control_token", "not_cut_off", "no_suffix_echo", "parses"),
        help="Checks that reject a middle that fails them; exact_match is another.",
        metavar="CHECK",
    )


@dataclass(frozen=True, kw_only=True)
class AnswerSettings(GenerationSettings):
    """What the tasks have in common whose answers are more than a middle."""

    min_score: float = setting(-100.0, help="Least mean log-probability of an answer.", maximum=0.0, metavar="LOGPROB")


@dataclass(frozen=True, kw_only=True)
class DocstringSettings(AnswerSettings):
    """`transforms.tasks.docstring`."""

    kinds: tuple[str, ...] = setting(
        ("module", "class", "function", "method"), help="Kinds of symbol to document.", metavar="KIND"
    )
    targets: Literal["undocumented", "all"] = setting(
        "undocumented", help="all: documented symbols too; their own text is taken out first and kept to compare."
    )
    style: Literal["any", "google", "numpy", "rest"] = setting("any", help="Style of Python's sections.")
    max_symbols: int = setting(10_000, help="Symbols of one file, at most.", minimum=1, metavar="SYMBOLS")


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(AnswerSettings):
    """`transforms.tasks.generate`."""

    what: Literal["body", "file", "prompt", "chat"] = setting(
        "body",
        help="body: of documented functions; file: after its heading; prompt: instructions in the column prompt; "
        "chat: conversations in the column messages, continued by a turn.",
    )
    only_documented: bool = setting(True, help="Bodies only of functions that have documentation.")
    max_functions: int = setting(10_000, help="Bodies of one file, at most.", minimum=1, metavar="FUNCTIONS")
    reject_copies: bool = setting(True, help="Reject code that equals the original up to blanks.")
    language: str = setting(
        "",
        help="With --what prompt or chat: the language of the code that is wanted; else the row's, or the answer's.",
    )


@dataclass(frozen=True, kw_only=True)
class AnnotateSettings(AnswerSettings):
    """`transforms.tasks.annotate`."""

    max_targets: int = setting(10_000, help="Targets of one file, at most.", minimum=1, metavar="TARGETS")
