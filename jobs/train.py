"""`codemill train`: a corpus, or packed rows from `codemill pack` -> a model trained on fill-in-the-middle.

    codemill train --input corpus/ --tokenizer tokenizer.model --output run --num_steps 2000
    codemill train --input corpus/ --tokenizer tokenizer.model --output run2 --init_from run --decay_fraction 1
    codemill train --input packed/ --tokenizer tokenizer.model --output run3 --length 1024

    OUT/train.json                     the options, frozen
    OUT/log.jsonl                      one line per --log_every steps
    OUT/checkpoints/0000000400.safetensors   weights, optimizer, position in the data; the last two are kept
    OUT/model/                         the model in Hugging Face's layout with its tokenizer, when finished
    OUT/COMPLETED

One process trains, and one of its threads prepares the rows (`jobs.training.data`). The same command resumes from the
last checkpoint with the same data, and produces the same weights as a run that was never interrupted. The training step
is `model.training.step`, the loop around it `jobs.training.loop`.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jobs.options import OptOutOptions, RunOptions, all_options, changed_options, option, semantic_options
from jobs.options.fields import defaults_of, internal_options
from jobs.terminal.escapes import print_line
from model.errors import ConfigError

if TYPE_CHECKING:
    from jobs.monitoring.run import Run
    from jobs.training.data import Place, Source
    from model.config import GemmaConfig
    from model.tokenizer import Tokenizer
    from model.training.step import TrainingConfig, TrainState
    from transforms.fim.training_rows import ExampleRecipe

# Options that control how FIM examples are cut. Packed rows are cut already, so these don't apply to them.
_CUTTING_OPTIONS = ("min_tokens", "fim_rate", "path_rate")


@dataclass(frozen=True, kw_only=True)
class Options(OptOutOptions, RunOptions):
    """Train a Gemma model on fill-in-the-middle over source files."""

    resumes = True

    input: tuple[str, ...] = option(
        help="Parquet files, folders or globs of a corpus or of packed rows, local or gs://; one or more.",
        metavar="GLOB",
        is_path=True,
    )
    tokenizer: str = option(help="Tokenizer: a .model file or a checkpoint folder.", metavar="PATH", is_path=True)
    output: str = option(help="Output folder of the run, local.", operational=True, metavar="DIR", is_path=True)
    init_from: str | None = option(
        None,
        help="Initialize weights and optimizer from the last checkpoint of this earlier run, whose shapes must match.",
        metavar="DIR",
        is_path=True,
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
    context_length: int = option(1024, help="Context length written to the model's config.", minimum=32)
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
    learning_rate: float = option(0.01, help="Peak learning rate of matrices (Muon).", minimum=0.0, metavar="RATE")
    embedding_learning_rate: float = option(
        0.005, help="Peak learning rate of embedding and norms (AdamW).", minimum=0.0, metavar="RATE"
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
        if self.length > self.context_length:
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
    from jobs.training.loop import LoopSettings, train
    from model.tokenizer import Tokenizer

    folder = _run_folder(options)
    _check_frozen(options, folder)
    if (folder / COMPLETED).exists():
        print_line(f"{options.output} is complete; the model is in {folder / 'model'}", options.result_stream)
        return True
    tokenizer = Tokenizer.load(options.tokenizer)
    source = open_source(options, tokenizer)
    _freeze(options, folder)
    state, place, config = _start(options, tokenizer, folder)
    ready = batches(source, options.batch_rows, place)
    settings = LoopSettings(**{field.name: getattr(options, field.name) for field in dataclasses.fields(LoopSettings)})
    done = train(settings, config, training_config(options), state, ready, folder, tell=monitor.progress)
    if done is None:
        print_line(f"stopped; the same command resumes from {folder / 'checkpoints'}", sys.stderr)
        return False
    _publish(done, config, tokenizer, folder)
    print_line(f"the model is in {folder / 'model'}", options.result_stream)
    return True


def _run_folder(options: Options) -> Path:
    return Path(options.output)


def _check_frozen(options: Options, folder: Path) -> None:
    """Refuses options that differ from those of the run in the folder, and a folder that contains anything else."""
    frozen = folder / "train.json"
    if frozen.exists():
        now = json.loads(json.dumps(semantic_options(options)))
        changes = changed_options(
            {**defaults_of(options, now), **json.loads(frozen.read_text())["semantic"]}, now, internal_options(options)
        )
        if changes:
            raise ConfigError(
                f"{options.output} was started with other options: {'; '.join(changes)}; "
                "restore them, or choose another --output"
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(
            f"--output {options.output} contains something other than a training run; choose an empty folder"
        )


def _freeze(options: Options, folder: Path) -> None:
    """Writes the options of a new run."""
    from jobs.training.checkpoints import write_whole

    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    frozen = folder / "train.json"
    if not frozen.exists():
        found = {"semantic": semantic_options(options), "all": all_options(options)}
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


def model_config(options: Options, tokenizer: Tokenizer) -> GemmaConfig:
    """The model's shapes from the options; the vocabulary size is the tokenizer's."""
    from model.config import GemmaConfig

    return GemmaConfig(
        num_layers=options.num_layers,
        d_model=options.d_model,
        d_ff=options.d_ff,
        num_heads=options.num_heads,
        num_kv_heads=options.num_kv_heads,
        head_dim=options.head_dim,
        vocab_size=tokenizer.vocab_size,
        rope_base=options.rope_base,
        context_length=options.context_length,
    )


def training_config(options: Options) -> TrainingConfig:
    """The optimizer settings from the options."""
    from model.training.step import TrainingConfig

    return TrainingConfig(
        num_steps=options.num_steps,
        warmup_steps=options.warmup_steps,
        decay_fraction=options.decay_fraction,
        learning_rate=options.learning_rate,
        embedding_learning_rate=options.embedding_learning_rate,
        weight_decay=options.weight_decay,
    )


def _start(options: Options, tokenizer: Tokenizer, folder: Path) -> tuple[TrainState, Place, GemmaConfig]:
    """The state to start from: this run's last checkpoint, another run's, or random weights."""
    import jax
    import jax.numpy as jnp

    from jobs.training.checkpoints import last_checkpoint, load_checkpoint
    from jobs.training.data import Place
    from model.training.step import new_state

    config, training = model_config(options, tokenizer), training_config(options)
    last = last_checkpoint(folder / "checkpoints")
    if last is None and options.init_from is None:
        state = new_state(jax.random.key(options.seed), config, training)
        if options.copying_heads:
            from model.training.copying_heads import FimIds, with_copying_heads

            fim = FimIds(tokenizer.bos, tokenizer.fim_prefix, tokenizer.fim_suffix, tokenizer.fim_middle)
            weights = with_copying_heads(state.weights, config, fim, jax.random.key(options.seed + 1))
            state = dataclasses.replace(state, weights=weights)
        return state, Place(0, 0), config
    shapes = jax.eval_shape(lambda: new_state(jax.random.key(0), config, training))
    if last is not None:
        state, place = load_checkpoint(last, shapes)
        print_line(f"resumed from step {int(state.step)} of {options.num_steps}", sys.stderr)
        return state, place, config
    assert options.init_from is not None
    earlier = last_checkpoint(Path(options.init_from, "checkpoints"))
    if earlier is None:
        raise ConfigError(f"--init_from {options.init_from} contains no checkpoint; pass the folder of a training run")
    state, place = load_checkpoint(earlier, shapes)
    # Start with the next epoch, so that the rows the other run trained on last aren't repeated immediately.
    return dataclasses.replace(state, step=jnp.zeros((), jnp.int32)), Place(place.epoch + 1, 0), config


def _publish(state: TrainState, config: GemmaConfig, tokenizer: Tokenizer, folder: Path) -> None:
    """Writes the trained model as a checkpoint that any job loads."""
    from jobs.storage.folders import COMPLETED
    from jobs.training.checkpoints import write_whole
    from model.checkpoint import save
    from model.gemma import Gemma

    save(Gemma(config, weights=state.weights), folder / "model")
    write_whole(folder / "model" / "tokenizer.model", tokenizer.__reduce__()[1][0])
    write_whole(folder / COMPLETED, b"")
