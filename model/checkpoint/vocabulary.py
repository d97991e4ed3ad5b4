"""Finds a checkpoint's vocabulary: a SentencePiece file beside the weights, else the one inside a GGUF file. No JAX."""

from __future__ import annotations

import os

from model.checkpoint.format import Listing
from model.checkpoint.formats import FORMATS
from model.errors import ConfigError, one_line
from model.storage import file_size, is_folder, join, list_files, read_bytes, resolve

ENDINGS = (".model", ".spm")  # of files that are a SentencePiece model by their name
_MOST_BYTES = 64 << 20  # of a vocabulary's file: Gemma's has 4
_SHOWN = 8  # names in a message


def read_vocabulary(path: str | os.PathLike[str]) -> tuple[bytes, str]:
    """Returns the bytes of the SentencePiece model for a path, and where they came from.

    Args:
        path: A vocabulary, a checkpoint's folder or weights file, or a shipped model's name.

    Raises:
        ConfigError: There is none, or several, of which none is named as its format names it.
    """
    place = resolve(path)
    if is_folder(place):
        return _of_folder(place, Listing(place, list_files(place), is_folder=True))
    name = os.path.basename(place)
    weights = Listing(place, {name: 0}, is_folder=False)
    if place.endswith(ENDINGS) or not any(form.recognize(weights) is not None for form in FORMATS):
        return read_bytes(place, max_bytes=_MOST_BYTES), place
    file_size(place)  # raises if there is no such file
    folder = place.removesuffix(name).rstrip("/") or "."
    return _of_folder(folder, Listing(folder, list_files(folder), is_folder=True), weights)


def _of_folder(folder: str, listing: Listing, weights: Listing | None = None) -> tuple[bytes, str]:
    """The vocabulary in a folder; else that inside the weights, which are all of the folder or one file in it."""
    named = [name for form in FORMATS for name in form.vocabulary if name in listing.files]
    others = [name for name in listing.files if name.endswith(ENDINGS)]
    if named or len(others) == 1:
        place = join(folder, (named or others)[0])
        return read_bytes(place, max_bytes=_MOST_BYTES), place
    of = weights or listing
    for form in FORMATS:
        if (found := form.recognize(of)) is not None and form.own_vocabulary is not None and not others:
            return form.own_vocabulary(of.place(found)), of.place(found)
    shown = ", ".join(others or list(listing.files)[:_SHOWN]) or "nothing"
    where = f"{folder}, beside {os.path.basename(weights.path)}," if weights else folder
    raise ConfigError(one_line(f"{where} holds no tokenizer.model (found: {shown}); put the SentencePiece model there"))
