"""`codemill train`: a corpus -> a model trained to fill in the middle.

    codemill train --input corpus/ --tokenizer tokenizer.model --output run --num_steps 2000
    codemill train --input corpus/ --tokenizer tokenizer.model --output run2 --init_from run --decay_fraction 1

    OUT/train.json                     the options, frozen
    OUT/log.jsonl                      a line for every --log_every steps
    OUT/checkpoints/0000000400.safetensors   weights, optimizer and place in the data; the last two are kept
    OUT/model/                         the model in Hugging Face's layout with its vocabulary, when done
    OUT/COMPLETED

One process trains; files are read once into memory, examples are made in a thread beside it. The same
command resumes from the last checkpoint with the same data, and gives the same weights as a run that was never
interrupted. The step itself is `model.training`, what the rows are is `transforms.fim.training_rows`.
"""

from __future__ import annotations

import dataclasses
import json
import queue
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jobs.options import OptionSet, all_options, changed_options, option, semantic_options
from model.errors import ConfigError

if TYPE_CHECKING:
    from model.config import GemmaConfig
    from model.tokenizer import Tokenizer
    from model.training import Rows, TrainingConfig, TrainState
    from transforms.fim.training_rows import ExampleRecipe
    from transforms.rows import Row

KEPT_CHECKPOINTS = 2


@dataclass(frozen=True, kw_only=True)
class Options(OptionSet):
    """Train a Gemma model to fill in the middle of source files."""

    input: tuple[str, ...] = option(
        help="Parquet files, folders and globs of the corpus, local or gs://; several at once.", metavar="GLOB"
    )
    tokenizer: str = option(help="The vocabulary: a .model file or a checkpoint's folder.", metavar="PATH")
    output: str = option(help="Folder of the run, local.", operational=True, metavar="DIR")
    init_from: str | None = option(
        None,
        help="Start from the last checkpoint of this earlier run (weights and optimizer); the shapes are its own.",
        metavar="DIR",
    )
    num_layers: int = option(4, help="Transformer blocks.", minimum=1, metavar="LAYERS")
    d_model: int = option(192, help="Width of the residual stream.", minimum=8, metavar="WIDTH")
    d_ff: int = option(512, help="Width of the feed-forward layers.", minimum=8, metavar="WIDTH")
    num_heads: int = option(3, help="Query heads.", minimum=1, metavar="HEADS")
    num_kv_heads: int = option(1, help="Key/value heads.", minimum=1, metavar="HEADS")
    head_dim: int = option(64, help="Width of a head; even.", minimum=2, metavar="WIDTH")
    context_length: int = option(1024, help="What the model's config states as its context.", minimum=32)
    copying_heads: bool = option(
        False, help="Begin with two heads set to copy from the context: a small model needs long to find them."
    )
    length: int = option(512, help="Tokens in a row; no example is longer.", minimum=64, metavar="TOKENS")
    batch_rows: int = option(16, help="Rows in a step.", minimum=1, metavar="ROWS")
    num_steps: int = option(1000, help="Steps of the run.", minimum=1, metavar="STEPS")
    warmup_steps: int = option(50, help="Steps over which the learning rate rises.", minimum=0, metavar="STEPS")
    decay_fraction: float = option(
        0.3, help="Share of the run, at its end, over which the learning rate falls to 0.", minimum=0.0, maximum=1.0
    )
    learning_rate: float = option(0.01, help="Peak learning rate of matrices (Muon).", minimum=0.0, metavar="RATE")
    embedding_learning_rate: float = option(
        0.005, help="Peak learning rate of embedding and norms (AdamW).", minimum=0.0, metavar="RATE"
    )
    weight_decay: float = option(0.05, help="Weight decay of matrices.", minimum=0.0)
    min_tokens: int = option(96, help="Smallest window drawn around a hole.", minimum=32, metavar="TOKENS")
    fim_rate: float = option(0.9, help="Share of examples with a hole; the others are plain text.", maximum=1.0)
    path_rate: float = option(0.2, help="Share of those that begin with the file's path.", maximum=1.0)
    repeat_rate: float = option(
        0.0, help="Share of examples that are shuffled tokens with repetitions: teaches copying early.", maximum=1.0
    )
    middle_weight: float = option(1.0, help="Loss weight of middles; all other tokens weigh 1.", minimum=0.0)
    seed: int = option(0, help="All random choices derive from this number.", minimum=0)
    dtype: Literal["auto", "float32", "bfloat16"] = option(
        "auto", help="Compute type; auto: float32 on a CPU, bfloat16 on TPU and GPU. Weights are float32."
    )
    micro_batches: int = option(
        1, help="Parts that a step's gradient is summed over, to bound memory.", minimum=1, metavar="PARTS"
    )
    stop_after_s: float | None = option(
        None, help="Write a checkpoint and stop after so many seconds; resume later.", operational=True, minimum=0.0
    )
    checkpoint_every_s: float = option(
        120.0, help="Seconds between checkpoints.", operational=True, minimum=0.0, metavar="SECONDS"
    )
    log_every: int = option(20, help="Steps between lines of the log.", operational=True, minimum=1, metavar="STEPS")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.batch_rows % self.micro_batches:
            raise ConfigError(
                f"--batch_rows {self.batch_rows} can't be cut into --micro_batches {self.micro_batches} equal parts"
            )
        if self.num_heads % self.num_kv_heads or self.head_dim % 2:
            raise ConfigError(
                f"--num_heads {self.num_heads} must be a multiple of --num_kv_heads {self.num_kv_heads}, "
                f"and --head_dim {self.head_dim} even"
            )
        if self.length > self.context_length:
            raise ConfigError(f"--length {self.length} is more than --context_length {self.context_length}")


