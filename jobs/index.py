"""`codemill index`: a corpus -> an index of known text, used to detect verbatim copies in generated text.

    codemill index --input 'corpus/**/*.parquet' --output known
    codemill infill ... --known_text known

The index is `transforms.duplicates.known_text`. It is built under a temporary name and renamed at the end, so
the folder at `--output` is always complete. The job runs in one process, without Beam.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.escapes import print_line
from jobs.options import ColumnOptions, LicenseColumnOptions, OptionSet, option
from model.errors import ConfigError

if TYPE_CHECKING:
    from jobs.plan.footers import InputFile
    from transforms.duplicates.known_text import KnownFile
    from transforms.rows.columns import ColumnOverrides


@dataclass(frozen=True, kw_only=True)
class Options(LicenseColumnOptions, ColumnOptions, OptionSet):
    """Index the text of a corpus, so that generation jobs can detect text copied from it (--known_text)."""

    input: tuple[str, ...] = option(
        help="Parquet files, folders or globs of a corpus, local or gs://; one or more.",
        metavar="GLOB",
        is_path=True,
    )
    output: str = option(
        help="Output folder of the index; local, must not exist yet.", operational=True, metavar="DIR", is_path=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "://" in self.output and not self.output.startswith("file://"):
            raise ConfigError(f"--output {self.output}: workers map the index into memory; choose a local folder")


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Builds the index; returns the exit code, which is 3 if a file can't be read. Raises ConfigError."""
    import os

    from jobs import storage
    from jobs.cli import DONE, FAILED_UNITS
    from jobs.plan.input_paths import expand
    from jobs.plan.inputs import read_inputs
    from jobs.signals import raise_on_signals
    from jobs.wording import counted
    from transforms.duplicates.known_text import build
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
    inputs = read_inputs(expand(options.input, _say), overrides)
    corpus = _Corpus(inputs.files, overrides)
    with storage.clear_errors(output):
        storage.make_folders(output)  # refused here rather than when the index is there
        os.rmdir(output)
    prefix = f".{os.path.basename(output)}.codemill-index-"
    with scratch_folder(os.path.dirname(output), prefix) as folder:
        count = build(os.path.join(folder, "index"), corpus.files())
        if not count:
            raise ConfigError(f"no text in {' '.join(options.input)}: {counted(corpus.rows, 'row')}")
        os.rename(os.path.join(folder, "index"), output)
    for file in corpus.bad:
        _say(f"bad file {file.uri}: {file.reason}: {file.detail}")
    print_line(f"{counted(count, 'file')} of {counted(corpus.rows, 'row')} -> {options.output}")
    return FAILED_UNITS if corpus.bad else DONE


class _Corpus:
    """The texts of a corpus, and the files that could not be read.

    Args:
        inputs: The input files with the data from their footers.
        overrides: The columns that the user named.
    """

    def __init__(self, inputs: Sequence[InputFile], overrides: ColumnOverrides):
        self._inputs = inputs
        self._overrides = overrides
        self.rows = 0
        self.bad = [file for file in inputs if file.state == "bad"]

    def files(self) -> Iterator[KnownFile]:
        """Yields the texts, in the order of the inputs."""
        import pyarrow as pa

        from jobs import storage
        from jobs.plan.footers import bad
        from jobs.plan.partitions import partition_values
        from jobs.storage.parquet import open_parquet
        from transforms.duplicates.known_text import known_files

        for file in self._inputs:
            if file.state != "good":
                continue
            self.rows += file.rows
            try:
                with storage.open_input(file.uri) as opened, open_parquet(opened) as parquet:
                    yield from known_files(parquet, self._overrides, partition_values(file.uri))
            except (pa.ArrowException, OSError) as error:
                said = getattr(error, "strerror", None) or " ".join(str(error).split())[:300]
                self.bad.append(bad(file, "damaged_input", said))


def _say(line: str) -> None:
    print_line(f"codemill index: {line}", sys.stderr)


if __name__ == "__main__":
    from jobs.cli import main

    sys.exit(main(["index", *sys.argv[1:]]))
