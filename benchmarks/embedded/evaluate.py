"""Evaluates the embedded model on held-out packages, and the copying baseline on the same holes.

    python benchmarks/embedded/evaluate.py --corpus held_out.parquet [--model embedded] [--json figures.json]

Offline, from a corpus Parquet alone (made by `corpus.py`). Files are sampled evenly over the packages, with one hole of
each kind; prompts, stop ids and verdicts are the infill job's own (`transforms.tasks.infill`), decoding is greedy.

- exact match of single lines, in PSM and in SPM, ignoring blanks at both ends; 95% intervals by resampling packages;
- the same for the baseline, copying from the entire file and from the part of it that the prompt shows;
- edit similarity of several lines;
- loss in bits per byte: of middles given the text around them, and of text from left to right.
"""

from __future__ import annotations

import argparse
import functools
import json
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.embedded.copying import copy_middle
from jobs.training.data import read_files
from model.errors import RecordError
from model.tokenizer import Tokenizer
from transforms.checks import edit_similarity, is_exact_match
from transforms.fim.training_rows import ExampleRecipe, examples_of
from transforms.rows.row import Row
from transforms.tasks.base import TaskRequest
from transforms.tasks.infill import InfillTask

RESAMPLES = 2000

Details = dict[str, list[Any]]
"""By figure, for each hole or example in order: the package, the figure's sum, and what it is divided by."""


def draw_files(files: Sequence[Row], count: int, seed: int) -> list[Row]:
    """Files sampled evenly over the packages: one of each in turn until there are enough."""
    rng = random.Random(seed)
    by_package: dict[str, list[Row]] = defaultdict(list)
    for file in files:
        by_package[file.repo_name].append(file)
    for own in by_package.values():
        rng.shuffle(own)
    turns = [
        own[turn]
        for turn in range(max(map(len, by_package.values())))
        for own in by_package.values()
        if turn < len(own)
    ]
    return turns[:count]


def ask(task: InfillTask, engine: Any, files: Sequence[Row]) -> list[tuple[Row, TaskRequest, str, float]]:
    """Each file's hole and the model's answer, extracted as in the infill job, with its mean log-probability."""
    asked: list[tuple[Row, TaskRequest]] = []
    for file in files:
        try:
            asked += [(file, one) for one in task.requests(file) if isinstance(one, TaskRequest)]
        except RecordError:
            continue  # contains nothing to infill
    futures = engine.submit([request.request for _, request in asked])
    answers = []
    for (file, request), future in zip(asked, futures, strict=True):
        completion = future.result()
        result = task.accept(file, request, completion)
        middle = result.columns["generated_middle"]  # type: ignore[union-attr]  # no check is required
        answers.append((file, request, middle, completion.mean_logprob))
    return answers


def copied(
    tokenizer: Tokenizer, newline_ids: frozenset[int], file: Row, request: TaskRequest, *, from_window: bool = False
) -> str:
    """The baseline's middle for the same hole; for several lines, their number is given.

    It copies from the entire file, or only from the part of it that the model's prompt shows.
    """
    target = request.payload
    span = target.span
    original = file.content[span.start : span.end]
    begin, end = (target.prefix_start, target.suffix_end) if from_window else (0, len(file.content))
    prefix, suffix = tokenizer.encode(file.content[begin : span.start]), tokenizer.encode(file.content[span.end : end])
    ids = copy_middle(prefix, suffix, newline_ids, max_tokens=256, num_stops=original.count("\n") + 1)
    return tokenizer.decode(ids)


def interval(
    values: Sequence[tuple[str, float]], statistic: Callable[[np.ndarray], float], seed: int = 0
) -> list[float]:
    """The 95% interval of a statistic under resampling of packages with replacement."""
    by_package: dict[str, list[float]] = defaultdict(list)
    for package, value in values:
        by_package[package].append(value)
    groups = [np.asarray(own) for own in by_package.values()]
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([groups[i] for i in rng.integers(0, len(groups), len(groups))]))
        for _ in range(RESAMPLES)
    ]
    return [round(float(bound), 4) for bound in np.percentile(drawn, [2.5, 97.5])]


def loss_per_byte(
    model: Any, tokenizer: Tokenizer, files: Sequence[Row], length: int, details: Details
) -> dict[str, float]:
    """Bits per byte of middles given their surroundings, and of text from left to right."""
    import jax
    import jax.numpy as jnp

    from model.gemma import forward

    @functools.partial(jax.jit, static_argnums=2)
    def log_probabilities(weights: Any, tokens: Any, config: Any) -> Any:
        logits = forward(weights, tokens[None], config)[0, :-1]
        return jnp.take_along_axis(jax.nn.log_softmax(logits), tokens[1:, None], axis=1)[:, 0]

    def bits(name: str, fim_rate: float) -> float:
        own = details[name] = []
        recipe = ExampleRecipe(max_tokens=length, min_tokens=length, fim_rate=fim_rate, path_rate=0.0)
        for file in files:
            short = replace(file, content=file.content[: 8 * length])  # one or two examples per file
            for example in examples_of(short, tokenizer, recipe, seed=1)[:1]:
                begin = example.weighted_from if fim_rate else 1
                padded = np.full(length, tokenizer.pad, np.int32)
                padded[: len(example.ids)] = example.ids
                found = np.asarray(log_probabilities(model.arrays(), padded, model.config))
                spent = -float(found[begin - 1 : len(example.ids) - 1].sum()) / float(np.log(2))
                own.append([file.repo_name, spent, len(tokenizer.decode_bytes(example.ids[begin:]))])
        return round(sum(spent for _, spent, _ in own) / sum(size for *_, size in own), 4)

    return {name: bits(name, rate) for name, rate in (("middle_bits_per_byte", 1.0), ("text_bits_per_byte", 0.0))}


