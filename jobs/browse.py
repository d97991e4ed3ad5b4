"""`codemill browse OUT`: a local page to search and filter the rows and rejected records of a dataset.

    codemill browse out/filled
    browse: http://127.0.0.1:8765/?token=...  (Ctrl-C ends it)

It listens on this machine's loopback address alone and changes nothing (`jobs.browsing`). A dataset in a bucket is
read there, a part at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jobs.options import option
from jobs.options.fields import OptionSet
from model.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Search and filter the rows of a dataset in a browser, on a page that only this machine can open."""

    path: str = option(
        help="A job's output, finished or unfinished; or a Parquet file, folder or glob. May be a gs:// URL.",
        positional=True,
        is_path=True,
    )
    port: int = option(8765, help="Port on 127.0.0.1; 0 takes one that is free.", minimum=0, maximum=65_535)
    memory_mb: int = option(1024, help="Maximum memory of searches, in megabytes.", minimum=64, metavar="MB")


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Serves the page until it is stopped. Raises ConfigError if there is nothing to show."""
    from jobs.browsing.server import serve
    from jobs.browsing.store import Store
    from jobs.terminal.escapes import print_line
    from transforms.spool import scratch_folder

    if beam_args:
        raise ConfigError(f"browse does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    with scratch_folder() as links:
        store = Store(options.path, options.memory_mb, links)
        serve(store, options.port, lambda address: print_line(f"browse: {address}  (Ctrl-C ends it)"))
    return 0
