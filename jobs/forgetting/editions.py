"""Which shards the editions of a complete output have, and which units made the rows of each.

An output that never grew has one edition, whose shards `COMPLETED` names; manifests name those of a grown one.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs import storage
from jobs.finalize.rewriting import Rewriting, Rewritten
from jobs.forgetting.ledger import folder_of
from jobs.forgetting.retention import shards_of_editions
from jobs.growth.editions import edition_of_shard, editions_with_manifests, manifest_text, read_manifest
from jobs.monitoring.summaries import summary_text
from jobs.storage.folders import DATA, OutputFolder
from model.errors import ConfigError

_SHOWN = 3  # names in a message


@dataclass(frozen=True)
class Editions:
    """The editions of an output that can be read.

    Args:
        output: The output, of the newest one.
        files: The shards of each with their sizes, by number; paths relative to the output.
    """

    output: OutputFolder
    files: Mapping[int, Mapping[str, int]]

    @property
    def shards(self) -> frozenset[str]:
        """The shards of all of them."""
        return self.shards_without(())

    def shards_without(self, numbers: Collection[int]) -> frozenset[str]:
        """The shards of all but some of them."""
        return frozenset(path for number, files in self.files.items() if number not in numbers for path in files)

    def by_maker(self, folder: str) -> dict[int, list[str]]:
        """The shards of `data` or `rejected` by the edition whose units made their rows: its own are the last."""
        found: dict[int, list[str]] = defaultdict(list)
        for path in sorted(self.shards):
            if folder_of(path) == folder:
                found[edition_of_shard(path) or 1].append(path)
        return found

    def emptied_by(self, gone: Mapping[str, npt.NDArray[np.bool_]]) -> tuple[int, ...]:
        """The earlier editions of whose output rows none is left; they go as a whole."""
        numbers = []
        for number, files in self.files.items():
            data = [path for path in files if folder_of(path) == DATA]
            if number != self.output.edition and data and all(path in gone and gone[path].all() for path in data):
                numbers.append(number)
        return tuple(sorted(numbers))

    def unnamed(self) -> list[str]:
        """Shards of earlier editions that were being dropped (`codemill retain`) when that was interrupted."""
        start = len(self.output.join(""))
        return sorted({path[start:] for path in shards_of_editions(self.output)} - self.shards)


@dataclass(frozen=True)
class Remaining:
    """What a removal leaves of the editions of an output.

    Args:
        editions: The editions as they are.
        dropped: Those that go as a whole.
        written: The shards that are written again, as they are then.
    """

    editions: Editions
    dropped: tuple[int, ...]
    written: Mapping[str, Rewritten]

    @property
    def output(self) -> OutputFolder:
        """The output, of its newest edition."""
        return self.editions.output

    @functools.cached_property
    def kept(self) -> frozenset[str]:
        """The shards that editions still have."""
        return frozenset(self.left(dict.fromkeys(self.editions.shards_without(self.dropped), 0)))

    def left(self, files: Mapping[str, int]) -> dict[str, int]:
        """Shards with their sizes then, without those of which no row is left."""
        sizes = {path: one.bytes for path, one in self.written.items() if one.rows}
        return {
            path: sizes.get(path, size) for path, size in files.items() if path in sizes or path not in self.written
        }

    def write_manifests(self, change: Rewriting, told: Callable[[dict[str, Any], int], dict[str, Any]]) -> None:
        """Prepares the manifest and the own summary of each edition, and the removal of shards that none has anymore.

        Args:
            change: The change that removes the rows.
            told: Gives the summary of an edition, which has this number, without them.
        """
        for number, files in self.editions.files.items():
            edition = self.output.of_edition(number)
            if not storage.exists(edition.manifest):  # of an output that never grew
                continue
            if number in self.dropped:
                change.remove(self.relative(edition.manifest))
                change.remove(self.relative(edition.own_summary))
                continue
            before = read_manifest(edition)
            text = manifest_text(edition, before["finished"], before["config_hash"], self.left(files))
            change.write(self.relative(edition.manifest), text)
            if storage.exists(edition.own_summary):
                summary = told(json.loads(storage.read_bytes(edition.own_summary)), number)
                change.write(self.relative(edition.own_summary), summary_text(summary))
        for path in sorted({*self.editions.shards, *self.editions.unnamed()} - self.kept - set(self.written)):
            change.remove(path)

    def relative(self, path: str) -> str:
        """A path in the output, relative to it."""
        return path[len(self.output.join("")) :]


def read_editions(output: OutputFolder, done: Mapping[str, Any]) -> Editions:
    """Reads which shards each edition has.

    Args:
        output: The output, of its newest edition.
        done: The content of COMPLETED.

    Raises:
        ConfigError: A shard of an earlier edition is missing.
    """
    files = {one.edition: read_manifest(one)["files"] for one in editions_with_manifests(output)}
    files[output.edition] = done["files"]
    there = {path[len(output.join("")) :] for path in shards_of_editions(output)} | set(done["files"])
    for number in sorted(files):
        if missing := [path for path in files[number] if path not in there]:
            raise ConfigError(
                f"{output} lacks {', '.join(missing[:_SHOWN])} of edition {number}; restore it, or drop that edition "
                "with codemill retain"
            )
    return Editions(output, {number: files[number] for number in sorted(files)})
