"""The cost of 8 bits: for weights, prompts' keys and values, and both, compared with float32 on the same holes.

    python -m benchmarks.int8 --corpus held_out.parquet --write

Two measures of a trained model (the embedded one by default):

    loss         bits per byte of the original middles, given prefix and suffix. Teacher-forced through the engine's own
                 prefill, insert and decode step, so that a prompt cache in 8 bits is read as in generation.
    exact match  single-line middles that the engine generates like the original; all use the same holes, so the
                 difference and its 95% interval (by resampling packages) are over pairs.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import model as models
from benchmarks.embedded.evaluate import ask, draw_files, interval
from benchmarks.engine import write_section
from jobs.training.data import read_files
from model.engine import Engine, EngineOptions, Request
from model.engine.options import prompt_buckets
from model.engine.prefill_rows import lay_out
from model.engine.programs import decode
from model.engine.programs.attention import row_attention
from model.engine.programs.caches import empty_caches, empty_prompt_caches, insert_prompt
from model.engine.transfer import prompt_row, request_line
from model.tokenizer import Tokenizer
from transforms.checks import is_exact_match
from transforms.fim.training_rows import ExampleRecipe, examples_of
from transforms.rows.row import Row
from transforms.tasks.infill import InfillTask

ROOT = Path(__file__).resolve().parents[1]
LONGEST_MIDDLE = 128
SETTINGS = {
    "float32": (None, "auto"),
    "int8 weights": ("int8", "auto"),
    "int8 prompt cache": (None, "int8"),
    "int8 weights and prompt cache": ("int8", "int8"),
}


def holes(tokenizer: Tokenizer, files: Sequence[Row], length: int) -> list[tuple[str, list[int], list[int]]]:
    """(package, prompt, middle) by the training recipe, one per file; a middle is truncated to its first tokens."""
    recipe = ExampleRecipe(max_tokens=length, min_tokens=length, fim_rate=1.0, path_rate=0.0)
    found = []
    for file in files:
        short = replace(file, content=file.content[: 8 * length])
        for example in examples_of(short, tokenizer, recipe, seed=1)[:1]:
            begin = example.weighted_from
            ids = [int(token) for token in example.ids]
            if ids[begin:]:
                found.append((file.repo_name, ids[:begin], ids[begin : begin + LONGEST_MIDDLE]))
    return found


def forced_bits(
    gemma: Any, tokenizer: Tokenizer, asked: Sequence[tuple[str, list[int], list[int]]], length: int, kind: str
) -> list[tuple[str, float, int]]:
    """(package, bits, bytes) of each middle."""
    config = gemma.config
    options = EngineOptions(slots=1, prompt_buckets=(length,), max_new_tokens=LONGEST_MIDDLE + 1).resolve("cpu")

    @jax.jit
    def logits_of(weights: Any, row: Any, line: Any, place: Any, drafts: Any) -> Any:
        staged = decode.prefill(
            weights, row, config, jnp.float32, attend_row=row_attention("blocked"), staged_length=length
        )
        empty = empty_prompt_caches(config, 1, length, jnp.float32, stacked=False, int8=kind == "int8")
        prompts = insert_prompt((empty,), staged, jnp.int32(0), place)
        generations = empty_caches(config, 1, LONGEST_MIDDLE + 1, jnp.float32, stacked=False)
        logits, _ = decode.decode_step(weights, prompts, generations, line, drafts, config, jnp.float32, is_ring=False)
        return jax.nn.log_softmax(logits[0])

    found = []
    for package, prompt, middle in asked:
        layout, _ = lay_out([prompt[:-1]], min_shared=0)
        request = Request(prompt=tuple(prompt), max_new_tokens=1, stop_ids=frozenset())
        drafts = np.zeros((1, LONGEST_MIDDLE), np.int32)
        drafts[0, : len(middle)] = middle
        row, line = prompt_row(layout, length), request_line(request, 1, options)
        scores = np.asarray(logits_of(gemma.arrays(), row, line, np.zeros(3, np.int32), drafts))
        nats = -scores[np.arange(len(middle)), middle].sum()
        found.append((package, float(nats / np.log(2)), len(tokenizer.decode_bytes(middle))))
    return found


def exact_matches(gemma: Any, task: InfillTask, files: Sequence[Row], kind: Any) -> list[tuple[str, str, bool]]:
    """(package, middle, whether it equals the original) of each hole."""
    shapes = EngineOptions(
        prompt_buckets=prompt_buckets(task.max_prompt_tokens),
        max_new_tokens=task.max_new_tokens,
        prompt_cache=kind,
        prompt_lookup="off",
    )
    with Engine(gemma, options=shapes) as engine:
        answers = ask(task, engine, files)
    spans = [(file, request.payload.span, middle) for file, request, middle, _ in answers]
    return [
        (file.repo_name, middle, is_exact_match(middle, file.content[span.start : span.end]))
        for file, span, middle in spans
    ]


def measure(options: argparse.Namespace) -> list[str]:
    files = draw_files(read_files([options.corpus]), options.files, seed=0)
    tokenizer = Tokenizer.load(options.model)
    asked = holes(tokenizer, files[: options.loss_files], options.prompt_tokens)
    task = InfillTask(
        tokenizer=options.model,
        job_seed=0,
        span_kinds=("single_line",),
        fim_format="psm",
        max_prompt_tokens=options.prompt_tokens,
        max_new_tokens=96,
        max_middle_tokens=96,
        require=(),
    )
    lines = [
        "| | loss, bits a byte | change | exact match | change, with its 95% interval | same text as float32 |",
        "|---|---|---|---|---|---|",
    ]
    reference: tuple[float, list[tuple[str, str, bool]]] | None = None
    for name, (weights, kind) in SETTINGS.items():
        gemma = models.load(options.model, quantize=weights)
        forced = forced_bits(gemma, tokenizer, asked, options.prompt_tokens, kind)
        loss = sum(bits for _, bits, _ in forced) / sum(size for *_, size in forced)
        matches = exact_matches(gemma, task, files, kind)
        if reference is None:
            reference = loss, matches
        pairs = [
            (package, float(own) - float(old))
            for (package, _, own), (*_, old) in zip(matches, reference[1], strict=True)
        ]
        low, high = interval(pairs, lambda values: float(values.mean()))
        change = float(np.mean([value for _, value in pairs]))
        same = np.mean([own == old for (_, own, _), (_, old, _) in zip(matches, reference[1], strict=True)])
        rate = np.mean([match for *_, match in matches])
        lines.append(
            f"| {name} | {loss:.4f} | {loss / reference[0] - 1:+.2%} | {rate:.2%} | "
            f"{change:+.2%} ({low:+.2%} to {high:+.2%}) | {same:.1%} |"
        )
        print(lines[-1], flush=True)
    holes_line = f"{len(asked)} middles for the loss, {len(reference[1])} holes for exact match." if reference else ""
    return [holes_line, "", *lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="Parquet files or globs that the model was not trained on")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--files", type=int, default=600)
    parser.add_argument("--loss_files", type=int, default=200)
    parser.add_argument("--prompt_tokens", type=int, default=384)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    lines = measure(options)
    print("\n".join(lines))
    if options.write:
        write_section(ROOT / "docs" / "benchmarks.md", "int8", lines)


if __name__ == "__main__":
    main()
