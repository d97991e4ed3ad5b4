"""The user settings of each task: defaults, help texts and limits are defined only here.

A task inherits its settings class, and so do its job's options, which turn the settings into flags. This module imports
nothing slow, so that `--help` responds quickly; the tasks themselves are separate modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from model.engine.settings import GenerationSettings
from model.settings import Settings, setting
from transforms.fim.settings import SpanSettings

# Tokens of an answer by task (annotate: by its answer's kind): a page of text, a long function, a short file. An answer
# that is cut off is rejected, one that ends early costs nothing.
INFILL_TOKENS: Final = 128
DOCSTRING_TOKENS: Final = 256
GENERATE_TOKENS: Final[Mapping[str, int]] = {"body": 512, "file": 1024, "prompt": 1024, "chat": 1024}
ANNOTATE_TOKENS: Final[Mapping[str, int]] = {"line": 48, "text": 768, "json": 768, "code": 1024}
# The share of a prompt that other files may take, by default and at most: as of a row of `codemill pack`.
CONTEXT_SHARE: Final = 0.25
MAX_CONTEXT_SHARE: Final = 0.75
# Tokens of a prompt: lines far from a hole help little; a definition or file that is asked about is shown whole.
HOLE_PROMPT_TOKENS: Final = 2048
WHOLE_PROMPT_TOKENS: Final = 4096


@dataclass(frozen=True, kw_only=True)
class InfillSettings(SpanSettings, GenerationSettings):
    """Settings of `transforms.tasks.infill`."""

    spans_per_file: int = setting(1, help="Maximum spans cut out of each file.", minimum=1, metavar="SPANS")
    max_middle_tokens: int = setting(
        128, help="Reject spans whose original text is longer than this.", minimum=1, metavar="TOKENS"
    )
    fim_format: Literal["mixed", "psm", "spm", "spm_v2", "prefix", "chat"] = setting(
        "mixed",
        help="Prompt format; mixed: half PSM, half SPM, chosen by each target's seed; or, for a model without "
        "infilling tokens, chat if it is instruction-tuned, else prefix, which shows no suffix.",
    )
    path_line: bool = setting(False, help="Start each prompt with a line that holds the file's path.")
    context: Literal["none", "repo"] = setting(
        "none",
        help="What stands in front of the file in its prompt; repo: files that it imports, as pack lays them out, all "
        "with their paths. The input is grouped by repository first.",
    )
    context_tokens: int | None = setting(
        None,
        help="With --context repo: tokens of a prompt that other files may take; default: a quarter of "
        "--max_prompt_tokens.",
        minimum=1,
        metavar="TOKENS",
    )
    score_original: bool = setting(
        False, help="Add the model's log-probability of each original middle: original_logprob, original_tokens."
    )
    stop_at_newline: bool = setting(True, help="Stop a single_line middle at the first newline.")
    require: tuple[str, ...] = setting(
        (
            "not_empty",
            "no_control_token",
            "not_cut_off",
            "no_suffix_echo",
            "no_prefix_echo",
            "no_talk",
            "not_comment",
            "not_trivial",
            "parses",
        ),
        help="Checks that a middle must pass, else it is rejected; exact_match is also available.",
        metavar="CHECK",
    )

    @property
    def has_context(self) -> bool:
        """Whether prompts show other files of the repository."""
        return self.context == "repo"

    @property
    def context_room(self) -> int:
        """Tokens of a prompt that other files may take."""
        return context_room(self.context, self.context_tokens, self.max_prompt_tokens)


def context_room(context: str, context_tokens: int | None, max_prompt_tokens: int) -> int:
    """Tokens of a prompt that other files may take.

    >>> context_room("repo", None, 4096), context_room("repo", 512, 4096), context_room("none", None, 4096)
    (1024, 512, 0)
    """
    if context == "none":
        return 0
    return int(max_prompt_tokens * CONTEXT_SHARE) if context_tokens is None else context_tokens


@dataclass(frozen=True, kw_only=True)
class AnswerSettings(GenerationSettings):
    """Settings shared by the tasks whose answers are more than a middle."""

    min_score: float = setting(
        -100.0, help="Minimum mean log-probability of an answer.", maximum=0.0, metavar="LOGPROB"
    )


@dataclass(frozen=True, kw_only=True)
class VerifySettings(Settings):
    """Settings of tasks whose answers can be compiled and run (`transforms.verification`)."""

    verify: Literal["parse", "compile", "run"] = setting(
        "parse",
        help="What is done with answers: parse: nothing is run; compile: they are compiled, or type-checked; run: they "
        "are run, with tests where there are any.",
    )
    mutants: int = setting(
        8,
        help="Changed versions of a target, at most, on at least one of which its generated tests must fail.",
        minimum=1,
        maximum=1000,
        metavar="MUTANTS",
    )
    program_timeout_s: float = setting(
        5.0, help="Seconds that a program may run; a compiler has limits of its own.", minimum=0.1, metavar="SECONDS"
    )
    sandbox: Literal["bubblewrap", "none"] = setting(
        "bubblewrap", help="What programs run in: bubblewrap, or none, which isolates nothing."
    )


@dataclass(frozen=True, kw_only=True)
class DocstringSettings(AnswerSettings):
    """Settings of `transforms.tasks.docstring`."""

    kinds: tuple[str, ...] = setting(
        ("module", "class", "function", "method"), help="Symbol kinds to document.", metavar="KIND"
    )
    targets: Literal["undocumented", "all"] = setting(
        "undocumented",
        help="all: documented symbols too; their existing text is removed first and kept for comparison.",
    )
    style: Literal["any", "google", "numpy", "rest"] = setting("any", help="Style of sections in Python docstrings.")
    max_symbols: int = setting(10_000, help="Maximum symbols per file.", minimum=1, metavar="SYMBOLS")


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(VerifySettings, AnswerSettings):
    """Settings of `transforms.tasks.generate`."""

    what: Literal["body", "file", "prompt", "chat"] = setting(
        "body",
        help="body: of documented functions; file: the rest after its header; prompt: instructions in column prompt; "
        "chat: conversations in column messages, continued by one turn.",
    )
    only_documented: bool = setting(True, help="Only generate bodies of documented functions.")
    max_functions: int = setting(10_000, help="Maximum function bodies per file.", minimum=1, metavar="FUNCTIONS")
    reject_copies: bool = setting(True, help="Reject code that equals the original up to whitespace.")
    tests: str | None = setting(
        None,
        help="With --verify run: Parquet file, folder or glob in which the tests of a file are looked up by repository "
        "and name, for rows without a column tests.",
        metavar="PATH",
        is_path=True,
    )
    language: str = setting(
        "",
        help="With --what prompt or chat: language of the requested code; default: the row's, else the answer's.",
    )


@dataclass(frozen=True, kw_only=True)
class AnnotateSettings(VerifySettings, AnswerSettings):
    """Settings of `transforms.tasks.annotate`."""

    max_targets: int = setting(10_000, help="Maximum targets per file.", minimum=1, metavar="TARGETS")
