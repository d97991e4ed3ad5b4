"""The options that several jobs have: what reads and writes Parquet, what runs a model, what does both.

Imports neither Beam nor JAX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.options.fields import OptionSet, option
from model.engine.settings import EngineSpec, GenerationSettings
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ColumnOptions(OptionSet):
    """Which column of a corpus is what."""

    content_column: str | None = option(None, help="Column of the file's text; found by itself in the usual layouts.")
    path_column: str | None = option(None, help="Column of the file's path; found by itself in the usual layouts.")
    repo_column: str | None = option(None, help="Column of the repository's name; found by itself.")


@dataclass(frozen=True, kw_only=True)
class LicenseColumnOptions(OptionSet):
    """Which column of a corpus tells the license, for jobs that need it."""

    license_column: str | None = option(None, help="Column of the licences; found by itself in the usual layouts.")


@dataclass(frozen=True, kw_only=True)
class CommonOptions(ColumnOptions):
    """What every job that reads and writes Parquet takes."""

    input: tuple[str, ...] = option(
        (),
        help="Parquet files, folders and globs (** included), local or gs://; several at once. Required but with "
        "--retry_rejected.",
        metavar="GLOB",
        is_path=True,
    )
    output: str = option(help="Folder of the dataset, local or gs://.", operational=True, metavar="DIR", is_path=True)
    language_column: str | None = option(None, help="Column of the language; found by itself.")
    seed: int = option(0, help="All random choices derive from this number and each row's content.", minimum=0)
    limit: int | None = option(None, help="Take only the first so many source rows.", minimum=1, metavar="ROWS")
    max_content_mb: float = option(
        10.0, help="Reject a row whose text is longer than this many megabytes.", minimum=0.001, metavar="MB"
    )
    retry_rejected: str | None = option(
        None,
        help="Take the rows that this earlier output rejected, read anew from their sources.",
        metavar="DIR",
        is_path=True,
    )
    retry_failed: bool = option(
        False,
        help="Try the units of this output that failed once more, when what they lacked is there again.",
        operational=True,
    )
    dry_run: bool = option(False, help="Print the plan with its counts and an estimate, and stop.", operational=True)
    shard_mb: int = option(
        256, help="Size of an output file in megabytes, at most.", operational=True, minimum=1, metavar="MB"
    )
    unit_rows: int = option(
        256, help="Rows in a unit of work, at most; settled when the plan is made.", operational=True, minimum=1
    )
    unit_mb: float = option(
        16.0,
        help="Megabytes of text in a unit of work, at most; settled when the plan is made.",
        operational=True,
        minimum=0.01,
        metavar="MB",
    )
    max_units_in_flight: int = option(
        4, help="Units that one worker process has in hand at once.", operational=True, minimum=1, metavar="UNITS"
    )
    max_mb_in_flight: float = option(
        512.0,
        help="Megabytes of text in hand at once in one worker process, at most.",
        operational=True,
        minimum=1,
        metavar="MB",
    )
    row_timeout_s: float = option(
        1800.0,
        help="A row for which nothing goes on this long, while nothing else does, is rejected. Needs the local runner.",
        operational=True,
        minimum=1,
        metavar="SECONDS",
    )
    break_lock: bool = option(
        False, help="Take over an output that another driver, known to be dead, has locked.", operational=True
    )
    progress: Literal["auto", "bar", "lines", "none"] = option(
        "auto", help="Live bar, plain lines, or nothing; auto: a bar in a terminal.", operational=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.input and self.retry_rejected is None:
            raise ConfigError("missing --input: the Parquet files, folders or globs to read")
        if self.input and self.retry_rejected is not None:
            raise ConfigError("--retry_rejected reads the sources that the earlier job read; leave --input out")


@dataclass(frozen=True, kw_only=True)
class PolicyOptions(OptionSet):
    """What jobs take that filter what goes in or comes out."""

    policy: str = option(
        "default",
        help="What filters do with secrets, personal and unsafe content: strict, default, annotate, none, or a file.",
        is_path=True,
    )


@dataclass(frozen=True, kw_only=True)
class FrozenPolicyOptions(PolicyOptions):
    """The same, where a resumed job refuses a policy file that says something else by now."""

    policy_version: str = option(
        "",
        help="Hash of policy and rules; filled in, so that a resumed job refuses other ones.",
        metavar="HASH",
        internal=True,
    )


@dataclass(frozen=True, kw_only=True)
class RowWorkersOptions(OptionSet):
    """What jobs take whose work on rows can run in several processes."""

    row_workers: int | None = option(
        None,
        help="Processes for work on rows, such as parsing and filtering; 0 runs it in the worker's own; chosen if not "
        "given.",
        operational=True,
        minimum=0,
        metavar="PROCESSES",
    )

    def pool_processes(self) -> int:
        """Their number as `transforms` takes it: -1 chooses."""
        return -1 if self.row_workers is None else self.row_workers


@dataclass(frozen=True, kw_only=True)
class ModelOptions(EngineSpec, GenerationSettings, OptionSet):
    """What every job that runs a model takes; each is declared in `model.engine.settings`."""


@dataclass(frozen=True, kw_only=True)
class GeneratingOptions(ModelOptions, FrozenPolicyOptions, RowWorkersOptions, CommonOptions):
    """What every job that runs a model over a corpus takes."""

    known_text: str | None = option(
        None,
        help="Index of known text (docs/filters.md): answers that stand in other files are marked, or rejected by the "
        "policy's verbatim_copy.",
        metavar="FOLDER",
        is_path=True,
    )
    samples: int = option(1, help="Answers asked for per target; more than one needs --temperature.", minimum=1)
    keep: int = option(1, help="Distinct answers that are kept of each target's samples, at most.", minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples > 1 and self.temperature == 0:
            raise ConfigError(f"--samples {self.samples} wants different answers, --temperature 0 gives one; raise it")
        if self.keep > self.samples:
            raise ConfigError(f"--keep {self.keep} is more than --samples {self.samples}")


@dataclass(frozen=True, kw_only=True)
class AnswerOptions(OptionSet):
    """What jobs take whose answers are more than a middle."""

    distinct: bool = option(
        True, help="Keep one of the answers of a unit that say nearly the same of nearly the same code."
    )
    rejected_answers: bool = option(
        False, help="Keep rejected answers beside their reasons, but for those that the filters find something in."
    )


@dataclass(frozen=True, kw_only=True)
class PromptOptions(OptionSet):
    """What jobs take that ask base models and instruction models alike."""

    prompt: Literal["auto", "fim", "chat"] = option(
        "auto", help="fim: a hole in the file; chat: a question; auto: chat for instruction models."
    )
