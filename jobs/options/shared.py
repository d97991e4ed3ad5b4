"""Options shared by several jobs: those that read and write Parquet, run a model, or do both.

Imports neither Beam nor JAX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.beam.accelerators import ACCELERATORS
from jobs.options.fields import OptionSet, option
from jobs.options.report import ReportOptions, RerunOptions
from model.engine.settings import EngineSpec, GenerationSettings
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ColumnOptions(OptionSet):
    """The assignment of a corpus's columns to roles."""

    content_column: str | None = option(None, help="Column with the file's text; auto-detected in common layouts.")
    path_column: str | None = option(None, help="Column with the file's path; auto-detected in common layouts.")
    repo_column: str | None = option(None, help="Column with the repository name; auto-detected.")


@dataclass(frozen=True, kw_only=True)
class LicenseColumnOptions(OptionSet):
    """The license column of a corpus, for jobs that need it."""

    license_column: str | None = option(None, help="Column with the licenses; auto-detected in common layouts.")


@dataclass(frozen=True, kw_only=True)
class HostOptions(OptionSet):
    """How much one host works on at once."""

    workers: int | None = option(
        None,
        help="Processes that work on rows, on this machine or on each host of a Beam runner; default: as many as its "
        "cores, or the part of them that a control group grants, and memory allow; beside a model a quarter of the "
        "cores, at most 8.",
        operational=True,
        minimum=1,
        metavar="PROCESSES",
    )
    max_units_in_flight: int | None = option(
        None,
        help="Maximum units in flight per worker process; default: 4 in a process that keeps a model or other "
        "processes busy, else 1.",
        operational=True,
        minimum=1,
        metavar="UNITS",
    )
    max_mb_in_flight: float | None = option(
        None,
        help="Maximum megabytes of text in flight per worker process; default: 128 for each unit in flight.",
        operational=True,
        minimum=1,
        metavar="MB",
    )


