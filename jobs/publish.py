"""`codemill publish OUT TO`: a finished dataset -> a folder, a bucket or the Hugging Face Hub, ready to load.

    codemill publish out/filled published/filled
    codemill publish out/filled gs://bucket/filled
    codemill publish out/filled hf://datasets/me/filled

All rows are read before anything is written. What is published is `data/`, `rejected/`, card, report, summary and the
NOTICE table (`jobs.publication.items`), never `_job`, and no path or host of this machine. A folder appears as a whole,
the Hub gets one commit, a bucket gets `PUBLISHED.json` last; the same command again goes on, or says that nothing is
left to do.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from jobs.options import OptionSet, option
from jobs.terminal.escapes import print_line
from model.errors import ConfigError, one_line

if TYPE_CHECKING:
    from jobs.publication.items import Item


_LICENSE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Publish a finished dataset: its rows, pages and NOTICE table, without anything of this machine."""

    path: str = option(help="A job's finished output, local or gs://.", positional=True, is_path=True, metavar="OUT")
    to: str = option(
        help="Where it is published: a folder, gs://..., or hf://datasets/OWNER/NAME (needs codemill[hub]).",
        positional=True,
        is_path=True,
        metavar="TO",
    )
    pretty_name: str | None = option(None, help="The dataset's name for people; default: the last part of TO.")
    license: tuple[str, ...] = option(
        (), help="Licenses for the card, as the Hub names them; default: those detected in the rows.", metavar="ID"
    )
    source_datasets: tuple[str, ...] = option(
        (),
        help="What the dataset was made of, for the card, such as extended|bigcode/the-stack; default: original for "
        "what codemill has made of files, else extended.",
        metavar="NAME",
    )
    private: bool = option(False, help="Make a new repository on the Hub a private one.")


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Publishes; returns the exit code. Raises ConfigError."""
    from jobs.publication.card import Wording
    from jobs.publication.dataset import read_dataset
    from jobs.publication.hub import PREFIX, hub_target, load_hub
    from jobs.publication.items import items_of
    from jobs.system.signals import raise_on_signals
    from jobs.terminal.wording import counted
    from transforms.spool import scratch_folder

    if beam_args:
        raise ConfigError(f"publish does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    raise_on_signals()
    for name in options.license:
        if not _LICENSE.fullmatch(name):
            raise ConfigError(
                f"--license {one_line(name) or repr(name)} is no identifier as the Hub has, like apache-2.0"
            )
    if options.to.startswith(PREFIX):  # refused before all rows are read
        hub_target(options.to)
        load_hub()
    else:
        _check_apart(options.path, options.to)
    dataset = read_dataset(options.path)
    wording = Wording(
        pretty_name=options.pretty_name or "", licenses=options.license, source_datasets=options.source_datasets
    )
    place = options.to.partition("@")[0] if options.to.startswith(PREFIX) else options.to
    name = posixpath.basename(place.rstrip("/"))
    with scratch_folder() as folder:
        items = items_of(dataset, wording, name, folder)
        is_new = _publish(options, items, folder)
    what = f"{counted(dataset.rows, 'row')} in {counted(len(items), 'file')}"
    print_line(f"{what} -> {options.to}" if is_new else f"{options.to} has these {what} already; nothing to do")
    if failed := dataset.summary.get("units", {}).get("failed"):
        _say(f"the dataset lacks the rows of {counted(failed, 'failed unit')}, as its card says")
    return 0


def _publish(options: Options, items: Sequence[Item], folder: str) -> bool:
    import os

    from jobs import storage
    from jobs.publication.bucket import publish_to_bucket
    from jobs.publication.folder import publish_to_folder, stage
    from jobs.publication.hub import PREFIX, hub_target, publish_to_hub

    is_hub = options.to.startswith(PREFIX)
    if not is_hub and storage.is_local(options.to):
        return publish_to_folder(items, options.to, _check_loads)
    if is_hub or all(storage.is_local(item.path) for item in items):
        whole = os.path.join(folder, "whole")
        staged = stage(items, whole, as_links=True)
        _check_loads(whole)
        if is_hub:
            return publish_to_hub(staged, hub_target(options.to), is_private=options.private)
    return publish_to_bucket(items, options.to)


def _check_loads(folder: str) -> None:
    from jobs.publication.loading import check_with_datasets

    if check_with_datasets(folder) is None:
        _say("`datasets` isn't installed, so only pyarrow has read the rows")


def _check_apart(path: str, to: str) -> None:
    """Raises ConfigError if one of the folders is in the other."""
    import os

    from jobs import storage

    def whole(name: str) -> str:
        return os.path.realpath(name.removeprefix("file://")) if storage.is_local(name) else name.rstrip("/")

    first, second = whole(path), whole(to)
    if first == second or first.startswith(second + "/") or second.startswith(first + "/"):
        raise ConfigError(f"{to} and {path} are in each other; choose a folder beside the output")


def _say(line: str) -> None:
    print_line(f"codemill publish: {line}", sys.stderr)


if __name__ == "__main__":
    from jobs.cli import main

    sys.exit(main(["publish", *sys.argv[1:]]))
