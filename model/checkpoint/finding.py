"""Which checkpoint a path holds, told by the files there, and what identifies it. No JAX."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from model.checkpoint.deepmind import open_npz
from model.checkpoint.huggingface import open_huggingface
from model.checkpoint.stored import Checkpoint, check
from model.errors import ConfigError
from model.storage import exists, filesystem, is_folder, join, list_files, resolve

ACCEPTED = "a folder of Hugging Face safetensors with config.json, a DeepMind .npz"

# Files that make a model what it is; where a folder has none of these (Orbax), every file counts.
_IDENTITY = (".safetensors", ".npz", ".h5", ".gguf", "config.json", ".index.json")
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
    checkpoint = _open(place)
    check(checkpoint)
    return checkpoint


def _open(place: str) -> Checkpoint:
    if not is_folder(place):
        if place.endswith(".npz"):
            return open_npz(place)
        if place.endswith(".safetensors"):
            folder = os.path.dirname(place)
            return open_huggingface(folder, list_files(folder))
        raise ConfigError(f"{place} is no checkpoint that is known by its name; accepted: {ACCEPTED}")
    files = list_files(place)
    if any(name.endswith(".safetensors") and "/" not in name for name in files):
        return open_huggingface(place, files)
    single = [name for name in files if name.endswith(".npz")]
    if len(single) == 1:
        return _open(join(place, single[0]))
    found = ", ".join(list(files)[:6]) + (f" and {len(files) - 6} more" if len(files) > 6 else "")
    raise ConfigError(f"{place} holds no checkpoint: found {found or 'nothing'}; accepted: {ACCEPTED}")


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
        fs, inner = filesystem(place)
        parts = [(os.path.basename(place), int(fs.size(inner)), place)]
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
