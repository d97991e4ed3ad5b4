"""`codemill pack`: packs a corpus into training rows, by CodeGemma's recipe.

    codemill pack --input 'corpus/**/*.parquet' --output out --tokenizer codegemma-2b/

The input is first grouped by repository, each repository's files in the order of their imports
(`jobs.grouping.repositories`). The job framework (`jobs.driver.driver`) then packs the groups (`transforms.packing`):
filter, FIM, packed rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import (
    CommonOptions,
    FrozenPolicyOptions,
    GrowOptions,
    OptOutOptions,
    from_all_options,
    option,
)
from jobs.terminal.escapes import print_line
from model.errors import ConfigError
from transforms.fim.settings import SpanSettings

if TYPE_CHECKING:
    from jobs.driver.runners import Runner
    from jobs.growth.present import Rows
    from jobs.plan.inputs import Inputs
    from jobs.storage.folders import OutputFolder
    from jobs.viewing.layout import Layout
    from transforms.packing.work import PackWork


@dataclass(frozen=True, kw_only=True)
class Options(SpanSettings, FrozenPolicyOptions, GrowOptions, OptOutOptions, CommonOptions):
    """Pack repositories into training rows: FIM is applied first, files are in dependency order."""

    tokenizer: str = option(
        "embedded",
        help="Tokenizer of the model to train: a .model file, a checkpoint folder, or `embedded`.",
        metavar="PATH",
        is_path=True,
    )
    context_length: int = option(8192, help="Maximum tokens per row.", minimum=64, metavar="TOKENS")
    fim_rate: float = option(
        0.8, help="Fraction of documents transformed for FIM; CodeGemma 1.1 uses 0.9.", minimum=0, maximum=1
    )
    spm_rate: float = option(0.5, help="Fraction of FIM documents in suffix-prefix-middle order.", minimum=0, maximum=1)
    spm_mode: Literal["spm", "spm_v2"] = option("spm", help="SPM variant; see transforms/fim/formats.py.")
    context_share: float = option(
        0.25,
        help="Maximum fraction of a row that repeats, without loss, what its files import; 0: none.",
        minimum=0,
        maximum=0.75,
    )
    path_line: bool = option(True, help="Start each document with a line that holds the file's path.")
    max_middle_tokens: int = option(256, help="Maximum middle length in tokens.", minimum=1, metavar="TOKENS")
    top_lines: int = option(
        200, help="Ignore imports below this line of a file; 0: use all.", minimum=0, metavar="LINES"
    )
    tokenizer_version: str = option(
        "",
        help="Internal: hash of the tokenizer, so that a resumed job refuses another one.",
        metavar="HASH",
        internal="the vocabulary of --tokenizer",
    )


def build_work(options: Mapping[str, Any]) -> PackWork:
    """Makes the job's work from its options (`jobs.options.all_options`).

    Raises:
        ConfigError: An option is out of range.
    """
    from jobs.grouping.repositories import COLUMNS
    from transforms.fim.spans import Recipe
    from transforms.packing.documents import DocumentRecipe
    from transforms.packing.work import PackWork
    from transforms.rows.columns import RowLimits
    from transforms.scanning import ContentFilter

    o = from_all_options(Options, options)
    return PackWork(
        tokenizer=o.tokenizer,
        recipe=DocumentRecipe(
            job_seed=o.seed,
            fim_rate=o.fim_rate,
            spm_rate=o.spm_rate,
            spm_mode=o.spm_mode,
            path_line=o.path_line,
            spans=Recipe.of(o),
            max_middle_tokens=o.max_middle_tokens,
        ),
        context_length=o.context_length,
        context_share=o.context_share,
        columns=COLUMNS,
        limits=RowLimits(max_content_bytes=int(o.max_content_mb * 1_000_000)),
        content_filter=None if o.policy == "none" else ContentFilter(o.policy),
    )


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Runs the job and returns the exit code."""
    import os
    import sys

    from jobs import storage
    from jobs.beam.dataflow import check_paths, is_dataflow
    from jobs.driver.driver import run_job
    from jobs.execution.processes import processes_of
    from jobs.grouping.cutting import full_bytes
    from jobs.grouping.reading import GroupSettings, Outcome
    from jobs.grouping.repositories import group_by_repository
    from jobs.grouping.restoring import restore_grouped
    from jobs.growth.again import Dependents
    from jobs.growth.editions import newest
    from jobs.growth.repacking import faulty_files, group_again, packed_with
    from jobs.ledger.lock import acquire
    from jobs.options import all_options
    from jobs.plan.job_file import check_output, read_job
    from jobs.plan.units import BYTES_PER_TOKEN
    from jobs.storage.folders import OutputFolder
    from jobs.system.exit_codes import DONE, FAILED_UNITS, INPUT_CHANGED
    from jobs.system.signals import raise_on_signals
    from model.tokenizer import Tokenizer
    from transforms.fim.formats import check_fim_rate
    from transforms.rows.columns import ColumnOverrides

    if options.retry_rejected is not None:
        raise ConfigError(
            "codemill pack does not support --retry_rejected: files are packed with their whole repository; use --input"
        )
    if is_dataflow(beam_args):
        check_paths(options)
    tokenizer = Tokenizer.load(options.tokenizer)  # a bad one is refused here, not in a worker
    check_fim_rate(tokenizer, options.fim_rate, options.tokenizer)
    work = build_work(all_options(options))
    raise_on_signals()
    options = dataclasses.replace(
        options,
        policy_version=work.content_filter.version if work.content_filter is not None else "",
        tokenizer_version=tokenizer.sha256[:16],
    )
    output = OutputFolder(os.path.abspath(options.output) if storage.is_local(options.output) else options.output)
    check_output(output, "pack")
    asked = ColumnOverrides(
        content=options.content_column,
        path=options.path_column,
        repo_name=options.repo_column,
        language=options.language_column,
    )
    dependents = Dependents(packed_with, needs_new=True)
    if options.dry_run:
        return run_job("pack", options, beam_args, dataclasses.replace(work, columns=asked), dependents=dependents)
    settings = GroupSettings(
        top_lines=options.top_lines or None,
        limits=work.limits,
        workers=processes_of(options, work).workers,
        row_timeout_s=options.row_timeout_s,
        full_bytes=full_bytes(options.context_length * BYTES_PER_TOKEN),
    )

    def group(runner: Runner) -> str:
        storage.make_job_folder(output.job.path, shared=options.share_job_folder)

        def spread(*arguments: Any) -> Outcome:
            with acquire(output.job, break_lock=options.break_lock):
                runner.end_orphan(output.job)
                return runner.group(*arguments)

        grouped = group_by_repository(
            options.input,
            output.job,
            asked,
            limit=options.limit,
            spread=spread,
            settings=settings,
            read=runner.read_footers,
            grows=options.grow and read_job(output) is not None,
        )
        return grouped.folder

    def regroup(
        runner: Runner, edition: OutputFolder, inputs: Inputs, rows: Rows, touched: frozenset[int]
    ) -> str | None:
        return group_again(edition, inputs, rows, touched, runner.group, settings)

    def restore(runner: Runner) -> None:
        job_dir = newest(output).job
        restore_grouped(options.input, job_dir, asked, limit=options.limit, spread=runner.group, settings=settings)

    code = run_job(
        "pack", options, beam_args, work, reads=group, restore=restore, dependents=dependents, regroup=regroup
    )
    bad_files = faulty_files(output) if read_job(output) is not None else []
    for uri, fault in bad_files:
        print_line(f"codemill pack: bad file {uri}: {fault}", sys.stderr)
    return FAILED_UNITS if code in (DONE, INPUT_CHANGED) and bad_files else code


def layouts() -> list[Layout]:
    """Returns the layouts in which rows are shown."""
    from jobs.viewing.layout import Layout
    from jobs.viewing.packed import COLUMNS, packed_row

    return [Layout(COLUMNS, packed_row)]
