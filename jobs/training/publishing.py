"""The trained model as a checkpoint that any job loads, with its card."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jobs.finalize.publishing import last_part, public_options
from jobs.options import semantic_options
from jobs.storage.folders import COMPLETED
from jobs.terminal.escapes import markdown_code
from jobs.training.checkpoints import write_whole
from jobs.training.origin import SHAPES, Base
from jobs.training.start import Start, compute_dtype, training_config
from model.checkpoint import save
from model.gemma import Gemma
from model.storage import exists, is_folder, join, read_bytes, resolve
from model.tokenizer import Tokenizer
from model.training.adapters import merged
from model.training.step import TrainState

if TYPE_CHECKING:
    from jobs.options.train import TrainOptions as Options

_DERIVATIVE: Final = (
    "It is a *Model Derivative* of {name} if that is a Gemma model: the "
    "[Gemma Terms of Use](https://ai.google.dev/gemma/terms) then apply to it, and must be passed on with it."
)
_TEMPLATES: Final = ("chat_template.jinja", "chat_template.json", "tokenizer_config.json")
"""Files beside a checkpoint that tell how a conversation is written."""
_MOST_TEMPLATE_BYTES: Final = 8 << 20
_POINTS: Final = 12  # of the loss's course in the card


def publish(options: Options, start: Start, state: TrainState, tokenizer: Tokenizer, base: Base | None) -> None:
    """Writes `model/` (Hugging Face's layout, the vocabulary, a card), and then that the run is complete.

    Adapters are merged into the weights. A fine-tuned model is stored in the dtype that it was computed in.
    """
    folder = Path(options.output)
    weights, dtype = state.weights, None
    if start.frozen is not None:
        weights = merged(start.frozen, state.weights, training_config(options).adapter_scale)
    if base is not None:
        dtype = compute_dtype(options.dtype)
    save(Gemma(start.config, weights=weights), folder / "model", dtype=dtype)
    write_whole(folder / "model" / "tokenizer.model", tokenizer.__reduce__()[1][0])
    for name, content in _templates(base):
        write_whole(folder / "model" / name, content)
    write_whole(folder / "model" / "README.md", card(options, folder, base).encode())
    write_whole(folder / COMPLETED, b"")


def _templates(base: Base | None) -> Iterator[tuple[str, bytes]]:
    """The chat template of a tuned checkpoint, which the result is prompted with as well."""
    if base is None or not is_folder(place := resolve(base.path)):
        return
    for name in _TEMPLATES:
        if exists(join(place, name)):
            yield name, read_bytes(join(place, name), max_bytes=_MOST_TEMPLATE_BYTES)


def card(options: Options, folder: Path, base: Base | None) -> str:
    """The model's card in Markdown: what it was made of, how, and how its loss went."""
    log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    sections = (_head(base), _what(options, base), _course(log), _options(options, base))
    return "\n".join(line for section in sections for line in [*section, ""])


def _head(base: Base | None) -> Iterator[str]:
    yield from ("---", "library_name: transformers", "pipeline_tag: text-generation")
    if base is not None:
        yield f"base_model: {json.dumps(last_part(base.path))}"
    yield from ("tags:", "- code", "- codemill", "---")


def _what(options: Options, base: Base | None) -> Iterator[str]:
    yield f"# {last_part(options.output)}"
    yield ""
    data = ", ".join(markdown_code(last_part(path)) for path in options.input)
    if base is None:
        yield f"A Gemma-like model, trained by `codemill train` on {data}."
        return
    name = markdown_code(last_part(base.path))
    how = "fine-tuned"
    if options.lora_rank is not None:
        how = f"fine-tuned by adapters of rank {options.lora_rank} (LoRA), which are merged into its weights,"
    yield f"{name} (checkpoint {base.sha256[:12]}), {how} by `codemill train` on {data}."
    yield ""
    yield _DERIVATIVE.format(name=name)


def _course(log: list[dict[str, Any]]) -> Iterator[str]:
    measured = [line for line in log if "eval_loss" in line] or log
    every = -(-len(measured) // _POINTS)
    shown = measured[::-1][::every][::-1]
    yield "| step | loss | held-out loss |"
    yield "|---|---|---|"
    for line in shown:
        yield (
            f"| {line['step']} | {line['loss']:.4f} | {line['eval_loss']:.4f} |"
            if "eval_loss" in line
            else (f"| {line['step']} | {line['loss']:.4f} | |")
        )
    yield ""
    yield f"Nats per weighted token; {sum(line['tokens'] for line in log):,} tokens were trained on."


def _options(options: Options, base: Base | None) -> Iterator[str]:
    told = public_options("train", semantic_options(options))
    if base is not None:  # which has its own shapes
        told = {name: value for name, value in told.items() if name not in SHAPES}
    yield "```json"
    yield json.dumps(told, indent=1, sort_keys=True)
    yield "```"
