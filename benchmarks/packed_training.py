"""Does packing by dependencies pay? Two models trained on the same files, judged on names that stand in another file.

    python benchmarks/packed_training.py --corpus train.parquet --held_out held_out.parquet --work DIR [--num_steps 400]

    packed          rows of `codemill pack`: files in dependency order, behind what they import
    random order    the same files in rows with a random order of all files of all repositories

Both go on from the same checkpoint, in turns, with the same steps, rates and seed. Of each held-out file that imports
others of its repository, the tokens are sorted by what they need:

    first use       of an identifier that a file in front defines, where the file itself hasn't named it yet
    repeated        later uses of the same identifiers, which the file itself can tell
    other           all other tokens

Their loss is measured with the imported files in front (*with*), with files of other repositories in front (*foreign*)
and with none (*alone*). Intervals: 95%, by resampling repositories, of paired differences.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import functools
import json
import keyword
import random
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import model as models  # noqa: E402
from jobs.training.data import Place, batches  # noqa: E402
from jobs.training.packed import PackedSource, open_packed  # noqa: E402
from model.config import GemmaConfig  # noqa: E402
from model.gemma import forward  # noqa: E402
from model.tokenizer import Tokenizer  # noqa: E402
from model.training.step import Rows, TrainingConfig, TrainState, state_of, train_step  # noqa: E402
from transforms.fim.formats import path_line_text  # noqa: E402
from transforms.packing.documents import DocumentRecipe, SourceFile  # noqa: E402
from transforms.packing.facts import read_facts  # noqa: E402
from transforms.packing.graph import Edges, dependency_edges  # noqa: E402
from transforms.packing.resolution import RepositoryIndex  # noqa: E402
from transforms.packing.rows import RowPacker, row_schema  # noqa: E402
from transforms.rows.row import content_sha256  # noqa: E402

ARMS: Final = ("packed", "random order")
CLASSES: Final = ("other", "first use", "repeated")
FRONTS: Final = ("with", "foreign", "alone")
_MIN_NAME_CHARS: Final = 4
_COMMON: Final = {*dir(builtins), *keyword.kwlist, "self", "args", "kwargs", "name", "value", "data", "__init__"}
_IDENTIFIER: Final = re.compile(r"[^\W\d]\w*")

Repositories = dict[str, list[SourceFile]]


class Case(NamedTuple):
    """A held-out file: what stands in front, by kind; its tokens, and the class of each."""

    repo_name: str
    fronts: dict[str, list[int]]
    document: list[int]
    classes: np.ndarray  # places in CLASSES


# --- data ------------------------------------------------------------------------------------------------------


def read_corpus(path: Path, max_chars: int, options: argparse.Namespace) -> tuple[Repositories, dict[str, Edges]]:
    """The small files that import one another, by repository, and the edges between them."""
    found: Repositories = defaultdict(list)
    for row in pq.read_table(path, columns=["content", "path", "repo_name"]).to_pylist():
        if row["content"] and options.min_chars <= len(row["content"]) <= max_chars:
            sha = content_sha256(row["content"])
            found[row["repo_name"]].append(SourceFile(row["repo_name"], row["path"], "python", row["content"], sha))
    kept: Repositories = {}
    edges: dict[str, Edges] = {}
    for name, files in sorted(found.items()):
        index = RepositoryIndex([read_facts(file.path, file.content, "python") for file in files], name)
        own = dependency_edges(index)
        related = {*own, *(target for targets in own.values() for target in targets)}
        chosen = sorted((file for file in files if file.path in related), key=lambda file: file.content_sha256)
        if len(chosen) > 2:
            kept[name], edges[name] = chosen[: options.files_a_repository], own
    return kept, edges


def pack_by_job(repositories: Repositories, output: Path, options: argparse.Namespace) -> None:
    """Rows of `codemill pack`."""
    if (output / "COMPLETED").exists():
        return
    corpus = output.with_suffix(".parquet")
    rows = [
        {"content": file.content, "path": file.path, "repo_name": file.repo_name, "language": "Python"}
        for files in repositories.values()
        for file in files
    ]
    pq.write_table(pa.Table.from_pylist(rows), corpus)
    command = [sys.executable, "-m", "jobs", "pack", "--input", str(corpus), "--output", str(output), "--policy"]
    command += ["none", "--tokenizer", options.tokenizer, "--context_length", str(options.length), "--progress", "none"]
    command += ["--context_share", str(options.context_share), "--seed", str(options.seed), "--workers", "1"]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)


def pack_randomly(repositories: Repositories, output: Path, options: argparse.Namespace) -> None:
    """The same files, in rows that ignore repositories."""
    tokenizer = Tokenizer.load(options.tokenizer)
    files = [file for files in repositories.values() for file in files]
    random.Random(options.seed).shuffle(files)
    packer = RowPacker(tokenizer, DocumentRecipe(job_seed=options.seed), options.length)
    rows = [*packer.pack(files), *packer.finish()]
    output.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, row_schema(tokenizer, options.length))
    pq.write_table(table, output / "rows.parquet", row_group_size=200)


# --- held-out files ----------------------------------------------------------------------------------------------


def defined_names(text: str) -> set[str]:
    """Names that a file defines: functions, classes, their parameters, assigned names and attributes of `self`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return {name for name in found if len(name) >= _MIN_NAME_CHARS} - _COMMON


