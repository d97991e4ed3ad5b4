"""A job's options: fields of one frozen dataclass, from which flags, YAML keys and help are derived.

    @dataclass(frozen=True, kw_only=True)
    class Options(GenerationOptions):
        \"""Fill in the middle of files.\"""
        spans: int = option(4, help="Spans chosen in each file.", minimum=1)

    options, beam_args = parse(Options, argv)

`fields` defines an option, `command_line` parses options, `shared` contains those that several jobs have.
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
from jobs.options.report import ReportOptions, RerunOptions, RunOptions
from jobs.options.shared import (
    AnswerOptions,
    ColumnOptions,
    CommonOptions,
    FrozenPolicyOptions,
    GenerationOptions,
    GrowOptions,
    HostOptions,
    InstructOptions,
    LicenseColumnOptions,
    ModelJobOptions,
    ModelOptions,
    OptOutOptions,
    PlannedLengths,
    PolicyOptions,
    PromptOptions,
    RejectedAnswerOptions,
)

__all__ = [
    "AnswerOptions",
    "ColumnOptions",
    "CommonOptions",
    "FrozenPolicyOptions",
    "GenerationOptions",
    "GrowOptions",
    "HostOptions",
    "InstructOptions",
    "LicenseColumnOptions",
    "ModelJobOptions",
    "ModelOptions",
    "OptOutOptions",
    "OptionSet",
    "PlannedLengths",
    "PolicyOptions",
    "PromptOptions",
    "RejectedAnswerOptions",
    "ReportOptions",
    "RerunOptions",
    "RunOptions",
    "all_options",
    "changed_options",
    "from_all_options",
    "option",
    "parse",
    "semantic_options",
]