class Place(NamedTuple):
    """Where in the data a run stands: the next row to train on."""

    epoch: int
    row: int


def run(options: Options, beam_args: Sequence[str]) -> int:
    """Trains, or resumes; returns the exit code."""
    if beam_args:
        raise ConfigError(f"train runs in one process and takes no Beam options; got {' '.join(beam_args)}")
    from model.tokenizer import Tokenizer

    _freeze(options)
    if _path(options, "COMPLETED").exists():
        print(f"{options.output} is complete; the model is in {_path(options, 'model')}")
        return 0
    tokenizer = Tokenizer.load(options.tokenizer)
    recipe = _recipe(options)
    files = read_files(options.input)
    state, place, config = _start(options, tokenizer)
    done = _train(options, config, state, _batches(options, files, tokenizer, recipe, place))
    if done is None:
        print(f"stopped; the same command resumes from {_path(options, 'checkpoints')}", file=sys.stderr)
        return 0
    _publish(options, done, config, tokenizer)
    print(f"the model is in {_path(options, 'model')}")
    return 0


# --- set-up ---------------------------------------------------------------------------------------------


def _path(options: Options, *parts: str) -> Any:
    from pathlib import Path

    if "://" in options.output:
        raise ConfigError(f"--output {options.output}: train writes to a local folder; copy it when it is done")
    return Path(options.output, *parts)


def _freeze(options: Options) -> None:
    """Writes the options of a new run, or refuses those that differ from the run found there."""
    frozen = _path(options, "train.json")
    now = semantic_options(options)
    if frozen.exists():
        changes = changed_options(json.loads(frozen.read_text())["semantic"], now)
        if changes:
            raise ConfigError(
                f"{options.output} was begun with other options: {'; '.join(changes)}; "
                "give them as they were, or another --output"
            )
        return
    if _path(options).is_dir() and any(_path(options).iterdir()):
        raise ConfigError(f"--output {options.output} holds something else than a training run; name an empty folder")
    _path(options, "checkpoints").mkdir(parents=True, exist_ok=True)
    _write(frozen, json.dumps({"semantic": now, "all": all_options(options)}, indent=1).encode())