def classes_of(text: str, begins: np.ndarray, foreign: set[str]) -> np.ndarray:
    """The class of each token of an ASCII text, given the character at which each begins."""
    classes = np.zeros(len(begins), np.int64)
    seen: set[str] = set()
    for match in _IDENTIFIER.finditer(text):
        name = match.group()
        if name in foreign:
            first, last = np.searchsorted(begins, match.start(), "right") - 1, np.searchsorted(begins, match.end())
            classes[first:last] = 2 if name in seen else 1
        seen.add(name)
    return classes


def cases_of(
    repositories: Repositories, edges: dict[str, Edges], tokenizer: Tokenizer, options: argparse.Namespace
) -> Iterator[Case]:
    """Held-out files with what they import in front, as many as fit, the smallest first as `pack` has them."""
    draw = random.Random(options.seed)
    every = [file for files in repositories.values() for file in files]
    lengths = np.array(tokenizer.piece_lengths, np.int64)

    def plain(file: SourceFile) -> list[int]:
        return [*tokenizer.encode(path_line_text(file.path) + file.content), tokenizer.file_separator]

    def front(files: Sequence[SourceFile], room: int) -> tuple[list[int], list[SourceFile]]:
        ids: list[int] = []
        taken = []
        for file in files:
            own = plain(file)
            if len(ids) + len(own) <= room:
                ids += own
                taken.append(file)
        return ids, taken

    for name, files in repositories.items():
        by_path = {file.path: file for file in files}
        for file in files:
            imports = [by_path[target] for target in edges[name].get(file.path, ()) if target in by_path]
            text = path_line_text(file.path) + file.content
            document = plain(file)
            room = options.length - len(document) - 1
            ids, taken = front(sorted(imports, key=lambda one: len(one.content)), room)
            if not taken or not text.isascii():
                continue
            try:
                names = set().union(*(defined_names(one.content) for one in taken))
            except (SyntaxError, ValueError):
                continue
            sizes = lengths[document[:-1]]
            begins = np.cumsum(sizes) - sizes
            classes = np.append(classes_of(text, begins, names), 0)
            others = draw.sample([one for one in every if one.repo_name != name], 30)
            foreign, _ = front(others, len(ids))
            if (classes == 1).any() and foreign:
                yield Case(name, {"with": ids, "foreign": foreign, "alone": []}, document, classes)


# --- training and judging ----------------------------------------------------------------------------------------


@dataclass
class Arm:
    """A model that is being trained."""

    name: str
    state: TrainState
    rows: Iterator[tuple[Rows, Place]]
    seconds: float = 0.0


def arms_of(options: argparse.Namespace, tokenizer: Tokenizer) -> tuple[list[Arm], GemmaConfig, TrainingConfig]:
    loaded = models.load(options.init_from, dtype=jnp.float32)
    config = replace(loaded.config, context_length=max(options.length, loaded.config.context_length))
    training = TrainingConfig(
        num_steps=options.num_steps,
        warmup_steps=options.warmup_steps,
        decay_fraction=options.decay_fraction,
        learning_rate=options.learning_rate,
        embedding_learning_rate=options.learning_rate / 2,
        weight_decay=0.05,
        optimizer="muon",
        adapter_scale=1.0,
    )
    arms = []
    for name in ARMS:
        groups = open_packed([str(rows_folder(options, name) / "**/*.parquet")], tokenizer, options.length)
        assert groups is not None
        source = PackedSource(groups, options.length, tokenizer.pad, 1.0, options.seed)
        weights = jax.tree.map(jnp.array, loaded.arrays())  # copies: a step uses its state up
        arms.append(Arm(name, state_of(weights, training), batches(source, options.batch_rows, Place(0, 0))))
    return arms, config, training


