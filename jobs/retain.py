"""`codemill retain OUTPUT --editions N`: drops old editions of a grown dataset, and the files that only they have."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from jobs.options import OptionSet, option
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Drop old editions of a grown dataset; the newest ones stay."""

    output: str = option(
        help="The dataset: a job's complete output, local or gs://.",
        positional=True,
        operational=True,
        metavar="OUTPUT",
        is_path=True,
    )
    editions: int = option(help="How many editions stay, the newest included.", operational=True, minimum=1)
    dry_run: bool = option(False, help="Print what would be dropped, then exit.", operational=True)
    break_lock: bool = option(
        False, help="Take over an output that another process, known to be dead, has locked.", operational=True
    )


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Drops old editions; returns the exit code. Raises ConfigError."""
    from jobs.forgetting.retention import retain
    from jobs.system.exit_codes import DONE
    from jobs.system.signals import raise_on_signals
    from jobs.terminal.escapes import print_line
    from jobs.terminal.wording import counted

    if beam_args:
        raise ConfigError(f"retain does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    raise_on_signals()

    def say(line: str) -> None:
        print_line(f"codemill retain: {line}", sys.stderr)

    done = retain(options.output, options.editions, dry_run=options.dry_run, break_lock=options.break_lock, say=say)
    which = f"edition{'s' if len(done.editions) > 1 else ''} {', '.join(map(str, done.editions))}"
    what = f"{which if done.editions else 'no edition'}: {counted(done.files, 'file')}, {done.bytes / 1e6:,.1f} MB"
    said = "would drop" if options.dry_run else "dropped"
    say(f"{options.output}: {said} {what}")
    return DONE


if __name__ == "__main__":
    from jobs.cli import main

    sys.exit(main(["retain", *sys.argv[1:]]))
