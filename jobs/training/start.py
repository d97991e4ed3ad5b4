"""The state that a run starts from, on its devices."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jobs.terminal.escapes import print_line
from jobs.training.checkpoints import last_checkpoint, load_checkpoint
from jobs.training.data import Place
from jobs.training.origin import Base
from model.checkpoint import load
from model.config import GemmaConfig
from model.errors import ConfigError
from model.gemma import weight_shapes
from model.layers import BlockWeights, GemmaWeights
from model.sharding import make_mesh
from model.tokenizer import Tokenizer
from model.training.adapters import new_adapters
from model.training.copying_heads import FimIds, with_copying_heads
from model.training.placement import check_rows, state_shardings, training_mesh
from model.training.step import TrainingConfig, TrainState, new_state, state_of

if TYPE_CHECKING:
    from jobs.options.train import TrainOptions as Options


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a run begins or goes on with.

    Args:
        config: The model's shapes.
        state: What is trained.
        frozen: The weights that adapters are trained beside; None where the weights themselves are trained.
        place: The position in the data.
        mesh: The devices, if there are several.
    """

    config: GemmaConfig
    state: TrainState
    frozen: GemmaWeights | None
    place: Place
    mesh: Mesh | None


def training_config(options: Options) -> TrainingConfig:
    """The optimizer settings from the options, which are resolved."""
    assert options.learning_rate is not None and options.optimizer != "auto"
    assert options.embedding_learning_rate is not None
    return TrainingConfig(
        num_steps=options.num_steps,
        warmup_steps=options.warmup_steps,
        decay_fraction=options.decay_fraction,
        learning_rate=options.learning_rate,
        embedding_learning_rate=options.embedding_learning_rate,
        weight_decay=options.weight_decay,
        optimizer=options.optimizer,
        adapter_scale=_adapter_scale(options),
    )


def _adapter_scale(options: Options) -> float:
    if options.lora_rank is None:
        return 1.0
    assert options.lora_alpha is not None
    return options.lora_alpha / options.lora_rank


def model_config(options: Options, tokenizer: Tokenizer) -> GemmaConfig:
    """A new model's shapes from the options; the vocabulary size is the tokenizer's."""
    assert options.context_length is not None
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


def devices_of_host() -> Mesh | None:
    """A mesh over this host's accelerators; None for one, and for CPUs, whose virtual devices share the same cores."""
    devices = jax.local_devices()
    return None if len(devices) == 1 or devices[0].platform == "cpu" else training_mesh(devices)


def compute_dtype(named: str) -> Any:
    """The dtype of activations for `--dtype`."""
    is_cpu = jax.devices()[0].platform == "cpu"
    return jnp.dtype({"auto": "float32" if is_cpu else "bfloat16", "mixed": "float32"}.get(named, named))


def product_dtype(named: str) -> Any:
    """The dtype in which matrices are multiplied for `--dtype`, if another than that of activations."""
    return jnp.dtype("bfloat16") if named == "mixed" else None


def start(options: Options, tokenizer: Tokenizer, base: Base | None, folder: Path) -> Start:
    """The state of this run's last checkpoint; else of what the run starts from.

    Raises:
        ConfigError: A checkpoint is damaged or has other shapes, or there is none where one is named; or the devices
            can't share a batch.
    """
    config = base.config if base else model_config(options, tokenizer)
    mesh = devices_of_host()
    if mesh:
        check_rows(options.batch_rows, options.micro_batches, mesh.size)
    frozen = None
    if base and options.lora_rank is not None:
        frozen = base_weights(base, compute_dtype(options.dtype), mesh)
    make = _new_state(options, tokenizer, config, base, frozen, mesh)
    last = last_checkpoint(folder / "checkpoints")
    if last is None and (options.init_from is None or base):
        return Start(config=config, state=make(), frozen=frozen, place=Place(0, 0), mesh=mesh)
    shapes = _shapes(options, config, frozen, base)
    shardings = state_shardings(shapes, mesh) if mesh else None
    if last is not None:
        state, place = load_checkpoint(last, shapes, shardings)
        print_line(f"resumed from step {int(state.step)} of {options.num_steps}", sys.stderr)
        return Start(config=config, state=state, frozen=frozen, place=place, mesh=mesh)
    assert options.init_from is not None
    earlier = last_checkpoint(Path(options.init_from, "checkpoints"))
    if earlier is None:
        raise ConfigError(f"--init_from {options.init_from} contains no checkpoint; pass the folder of a training run")
    state, place = load_checkpoint(earlier, shapes, shardings)
    # Start with the next epoch, so that the rows the other run trained on last aren't repeated immediately.
    state = dataclasses.replace(state, step=jnp.zeros((), jnp.int32))
    return Start(config=config, state=state, frozen=None, place=Place(place.epoch + 1, 0), mesh=mesh)


