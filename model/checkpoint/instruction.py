"""Whether a checkpoint is of an instruction-tuned model, told in every layout by what its publishers put there. No JAX.

    1. the format itself states it             `is_instruction_tuned` in config.json
    2. there is a chat template                 chat_template.jinja or .json, tokenizer_config.json, GGUF's metadata
    3. its name has `it` or `instruct` as a part  codegemma-7b-it/, 7b_it.npz, code_gemma_instruct_7b_en/

Kaggle's Flax and Keras files and `.npz` state nothing of themselves, so only names tell. A template that is null or
empty is none. Prompts are written in Gemma's own form (`transforms.tasks.chat`), which its templates of all generations
give; no template is run, and one of another form is refused.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any, Final

from model.checkpoint.format import Listing
from model.checkpoint.stored import read_json
from model.errors import ConfigError
from model.storage import exists, join, read_bytes

_NAMED: Final = re.compile(r"(?:^|[-_. ])(?:it|instruct|instruction)(?:[-_. ]|$)", re.IGNORECASE)
_VERSION: Final = re.compile(r"v?[0-9]+")  # of a download: its folder's name says nothing, that of the one above does
_TEMPLATE_FILE: Final = "chat_template.jinja"
_TEMPLATE_KEYS: Final = ("chat_template.json", "tokenizer_config.json")  # files with the template as a value
_MOST_TEMPLATE_BYTES: Final = 1 << 20
_TURN: Final = "<start_of_turn>"  # in every template of Gemma 1 to 3


def is_instruction_checkpoint(listing: Listing, found: str) -> bool:
    """Whether the files of a checkpoint, or the names of its folders, tell an instruction-tuned model.

    Args:
        listing: What lies at the path that the user named.
        found: The checkpoint in it, as its format recognized it.
    """
    folder = listing.path if listing.is_folder else posixpath.dirname(listing.path) or "."
    beside = [name for name in (_TEMPLATE_FILE, *_TEMPLATE_KEYS) if _has(listing, folder, name)]
    return any(_holds_template(folder, name) for name in beside) or any(
        map(is_instruction_name, _names(listing, found))
    )


def is_instruction_name(name: str) -> bool:
    """Whether the name of a folder or file says so.

    >>> is_instruction_name("codegemma-7b-it"), is_instruction_name("gpt-bit"), is_instruction_name("edit_2b")
    (True, False, False)
    """
    return _NAMED.search(name) is not None


def is_template(found: Any) -> bool:
    """Whether a value is a chat template: a text, or a list of named ones; null and blank ones are none."""
    if isinstance(found, list):
        return any(isinstance(one, dict) and is_template(one.get("template")) for one in found)
    return isinstance(found, str) and bool(found.strip())


def check_template(found: Any, source: str) -> bool:
    """`is_template`, of a Gemma's.

    Raises:
        ConfigError: It is one of another form of chat.
    """
    if not is_template(found):
        return False
    if _TURN not in str(found):
        raise ConfigError(
            f"{source} has a chat template that isn't Gemma's: it has no {_TURN}; a model that is asked in another "
            "form isn't supported (remove the template if the model does know Gemma's turns)"
        )
    return True


def _has(listing: Listing, folder: str, name: str) -> bool:
    return name in listing.files if listing.is_folder else exists(join(folder, name))


def _holds_template(folder: str, name: str) -> bool:
    place = join(folder, name)
    if name != _TEMPLATE_FILE:
        return check_template(read_json(place).get("chat_template"), place)
    return check_template(read_bytes(place, max_bytes=_MOST_TEMPLATE_BYTES).decode(errors="replace"), place)


def _names(listing: Listing, found: str) -> list[str]:
    """The names that may tell: of the folder or file that the user named, and of the checkpoint in it."""
    parts = [part for part in listing.path.split("/") if part not in ("", ".")]
    file = [] if listing.is_folder else [parts.pop()]
    while len(parts) > 1 and _VERSION.fullmatch(parts[-1]):
        parts.pop()
    inside = found.split("/") if listing.is_folder else []
    return [*parts[-1:], *file, *inside]
