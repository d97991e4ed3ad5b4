"""Whether scoring and verdicts of the benchmarks with choices agree with transformers' logits, on small random models.

    python -m benchmarks.language_agreement --data BENCHMARKS --others ENV/bin/python --write

For rows drawn from each benchmark's published file, the engine scores all choices in both determinism modes, and
transformers computes the logits of each sequence alone in float32 (`benchmarks/contenders/transformers_scores.py`).
Both get the same token ids. Models have one key head for all query heads (as 2B) and one for each (as 7B). The script
ends with an error if a choice differs or a sum is off by more than 1e-4.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import jax
import pyarrow.parquet as pq

import model
from benchmarks.engine import write_section
from model.config import GemmaConfig
from model.engine import Engine, EngineOptions
from model.gemma import Gemma, init_weights
from model.tokenizer import Tokenizer
from transforms.evaluation.language import CHOICE_BENCHMARKS
from transforms.evaluation.language.questions import Question, verdict_of
from transforms.evaluation.language.tokens import Asked, requests_of

ROOT = Path(__file__).resolve().parents[1]
CONTENDER = ROOT / "benchmarks" / "contenders" / "transformers_scores.py"
FILES = {
    "boolq": "boolq_validation",
    "piqa": "piqa_validation",
    "hellaswag": "hellaswag_validation",
    "arc_challenge": "arc_challenge_test",
    "winogrande": "winogrande_xl_validation",
    "mmlu": "mmlu_all_test",
}
SHOTS_FILE = "mmlu_all_dev"
LONGEST = 4096  # tokens of a prompt with five examples
NEW_TOKENS = 256  # of a choice
TOLERANCE = 1e-4


def questions_of(name: str, data: Path, count: int) -> list[Question]:
    benchmark = CHOICE_BENCHMARKS[name]
    rows = pq.read_table(data / f"{FILES[name]}.parquet").to_pylist()
    rows = random.Random(0).sample(rows, count)
    shots = None
    if benchmark.shots:
        shots = benchmark.examples(pq.read_table(data / f"{SHOTS_FILE}.parquet").to_pylist(), rows)
    return [benchmark.ask(row, shots) for row in rows]


def random_model(kv_heads: int, tokenizer: Tokenizer) -> Gemma:
    config = GemmaConfig(
        num_layers=3,
        d_model=64,
        d_ff=192,
        num_heads=4,
        num_kv_heads=kv_heads,
        head_dim=16,
        vocab_size=tokenizer.vocab_size,
        context_length=LONGEST + NEW_TOKENS,
    )
    return Gemma(config, weights=jax.tree.map(lambda w: w * 2.0, init_weights(jax.random.key(5), config)))


def engine_logprobs(gemma: Gemma, asked: Sequence[Asked], determinism: str) -> list[list[float]]:
    options = EngineOptions(
        determinism=determinism,  # type: ignore[arg-type]
        slots=1,
        prompt_buckets=(512, LONGEST),
        max_new_tokens=NEW_TOKENS,
    )
    with Engine(gemma, options=options) as engine:
        futures = [engine.score(one.requests) for one in asked]
        return [one.logprobs([future.result() for future in each]) for one, each in zip(asked, futures, strict=True)]


def transformers_logprobs(gemma: Gemma, asked: Sequence[Asked], python: str) -> list[list[float]]:
    sequences = [
        (one.requests[request].prompt, one.requests[request].continuations[number])
        for one in asked
        for request, number in one.places
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model.save(gemma, folder / "model")
        (folder / "sequences.json").write_text(json.dumps(sequences))
        subprocess.run([python, str(CONTENDER), name], check=True)
        sums = iter(json.loads((folder / "transformers.json").read_text()))
    return [[next(sums) for _ in one.places] for one in asked]


def compare(kv_heads: int, data: Path, count: int, python: str) -> tuple[list[str], bool]:
    """Lines of the table, and whether all agree."""
    tokenizer = Tokenizer.load("embedded")
    gemma = random_model(kv_heads, tokenizer)
    questions = {name: questions_of(name, data, count) for name in CHOICE_BENCHMARKS}
    asked = [requests_of(question, tokenizer) for each in questions.values() for question in each]
    theirs = transformers_logprobs(gemma, asked, python)
    ours = {mode: engine_logprobs(gemma, asked, mode) for mode in ("fast", "exact")}
    lines, agree = [], True
    heads = "one key head" if kv_heads == 1 else "a key head each"
    for at, (name, each) in enumerate(questions.items()):
        begin, end = at * count, (at + 1) * count
        cells = []
        for found in ours.values():
            off = max(abs(a - b) for i in range(begin, end) for a, b in zip(found[i], theirs[i], strict=True))
            pairs = [
                (verdict_of(question, found[i]), verdict_of(question, theirs[i]))
                for i, question in enumerate(each, begin)
            ]
            same = sum((a.predicted, a.predicted_norm) == (b.predicted, b.predicted_norm) for a, b in pairs)
            agree = agree and off < TOLERANCE and same == count
            cells += [f"{same} of {count}", f"{off:.1e}"]
        lines.append(f"| {heads} | `{name}` | {sum(len(q.choices) for q in each)} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    return lines, agree


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the benchmarks' Parquet files")
    parser.add_argument("--others", default=sys.executable, help="a Python that has torch and transformers")
    parser.add_argument("--rows", type=int, default=50, help="rows of each benchmark")
    parser.add_argument("--kv_heads", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--write", action="store_true", help="put the table into docs/evaluation.md")
    options = parser.parse_args()
    lines = [
        "| model | benchmark | choices | same answer, fast | largest difference of a sum | exact | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    all_agree = True
    for kv_heads in options.kv_heads:
        found, agree = compare(kv_heads, options.data, options.rows, options.others)
        lines, all_agree = [*lines, *found], all_agree and agree
    if options.write:
        write_section(ROOT / "docs" / "evaluation.md", "agreement", lines)
    if not all_agree:
        sys.exit("they don't agree")


if __name__ == "__main__":
    main()
