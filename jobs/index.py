"""`codemill index`: a corpus -> an index of known text, used to detect verbatim copies in generated text.

    codemill index --input 'corpus/**/*.parquet' --output known
    codemill infill ... --known_text known

The index is `transforms.duplicates.known_text`. It is built under a temporary name and renamed at the end, so
the folder at `--output` is always complete. The job runs without Beam, in several processes (`jobs.grouping.indexing`);
the index has the same bytes for any number of them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.options import ColumnOptions, LicenseColumnOptions, OptOutOptions, option
from jobs.terminal.escapes import print_line
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Options(LicenseColumnOptions, ColumnOptions, OptOutOptions):
    """Index the text of a corpus, so that generation jobs can detect text copied from it (--known_text)."""

    input: tuple[str, ...] = option(
        help="Parquet files, folders or globs of a corpus, local or gs://; one or more.",
        metavar="GLOB",
        is_path=True,
    )
    output: str = option(
        help="Output folder of the index; local, must not exist yet.", operational=True, metavar="DIR", is_path=True
    )
    workers: int | None = option(
        None,
        help="Processes that read and sort; default: as many as its cores, or the part of them that a control group "
        "grants, and memory allow.",
        operational=True,
        minimum=1,
        metavar="N",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "://" in self.output and not self.output.startswith("file://"):
            raise ConfigError(f"--output {self.output}: workers map the index into memory; choose a local folder")


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Builds the index; returns the exit code, which is 3 if a file can't be read. Raises ConfigError."""
    import os

    from jobs import storage
    from jobs.cli import DONE, FAILED_UNITS, USER_ERROR
    from jobs.execution.processes import workers_that_fit
    from jobs.grouping.indexing import WORKER_MB, index_corpus
    from jobs.plan.input_paths import expand
    from jobs.plan.inputs import read_inputs
    from jobs.plan.opt_out import opt_out_lines, read_opt_out
    from jobs.system.signals import raise_on_signals
    from jobs.terminal.wording import counted
    from transforms.opt_out.rows import NO_REPOSITORIES
    from transforms.rows.columns import ColumnOverrides
    from transforms.spool import scratch_folder

    if beam_args:
        raise ConfigError(f"index does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    raise_on_signals()
    output = os.path.abspath(options.output.removeprefix("file://"))
    if os.path.exists(output):
        raise ConfigError(f"--output {options.output} already exists; choose a new folder")
    overrides = ColumnOverrides(
        content=options.content_column,
        path=options.path_column,
        repo_name=options.repo_column,
        license=options.license_column,
    )
    opt_out = read_opt_out(options.opt_out)
    workers = workers_that_fit(options.workers, WORKER_MB)
    inputs = read_inputs(expand(options.input, _say), overrides)
    if opt_out is not None and inputs.columns.repo_name is None:
        raise ConfigError(NO_REPOSITORIES.format(", ".join(inputs.schema.names)))
    rows = sum(file.rows for file in inputs.files if file.state == "good")
    with storage.clear_errors(output):
        storage.make_folders(output)  # refused here rather than when the index is there
        os.rmdir(output)
    prefix = f".{os.path.basename(output)}.codemill-index-"
    with scratch_folder(os.path.dirname(output), prefix) as folder:
        count, damaged, matches = index_corpus(inputs, overrides, folder, workers=workers, opt_out=opt_out)
        if not count:
            raise ConfigError(f"no text in {' '.join(options.input)}: {counted(rows, 'row')}")
        os.rename(os.path.join(folder, "index"), output)
    unread = [*(file for file in inputs.files if file.state == "bad"), *damaged]
    for file in unread:
        _say(f"bad file {file.uri}: {file.reason}: {file.detail}")
    print_line(f"{counted(count, 'file')} of {counted(rows, 'row')} -> {options.output}")
    if opt_out is not None:
        unmatched = [str(entry) for entry in opt_out.entries if str(entry) not in matches]
        for line in opt_out_lines(opt_out, unmatched, matches[""], 0):
            _say(line)
        if unmatched and options.strict_opt_out:
            _say("error: --strict_opt_out: check these entries before the index is used")
            return USER_ERROR
    return FAILED_UNITS if unread else DONE


def _say(line: str) -> None:
    print_line(f"codemill index: {line}", sys.stderr)


if __name__ == "__main__":
    from jobs.cli import main

    sys.exit(main(["index", *sys.argv[1:]]))
