"""Which shards the editions of a complete output have, and which units made the rows of each.

An output that never grew has one edition, whose shards `COMPLETED` names; manifests name those of a grown one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from jobs.forgetting.ledger import folder_of
from jobs.forgetting.retention import shards_of_editions
from jobs.growth.editions import edition_of_shard, editions_with_manifests, read_manifest
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
