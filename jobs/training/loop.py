"""The loop of `codemill train`: training steps, log, and regular checkpoints."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax

from jobs.terminal.escapes import print_line
from jobs.training.checkpoints import save_checkpoint, write_whole
from jobs.training.data import Place
from jobs.training.start import Start, compute_dtype, product_dtype
from model.config import GemmaConfig
from model.errors import ConfigError
from model.training.placement import rows_sharding, state_shardings
from model.training.step import Rows, TrainingConfig, TrainState, train_step


@dataclass(frozen=True, kw_only=True)
class LoopSettings:
    """Settings of the training loop: the options of `codemill train` of the same names."""

    num_steps: int
    batch_rows: int
    length: int
    dtype: str
    micro_batches: int
    remat: str
    stop_after_s: float | None
    checkpoint_every_s: float
    log_every: int
    eval_every: int


def train(
    settings: LoopSettings,
    start: Start,
    training: TrainingConfig,
    batches: Iterator[tuple[Rows, Place]],
    folder: Path,
    tell: Callable[..., None] = lambda **facts: None,
    held_out: Callable[[TrainState], float] | None = None,
) -> TrainState | None:
    """Trains until the last step.

    Args:
        settings: Number of steps, when to stop, and what to log.
        start: The model, the state to start from, and the devices.
        training: How the weights are updated.
        batches: The batches from that state on, each with the place after it; closed at the end.
        folder: The run's folder, which gets `log.jsonl` and `checkpoints/`.
        tell: Is told the facts of each log line (`jobs.monitoring.run.Run.progress`).
        held_out: The loss of a state on held-out rows.

    Returns:
        The last state; None if the run stopped before the last step.

    Raises:
        ConfigError: The loss or its gradient isn't finite; nothing is saved from there on.
    """
    step_once, state = _compiled(settings, start, training), start.state
    log = _Log(settings, start.config, folder / "log.jsonl", int(state.step), tell)
    began = saved = time.monotonic()
    # The loss is read one step late, so that the device never waits for the host.
    for step in range(int(state.step), settings.num_steps):
        rows, place = next(batches)
        state, metrics = step_once(state, rows)
        is_last = step + 1 == settings.num_steps
        must_measure = held_out is not None and (is_last or (step + 1) % settings.eval_every == 0)
        log.add(step + 1, rows, metrics, held_out(state) if must_measure and held_out else None)
        now = time.monotonic()
        must_stop = settings.stop_after_s is not None and now - began >= settings.stop_after_s
        if is_last or must_stop or now - saved >= settings.checkpoint_every_s:
            log.write()  # so that a resumed run, which drops what is logged behind its checkpoint, has every step once
            save_checkpoint(folder / "checkpoints", state, place)
            saved = now
        if must_stop and not is_last:
            batches.close()  # type: ignore[attr-defined]
            return None
    batches.close()  # type: ignore[attr-defined]
    return state


def _compiled(
    settings: LoopSettings, start: Start, training: TrainingConfig
) -> Callable[[TrainState, Rows], tuple[TrainState, Any]]:
    """The training step over the run's devices. The state that it is given is used up."""
    mesh = start.mesh
    one_step = partial(
        train_step,
        model=start.config,
        training=training,
        micro_batches=settings.micro_batches,
        dtype=compute_dtype(settings.dtype),
        products=product_dtype(settings.dtype),
        remat=settings.remat == "on",
        num_devices=mesh.size if mesh else 1,
    )

    def step(state: TrainState, rows: Rows, frozen: Any) -> tuple[TrainState, Any]:
        return one_step(state, rows, base=frozen)

    if mesh is None:
        compiled = jax.jit(step, donate_argnums=0)
        return lambda state, rows: compiled(state, rows, start.frozen)
    compiled = jax.jit(step, donate_argnums=0, out_shardings=(state_shardings(start.state, mesh), None))
    at = rows_sharding(mesh)
    return lambda state, rows: compiled(state, jax.device_put(rows, at), start.frozen)


class _Log:
    """Writes means over the last `log_every` steps to log.jsonl, and to stderr with the remaining time."""

    def __init__(
        self, settings: LoopSettings, config: GemmaConfig, path: Path, first_step: int, tell: Callable[..., None]
    ):
        self.settings = settings
        self.first_step = first_step
        self.tell = tell
        self.path = path
        self.began = self.since = time.monotonic()
        self.waiting: list[tuple[int, Any, int]] = []
        self.held_out: float | None = None
        _drop_lines_behind(path, first_step)
        print_line(
            f"{config.num_parameters:,} parameters, {settings.num_steps - first_step} steps of "
            f"{settings.batch_rows} x {settings.length} tokens",
            sys.stderr,
        )

    def add(self, step: int, rows: Rows, metrics: dict[str, Any], held_out: float | None) -> None:
        self.waiting.append((step, metrics, int((rows.segment_ids > 0).sum())))
        self.held_out = held_out
        if held_out is not None or step % self.settings.log_every == 0 or step == self.settings.num_steps:
            self.write()

    def write(self) -> None:
        """Writes the steps that aren't written yet, if there are any."""
        if not self.waiting:
            return
        losses = [float(metrics["loss"]) for _, metrics, _ in self.waiting]
        norms = [float(metrics["grad_norm"]) for _, metrics, _ in self.waiting]
        tokens = sum(count for _, _, count in self.waiting)
        step, now = self.waiting[-1][0], time.monotonic()
        if not all(map(math.isfinite, [*losses, *norms])):
            raise ConfigError(
                f"the loss or its gradient isn't finite at one of the {len(losses)} steps up to {step}; "
                "train again with a lower --learning_rate"
            )
        line = {
            "step": step,
            "loss": round(sum(losses) / len(losses), 5),
            "grad_norm": round(sum(norms) / len(norms), 4),
            "tokens": tokens,
            "tokens_per_s": round(tokens / max(now - self.since, 1e-9), 1),
            "wall_s": round(now - self.began, 1),
            **({} if self.held_out is None else {"eval_loss": round(self.held_out, 5)}),
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        left = (now - self.began) / (step - self.first_step) * (self.settings.num_steps - step)
        facts = {
            "steps_done": step,
            "steps_total": self.settings.num_steps,
            "tokens_per_s": line["tokens_per_s"],
            "eta_s": round(left, 1),
        }
        self.tell(**facts)
        print_line(
            f"step {step}/{self.settings.num_steps}  loss {line['loss']:.4f}  "
            + (f"held out {line['eval_loss']:.4f}  " if "eval_loss" in line else "")
            + f"{line['tokens_per_s']:,.0f} tokens/s  {left / 60:.1f} min left",
            sys.stderr,
            event="progress",
            loss=line["loss"],
            **({"eval_loss": line["eval_loss"]} if "eval_loss" in line else {}),
            **facts,
        )
        self.waiting, self.since = [], now


def _drop_lines_behind(path: Path, step: int) -> None:
    """Drops the lines of steps that will be done again: a run was killed after its last checkpoint."""
    if not path.exists():
        return
    kept = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            is_kept = json.loads(line)["step"] <= step
        except ValueError:  # it was being written
            break
        if is_kept:
            kept.append(line)
    write_whole(path, b"".join(kept))