def _write(path: Any, data: bytes) -> None:
    """Writes a file that appears only when it is whole."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


def _recipe(options: Options) -> ExampleRecipe:
    from transforms.fim.training_rows import ExampleRecipe

    return ExampleRecipe(
        max_tokens=options.length,
        min_tokens=min(options.min_tokens, options.length),
        fim_rate=options.fim_rate,
        path_rate=options.path_rate,
        repeat_rate=options.repeat_rate,
        middle_weight=options.middle_weight,
    )


def read_files(patterns: Sequence[str]) -> list[Row]:
    """The good files of a corpus, all in memory; says on stderr how many rows were no good.

    Raises:
        ConfigError: No file, or none with a row that can be trained on.
    """
    import pyarrow.parquet as pq

    from jobs import storage
    from jobs.inputs import expand, read_inputs
    from transforms.columns import ColumnOverrides, RejectedRow, RowLimits, table_to_rows
    from transforms.work import Unit

    inputs = read_inputs(expand(patterns), ColumnOverrides())
    kept: list[Row] = []
    rejected = 0
    for file in inputs.files:
        if file.state != "good":
            print(f"{file.uri}: {file.reason}: {file.detail}", file=sys.stderr)
            continue
        with storage.open_input(file.uri) as handle:
            parquet = pq.ParquetFile(handle)
            columns = [name for name in (inputs.columns.content, inputs.columns.path, inputs.columns.repo_name,
                                         inputs.columns.language) if name in parquet.schema_arrow.names]  # fmt: skip
            for group in range(parquet.num_row_groups):
                table = parquet.read_row_group(group, columns=columns)
                unit = Unit(
                    unit_id=f"{group}", uri=file.uri, version=file.version, row_group=group,
                    row_start=0, row_count=table.num_rows, num_bytes=table.nbytes,
                )  # fmt: skip
                for row in table_to_rows(table, unit, range(table.num_rows), inputs.columns, RowLimits()):
                    if isinstance(row, RejectedRow):
                        rejected += 1
                    else:
                        kept.append(row)
    if rejected:
        print(
            f"{rejected} of {rejected + len(kept)} rows can't be trained on (empty, binary or too large)",
            file=sys.stderr,
        )
    if not kept:
        raise ConfigError("--input has no row that can be trained on")
    return kept


def model_config(options: Options, tokenizer: Tokenizer) -> GemmaConfig:
    """The shapes that the options ask for; the vocabulary's size is the tokenizer's."""
    from model.config import GemmaConfig

    return GemmaConfig(
        num_layers=options.num_layers,
        d_model=options.d_model,
        d_ff=options.d_ff,
        num_heads=options.num_heads,
        num_kv_heads=options.num_kv_heads,
        head_dim=options.head_dim,
        vocab_size=tokenizer.vocab_size,
        context_length=options.context_length,
    )


def training_config(options: Options) -> TrainingConfig:
    """How the weights are updated, as the options say."""
    from model.training import TrainingConfig

    return TrainingConfig(
        num_steps=options.num_steps,
        warmup_steps=options.warmup_steps,
        decay_fraction=options.decay_fraction,
        learning_rate=options.learning_rate,
        embedding_learning_rate=options.embedding_learning_rate,
        weight_decay=options.weight_decay,
    )


def _start(options: Options, tokenizer: Tokenizer) -> tuple[TrainState, Place, GemmaConfig]:
    """The state to go on from: this run's last checkpoint, another run's, or random weights."""
    import jax
    import jax.numpy as jnp

    from model.training import new_state

    config, training = model_config(options, tokenizer), training_config(options)
    last = _last_checkpoint(_path(options, "checkpoints"))
    if last is None and options.init_from is None:
        state = new_state(jax.random.key(options.seed), config, training)
        if options.copying_heads:
            from model.copying_heads import with_copying_heads

            weights = with_copying_heads(state.weights, config, jax.random.key(options.seed + 1))
            state = dataclasses.replace(state, weights=weights)
        return state, Place(0, 0), config
    shapes = jax.eval_shape(lambda: new_state(jax.random.key(0), config, training))
    if last is not None:
        state, place = load_checkpoint(last, shapes)
        print(f"resumed from step {int(state.step)} of {options.num_steps}", file=sys.stderr)
        return state, place, config
    from pathlib import Path

    assert options.init_from is not None
    earlier = _last_checkpoint(Path(options.init_from, "checkpoints"))
    if earlier is None:
        raise ConfigError(f"--init_from {options.init_from} holds no checkpoint; name the folder of a training run")
    state, place = load_checkpoint(earlier, shapes)
    # The next epoch, so that what the other run saw isn't seen again at once.
    return dataclasses.replace(state, step=jnp.zeros((), jnp.int32)), Place(place.epoch + 1, 0), config


# --- checkpoints ------------------------------------------------------------------------------------------


def save_checkpoint(folder: Any, state: TrainState, place: Place) -> Any:
    """Writes everything that a run needs to go on, as one safetensors file; removes all but the last two."""
    import jax
    import numpy as np
    from safetensors.numpy import save

    leaves = jax.tree_util.tree_flatten_with_path(state)[0]
    arrays = {jax.tree_util.keystr(path): np.array(jax.device_get(leaf), order="C") for path, leaf in leaves}
    path = folder / f"{int(state.step):010d}.safetensors"
    _write(path, save(arrays, metadata={"epoch": str(place.epoch), "row": str(place.row)}))
    for old in sorted(folder.glob("*.safetensors"))[:-KEPT_CHECKPOINTS]:
        old.unlink()
    return path


def load_checkpoint(path: Any, shapes: TrainState) -> tuple[TrainState, Place]:
    """Reads a checkpoint back.

    Args:
        path: The file.
        shapes: What the state must look like.

    Raises:
        ConfigError: It is damaged, or of another shape than the options say.
    """
    import jax
    from safetensors import SafetensorError, safe_open

    wanted = [(jax.tree_util.keystr(where), leaf) for where, leaf in jax.tree_util.tree_flatten_with_path(shapes)[0]]
    try:
        with safe_open(path, framework="numpy") as file:
            metadata, names = file.metadata(), set(file.keys())
            arrays = [file.get_tensor(name) if name in names else None for name, _ in wanted]
    except (SafetensorError, OSError) as error:
        raise ConfigError(
            f"{path} is no readable checkpoint ({error}); remove it to go on from the one before"
        ) from None
    for (name, leaf), array in zip(wanted, arrays, strict=True):
        if array is None or array.shape != leaf.shape:
            found = "absent" if array is None else f"of shape {array.shape}"
            raise ConfigError(f"{path}: {name} is {found}, the options ask for {leaf.shape}; give the run's own shapes")
    state = jax.tree.unflatten(jax.tree.structure(shapes), [jax.numpy.asarray(array) for array in arrays])
    return state, Place(int(metadata["epoch"]), int(metadata["row"]))


def _last_checkpoint(folder: Any) -> Any:
    return max(folder.glob("*.safetensors"), default=None)


# --- data ---------------------------------------------------------------------------------------------------


def _batches(
    options: Options, files: list[Row], tokenizer: Tokenizer, recipe: ExampleRecipe, place: Place
) -> Iterator[tuple[Rows, Place]]:
    """Batches from a place in the data on, each with the place after it, for ever; made in a thread ahead of use."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=8)
    closed = threading.Event()

    def fill() -> None:
        try:
            for item in _make_batches(options, files, tokenizer, recipe, place):
                while not closed.is_set():
                    try:
                        ready.put(item, timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if closed.is_set():
                    return
        except BaseException as error:  # to the consumer, who raises it
            ready.put(error)

    threading.Thread(target=fill, name="training-rows", daemon=True).start()
    try:
        while True:
            item = ready.get()
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        closed.set()


def _make_batches(
    options: Options, files: list[Row], tokenizer: Tokenizer, recipe: ExampleRecipe, place: Place
) -> Iterator[tuple[Rows, Place]]:
    from transforms.fim.training_rows import rows_of

    epoch, skip = place
    waiting: list[Any] = []
    while True:
        found = 0
        packed = rows_of(files, tokenizer, recipe, length=options.length, seed=options.seed, epoch=epoch)
        for index, row in enumerate(packed):
            found += 1
            if index < skip:
                continue
            waiting.append(row)
            if len(waiting) == options.batch_rows:
                yield _stack(waiting), Place(epoch, index + 1)
                waiting = []
        if found == 0:
            raise ConfigError("--input gives no example: its files offer no hole that fits a row; raise --length")
        # Rows left over begin the next epoch's first batch; a checkpoint never stands between them.
        epoch, skip = epoch + 1, 0


def _stack(packed: list[Any]) -> Rows:
    import numpy as np

    from model.training import Rows

    def stacked(name: str, dtype: Any) -> Any:
        return np.asarray([getattr(row, name) for row in packed], dtype)

    return Rows(
        tokens=stacked("tokens", np.int32),
        segment_ids=stacked("segment_ids", np.int32),
        loss_weights=stacked("loss_weights", np.float32),
    )


# --- the loop -----------------------------------------------------------------------------------------------


def _train(
    options: Options, config: GemmaConfig, state: TrainState, batches: Iterator[tuple[Rows, Place]]
) -> TrainState | None:
    """Trains to the last step; None where it was stopped before."""
    from functools import partial

    import jax
    import jax.numpy as jnp

    from model.training import train_step

    is_cpu = jax.devices()[0].platform == "cpu"
    dtype = jnp.dtype({"auto": "float32" if is_cpu else "bfloat16"}.get(options.dtype, options.dtype))
    step_once = jax.jit(
        partial(train_step, model=config, training=training_config(options), micro_batches=options.micro_batches,
                dtype=dtype),
        donate_argnums=0,
    )  # fmt: skip
    log = _Log(options, config, first_step=int(state.step))
    began = saved = time.monotonic()
    checkpoints = _path(options, "checkpoints")
    # The loss is read one step late, so that the device never waits for the host.
    for step in range(int(state.step), options.num_steps):
        rows, place = next(batches)
        state, metrics = step_once(state, rows)
        log.add(step + 1, rows, metrics)
        now = time.monotonic()
        is_last = step + 1 == options.num_steps
        must_stop = options.stop_after_s is not None and now - began >= options.stop_after_s
        if is_last or must_stop or now - saved >= options.checkpoint_every_s:
            save_checkpoint(checkpoints, state, place)
            saved = now
        if must_stop and not is_last:
            batches.close()  # type: ignore[attr-defined]
            return None
    batches.close()  # type: ignore[attr-defined]
    return state


class _Log:
    """Means over the last `log_every` steps, to log.jsonl and to stderr with the time that is left."""

    def __init__(self, options: Options, config: GemmaConfig, first_step: int):
        self.options = options
        self.first_step = first_step
        self.path = _path(options, "log.jsonl")
        self.began = self.since = time.monotonic()
        self.waiting: list[tuple[int, Any, int]] = []
        print(
            f"{config.num_parameters:,} parameters, {options.num_steps - first_step} steps of "
            f"{options.batch_rows} x {options.length} tokens",
            file=sys.stderr,
        )

    def add(self, step: int, rows: Rows, metrics: dict[str, Any]) -> None:
        self.waiting.append((step, metrics, int((rows.segment_ids > 0).sum())))
        if step % self.options.log_every == 0 or step == self.options.num_steps:
            self._write()

    def _write(self) -> None:
        losses = [float(metrics["loss"]) for _, metrics, _ in self.waiting]
        norms = [float(metrics["grad_norm"]) for _, metrics, _ in self.waiting]
        tokens = sum(count for _, _, count in self.waiting)
        step, now = self.waiting[-1][0], time.monotonic()
        line = {
            "step": step,
            "loss": round(sum(losses) / len(losses), 5),
            "grad_norm": round(sum(norms) / len(norms), 4),
            "tokens": tokens,
            "tokens_per_s": round(tokens / max(now - self.since, 1e-9), 1),
            "wall_s": round(now - self.began, 1),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        left = (now - self.began) / (step - self.first_step) * (self.options.num_steps - step)
        print(
            f"step {step}/{self.options.num_steps}  loss {line['loss']:.4f}  {line['tokens_per_s']:,.0f} tokens/s  "
            f"{left / 60:.1f} min left",
            file=sys.stderr,
            flush=True,
        )
        self.waiting, self.since = [], now


def _publish(options: Options, state: TrainState, config: GemmaConfig, tokenizer: Tokenizer) -> None:
    """Writes the trained model as a checkpoint that any job loads."""
    from model.checkpoint import save
    from model.gemma import Gemma

    folder = _path(options, "model")
    save(Gemma(config, weights=state.weights), folder)
    _write(folder / "tokenizer.model", tokenizer.__reduce__()[1][0])
    _write(_path(options, "COMPLETED"), b"")
