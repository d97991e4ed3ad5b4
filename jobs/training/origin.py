"""What a run's weights come from: random numbers, an earlier run, or a published checkpoint that is fine-tuned.

A checkpoint brings its shapes, its vocabulary and its context length, and other defaults: AdamW instead of Muon, and
rates that suit weights which are trained already. `resolved` fills them in before the options are frozen, so that a
resumed run compares numbers with numbers.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from model.checkpoint.detection import checkpoint_hash, find
from model.config import GemmaConfig
from model.errors import ConfigError
from model.storage import exists, is_folder, join, read_bytes, resolve

if TYPE_CHECKING:
    from jobs.options.train import TrainOptions as Options
    from model.tokenizer import Tokenizer

FROZEN: Final = "train.json"
SHAPES: Final = (
    "num_layers", "d_model", "d_ff", "num_heads", "num_kv_heads", "head_dim", "rope_base", "context_length",
    "copying_heads",
)  # fmt: skip
"""Options that describe a new model."""
ADAPTERS: Final = ("lora_alpha", "lora_targets")
"""Options that describe adapters."""
_NEW: Final[dict[str, Any]] = {
    "learning_rate": 0.01, "embedding_learning_rate": 0.005, "context_length": 1024, "optimizer": "muon",
}  # fmt: skip
_TUNED_RATE, _ADAPTERS_RATE = 2e-5, 2e-4  # of AdamW; as is usual for models of this size and for LoRA
# Rows that an embedding may have beyond its vocabulary: published ones are padded.
_MOST_SPARE_ROWS: Final = 1024
_ADAPTER_FILE: Final = "adapter_config.json"  # of PEFT


@dataclass(frozen=True)
class Base:
    """A published checkpoint to start from.

    Args:
        path: As the user named it.
        config: Its shapes.
        sha256: What identifies it (`model.checkpoint.checkpoint_hash`).
    """

    path: str
    config: GemmaConfig
    sha256: str


def base_of(options: Options) -> Base | None:
    """The checkpoint to fine-tune; None for a new model and for an earlier run.

    Raises:
        ConfigError: What `--init_from` names is neither a checkpoint nor a run, or holds an adapter alone.
    """
    path = options.init_from
    if path is None:
        return None
    if is_run(path):
        if frozen_options(Path(path)).get("base_sha256"):
            raise ConfigError(
                f"--init_from {path} is a run that fine-tuned a checkpoint; pass its result, {path}/model"
            )
        return None
    place = resolve(path)
    if is_folder(place) and exists(join(place, _ADAPTER_FILE)):
        of = _base_of_adapter(join(place, _ADAPTER_FILE))
        raise ConfigError(
            f"--init_from {path} holds an adapter{of}, not a model; merge it into its base first, and pass the result"
        )
    return Base(path, find(path).config, checkpoint_hash(path))


def is_run(path: str) -> bool:
    """Whether a path is the folder of a run of `codemill train`."""
    return Path(path, FROZEN).is_file() or Path(path, "checkpoints").is_dir()


def frozen_options(folder: Path) -> dict[str, Any]:
    """What a run froze when it began: its options under `semantic` and `all`, `base_sha256`; empty if there is no run.

    Raises:
        ConfigError: The file is damaged.
    """
    if not (folder / FROZEN).exists():
        return {}
    try:
        found = json.loads((folder / FROZEN).read_text())
    except ValueError:
        found = None
    if not isinstance(found, dict) or "semantic" not in found:
        raise ConfigError(f"{folder / FROZEN} is damaged; choose another folder")
    return found


def _base_of_adapter(path: str) -> str:
    try:
        name = json.loads(read_bytes(path, max_bytes=1 << 20)).get("base_model_name_or_path")
    except (ValueError, AttributeError, ConfigError):
        return ""
    return f" of {name}" if isinstance(name, str) and name else ""


def resolved(options: Options, base: Base | None) -> Options:
    """The options with every default that depends on what the weights come from.

    Raises:
        ConfigError: An option describes a new model although there is a checkpoint, or adapters without one.
    """
    if base is None:
        _refuse_adapters(options)
        missing: dict[str, Any] = {
            name: value for name, value in _NEW.items() if getattr(options, name) in (None, "auto")
        }
        if options.tokenizer is None:
            raise ConfigError(f"--init_from {options.init_from} is an earlier run; pass the --tokenizer that it had")
        found = dataclasses.replace(options, **missing)
        _check_embedding_rate(options, found.optimizer)
        return found
    defaults = {field.name: field.default for field in dataclasses.fields(type(options))}
    for name in SHAPES:
        if getattr(options, name) not in (defaults[name], getattr(base.config, name, None)):
            raise ConfigError(
                f"--{name} describes a new model, but --init_from {base.path} has its own shapes; remove it"
            )
    if options.lora_rank is None:
        _refuse_adapters(options)
    if options.length > base.config.context_length:
        raise ConfigError(
            f"--length {options.length} exceeds the context of {base.path}, {base.config.context_length} tokens"
        )
    rate = _TUNED_RATE if options.lora_rank is None else _ADAPTERS_RATE
    missing = {
        "context_length": base.config.context_length,
        "learning_rate": (learning_rate := rate if options.learning_rate is None else options.learning_rate),
        "embedding_learning_rate": (
            learning_rate if options.embedding_learning_rate is None else options.embedding_learning_rate
        ),
        "optimizer": "adamw" if options.optimizer == "auto" else options.optimizer,
        "tokenizer": options.tokenizer or base.path,
    }
    if options.lora_rank is not None:
        if missing["optimizer"] != "adamw":
            raise ConfigError(f"--optimizer {options.optimizer}: adapters are trained by adamw")
        missing["lora_alpha"] = 2.0 * options.lora_rank if options.lora_alpha is None else options.lora_alpha
    _check_embedding_rate(options, missing["optimizer"])
    return dataclasses.replace(options, **missing)


def _check_embedding_rate(options: Options, optimizer: str) -> None:
    if options.embedding_learning_rate is not None and optimizer != "muon":
        raise ConfigError(
            f"--embedding_learning_rate belongs to --optimizer muon, this run has {optimizer} with one rate for all; "
            "remove it"
        )


def _refuse_adapters(options: Options) -> None:
    defaults = {field.name: field.default for field in dataclasses.fields(type(options))}
    for name in ("lora_rank", *ADAPTERS):
        if getattr(options, name) != defaults[name]:
            needs = "--init_from with a published checkpoint" if name == "lora_rank" else "--lora_rank"
            raise ConfigError(f"--{name} describes adapters of a trained model: it needs {needs}")


def check_vocabulary(tokenizer: Tokenizer, base: Base, named: str) -> None:
    """Raises ConfigError unless a vocabulary can be the checkpoint's."""
    pieces, rows = tokenizer.vocab_size, base.config.vocab_size
    if not pieces <= rows <= pieces + _MOST_SPARE_ROWS:
        raise ConfigError(
            f"--tokenizer {named} has {pieces:,} pieces, but {base.path} embeds {rows:,}: it is another model's; "
            "leave it out to use the checkpoint's own"
        )


def check_same_base(base: Base | None, frozen: dict[str, Any], output: str) -> None:
    """Raises ConfigError if a run was started from other weights: its adapters or updates are of those."""
    began = frozen.get("base_sha256")
    now = base.sha256 if base else None
    if began != now:
        raise ConfigError(
            f"{output} was trained from a checkpoint {str(began)[:12]}, --init_from is now {str(now)[:12]}; "
            "restore that one, or choose another --output"
        )
