"""`codemill forget OUTPUT`: removes rows from a complete dataset, and what `_job` keeps of them.

    codemill forget clean --opt_out removed.txt --dry_run
    codemill forget clean --opt_out removed.txt --cascade deduplicated packed known

Only the shards with such rows are written again (`jobs.forgetting`); they keep their names. `REMOVALS.json` says what
was removed, as hashes, when, and how many rows. A removal that was interrupted is finished by the same command, or by
any other that writes to the output.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.options import OptionSet, option
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Remove rows from a complete dataset for good, and from the datasets that were made of it."""

    output: str = option(
        help="The dataset: a job's complete output, local or gs://, or an index.",
        positional=True,
        operational=True,
        metavar="OUTPUT",
        is_path=True,
    )
    opt_out: tuple[str, ...] = option(
        (), help="Opt-out lists of the repositories to be forgotten.", operational=True, metavar="FILE", is_path=True
    )
    path: tuple[str, ...] = option(
        (),
        help="Paths to be forgotten, as in the dataset, in every repository.",
        operational=True,
        metavar="PATH",
        is_path=True,
    )
    blob: tuple[str, ...] = option(
        (), help="Git's SHA-1 of files to be forgotten (blob_id).", operational=True, metavar="SHA1"
    )
    content_hash: tuple[str, ...] = option(
        (), help="SHA-256 of contents to be forgotten (lineage.content_sha256).", operational=True, metavar="SHA256"
    )
    cascade: tuple[str, ...] = option(
        (),
        help="Outputs, and folders of outputs, of which those that were made of this dataset forget the same.",
        operational=True,
        metavar="DIR",
        is_path=True,
    )
    dry_run: bool = option(False, help="Print how many rows of each dataset would go, then exit.", operational=True)
    break_lock: bool = option(
        False, help="Take over an output that another process, known to be dead, has locked.", operational=True
    )


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Forgets; returns the exit code, which is 3 if rejected records could not be compared with a list.

    Raises:
        ConfigError: Nothing is named, or a dataset isn't complete, or nothing of it would be left.
    """
    from jobs.forgetting.command import Wish, forget
    from jobs.forgetting.lists import asked_for
    from jobs.plan.opt_out import read_opt_out
    from jobs.system.signals import raise_on_signals
    from jobs.terminal.escapes import print_line

    if beam_args:
        raise ConfigError(f"forget does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    raise_on_signals()
    asked = asked_for(read_opt_out(options.opt_out), options.path, options.blob, options.content_hash)
    wish = Wish(asked=asked, dry_run=options.dry_run, break_lock=options.break_lock)

    def say(line: str) -> None:
        print_line(f"codemill forget: {line}", sys.stderr)

    return forget(options.output, options.cascade, wish, say)


if __name__ == "__main__":
    from jobs.cli import main

    sys.exit(main(["forget", *sys.argv[1:]]))
