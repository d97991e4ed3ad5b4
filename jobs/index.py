"""`codemill index`: a corpus -> an index of known text, used to detect verbatim copies in generated text.

    codemill index --input 'corpus/**/*.parquet' --output known
    codemill infill ... --known_text known

The index is `transforms.duplicates.known_text`. It is built under a temporary name and renamed at the end, so
the folder at `--output` is always complete. The same command again finds it complete, if options, opt-out lists and
input are the same (`made.json` in it has them). The job runs without Beam, in several processes
(`jobs.grouping.indexing`); the index has the same bytes for any number of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jobs.options import (
    ColumnOptions,
    LicenseColumnOptions,
    OptOutOptions,
    RerunOptions,
    RunOptions,
    changed_options,
    option,
    semantic_options,
)
from jobs.options.fields import defaults_of, internal_options
from jobs.terminal.escapes import print_line
from model.errors import ConfigError

MADE = "made.json"


@dataclass(frozen=True, kw_only=True)
class Options(LicenseColumnOptions, ColumnOptions, OptOutOptions, RerunOptions, RunOptions):
    """Index the text of a corpus, so that generation jobs can detect text copied from it (--known_text)."""

    input: tuple[str, ...] = option(
        help="Parquet files, folders or globs of a corpus, local or gs://; one or more.",
        metavar="GLOB",
        is_path=True,
    )
    output: str = option(
        help="Output folder of the index; local, new or complete by the same options.",
        operational=True,
        metavar="DIR",
        is_path=True,
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
    from jobs.monitoring.run import monitored, with_run_id
    from jobs.system.exit_codes import first_of
    from jobs.system.signals import raise_on_signals

    if beam_args:
        raise ConfigError(f"index does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    raise_on_signals()
    options = with_run_id(options)
    with monitored("index", options) as monitor:
        codes, counts = _index(options)
        monitor.complete({**monitor.summary("complete", codes), **counts})
    return first_of(codes)


def _index(options: Options) -> tuple[list[int], dict[str, Any]]:
    """Builds the index; returns the exit codes that apply, in order, and what to say of it in the summary."""
    import os

    from jobs import storage
    from jobs.execution.processes import workers_that_fit
    from jobs.grouping.indexing import LEFT_OUT, WORKER_MB, index_corpus
    from jobs.plan.input_paths import expand
    from jobs.plan.inputs import read_inputs
    from jobs.plan.opt_out import freeze_opt_out, opt_out_lines, read_opt_out
    from jobs.terminal.wording import counted
    from transforms.opt_out.rows import NO_REPOSITORIES
    from transforms.opt_out.work import UNKNOWN
    from transforms.rows.columns import ColumnOverrides
    from transforms.spool import scratch_folder

    output = os.path.abspath(options.output.removeprefix("file://"))
    options = freeze_opt_out(options)
    if os.path.exists(output):
        return _made_before(options, output), {}
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
        unread = [*(file for file in inputs.files if file.state == "bad"), *damaged]
        unmatched = [str(entry) for entry in opt_out.entries if str(entry) not in matches] if opt_out else []
        bad_files = [{"uri": file.uri, "reason": file.reason, "detail": file.detail} for file in unread]
        made = {
            "options": semantic_options(options),
            "input": [[file.uri, file.version, file.reason] for file in inputs.files],
            "bad_files": bad_files,
            "unmatched": len(unmatched),
        }
        storage.write_bytes(os.path.join(folder, "index", MADE), json.dumps(made, indent=1).encode())
        os.rename(os.path.join(folder, "index"), output)
    print_line(f"{counted(count, 'file')} of {counted(rows, 'row')} -> {options.output}", options.result_stream)
    if opt_out is not None:
        for line in opt_out_lines(opt_out, unmatched, matches[LEFT_OUT], matches[UNKNOWN]):
            _say(line)
    codes = _tell_faults(options, bad_files, len(unmatched))
    return codes, {"files": len(inputs.files), "rows": rows, "texts": count, "bad_files": bad_files}


def _tell_faults(options: Options, bad_files: Sequence[dict[str, str]], unmatched: int) -> list[int]:
    """Says what an index lacks; returns the exit codes of that, in order."""
    from jobs.system.exit_codes import FAILED_UNITS, USER_ERROR
    from jobs.terminal.wording import counted

    for file in bad_files:
        _say(f"bad file {file['uri']}: {file['reason']}: {file['detail']}")
    is_refused = bool(unmatched) and options.strict_opt_out
    if is_refused:
        _say(
            f"error: --strict_opt_out: {counted(unmatched, 'entry', 'entries')} matched nothing; check the lists "
            "before the index is used"
        )
    return [code for code, applies in ((USER_ERROR, is_refused), (FAILED_UNITS, bool(bad_files))) if applies]


def _made_before(options: Options, output: str) -> list[int]:
    """What the same command finds: a complete index of the same input, or a reason to choose another folder.

    Raises:
        ConfigError: The folder is no index, or one that was made with other options.
    """
    import os

    from jobs import storage
    from jobs.plan.footers import InputFile
    from jobs.plan.news import difference
    from jobs.system.exit_codes import INPUT_CHANGED

    try:
        made = json.loads(storage.read_bytes(os.path.join(output, MADE)))
        options_then, bad_files, unmatched = made["options"], made["bad_files"], made["unmatched"]
        files = [InputFile(uri=uri, version=version, reason=reason) for uri, version, reason in made["input"]]
    except (OSError, ValueError, KeyError):  # no index, or one of an earlier version
        raise ConfigError(f"--output {options.output} already exists; choose a new folder") from None
    now = json.loads(json.dumps(semantic_options(options)))
    before = {**defaults_of(options, now), **options_then}
    if changes := changed_options(before, now, internal_options(options)):
        raise ConfigError(
            f"--output {options.output} was made with other options: {'; '.join(changes)}; choose a new folder"
        )
    news = "" if options.input_frozen else difference(files, options.input)
    if news:
        _say(
            f"{news}; none of it is in {options.output}: choose a new folder to take it in, or pass --input_frozen if "
            "that is meant"
        )
    else:
        print_line(f"{options.output} is complete already", options.result_stream)
    return [*_tell_faults(options, bad_files, unmatched), *([INPUT_CHANGED] if news else [])]


def _say(line: str) -> None:
    print_line(f"codemill index: {line}", sys.stderr)


if __name__ == "__main__":
    from jobs.cli import main

    sys.exit(main(["index", *sys.argv[1:]]))
