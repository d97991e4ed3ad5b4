"""Which checkpoint a path holds, told by the files there, and what identifies it. No JAX."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from typing import Any

from model.checkpoint.format import Format, Listing
from model.checkpoint.formats import FORMATS
from model.checkpoint.instruction import is_instruction_checkpoint
from model.checkpoint.stored import Checkpoint, check
from model.errors import ConfigError, one_line, reading
from model.storage import exists, file_size, filesystem, is_folder, join, list_files, resolve

ACCEPTED = ", ".join(form.name for form in FORMATS)

# Files that make a model what it is, in any format, so that a hash needs no checkpoint to be read; where a folder has
# none of these (Orbax), every file counts.
_IDENTITY = tuple(ending for form in FORMATS for ending in form.identity)
_WHOLE_BYTES = 8 << 20  # a file up to this size is hashed whole
_SAMPLE_BYTES = 64 << 10
_SAMPLES = 64


def find(path: str | os.PathLike[str]) -> Checkpoint:
    """List the checkpoint at a path and check every name and shape; no weights are read.

    Raises:
        ConfigError: One line: what was found, and what is accepted or what is off.
    """
    place = resolve(path)
    if not exists(place):
        raise ConfigError(f"there is no checkpoint at {place}; accepted: {ACCEPTED}")
    listing = _listing(place)
    form, name = _recognized(listing)
    found = listing.place(name)
    with reading(found, form.name):
        checkpoint = form.open(found)
        check(checkpoint)
    if form.states_instruction or checkpoint.config.is_instruction_tuned:
        return checkpoint
    is_tuned = is_instruction_checkpoint(listing, name)
    return replace(checkpoint, config=replace(checkpoint.config, is_instruction_tuned=is_tuned))


def _listing(place: str) -> Listing:
    if is_folder(place):
        return Listing(place, list_files(place), is_folder=True)
    return Listing(place, {os.path.basename(place): file_size(place)}, is_folder=False)


def _recognized(listing: Listing) -> tuple[Format, str]:
    """The first format that there is a checkpoint of, and its name in the listing."""
    for form in FORMATS:
        if (name := form.recognize(listing)) is not None:
            return form, name
    if not listing.is_folder:
        raise ConfigError(f"{listing.path} is no checkpoint that is known by its name; accepted: {ACCEPTED}")
    files = list(listing.files)
    found = ", ".join(files[:6]) + (f" and {len(files) - 6} more" if len(files) > 6 else "")
    raise ConfigError(
        one_line(f"{listing.path} holds no checkpoint, or several: found {found or 'nothing'}; accepted: {ACCEPTED}")
    )


def checkpoint_hash(path: str | os.PathLike[str]) -> str:
    """What identifies a checkpoint in the lineage: 64 hex digits, from names, sizes and content.

    A file of up to 8 MB counts whole; of a larger one 64 evenly spaced samples of 64 KB do, its
    beginning (headers, shapes) and end among them, so that hashing 16 GB in a bucket takes seconds. Two
    trainings of one model differ in nearly every byte, so in every sample; an edit of a few
    weights by hand may go unseen.
    """
    place = resolve(path)
    if not exists(place):
        raise ConfigError(f"there is no checkpoint at {place}; accepted: {ACCEPTED}")
    digest = hashlib.sha256()
    if is_folder(place):
        files = list_files(place)
        counted = {name: size for name, size in files.items() if name.endswith(_IDENTITY)} or files
        parts = [(name, size, join(place, name)) for name, size in counted.items()]
    else:
        parts = [(os.path.basename(place), file_size(place), place)]
    for name, size, full in parts:
        digest.update(f"{name}\0{size}\0".encode())
        _hash_samples(digest, full, size)
    return digest.hexdigest()


def _hash_samples(digest: Any, path: str, size: int) -> None:
    fs, inner = filesystem(path)
    if size <= _WHOLE_BYTES:
        digest.update(fs.cat_file(inner))
        return
    for number in range(_SAMPLES):
        begin = (size - _SAMPLE_BYTES) * number // (_SAMPLES - 1)
        digest.update(fs.cat_file(inner, start=begin, end=begin + _SAMPLE_BYTES))
