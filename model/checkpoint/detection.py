"""Which checkpoint a path holds, told by the files there, and what identifies it. No JAX."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import Any

from model.checkpoint.deepmind import open_npz
from model.checkpoint.gguf_file import open_gguf
from model.checkpoint.huggingface import open_huggingface
from model.checkpoint.kaggle_flax import open_orbax, orbax_folder
from model.checkpoint.keras import open_keras
from model.checkpoint.stored import Checkpoint, check
from model.errors import ConfigError
from model.storage import exists, filesystem, is_folder, join, list_files, resolve

ACCEPTED = (
    "Hugging Face safetensors with config.json, Kaggle Flax (Orbax), Keras .weights.h5, GGUF, DeepMind's flat .npz"
)

# How a file's name ends -> what opens it; several Keras files come with one `.weights.json`.
_FILES: dict[str, Callable[[str], Checkpoint]] = {
    ".weights.json": open_keras,
    ".weights.h5": open_keras,
    ".gguf": open_gguf,
    ".npz": open_npz,
}

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
        for ending, open_file in _FILES.items():
            if place.endswith(ending):
                return open_file(place)
        if place.endswith(".safetensors"):
            folder = os.path.dirname(place)
            return open_huggingface(folder, list_files(folder))
        raise ConfigError(f"{place} is no checkpoint that is known by its name; accepted: {ACCEPTED}")
    files = list_files(place)
    if any(name.endswith(".safetensors") and "/" not in name for name in files):
        return open_huggingface(place, files)
    if (root := orbax_folder(files)) is not None:
        below = f"{root}/" if root else ""
        inside = {name.removeprefix(below): size for name, size in files.items() if name.startswith(below)}
        return open_orbax(join(place, root) if root else place, inside)
    for ending in _FILES:
        named = [name for name in files if name.endswith(ending)]
        if len(named) == 1:
            return _open(join(place, named[0]))
    found = ", ".join(list(files)[:6]) + (f" and {len(files) - 6} more" if len(files) > 6 else "")
    raise ConfigError(f"{place} holds no checkpoint, or several: found {found or 'nothing'}; accepted: {ACCEPTED}")


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
