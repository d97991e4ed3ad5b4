"""What a job's options are: fields of one frozen dataclass, from which flags, YAML keys and help derive.

    @dataclass(frozen=True, kw_only=True)
    class Options(GenerationOptions):
        \"""Fill in the middle of files.\"""
        spans: int = option(4, help="Spans chosen in each file.", minimum=1)

    options, beam_args = parse(Options, argv)

`fields` says what an option is, `command_line` how it is read, `shared` which ones several jobs have.
"""

from jobs.options.command_line import parse
from jobs.options.fields import (
    OptionSet,
    all_options,
    changed_options,
    from_all_options,
    option,
    semantic_options,
)
from jobs.options.shared import (
    AnswerOptions,
    ColumnOptions,
    CommonOptions,
    FrozenPolicyOptions,
    GenerationOptions,
    LicenseColumnOptions,
    ModelOptions,
    PolicyOptions,
    PromptOptions,
    RowWorkersOptions,
)

__all__ = [
    "AnswerOptions",
    "ColumnOptions",
    "CommonOptions",
    "FrozenPolicyOptions",
    "GenerationOptions",
    "LicenseColumnOptions",
    "ModelOptions",
    "OptionSet",
    "PolicyOptions",
    "PromptOptions",
    "RowWorkersOptions",
    "all_options",
    "changed_options",
    "from_all_options",
    "option",
    "parse",
    "semantic_options",
]
