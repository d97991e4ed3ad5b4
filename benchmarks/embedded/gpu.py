"""Trains a larger embedded model (8.7 M parameters) on an accelerator, from packages to card.

    python benchmarks/embedded/gpu.py --output out/embedded-gpu [--benchmarks DIR] [--corpus DIR]
    python benchmarks/embedded/gpu.py --output out/embedded-gpu --until rows       # what needs no accelerator

    packages ── corpus ── rows ── train ── evaluate ── samples ── card         each skipped where it is done

The vocabulary is the embedded model's. Rows of several epochs are cut beforehand by all cores (`rows.py`), since one
thread can't feed an accelerator. The run resumes where it was stopped; `--minutes` bounds one call's training. Nothing
of the model that ships is touched: the result is `OUTPUT/model` with a card, to compare before it replaces that.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
STAGES = ("corpus", "rows", "train", "evaluate", "card")

# 8.7 M parameters, 17 MB in bfloat16; every width is a multiple of 64.
SHAPES = {
    "num_layers": 6,
    "d_model": 320,
    "d_ff": 1024,
    "num_heads": 5,
    "num_kv_heads": 1,
    "head_dim": 64,
    "rope_base": 1_000_000.0,
    "context_length": 1024,
}
RECIPE = {
    "length": 512,
    "batch_rows": 64,
    "num_steps": 8000,  # 260 M tokens
    "warmup_steps": 100,
    "decay_fraction": 0.4,
    "learning_rate": 0.01,
    "embedding_learning_rate": 0.005,
    "weight_decay": 0.05,
    "middle_weight": 4.0,
    "optimizer": "muon",
    "eval_every": 500,
    "log_every": 50,
}
TINY = {"batch_rows": 2, "num_steps": 3, "warmup_steps": 1, "eval_every": 3, "eval_batches": 1, "log_every": 1}
TINY_SHAPES = {"num_layers": 3, "d_model": 128, "d_ff": 64, "num_heads": 2}
"""Steps and shapes that a CPU takes in seconds, to try the whole way."""


def flags(values: Mapping[str, object]) -> list[str]:
    """Options of `codemill train`.

    >>> flags({"length": 512, "optimizer": "muon"})
    ['--length', '512', '--optimizer', 'muon']
    """
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def script(name: str, *arguments: object, output: Path | None = None) -> None:
    """Runs a script beside this one; its standard output goes to a file, written as a whole, if one is named."""
    command = [sys.executable, str(HERE / f"{name}.py"), *map(str, arguments)]
    if output is None:
        subprocess.run(command, check=True)
        return
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    temporary = output.with_name(output.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(output)


def make_corpus(options: argparse.Namespace) -> Path:
    """The folder of the corpus: the one that is given, or one made of the listed packages."""
    if options.corpus:
        return options.corpus
    corpus, wheels = options.output / "corpus", options.output / "wheels"
    if not (corpus / "packages.json").exists():
        download = ("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", str(wheels))
        subprocess.run([sys.executable, *download, "-r", str(HERE / "packages.txt")], check=True)
        script("corpus", "--wheels", wheels, "--benchmarks", options.benchmarks, "--output", corpus)
    return corpus


def check_accelerator() -> None:
    """Ends the program unless JAX finds an accelerator; asked in a process of its own, which then frees it."""
    ask = "import jax; print(jax.devices()[0].platform)"
    platform = subprocess.run([sys.executable, "-c", ask], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if platform == "cpu":
        sys.exit(
            "gpu.py: JAX finds no accelerator, and on a CPU this takes days; install the extra for yours "
            "(pip install -e '.[cuda]'), prepare its rows here (--until rows), or try the way (--tiny)"
        )


def train(options: argparse.Namespace) -> bool:
    """Trains or resumes; returns whether the run is complete."""
    if not options.tiny:
        check_accelerator()
    recipe = {**SHAPES, **RECIPE, **({**TINY, **TINY_SHAPES} if options.tiny else {})}
    run, rows = options.output / "run", options.output / "rows"
    command = [sys.executable, "-m", "jobs", "train", "--input", str(rows / "train"), "--output", str(run)]
    command += ["--eval_input", str(rows / "held_out"), "--tokenizer", str(options.tokenizer), "--copying_heads"]
    command += flags(recipe)
    if options.minutes is not None:
        command += ["--stop_after_s", str(60 * options.minutes)]
    subprocess.run(command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    return (run / "COMPLETED").exists()


def run(options: argparse.Namespace) -> None:
    """Runs the stages up to the last that is wanted."""
    wanted = STAGES[: STAGES.index(options.until) + 1]
    options.output.mkdir(parents=True, exist_ok=True)
    corpus = make_corpus(options)
    if "rows" in wanted:
        for split, epochs in (("train", options.epochs), ("held_out", 1)):
            source, target = corpus / f"{split}.parquet", options.output / "rows" / split
            shared = ("--tokenizer", options.tokenizer, "--length", RECIPE["length"])
            script("rows", "--corpus", source, "--output", target, "--epochs", epochs, *shared)
    if "train" in wanted and not train(options):
        print("stopped; the same command goes on", file=sys.stderr)
        return
    trained, model = options.output / "run" / "model", options.output / "model"
    figures, samples = options.output / "figures.json", options.output / "samples.md"
    if "evaluate" in wanted:
        if not figures.exists():
            few = ("--files", 4, "--loss_files", 2, "--new_tokens", 64) if options.tiny else ("--files", 600)
            held_out = corpus / "held_out.parquet"
            script("evaluate", "--corpus", held_out, "--model", trained, "--json", figures, *few)
        if not samples.exists():
            script("samples", "--model", trained, output=samples)
    if "card" in wanted:
        model.mkdir(exist_ok=True)
        save_narrow(trained, model)
        described = ("--figures", figures, "--samples", samples, "--packages", corpus / "packages.json")
        script("card", "--runs", options.output / "run", *described, "--model", model, "--hardware", options.hardware)
        print(f"the model is in {model}: {json.loads(figures.read_text())['middle_bits_per_byte']} bits a byte")


def save_narrow(trained: Path, model: Path) -> None:
    """Writes the weights in bfloat16, and the vocabulary."""
    import jax.numpy as jnp

    import model as models
    from model.checkpoint import save

    save(models.load(str(trained)), model, dtype=jnp.bfloat16)
    shutil.copy(trained / "tokenizer.model", model / "tokenizer.model")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, help="folder that corpus.py made; by default it is made")
    parser.add_argument("--benchmarks", type=Path, default=ROOT.parent / "shared" / "benchmarks")
    parser.add_argument("--tokenizer", type=Path, default=ROOT / "model" / "embedded" / "tokenizer.model")
    parser.add_argument("--epochs", type=int, default=8, help="passes over the corpus with other holes")
    parser.add_argument("--minutes", type=float, help="stop training after so long; the same command goes on")
    parser.add_argument("--until", choices=STAGES, default=STAGES[-1])
    parser.add_argument("--hardware", default="one accelerator")
    parser.add_argument("--tiny", action="store_true", help="a few steps of a few parameters, to try the way on a CPU")
    options = parser.parse_args(arguments)
    for name in ("output", "corpus", "benchmarks", "tokenizer"):
        if getattr(options, name):
            setattr(options, name, getattr(options, name).resolve())
    run(options)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