def rows_folder(options: argparse.Namespace, name: str) -> Path:
    folder = options.work / f"rows-{name.replace(' ', '-')}"
    return folder / "data" if name == "packed" else folder


def judge(state: TrainState, config: GemmaConfig, cases: Sequence[Case], tokenizer: Tokenizer) -> dict[str, Any]:
    """For each kind of front, each case's nats by class; and the counts of tokens."""
    found: dict[str, Any] = {front: [] for front in FRONTS}
    for case in cases:
        for front in FRONTS:
            ids = [tokenizer.bos, *case.fronts[front], *case.document]
            padded = np.full((1, -(-len(ids) // 256) * 256), tokenizer.pad, np.int32)
            padded[0, : len(ids)] = ids
            nats = -np.asarray(_log_probs(state.weights, padded, config))[0]
            first = len(ids) - len(case.document)
            own = nats[first - 1 : len(ids) - 1]
            found[front].append(np.bincount(case.classes, own, len(CLASSES)).tolist())
    return found


@functools.partial(jax.jit, static_argnums=2)
def _log_probs(weights: Any, tokens: Any, config: GemmaConfig) -> Any:
    logits = forward(weights, tokens, config)[:, :-1]
    own = jnp.take_along_axis(logits, tokens[:, 1:, None], axis=-1)[..., 0]
    return own - jax.nn.logsumexp(logits, axis=-1)


# --- reporting -----------------------------------------------------------------------------------------------------


def interval(cases: Sequence[Case], values: np.ndarray, counts: np.ndarray) -> tuple[float, float, float]:
    """The mean of summed `values` a token, and its 95% interval under resampling of repositories."""
    names = sorted({case.repo_name for case in cases})
    place = {name: number for number, name in enumerate(names)}
    of = np.array([place[case.repo_name] for case in cases])
    sums, tokens = np.bincount(of, values, len(names)), np.bincount(of, counts, len(names))
    drawn = np.random.default_rng(0).integers(0, len(names), (4000, len(names)))
    means = sums[drawn].sum(1) / np.maximum(tokens[drawn].sum(1), 1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(sums.sum() / tokens.sum()), float(low), float(high)


def report(cases: Sequence[Case], judged: dict[int, dict[str, dict[str, Any]]], tokens: dict[str, list[int]]) -> str:
    """The losses, in nats a token, of each class; one table of losses and one of paired differences for each step."""
    counts = np.array([np.bincount(case.classes, minlength=len(CLASSES)) for case in cases])
    lines = [
        "| steps | arm | trained tokens | "
        + " | ".join(f"{kind}, {front}" for kind in CLASSES for front in FRONTS)
        + " |"
    ]
    lines.append("|" + "---|" * (3 + len(CLASSES) * len(FRONTS)))
    for step, arms in judged.items():
        values = {(arm, front): np.array(found[front]) for arm, found in arms.items() for front in FRONTS}
        for arm in arms:
            cells = [
                f"{interval(cases, values[arm, front][:, kind], counts[:, kind])[0]:.3f}"
                for kind in range(len(CLASSES))
                for front in FRONTS
            ]
            lines.append(
                f"| {step} | {arm} | {tokens.get(arm, [0] * (step + 1))[step]:,} | " + " | ".join(cells) + " |"
            )
        if len(arms) > 1:
            lines += [_compared(cases, step, values, counts)]
    return "\n".join(lines)


def _compared(cases: Sequence[Case], step: int, values: dict[Any, np.ndarray], counts: np.ndarray) -> str:
    """Random order less packed, positive where packed is better; and what the files in front are worth to each."""
    cells = []
    for kind in range(len(CLASSES)):
        for front in FRONTS:
            difference = values["random order", front][:, kind] - values["packed", front][:, kind]
            cells.append("{:+.3f} ({:+.3f} to {:+.3f})".format(*interval(cases, difference, counts[:, kind])))
    worth = []
    for kind, label in enumerate(CLASSES):
        gains = {arm: (values[arm, "foreign"] - values[arm, "with"])[:, kind] for arm in ARMS}
        gains["difference"] = gains["packed"] - gains["random order"]
        for arm, gain in gains.items():
            mean, low, high = interval(cases, gain, counts[:, kind])
            worth.append(f"{label}, {arm}: {mean:+.3f} ({low:+.3f} to {high:+.3f})")
    line = f"| {step} | random less packed | | " + " | ".join(cells) + " |"
    return line + "\n\n    worth of own instead of foreign files in front: " + "; ".join(worth) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--held_out", type=Path, required=True)
    parser.add_argument("--tokenizer", default="embedded")
    parser.add_argument("--init_from", default="embedded")
    parser.add_argument("--work", type=Path, required=True, help="rows and figures go here; rows that exist are kept")
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--min_chars", type=int, default=150)
    parser.add_argument("--max_chars", type=int, default=1500)
    parser.add_argument("--held_out_max_chars", type=int, default=2200)
    parser.add_argument("--files_a_repository", type=int, default=60)
    parser.add_argument("--context_share", type=float, default=0.4)
    parser.add_argument("--batch_rows", type=int, default=4)
    parser.add_argument("--num_steps", type=int, default=400)
    parser.add_argument("--warmup_steps", type=int, default=20)
    parser.add_argument("--decay_fraction", type=float, default=0.3)
    parser.add_argument("--learning_rate", type=float, default=0.003)
    parser.add_argument("--judge_every", type=int, default=100)
    parser.add_argument("--cases", type=int, default=150)
    parser.add_argument("--cases_a_repository", type=int, default=8)
    parser.add_argument("--stop_after_s", type=float, default=1e9)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.load(options.tokenizer)
    seen, _ = read_corpus(options.corpus, options.max_chars, options)
    held, edges = read_corpus(options.held_out, options.held_out_max_chars, options)
    pack_by_job(seen, rows_folder(options, "packed").parent, options)
    pack_randomly(seen, rows_folder(options, "random order"), options)
    cases = chosen(list(cases_of(held, edges, tokenizer, options)), options)
    facts: dict[str, Any] = {
        "files": sum(map(len, seen.values())),
        "repositories": len(seen),
        "rows and tokens": {name: count_rows(rows_folder(options, name)) for name in ARMS},
        "held-out files": len(cases),
        "held-out repositories": len({case.repo_name for case in cases}),
        "tokens by class": dict(
            zip(CLASSES, np.bincount(np.concatenate([one.classes for one in cases])).tolist(), strict=True)
        ),
    }
    print(json.dumps(facts), file=sys.stderr, flush=True)
    compare(cases, tokenizer, options)


def chosen(cases: Sequence[Case], options: argparse.Namespace) -> list[Case]:
    """At most so many cases of each repository, and in all."""
    draw = random.Random(options.seed)
    by_name: dict[str, list[Case]] = defaultdict(list)
    for case in draw.sample(list(cases), len(cases)):
        if len(by_name[case.repo_name]) < options.cases_a_repository:
            by_name[case.repo_name].append(case)
    found = [case for own in by_name.values() for case in own]
    return draw.sample(found, min(len(found), options.cases))


def compare(cases: Sequence[Case], tokenizer: Tokenizer, options: argparse.Namespace) -> None:
    """Trains the arms in turns, and prints the report at each checkpoint."""
    arms, config, training = arms_of(options, tokenizer)
    step_once: Callable[..., Any] = jax.jit(
        functools.partial(train_step, model=config, training=training), donate_argnums=0
    )
    judged: dict[int, Any] = {0: {"before": judge(arms[0].state, config, cases, tokenizer)}}
    tokens = {arm.name: [0] for arm in arms}
    began = time.monotonic()
    for step in range(1, options.num_steps + 1):
        losses = {}
        for arm in arms:
            rows, _ = next(arm.rows)
            arm.state, metrics = step_once(arm.state, rows)
            losses[arm.name] = round(float(metrics["loss"]), 3)
            tokens[arm.name].append(tokens[arm.name][-1] + int((rows.loss_weights > 0).sum()))
        print(step, round(time.monotonic() - began), losses, file=sys.stderr, flush=True)
        is_last = step == options.num_steps or time.monotonic() - began > options.stop_after_s
        if is_last or step % options.judge_every == 0:
            judged[step] = {arm.name: judge(arm.state, config, cases, tokenizer) for arm in arms}
            text = report(cases, judged, tokens)
            (options.work / f"judged-{options.seed}.json").write_text(json.dumps(judged))
            (options.work / f"report-{options.seed}.md").write_text(text + "\n")
        if is_last:
            break
    print(report(cases, judged, tokens))


def count_rows(folder: Path) -> tuple[int, int]:
    """Rows and tokens of packed files."""
    tables = [pq.read_table(path, columns=["num_tokens"]) for path in sorted(folder.rglob("*.parquet"))]
    return sum(table.num_rows for table in tables), sum(sum(table.column(0).to_pylist()) for table in tables)


if __name__ == "__main__":
    main()
