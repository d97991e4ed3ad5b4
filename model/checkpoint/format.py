"""What a checkpoint format declares of itself, and how a format's files are told from others. No JAX.

A format is one module with one `Format` in it, which `model.checkpoint.formats` lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from model.checkpoint.stored import Checkpoint
from model.storage import join


@dataclass(frozen=True)
class Listing:
    """What lies at a path that a user named.

    Args:
        path: The path, as a folder's or a file's.
        files: Every file below the folder by its relative path, with its size in bytes; or the one file by its name.
        is_folder: Which of the two.
    """

    path: str
    files: Mapping[str, int]
    is_folder: bool

    def place(self, name: str) -> str:
        """The path of something in the listing; of the listed path itself for ``."""
        return join(self.path, name) if name and self.is_folder else self.path


@dataclass(frozen=True)
class Format:
    """One format in which models are published.

    Args:
        name: For messages.
        recognize: The checkpoint in a listing: a name in it, `` for the path itself, None where there is none.
        open: Lists the checkpoint at the path that `recognize` found: config and tensors, no weights read.
        identity: How the names end of the files that make a model what it is; none where every file counts.
        vocabulary: Where the SentencePiece model lies in a checkpoint's folder, the likeliest first.
        states_instruction: Whether `open` finds out whether the model is instruction-tuned; else files and names tell.
        own_vocabulary: Reads the vocabulary inside a checkpoint as the bytes of a SentencePiece model; None if the
            format has none inside.
    """

    name: str
    recognize: Callable[[Listing], str | None]
    open: Callable[[str], Checkpoint]
    identity: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    states_instruction: bool = False
    own_vocabulary: Callable[[str], bytes] | None = None


def only_file(*endings: str) -> Callable[[Listing], str | None]:
    """Recognizes a format by the one file whose name ends so; by the first of several endings that tells."""

    def recognize(listing: Listing) -> str | None:
        for ending in endings:
            named = [name for name in listing.files if name.endswith(ending)]
            if len(named) == 1:
                return named[0]
        return None

    return recognize
