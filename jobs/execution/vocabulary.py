"""Checks while a job is planned that its model and its vocabulary match, so that no row has to fail of it."""

from __future__ import annotations

from jobs.options import ModelJobOptions
from model.config import GemmaConfig
from model.errors import ConfigError
from model.tokenizer import Tokenizer
from transforms.fim.formats import has_fim_tokens
from transforms.tasks.shared import open_tokenizer

# Rows that an embedding may have beyond its vocabulary: published ones are padded to multiples of 64 to 1,024.
_MOST_SPARE_ROWS = 1024


def check_vocabulary(options: ModelJobOptions, config: GemmaConfig, *, is_chat: bool | None) -> None:
    """Opens the job's vocabulary and matches it with the model and the prompts.

    Args:
        options: The job's options.
        config: The model's shapes.
        is_chat: Whether prompts are in chat form; else they fill in the middle, or, for None, are plain text.

    Raises:
        ConfigError: It is missing or no SentencePiece model, has more or far fewer pieces than the model embeds, lacks
            a control token, or changed since the job was started.
    """
    tokenizer = _open(options)
    if options.tokenizer_sha256 not in ("", tokenizer.sha256):
        raise ConfigError(
            f"--tokenizer {options.tokenizer} changed during the job; restore it, or start a new --output"
        )
    pieces, rows = tokenizer.vocab_size, config.vocab_size
    if not pieces <= rows <= pieces + _MOST_SPARE_ROWS:
        raise ConfigError(
            f"{options.vocabulary}: the vocabulary has {pieces:,} pieces, but the model {options.model} embeds "
            f"{rows:,}: it is another model's; name the model's own with --tokenizer"
        )
    try:
        _ = tokenizer.bos, tokenizer.eos
        if is_chat:
            _ = tokenizer.start_of_turn, tokenizer.end_of_turn
        elif is_chat is not None:
            _ = tokenizer.fim_prefix, tokenizer.fim_middle, tokenizer.fim_suffix, tokenizer.file_separator
    except ConfigError as error:
        form = "chat prompts" if is_chat else "fill-in-the-middle prompts"
        raise ConfigError(f"{error}; {form} need it, --tokenizer names another vocabulary") from None


def can_infill(options: ModelJobOptions) -> bool:
    """Returns whether the job's vocabulary has infilling tokens. Raises ConfigError if it can't be read."""
    return has_fim_tokens(_open(options))


def vocabulary_sha256(options: ModelJobOptions) -> str:
    """Returns the hash of the job's vocabulary. Raises ConfigError if it can't be read."""
    return _open(options).sha256


def _open(options: ModelJobOptions) -> Tokenizer:
    try:
        return open_tokenizer(options.vocabulary)
    except ConfigError as error:
        raise ConfigError(f"{error}; --tokenizer names another vocabulary") from None
