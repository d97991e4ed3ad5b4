"""`codemill filter`: secrets, personal data, unsafe content, quality, licenses and benchmarks, over any corpus.

    codemill filter --input 'corpus/**/*.parquet' --output clean --policy default

`stages_of` lists the stages, which are in `transforms/filters/`; the job framework (`jobs.driver.driver`) provides
plan, units, commits and shards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.options import (
    CommonOptions,
    GrowOptions,
    LicenseColumnOptions,
    OptOutOptions,
    PolicyOptions,
    from_all_options,
    option,
)

if TYPE_CHECKING:
    from transforms.filters.stage import Stage
    from transforms.filters.work import FilterWork


@dataclass(frozen=True, kw_only=True)
class Options(GrowOptions, PolicyOptions, LicenseColumnOptions, OptOutOptions, CommonOptions):
    """Filter a corpus: redact secrets and personal data, and reject unsuitable files, each with its reason."""

    quality: bool = option(
        True, help="Reject files with overlong lines, encoded data, repeated lines and similar quality faults."
    )
    require_syntax: bool = option(
        False, help="Reject files that don't parse in their language, where a parser can decide."
    )
    drop_generated: bool = option(True, help="Reject machine-generated files.")
    drop_vendored: bool = option(False, help="Reject files in vendored folders.")
    allow_licenses: tuple[str, ...] = option(
        (),
        help="Allowed licenses, by SPDX identifier or usual name; `permissive` means the common permissive ones, a "
        "family such as `BSD` all its versions; empty allows all.",
        metavar="SPDX",
    )
    deny_licenses: tuple[str, ...] = option(
        (), help="Denied licenses, by SPDX identifier, usual name, or family (`GPL`).", metavar="SPDX"
    )
    allow_unknown_license: bool = option(True, help="Keep files without a recognized license.")
    decontaminate: bool = option(True, help="Reject files that contain items of public code benchmarks.")
    benchmarks: tuple[str, ...] = option(
        (),
        help="Folders of Parquet files (columns text and, if there, id and language) with additional benchmarks.",
        metavar="DIR",
        is_path=True,
    )
    min_ngrams: int = option(
        3,
        help="Number of different 12-grams shared with one benchmark item at which a file is rejected; of an item "
        "that has fewer, all of them. An item of 8 to 11 tokens is one n-gram.",
        minimum=1,
        metavar="COUNT",
    )
    classifier: str | None = option(
        None,
        help="A text classifier, in ONNX (one string in, probabilities out) or of fastText; rows whose score reaches "
        "--classifier_threshold are rejected. Needs the extra `classifier`.",
        metavar="FILE",
        is_path=True,
    )
    classifier_threshold: float = option(
        0.5, help="Score of --classifier from which a row is rejected.", minimum=0, maximum=1
    )
    classifier_class: str = option(
        "",
        help="Class of --classifier whose probability is the score: its name or number; default: the last one. A "
        "fastText model's classes have no order, so it must be named.",
    )
    classifier_sha256: str = option(
        "",
        help="Internal: hash of the classifier, so that a resumed job refuses another one.",
        internal="the model of --classifier",
    )
    stages: tuple[str, ...] = option(
        (),
        help="Stages of your own, as MODULE:CLASS, FILE.py:CLASS or the name of an entry point (codemill.filters); "
        "they run before secrets and personal data are looked for.",
        metavar="STAGE",
    )
    stage_values: tuple[str, ...] = option(
        (), help="Values of your stages' fields: CLASS.FIELD=VALUE.", metavar="CLASS.FIELD=VALUE"
    )
    # A unit costs four synchronized writes, 15 to 40 ms. Its rows cost 0.6 ms each, beside 20 and more in other jobs.
    unit_rows: int = option(
        1024, help="Maximum rows per unit of work; fixed when the plan is made.", operational=True, minimum=1
    )
    unit_mb: float = option(
        8.0,
        help="Maximum megabytes of text per unit of work; fixed when the plan is made.",
        operational=True,
        minimum=0.01,
        metavar="MB",
    )
    stages_sha256: str = option(
        "",
        help="Internal: hash of the stages' code, so that a resumed job refuses changed stages.",
        internal="the code of --stages",
    )


def build_work(options: Mapping[str, Any]) -> FilterWork:
    """Makes the job's work from its options (`jobs.options.all_options`). Raises ConfigError."""
    from transforms.filters.work import FilterStages, FilterWork
    from transforms.rows.columns import ColumnOverrides, RowLimits

    o = from_all_options(Options, options)
    columns = ColumnOverrides(
        content=o.content_column,
        path=o.path_column,
        repo_name=o.repo_column,
        language=o.language_column,
        license=o.license_column,
    )
    limits = RowLimits(max_content_bytes=int(o.max_content_mb * 1e6))
    return FilterWork(FilterStages(stages_of(o), o.stages_sha256), columns, limits)


def stages_of(o: Options) -> tuple[Stage, ...]:
    """The stages applied to each row, in order, cheap ones first. A new stage is one entry here. Raises ConfigError."""
    from transforms.filters.contamination import ContaminationStage
    from transforms.filters.content import ContentStage
    from transforms.filters.generated import GeneratedStage
    from transforms.filters.licenses import LicenseStage, make_policy
    from transforms.filters.quality import Limits, QualityStage
    from transforms.scanning import ContentFilter

    policy = make_policy(o.allow_licenses, o.deny_licenses, unknown_is_allowed=o.allow_unknown_license)
    return (
        LicenseStage(policy=policy, column=o.license_column),
        GeneratedStage(drop_generated=o.drop_generated, drop_vendored=o.drop_vendored),
        QualityStage(limits=Limits() if o.quality else None, require_syntax=o.require_syntax),
        ContaminationStage(is_on=o.decontaminate, folders=o.benchmarks, min_ngrams=o.min_ngrams),
        *own_stages(o),
        *classifier_stages(o),
        ContentStage(None if o.policy == "none" else ContentFilter(o.policy)),
    )


def classifier_stages(o: Options) -> tuple[Stage, ...]:
    """The stage of the user's classifier, if there is one."""
    if o.classifier is None:
        return ()
    from transforms.filters.classifier import ClassifierStage

    return (ClassifierStage(o.classifier, o.classifier_sha256, o.classifier_threshold, o.classifier_class),)


def own_stages(o: Options) -> tuple[Stage, ...]:
    """The user's stages, with their values. Raises ConfigError."""
    from transforms.filters.own import make_stages

    return make_stages(o.stages, o.stage_values, o.stages_sha256)[0]


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    from jobs.driver.driver import run_job
    from jobs.options import all_options

    options = frozen(options)
    return run_job("filter", options, beam_args, build_work(all_options(options)))


def frozen(options: Options) -> Options:
    """The options with the hash of the user's own code. Raises ConfigError if that or a benchmark can't be read."""
    if options.stages or options.stage_values:
        from transforms.filters.own import make_stages

        options = replace(options, stages_sha256=make_stages(options.stages, options.stage_values)[1])
    if options.classifier is not None:
        from transforms.filters.classifier import model_sha256

        options = replace(options, classifier_sha256=model_sha256(options.classifier))
        classifier_stages(options)[0].open()  # before the plan is made
    if options.decontaminate and options.benchmarks:
        from transforms.filters.benchmarks import check_benchmarks

        for folder in options.benchmarks:  # before the plan is made, which keeps the options
            check_benchmarks(Path(folder))
    return options
