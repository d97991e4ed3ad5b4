"""Which editions an output has, and which files each consists of.

    OUT/data/                          the newest edition, as far as it is complete
    OUT/_editions/0001/manifest.json   the files of the first edition, wherever they are now
    OUT/_editions/0001/data/           shards of the first edition that no later one has

An output that never grew has no such folder. A reader of an earlier edition reads the files that its manifest names; a
file that has moved in between is gone from where the manifest said, and the manifest, read again, says where it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from jobs import storage
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError

_NUMBER: Final = re.compile(r"\d{4,}")
_SHARD: Final = re.compile(r"(?:train|rejected)-(?:e(\d{4,})-)?\d{5,}-of-\d{5,}(?:-r\d{4,})?\.parquet")


def newest(output: OutputFolder) -> OutputFolder:
    """The newest edition that has been planned, finished or not: the first if it is the only one, or there is none."""
    numbers = sorted(map(int, filter(_NUMBER.fullmatch, storage.list_names(output.job_editions))), reverse=True)
    for number in numbers:
        edition = output.of_edition(number)
        if storage.exists(edition.job.job_file):
            return edition
    return output.of_edition(1)


def discard(output: OutputFolder) -> None:
    """Removes an edition of which nothing is published; only under the output's lock."""
    storage.remove(output.job.job_file)  # first: without it there is no such edition
    storage.remove_tree(output.job.path)


def is_of_edition(done: Mapping[str, Any] | None, output: OutputFolder) -> bool:
    """Whether the content of `COMPLETED` is that of this edition."""
    return done is not None and int(done.get("edition", 1)) == output.edition


def edition_of_shard(path: str) -> int | None:
    """The edition whose units made the rows of a shard, by the shard's name; None if it isn't the name of one.

    >>> edition_of_shard("data/train-00000-of-00002.parquet"), edition_of_shard("train-e0003-00000-of-00001.parquet")
    (1, 3)
    """
    found = _SHARD.fullmatch(path.rpartition("/")[2])
    return None if found is None else int(found[1] or 1)


def rewritten_path(path: str, edition: int) -> str:
    """The path of a shard that an edition writes again.

    >>> rewritten_path("data/train-00000-of-00002-r0002.parquet", 3)
    'data/train-00000-of-00002-r0003.parquet'
    """
    stem = re.sub(r"-r\d{4,}$", "", path.removesuffix(".parquet"))
    return f"{stem}-r{edition:04d}.parquet"


def read_manifest(output: OutputFolder) -> dict[str, Any]:
    """The manifest of an edition: `files` maps paths in the output to sizes in bytes.

    Raises:
        ConfigError: There is none, since the edition was dropped or never was.
    """
    try:
        found: dict[str, Any] = json.loads(storage.read_bytes(output.manifest))
    except (FileNotFoundError, ValueError):
        raise ConfigError(f"{output} has no edition {output.edition}: {output.manifest} is not there") from None
    return found


def write_manifest(output: OutputFolder, finished: str, config_hash: str, files: Mapping[str, int]) -> None:
    """Writes the manifest of an edition; may be repeated."""
    storage.write_bytes(output.manifest, manifest_text(output, finished, config_hash, files))


def manifest_text(output: OutputFolder, finished: str, config_hash: str, files: Mapping[str, int]) -> bytes:
    """The content of an edition's manifest."""
    manifest = {"edition": output.edition, "finished": finished, "config_hash": config_hash, "files": dict(files)}
    return json.dumps(manifest, indent=1).encode()


def editions_with_manifests(output: OutputFolder) -> list[OutputFolder]:
    """The editions that can be read, in order."""
    numbers = sorted(map(int, filter(_NUMBER.fullmatch, storage.list_names(output.earlier))))
    return [one for one in map(output.of_edition, numbers) if storage.exists(one.manifest)]
