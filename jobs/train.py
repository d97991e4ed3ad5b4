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
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.options import all_options, changed_options, semantic_options
from jobs.options.fields import defaults_of, internal_options
from jobs.options.train import TrainOptions as Options
from jobs.terminal.escapes import print_line
from model.errors import ConfigError

if TYPE_CHECKING:
    from jobs.monitoring.run import Run
    from jobs.training.data import Source
    from jobs.training.left_out import LeftOut
    from jobs.training.origin import Base
    from model.tokenizer import Tokenizer
    from transforms.fim.training_rows import ExampleRecipe

# Options that control how FIM examples are cut. Packed rows are cut already, so these don't apply to them.
_CUTTING_OPTIONS = ("min_tokens", "fim_rate", "path_rate")


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
    from jobs.training.start import start, training_config
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
    source, held_out = open_sources(options, tokenizer)
    _freeze(options, folder, base)
    begin, training = start(options, tokenizer, base, folder), training_config(options)
    measure = None if held_out is None else held_out_loss(held_out, begin, training, options)
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
    """Refuses options that differ from those of the run in the folder, and a folder that contains anything else.

    Before a run's first checkpoint, nothing depends on its options: what failed can be tried with others.
    """
    from jobs.training.checkpoints import has_begun
    from jobs.training.origin import check_same_base, frozen_options

    frozen = frozen_options(folder)
    if frozen and has_begun(folder):
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
    elif not frozen and folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(
            f"--output {options.output} contains something other than a training run; choose an empty folder"
        )


def _freeze(options: Options, folder: Path, base: Base | None) -> None:
    """Writes the options of a new run."""
    from jobs.training.checkpoints import has_begun, write_whole
    from jobs.training.origin import FROZEN

    if not has_begun(folder):
        folder.mkdir(parents=True, exist_ok=True)
        found: dict[str, Any] = {"semantic": semantic_options(options), "all": all_options(options)}
        if base is not None:
            found["base_sha256"] = base.sha256
        write_whole(folder / FROZEN, json.dumps(found, indent=1).encode())
    (folder / "checkpoints").mkdir(exist_ok=True)


def open_sources(options: Options, tokenizer: Tokenizer) -> tuple[Source, Source | None]:
    """The rows to train on, and the held-out ones if there are any. Raises ConfigError as `_open_source` does."""
    from jobs.training.left_out import LeftOut

    left_out = LeftOut.of(options)  # of both: an entry need not match in each
    source, held_out = _open_source(options, "input", tokenizer, left_out), None
    if options.eval_input:
        held_out = _open_source(options, "eval_input", tokenizer, left_out)
    left_out.tell()
    return source, held_out


def _open_source(options: Options, name: str, tokenizer: Tokenizer, left_out: LeftOut) -> Source:
    """The rows of an option: packed rows if the input has their columns, otherwise examples cut from a corpus.

    Raises:
        ConfigError: There is no file or no usable row, or the rows were packed for another model.
    """
    from jobs.training.data import CorpusSource, read_files
    from jobs.training.packed import PackedSource, open_packed
    from transforms.fim.formats import check_fim_rate

    patterns, flag = getattr(options, name), f"--{name}"
    groups = open_packed(patterns, tokenizer, options.length, left_out, flag)
    if groups is None:
        check_fim_rate(tokenizer, options.fim_rate, options.tokenizer or "")
        files = read_files(patterns, left_out, flag)
        return CorpusSource(files, tokenizer, _recipe(options), length=options.length, seed=options.seed)
    defaults = {field.name: field.default for field in dataclasses.fields(Options)}
    for cut in _CUTTING_OPTIONS:
        if getattr(options, cut) != defaults[cut]:
            raise ConfigError(
                f"--{cut} controls how FIM examples are cut, but {flag} has packed rows, already cut; remove it, "
                "or pass the corpus instead"
            )
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