def measure(options: argparse.Namespace, details: Details) -> dict[str, Any]:
    import model as models
    from model.engine import Engine, EngineOptions
    from transforms.tasks.shared import newline_ids as newline_ids_of

    files = draw_files(read_files([str(options.corpus)]), options.files, options.seed)
    tokenizer = Tokenizer.load(options.model)
    newline_ids = newline_ids_of(options.model)
    model = models.load(options.model)
    shapes = EngineOptions(
        prompt_buckets=(128, 256, options.prompt_tokens), max_new_tokens=options.new_tokens, prompt_lookup="off"
    )
    engine = Engine(model, options=shapes)
    figures: dict[str, Any] = {
        "files": len(files),
        "packages": len({file.repo_name for file in files}),
        "prompt_tokens": options.prompt_tokens,
    }
    base = InfillTask(
        tokenizer=options.model,
        job_seed=options.seed,
        span_kinds=("single_line",),
        max_prompt_tokens=options.prompt_tokens,
        max_new_tokens=options.new_tokens,
        max_middle_tokens=options.new_tokens,
        require=(),
    )
    baseline: dict[str, tuple[str, str]] = {}
    for kind, mode in (("single_line", "psm"), ("single_line", "spm"), ("multi_line", "psm"), ("multi_line", "spm")):
        began = time.monotonic()
        task = replace(base, fim_format=mode, span_kinds=(kind,))
        answers = ask(task, engine, files)
        rows = []
        for file, request, middle, logprob in answers:
            span = request.payload.span
            original = file.content[span.start : span.end]
            key = f"{kind}:{file.content_sha256}"
            if key not in baseline:
                baseline[key] = (
                    copied(tokenizer, newline_ids, file, request),
                    copied(tokenizer, newline_ids, file, request, from_window=True),
                )
            rows.append(Answer(file.repo_name, original, middle, *baseline[key], logprob))
        details[f"{kind}/{mode}"] = [[one.package, int(is_exact_match(one.middle, one.original)), 1] for one in rows]
        figures[f"{kind}/{mode}"] = summarize(rows) | {"wall_s": round(time.monotonic() - began, 1)}
        print(f"{kind}/{mode}: {json.dumps(figures[f'{kind}/{mode}'])}", file=sys.stderr, flush=True)
    engine.close()
    figures |= loss_per_byte(model, tokenizer, files[: options.loss_files], options.prompt_tokens, details)
    return figures


class Answer(NamedTuple):
    """A hole's original middle, the model's, and the baseline's from the entire file and from the model's window."""

    package: str
    original: str
    middle: str
    copied: str
    copied_from_window: str
    mean_logprob: float


def summarize(answers: Sequence[Answer]) -> dict[str, Any]:
    """Shares and means over the holes, for the model and for the baseline, with intervals over packages."""

    def mean(values: Iterable[float]) -> float:
        return round(float(np.mean(list(values))), 4)

    exact = [(one.package, float(is_exact_match(one.middle, one.original))) for one in answers]
    return {
        "holes": len(answers),
        "exact_match": mean(value for _, value in exact),
        "exact_match_interval": interval(exact, lambda values: float(values.mean())),
        "exact_match_copied": mean(is_exact_match(one.copied, one.original) for one in answers),
        "exact_match_copied_from_window": mean(is_exact_match(one.copied_from_window, one.original) for one in answers),
        "edit_similarity": mean(edit_similarity(one.middle, one.original) for one in answers),
        "edit_similarity_copied": mean(edit_similarity(one.copied, one.original) for one in answers),
        "edit_similarity_copied_from_window": mean(
            edit_similarity(one.copied_from_window, one.original) for one in answers
        ),
        "mean_logprob": mean(one.mean_logprob for one in answers),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--loss_files", type=int, default=300)
    parser.add_argument("--prompt_tokens", type=int, default=384)
    parser.add_argument("--new_tokens", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--details", type=Path, help="the same by holes, to compare with another model's (compare.py)")
    options = parser.parse_args()
    details: Details = {}
    figures = measure(options, details)
    if options.details:
        options.details.write_text(json.dumps(details) + "\n")
    print(json.dumps(figures, indent=1))
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
