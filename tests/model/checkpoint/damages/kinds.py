"""What a damage is, and those that any file can have."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Damage:
    """One damage.

    Args:
        name: What is off.
        base: The good checkpoint that is damaged: a folder in which it stands.
        apply: Damages a copy of that folder.
        message: A pattern in the one line that refuses it; None where it must load exactly as the good one.
        target: What in the folder is loaded; `` for the folder.
    """

    name: str
    base: str
    apply: Callable[[Path], object]
    message: str | None
    target: str = ""


def cut(file: str, length: int) -> Callable[[Path], object]:
    """Keeps the first `length` bytes of a file, or all but the last `-length`."""
    return lambda folder: (folder / file).write_bytes((folder / file).read_bytes()[:length])


def write(file: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(content)


def replaced(file: str, make: Callable[[Path], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        (folder / file).unlink()
        make(folder / file)

    return apply


def pipe(file: str) -> Callable[[Path], object]:
    """A pipe that nobody writes to: who opens it waits for good."""
    return replaced(file, os.mkfifo)


def folder_instead(file: str) -> Callable[[Path], object]:
    return replaced(file, Path.mkdir)


def dangling(file: str) -> Callable[[Path], object]:
    return replaced(file, lambda path: path.symlink_to("absent"))


def endless(file: str) -> Callable[[Path], object]:
    return replaced(file, lambda path: path.symlink_to("/dev/zero"))


def sparse(file: str, size: int) -> Callable[[Path], object]:
    """Stretches a file to a size that it takes no room for."""
    return lambda folder: os.truncate(folder / file, size)


def moved_and_linked(file: str) -> Callable[[Path], object]:
    """As in Hugging Face's cache: the file is a link to its content elsewhere."""

    def apply(folder: Path) -> None:
        blobs = folder.parent / f"{folder.name}-blobs"
        blobs.mkdir()
        (folder / file).rename(blobs / "blob")
        (folder / file).symlink_to(blobs / "blob")

    return apply


def flip(file: str, find: bytes, skip: int = 0) -> Callable[[Path], object]:
    """Turns one bit of the byte that follows `find` by `skip`."""

    def apply(folder: Path) -> None:
        content = bytearray((folder / file).read_bytes())
        content[content.index(find) + len(find) + skip] ^= 1
        (folder / file).write_bytes(content)

    return apply


def changed(file: str, change: Callable[[bytes], bytes]) -> Callable[[Path], object]:
    return lambda folder: (folder / file).write_bytes(change((folder / file).read_bytes()))