@dataclass(frozen=True, kw_only=True)
class CommonOptions(ReportOptions, RerunOptions, ColumnOptions, HostOptions):
    """Options of every job that reads and writes Parquet."""

    resumes = True
    takes_beam = True

    input: tuple[str, ...] = option(
        (),
        help="Parquet files, folders or globs (** is supported), local or gs://; one or more. Required unless "
        "--retry_rejected is given.",
        metavar="GLOB",
        is_path=True,
    )
    output: str = option(help="Output folder, local or gs://.", operational=True, metavar="DIR", is_path=True)
    language_column: str | None = option(None, help="Column with the language; auto-detected.")
    seed: int = option(
        0, help="Random seed; each row's random choices derive from it and the row's content.", minimum=0
    )
    limit: int | None = option(None, help="Process only the first ROWS source rows.", minimum=1, metavar="ROWS")
    max_content_mb: float = option(
        10.0, help="Reject rows whose text is larger than this many megabytes.", minimum=0.001, metavar="MB"
    )
    retry_rejected: str | None = option(
        None,
        help="Process the rows that this earlier output rejected, read again from their source files.",
        metavar="DIR",
        is_path=True,
    )
    min_yield: float | None = option(
        None,
        help="End with exit code 5 if a smaller share of the rows is kept than this.",
        operational=True,
        minimum=0,
        maximum=1,
        metavar="SHARE",
    )
    retry_failed: bool = option(
        False,
        help="Retry this output's failed units and those with rows that could not be read, once the cause (such as a "
        "missing input file) is fixed.",
        operational=True,
    )
    dry_run: bool = option(False, help="Print the plan, its counts and a time estimate, then exit.", operational=True)
    shard_mb: int = option(
        256, help="Maximum size of an output file, in megabytes.", operational=True, minimum=1, metavar="MB"
    )
    unit_rows: int | None = option(
        None,
        help="Maximum rows per unit of work; default: 256, or fewer for a model's job whose rows would be only a few "
        "such units; fixed when the plan is made.",
        operational=True,
        minimum=1,
        metavar="ROWS",
    )
    unit_mb: float = option(
        16.0,
        help="Maximum megabytes of text per unit of work; fixed when the plan is made.",
        operational=True,
        minimum=0.01,
        metavar="MB",
    )
    row_timeout_s: float = option(
        1800.0,
        help="Reject a row if the worker makes no progress for this long while running it.",
        operational=True,
        minimum=1,
        metavar="SECONDS",
    )
    run_units: Literal["here", "shared", "elsewhere"] = option(
        "here",
        help="Where units run: here: on this machine alone; shared: here and on every host that joins with `codemill "
        "work OUTPUT`; elsewhere: only on those hosts, while this one plans, waits and finalizes.",
        operational=True,
    )
    claim_timeout_s: float = option(
        60.0,
        help="With --run_units shared or elsewhere: after how long without a heartbeat of a host others take over its "
        "units.",
        operational=True,
        minimum=1,
        metavar="SECONDS",
    )
    break_lock: bool = option(
        False, help="Break the lock of another driver that is known to be dead.", operational=True
    )
    share_job_folder: bool = option(
        False,
        help="Let other users open the output's _job folder, for workers that run as another user.",
        operational=True,
    )

    fused_steps: tuple[str, ...] = option(
        (),
        help="Internal: the steps of a pipeline that run inside this job, before its own work.",
        metavar="STEP",
        internal="the steps that run inside this one (`fused`), or an option of one of them",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.input and self.retry_rejected is None:
            raise ConfigError("missing --input: the Parquet files, folders or globs to read")
        if self.input and self.retry_rejected is not None:
            raise ConfigError("--retry_rejected reads the source files of the earlier job; remove --input")


@dataclass(frozen=True, kw_only=True)
class GrowOptions(OptionSet):
    """A dataset that takes in what is new in its input."""

    grow: bool = option(
        False,
        help="Take in what is new or changed in the input, as a further edition of the dataset; rows that are made "
        "already stay as they are. Without an earlier edition, make the first.",
        operational=True,
    )
    drop_gone: bool = option(
        False,
        help="With --grow: leave out the rows that are no longer in the input; they stay otherwise.",
        operational=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.drop_gone and not self.grow:
            raise ConfigError("--drop_gone belongs to --grow; add it, or remove --drop_gone")
        for name in ("limit", "retry_rejected"):
            if self.grow and getattr(self, name, None) is not None:
                raise ConfigError(f"--grow takes in all of the input; remove --{name}")


@dataclass(frozen=True, kw_only=True)
class OptOutOptions(OptionSet):
    """Repositories that are left out because their owners want it; of every job that reads a corpus."""

    opt_out: tuple[str, ...] = option(
        (),
        help="Lists of repositories to leave out: owner/name, addresses, or owners alone, one a line; local or gs://.",
        metavar="FILE",
        operational=True,  # the entries count, which are frozen
        is_path=True,
    )
    strict_opt_out: bool = option(
        False,
        help="End with exit code 2 if an entry of an opt-out list matched no row.",
        operational=True,
    )
    opt_out_sha256: str = option(
        "",
        help="Internal: hash of the lists' entries, so that a resumed job refuses other lists.",
        metavar="HASH",
        internal="the entries of --opt_out",
    )


@dataclass(frozen=True, kw_only=True)
class PolicyOptions(OptionSet):
    """Options of jobs that filter their input or output."""

    policy: str = option(
        "default",
        help="What to do with secrets, personal or unsafe content: strict, default, annotate, none, or a policy file.",
        is_path=True,
    )


@dataclass(frozen=True, kw_only=True)
class FrozenPolicyOptions(PolicyOptions):
    """The same options, for jobs that refuse to resume with a changed policy file."""

    policy_version: str = option(
        "",
        help="Internal: hash of the policy and rules, so that a resumed job refuses changed ones.",
        metavar="HASH",
        internal="the rules of --policy or --known_text",
    )


@dataclass(frozen=True, kw_only=True)
class ModelOptions(EngineSpec, GenerationSettings, OptionSet):
    """Options of every job that runs a model; `model.engine.settings` declares them."""


@dataclass(frozen=True, kw_only=True)
class ModelJobOptions(ModelOptions, CommonOptions):
    """Options of every job that runs a model over rows, whatever its prompts are made of."""

    tokenizer: str | None = option(
        None,
        help="Vocabulary: a SentencePiece file, or a folder that holds one; default: the model's own.",
        metavar="PATH",
        is_path=True,
    )
    tokenizer_sha256: str = option(
        "",
        help="Internal: hash of the vocabulary that --tokenizer names, so that a resumed job refuses a changed one.",
        metavar="HASH",
        internal="the vocabulary of --tokenizer",
    )
    samples: int = option(
        1, help="Completions sampled per target; more than one needs --temperature above 0.", minimum=1
    )

    @property
    def vocabulary(self) -> str:
        """Location of the vocabulary: that of the option, else the model's own."""
        return self.tokenizer or self.model

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples > 1 and self.temperature == 0:
            raise ConfigError(f"--samples {self.samples} needs sampling, but --temperature 0 is greedy; raise it")


@dataclass(frozen=True, kw_only=True)
class GenerationOptions(GrowOptions, ModelJobOptions, FrozenPolicyOptions, OptOutOptions):
    """Options of every generation job: a model run over a corpus."""

    known_text: str | None = option(
        None,
        help="Known-text index (docs/filters.md): answers that copy known files are flagged, or rejected by the "
        "policy's verbatim_copy.",
        metavar="FOLDER",
        is_path=True,
    )
    accelerator: str | None = option(
        None,
        help="Run on Dataflow machines with these TPUs; the flags that name project, region, bucket and image follow "
        "--, see docs/clusters.md.",
        choices=tuple(ACCELERATORS),
        operational=True,
    )
    keep: int = option(1, help="Maximum distinct completions kept per target.", minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.keep > self.samples:
            raise ConfigError(f"--keep {self.keep} is more than --samples {self.samples}")


@dataclass(frozen=True, kw_only=True)
class PlannedLengths(OptionSet):
    """Lengths that a generation job chooses by model and task, when it is planned, unless they are given.

    The first base class of a job's options, so that these defaults replace those of `model.engine.settings`. They are
    numbers everywhere but between the command line and `jobs.execution.lengths`.
    """

    max_prompt_tokens: int = option(
        None,
        help="Maximum prompt length; context is truncated to fit, and targets that still don't fit are rejected; "
        "default: by model and task.",
        minimum=16,
        metavar="TOKENS",
    )
    max_new_tokens: int = option(
        None, help="Tokens generated for a target, at most; default: by model and task.", minimum=1, metavar="TOKENS"
    )


@dataclass(frozen=True, kw_only=True)
class RejectedAnswerOptions(OptionSet):
    """What stays of rejected answers; an option of every generation job."""

    rejected_answers: bool = option(
        False, help="Keep the text of rejected answers with their reasons, except answers with filter findings."
    )


@dataclass(frozen=True, kw_only=True)
class AnswerOptions(RejectedAnswerOptions):
    """Options of jobs whose answers are more than a middle."""

    distinct: bool = option(
        True,
        help="Deduplicate: within a source file, keep one of near-duplicate answers about near-duplicate code; "
        "codemill dedup compares files.",
    )


@dataclass(frozen=True, kw_only=True)
class InstructOptions(OptionSet):
    """Options of jobs whose prompts depend on whether the model is instruction-tuned."""

    instruct: bool | None = option(
        None, help="Whether the model is instruction-tuned; default: told by its chat template, config or name."
    )


@dataclass(frozen=True, kw_only=True)
class PromptOptions(InstructOptions):
    """Options of jobs that support both base and instruction-tuned models."""

    prompt: Literal["auto", "fim", "chat"] = option(
        "auto", help="fim: fill in the middle; chat: an instruction; auto: chat for instruction-tuned models."
    )
