"""The options that several jobs have: what reads and writes Parquet, what runs a model, what does both.

Imports neither Beam nor JAX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jobs.options.fields import OptionSet, option
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class CommonOptions(OptionSet):
    """What every job that reads and writes Parquet takes."""

    input: tuple[str, ...] = option(
        (),
        help="Parquet files, folders and globs (** included), local or gs://; several at once. Required but with "
        "--retry_rejected.",
        metavar="GLOB",
    )
    output: str = option(help="Folder of the dataset, local or gs://.", operational=True, metavar="DIR")
    content_column: str | None = option(None, help="Column of the file's text; found by itself in the usual layouts.")
    path_column: str | None = option(None, help="Column of the file's path; found by itself in the usual layouts.")
    repo_column: str | None = option(None, help="Column of the repository's name; found by itself.")
    language_column: str | None = option(None, help="Column of the language; found by itself.")
    seed: int = option(0, help="All random choices derive from this number and each row's content.", minimum=0)
    limit: int | None = option(None, help="Take only the first so many source rows.", minimum=1, metavar="ROWS")
    max_content_mb: float = option(
        10.0, help="Reject a row whose text is longer than this many megabytes.", minimum=0.001, metavar="MB"
    )
    retry_rejected: str | None = option(
        None, help="Take the rows that this earlier output rejected, read anew from their sources.", metavar="DIR"
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
class ModelOptions(OptionSet):
    """What every job that runs a model takes."""

    model: str = option(
        "embedded", help="A checkpoint folder, or `embedded`, the small model that ships with codemill.", metavar="PATH"
    )
    determinism: Literal["fast", "exact"] = option(
        "fast", help="exact: the same tokens, bit for bit, on the same version, hardware and shapes."
    )
    dtype: Literal["auto", "float32", "bfloat16"] = option(
        "auto", help="Compute type; auto: float32 on a CPU, bfloat16 on TPU and GPU."
    )
    temperature: float = option(0.0, help="Divides the logits; 0 takes the likeliest token.", minimum=0.0)
    top_k: int = option(0, help="Draw among the k likeliest tokens; 0 keeps all.", minimum=0, metavar="K")
    top_p: float = option(
        1.0, help="Draw among the likeliest tokens that together reach this probability.", maximum=1.0, metavar="P"
    )
    # With max_new_tokens it fills the embedded model's context of 1,024.
    max_prompt_tokens: int = option(
        896,
        help="Longest prompt: context is cut to it, and what still doesn't fit is rejected.",
        minimum=16,
        metavar="TOKENS",
    )
    max_new_tokens: int = option(128, help="Tokens generated for a target, at most.", minimum=1, metavar="TOKENS")
    slots: int | None = option(
        None,
        help="Requests decoded at once; chosen from the memory if not given.",
        operational="unless_exact",
        minimum=1,
    )
    weights: Literal["auto", "int8"] = option(
        "auto",
        help="How weights are held; auto: in the compute type; int8: in 8 bits, a scale for each output channel.",
    )
    prompt_cache: Literal["auto", "int8"] = option(
        "auto", help="How prompts' keys and values are held; auto: in the compute type; int8: in 8 bits."
    )
    prompt_lookup: Literal["auto", "off", "always"] = option(
        "auto",
        help="Draft what prompt and output repeat; auto: while that is measured to be faster; exact mode never does.",
        operational="unless_exact",
    )
    compile_cache: str | None = option(
        None, help="Folder of XLA's persistent compilation cache.", operational=True, metavar="DIR"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.determinism == "exact" and self.prompt_lookup == "always":
            raise ConfigError("--prompt_lookup is always, but --determinism exact drafts nothing; leave it at auto")
        if not self.top_p > 0:
            raise ConfigError(f"--top_p is {self.top_p}, it must be above 0 and at most 1")
        if self.temperature == 0 and (self.top_k or self.top_p < 1):
            raise ConfigError(
                "--top_k and --top_p choose among drawn tokens, but --temperature 0 draws none; raise --temperature"
            )


@dataclass(frozen=True, kw_only=True)
class GeneratingOptions(ModelOptions, CommonOptions):
    """What every job that runs a model over a corpus takes."""

    policy: str = option(
        "default",
        help="What filters do with secrets, personal and unsafe content: strict, default, annotate, none, or a file.",
    )
    row_workers: int | None = option(
        None,
        help="Processes for parsing and checking beside the engine; 0 runs them in its own; chosen if not given.",
        operational=True,
        minimum=0,
        metavar="PROCESSES",
    )
    policy_version: str = option(
        "", help="Hash of policy and rules; filled in, so that a resumed job refuses other ones.", metavar="HASH"
    )
    known_text: str | None = option(
        None,
        help="Index of known text (docs/filters.md): answers that stand in other files are marked, or rejected by the "
        "policy's verbatim_copy.",
        metavar="FOLDER",
    )
    samples: int = option(1, help="Answers asked for per target; more than one needs --temperature.", minimum=1)
    keep: int = option(1, help="Distinct answers that are kept of each target's samples, at most.", minimum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.samples > 1 and self.temperature == 0:
            raise ConfigError(f"--samples {self.samples} wants different answers, --temperature 0 gives one; raise it")
        if self.keep > self.samples:
            raise ConfigError(f"--keep {self.keep} is more than --samples {self.samples}")