def base_weights(base: Base, dtype: Any, mesh: Mesh | None) -> GemmaWeights:
    """A checkpoint's weights on the devices, stacked where that shortens compiling."""
    layout: Any = "scanned" if _is_stacked(base.config) else "unrolled"
    if mesh is None:
        return load(base.path, dtype=dtype, layout=layout).arrays()
    # Read onto all devices at once, split as for inference, since one device may not hold all of it.
    split = int(np.gcd.reduce([mesh.size, base.config.num_heads, base.config.d_ff, base.config.vocab_size]))
    reading = make_mesh(base.config, list(mesh.devices.flat), tensor_parallel=split)
    weights = load(base.path, dtype=dtype, mesh=reading, layout=layout).arrays()
    return jax.device_put(weights, state_shardings(weights, mesh))


def _new_state(
    options: Options,
    tokenizer: Tokenizer,
    config: GemmaConfig,
    base: Base | None,
    frozen: GemmaWeights | None,
    mesh: Mesh | None,
) -> Callable[[], TrainState]:
    training, key = training_config(options), jax.random.key(options.seed)

    def make() -> TrainState:
        if frozen is not None:
            return _placed(partial(_adapters_state, options, config, frozen, key), mesh)
        if base is not None:
            weights = base_weights(base, jnp.float32, mesh)
            return _placed(partial(state_of, training=training), mesh, weights)
        state = new_state(key, config, training)
        if options.copying_heads:
            fim = FimIds(tokenizer.bos, tokenizer.fim_prefix, tokenizer.fim_suffix, tokenizer.fim_middle)
            copying = with_copying_heads(state.weights, config, fim, jax.random.key(options.seed + 1))
            state = dataclasses.replace(state, weights=copying)
        return _placed(lambda: state, mesh)

    return make


def _adapters_state(options: Options, config: GemmaConfig, frozen: GemmaWeights, key: jax.Array) -> TrainState:
    assert options.lora_rank is not None
    is_stacked = isinstance(frozen.blocks, BlockWeights)
    adapters = new_adapters(key, config, options.lora_rank, options.lora_targets, is_stacked=is_stacked)
    return state_of(adapters, training_config(options))


def _placed(make: Callable[..., TrainState], mesh: Mesh | None, *arguments: Any) -> TrainState:
    """A new state, made where it lies."""
    if mesh is None:
        return make(*arguments)
    shardings = state_shardings(jax.eval_shape(make, *arguments), mesh)
    return jax.jit(make, out_shardings=shardings)(*arguments)


def _shapes(options: Options, config: GemmaConfig, frozen: GemmaWeights | None, base: Base | None) -> TrainState:
    """The shapes of a run's state."""
    training, key = training_config(options), jax.random.key(0)
    if frozen is not None:
        return jax.eval_shape(partial(_adapters_state, options, config, frozen, key))
    if base is None:
        return jax.eval_shape(lambda: new_state(key, config, training))
    weights = weight_shapes(config)
    if _is_stacked(config):
        assert isinstance(weights.blocks, tuple)
        blocks = jax.tree.map(
            lambda *own: jax.ShapeDtypeStruct((len(own), *own[0].shape), own[0].dtype), *weights.blocks
        )
        weights = dataclasses.replace(weights, blocks=blocks)
    return jax.eval_shape(partial(state_of, training=training), weights)


def _is_stacked(config: GemmaConfig) -> bool:
    """Whether a checkpoint's blocks are stacked: that compiles faster, where layers are alike; a CPU runs it slower."""
    return jax.devices()[0].platform != "cpu" and config.window is None
