"""`codemill train`: a corpus, or packed rows from `codemill pack` -> a model trained on fill-in-the-middle.

    codemill train --input corpus/ --tokenizer tokenizer.model --output run --num_steps 2000
    codemill train --input corpus/ --tokenizer tokenizer.model --output run2 --init_from run --decay_fraction 1
    codemill train --input packed/ --tokenizer tokenizer.model --output run3 --length 1024
    codemill train --input packed/ --output tuned --init_from codegemma-2b --length 2048 --lora_rank 16

    OUT/train.json                     the options, frozen, and the hash of the checkpoint that is fine-tuned
    OUT/log.jsonl                      one line per --log_every steps, and per --eval_every with --eval_input
    OUT/checkpoints/0000000400.safetensors   weights, optimizer, position in the data; the last two are kept
    OUT/model/                         the model in Hugging Face's layout with tokenizer and card, when finished
    OUT/COMPLETED

One process trains on all accelerators of its host, and one of its threads prepares the rows (`jobs.training.data`). The
same command resumes from the last checkpoint with the same data, and produces the same weights as a run that was never
interrupted. `jobs.training.origin` and `.start` say what a run begins with, `model.training.step` is its step,
`jobs.training.loop` the loop around it.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jobs.options import OptOutOptions, RunOptions, all_options, changed_options, option, semantic_options
from jobs.options.fields import defaults_of, internal_options
from jobs.terminal.escapes import print_line
from model.errors import ConfigError

if TYPE_CHECKING:
    from jobs.monitoring.run import Run
    from jobs.training.data import Source
    from jobs.training.origin import Base
    from model.tokenizer import Tokenizer
    from transforms.fim.training_rows import ExampleRecipe

# Options that control how FIM examples are cut. Packed rows are cut already, so these don't apply to them.
_CUTTING_OPTIONS = ("min_tokens", "fim_rate", "path_rate")


@dataclass(frozen=True, kw_only=True)
class Options(OptOutOptions, RunOptions):
    """Train a Gemma model on fill-in-the-middle over source files, or fine-tune a checkpoint."""

    resumes = True

    input: tuple[str, ...] = option(
        help="Parquet files, folders or globs of a corpus or of packed rows, local or gs://; one or more.",
        metavar="GLOB",
        is_path=True,
    )
    tokenizer: str | None = option(
        None,
        help="Tokenizer: a .model file or a checkpoint folder; by default that of the checkpoint of --init_from.",
        metavar="PATH",
        is_path=True,
    )
    output: str = option(help="Output folder of the run, local.", operational=True, metavar="DIR", is_path=True)
    init_from: str | None = option(
        None,
        help="A Gemma checkpoint to fine-tune, in any layout; or an earlier run of train, whose shapes must match, to "
        "go on from its weights and optimizer.",
        metavar="DIR",
        is_path=True,
    )
    lora_rank: int | None = option(
        None, help="Train adapters of this rank (LoRA) instead of the checkpoint's weights.", minimum=1, metavar="RANK"
    )
    lora_alpha: float | None = option(
        None, help="Adapters count alpha / rank; twice the rank by default.", minimum=0.0, metavar="ALPHA"
    )
    lora_targets: tuple[str, ...] = option(
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        help="Matrices of each block that get adapters.",
        metavar="NAME",
    )
    eval_input: tuple[str, ...] = option(
        (), help="Held-out rows of the same kind, whose loss is measured.", metavar="GLOB", is_path=True
    )
    eval_every: int = option(
        200, help="Steps between measurements on --eval_input.", operational=True, minimum=1, metavar="STEPS"
    )
    eval_batches: int = option(
        16, help="Batches of --eval_input that are measured.", operational=True, minimum=1, metavar="BATCHES"
    )
    num_layers: int = option(4, help="Transformer blocks.", minimum=1, metavar="LAYERS")
    d_model: int = option(192, help="Width of the residual stream.", minimum=8, metavar="WIDTH")
    d_ff: int = option(512, help="Width of the feed-forward layers.", minimum=8, metavar="WIDTH")
    num_heads: int = option(3, help="Query heads.", minimum=1, metavar="HEADS")
    num_kv_heads: int = option(1, help="Key/value heads.", minimum=1, metavar="HEADS")
    head_dim: int = option(64, help="Width of a head; must be even.", minimum=2, metavar="WIDTH")
    rope_base: float = option(
        10_000.0, help="Base wavelength of the rotary position embedding; CodeGemma's is 10,000.", minimum=1.0
    )
    context_length: int | None = option(
        None, help="Context length written to a new model's config; 1024 by default.", minimum=32, metavar="TOKENS"
    )
    copying_heads: bool = option(
        False, help="Initialize some heads to copy from the context, which small models learn slowly."
    )
    length: int = option(
        512,
        help="Tokens per training row and maximum example length; for packed rows, the length they were packed to.",
        minimum=64,
        metavar="TOKENS",
    )
    batch_rows: int = option(16, help="Rows per step.", minimum=1, metavar="ROWS")
    num_steps: int = option(1000, help="Number of training steps.", minimum=1, metavar="STEPS")
    warmup_steps: int = option(50, help="Warmup steps of the learning rate.", minimum=0, metavar="STEPS")
    decay_fraction: float = option(
        0.3, help="Fraction of the run, at its end, over which the learning rate decays to 0.", minimum=0.0, maximum=1.0
    )
    optimizer: Literal["auto", "muon", "adamw"] = option(
        "auto",
        help="muon: Muon for matrices and AdamW for embedding and norms; adamw: AdamW for all; auto: muon for a new "
        "model, adamw for a checkpoint.",
    )
    learning_rate: float | None = option(
        None,
        help="Peak learning rate, with Muon that of matrices; by default 0.01 for a new model, 2e-5 for a checkpoint, "
        "2e-4 for adapters.",
        minimum=0.0,
        metavar="RATE",
    )
    embedding_learning_rate: float = option(
        0.005, help="With Muon, peak learning rate of embedding and norms.", minimum=0.0, metavar="RATE"
    )
    weight_decay: float = option(0.05, help="Weight decay of matrices.", minimum=0.0)
    min_tokens: int = option(96, help="Minimum window around a FIM middle.", minimum=32, metavar="TOKENS")
    fim_rate: float = option(
        0.9, help="Fraction of examples transformed for FIM; the others are plain text.", maximum=1.0
    )
    path_rate: float = option(0.2, help="Fraction of the FIM examples that start with the file's path.", maximum=1.0)
    middle_weight: float = option(
        1.0, help="Loss weight of middle tokens; all other tokens have weight 1.", minimum=0.0
    )
    seed: int = option(0, help="Random seed.", minimum=0)
    dtype: Literal["auto", "float32", "bfloat16"] = option(
        "auto", help="Compute dtype; auto: float32 on CPU, bfloat16 on TPU and GPU. Weights are float32."
    )
    micro_batches: int = option(
        1, help="Micro-batches per step for gradient accumulation, to bound memory.", minimum=1, metavar="PARTS"
    )
    remat: Literal["auto", "on", "off"] = option(
        "auto",
        help="Recompute blocks in the backward pass instead of storing them: a third more time and far less memory; "
        "auto: for a checkpoint.",
        operational=True,
    )
    stop_after_s: float | None = option(
        None,
        help="Write a checkpoint and stop after this many seconds; the same command resumes.",
        operational=True,
        minimum=0.0,
    )
    checkpoint_every_s: float = option(
        120.0, help="Seconds between checkpoints.", operational=True, minimum=0.0, metavar="SECONDS"
    )
    log_every: int = option(20, help="Steps between log lines.", operational=True, minimum=1, metavar="STEPS")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_rows % self.micro_batches:
            raise ConfigError(
                f"--batch_rows {self.batch_rows} is not divisible by --micro_batches {self.micro_batches}"
            )
        if self.num_heads % self.num_kv_heads or self.head_dim % 2:
            raise ConfigError(
                f"--num_heads {self.num_heads} must be a multiple of --num_kv_heads {self.num_kv_heads}, "
                f"and --head_dim {self.head_dim} must be even"
            )
        if "://" in self.output:
            raise ConfigError(f"--output {self.output}: train can only write to a local folder; copy it afterwards")
        if self.tokenizer is None and self.init_from is None:
            raise ConfigError("--tokenizer is required for a new model; pass a .model file or a checkpoint folder")
        if self.context_length is not None and self.length > self.context_length:
            raise ConfigError(f"--length {self.length} exceeds --context_length {self.context_length}")


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Trains, or resumes; returns the exit code."""
    if beam_args:
        raise ConfigError(f"train does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    from jobs.monitoring.run import monitored, with_run_id
    from jobs.plan.opt_out import freeze_opt_out
    from jobs.system.signals import raise_on_signals

    raise_on_signals()
    options = with_run_id(freeze_opt_out(options))
    with monitored("train", options) as monitor:
        if _train(options, monitor):
            monitor.complete({**monitor.summary("complete", []), "steps": options.num_steps})
        else:
            monitor.stopped({**monitor.summary("stopped", []), "steps": None})
    return 0


def _train(options: Options, monitor: Run) -> bool:
    """Trains, or resumes; returns whether the run is complete."""
    from jobs.storage.folders import COMPLETED
    from jobs.training.data import batches
    from jobs.training.held_out import held_out_loss
    from jobs.training.loop import LoopSettings, train
    from jobs.training.origin import base_of, check_vocabulary, resolved
    from jobs.training.publishing import publish
    from jobs.training.start import compute_dtype, start, training_config
    from model.tokenizer import Tokenizer

    folder = Path(options.output)
    base = base_of(options)
    options = resolved(options, base)
    _check_frozen(options, folder, base)
    if (folder / COMPLETED).exists():
        print_line(f"{options.output} is complete; the model is in {folder / 'model'}", options.result_stream)
        return True
    assert options.tokenizer is not None
    tokenizer = Tokenizer.load(options.tokenizer)
    if base is not None:
        check_vocabulary(tokenizer, base, options.tokenizer)
    source = open_source(options, tokenizer)
    held_out = (
        open_source(dataclasses.replace(options, input=options.eval_input), tokenizer) if options.eval_input else None
    )
    _freeze(options, folder, base)
    begin, training = start(options, tokenizer, base, folder), training_config(options)
    measure = (
        None
        if held_out is None
        else held_out_loss(
            held_out,
            begin,
            training,
            batch_rows=options.batch_rows,
            num_batches=options.eval_batches,
            dtype=compute_dtype(options.dtype),
        )
    )
    ready = batches(source, options.batch_rows, begin.place)
    values = {field.name: getattr(options, field.name) for field in dataclasses.fields(LoopSettings)}
    if options.remat == "auto":
        values["remat"] = "off" if base is None else "on"
    done = train(LoopSettings(**values), begin, training, ready, folder, monitor.progress, measure)
    if done is None:
        print_line(f"stopped; the same command resumes from {folder / 'checkpoints'}", sys.stderr)
        return False
    publish(options, begin, done, tokenizer, base)
    print_line(f"the model is in {folder / 'model'}", options.result_stream)
    return True


def _check_frozen(options: Options, folder: Path, base: Base | None) -> None:
    """Refuses options that differ from those of the run in the folder, and a folder that contains anything else."""
    from jobs.training.origin import check_same_base, frozen_options

    frozen = frozen_options(folder)
    if frozen:
        now = json.loads(json.dumps(semantic_options(options)))
        began = {**defaults_of(options, now), **frozen["semantic"]}
        if "optimizer" not in frozen["semantic"]:  # a run of a version that had Muon alone
            began["optimizer"] = "muon"
        changes = changed_options(began, now, internal_options(options))
        if changes:
            raise ConfigError(
                f"{options.output} was started with other options: {'; '.join(changes)}; "
                "restore them, or choose another --output"
            )
        check_same_base(base, frozen, options.output)
    elif folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(
            f"--output {options.output} contains something other than a training run; choose an empty folder"
        )


def _freeze(options: Options, folder: Path, base: Base | None) -> None:
    """Writes the options of a new run."""
    from jobs.training.checkpoints import write_whole
    from jobs.training.origin import FROZEN

    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    frozen = folder / FROZEN
    if not frozen.exists():
        found: dict[str, Any] = {"semantic": semantic_options(options), "all": all_options(options)}
        if base is not None:
            found["base_sha256"] = base.sha256
        write_whole(frozen, json.dumps(found, indent=1).encode())


def open_source(options: Options, tokenizer: Tokenizer) -> Source:
    """The rows to train on: packed rows if the input has their columns, otherwise examples cut from a corpus.

    Raises:
        ConfigError: There is no file or no usable row, or the rows were packed for another model.
    """
    from jobs.training.data import CorpusSource, read_files
    from jobs.training.left_out import LeftOut
    from jobs.training.packed import PackedSource, open_packed

    left_out = LeftOut.of(options)
    groups = open_packed(options.input, tokenizer, options.length, left_out)
    if groups is None:
        files = read_files(options.input, left_out)
        left_out.tell()
        return CorpusSource(files, tokenizer, _recipe(options), length=options.length, seed=options.seed)
    defaults = {field.name: field.default for field in dataclasses.fields(Options)}
    for name in _CUTTING_OPTIONS:
        if getattr(options, name) != defaults[name]:
            raise ConfigError(
                f"--{name} controls how FIM examples are cut, but --input has packed rows, already cut; remove it, "
                "or pass the corpus instead"
            )
    left_out.tell()
    return PackedSource(groups, options.length, tokenizer.pad, options.middle_weight, options.seed)


def _recipe(options: Options) -> ExampleRecipe:
    from transforms.fim.training_rows import ExampleRecipe

    return ExampleRecipe(
        max_tokens=options.length,
        min_tokens=min(options.min_tokens, options.length),
        fim_rate=options.fim_rate,
        path_rate=options.path_rate,
        middle_weight=options.middle_weight,
    )
