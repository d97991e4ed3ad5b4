"""Does training on packed rows pay off? Three short runs on the same files, evaluated on held-out repositories.

    python benchmarks/packed_training.py --corpus train.parquet --held_out held_out.parquet --tokenizer PATH \
        --work DIR [--init_from RUN] [--num_steps 100]

    packed          rows of `codemill pack`: files in dependency order, holes at natural points
    random order    the same documents, including holes, in rows with a random order of all files
    random chars    rows of `codemill pack` with `--span_kinds random_chars=1`

`codemill train` reads all three, with the same options and seed. The evaluation uses holes in held-out repositories
whose text uses a name that another file of the repository defines and this one imports (*imported*), and as many that
don't (*other*), each after the files that the recipe packs before it, as many as fit; and the *imported* ones again
without those files (*imported, alone*). Loss is teacher-forced; a middle counts as matched if greedy decoding generates
its tokens and then ends it. Intervals: 95%, by resampling repositories, of the difference to `packed`.
"""

from __future__ import annotations

import argparse
import ast
import json
import random
import re
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from model.tokenizer import Tokenizer  # noqa: E402
from transforms.fim.formats import fim_document, path_line_text  # noqa: E402
from transforms.fim.spans import Recipe, choose_spans  # noqa: E402
from transforms.packing.documents import DocumentRecipe, SourceFile  # noqa: E402
from transforms.packing.facts import read_facts  # noqa: E402
from transforms.packing.order import OrderedRepository, order_repository  # noqa: E402
from transforms.packing.resolution import RepositoryIndex  # noqa: E402
from transforms.packing.rows import RowPacker, row_schema  # noqa: E402
from transforms.rows.row import content_sha256  # noqa: E402

HOLES = Recipe(mix={"single_line": 3.0, "multi_line": 1.0, "expression": 1.0, "argument_list": 1.0}, max_chars=200)
RUNS = ("packed", "random order", "random chars")
TRIES_A_FILE = 40
MIN_NAME_CHARS = 4


@dataclass(frozen=True)
class Hole:
    """A hole to evaluate: the tokens before its document, the document, and the number of tokens at its end that are
    the middle.
    """

    repo_name: str
    context: list[int]
    document: list[int]
    middle_tokens: int
    middle_bytes: int


# --- data ------------------------------------------------------------------------------------------------------


def read_corpus(path: Path, max_chars: int) -> dict[str, list[SourceFile]]:
    """The files of at most `max_chars`, by repository: a row holds only one of the longer files, and no other file."""
    repositories: dict[str, list[SourceFile]] = defaultdict(list)
    for row in pq.read_table(path, columns=["content", "path", "repo_name"]).to_pylist():
        if row["content"] and len(row["content"]) <= max_chars:
            sha = content_sha256(row["content"])
            repositories[row["repo_name"]].append(
                SourceFile(row["repo_name"], row["path"], "python", row["content"], sha)
            )
    return {name: files for name, files in sorted(repositories.items()) if len(files) > 2}


def write_corpus(repositories: dict[str, list[SourceFile]], path: Path) -> None:
    rows = [
        {"content": file.content, "path": file.path, "repo_name": file.repo_name, "language": "Python"}
        for files in repositories.values()
        for file in files
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)


def pack_job(corpus: Path, output: Path, options: argparse.Namespace, *more: str) -> None:
    command = [sys.executable, "-m", "jobs", "pack", "--input", str(corpus), "--output", str(output)]
    command += ["--tokenizer", options.tokenizer, "--context_length", str(options.length), "--policy", "none"]
    subprocess.run([*command, "--progress", "none", *more], cwd=ROOT, check=True, stdout=sys.stderr)


def pack_randomly(repositories: dict[str, list[SourceFile]], output: Path, options: argparse.Namespace) -> None:
    """The job's documents, in rows that ignore repositories."""
    tokenizer = Tokenizer.load(options.tokenizer)
    files = [file for files in repositories.values() for file in files]
    random.Random(options.seed).shuffle(files)
    packer = RowPacker(tokenizer, DocumentRecipe(), options.length)
    rows = [*packer.pack(files), *packer.finish()]
    output.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, row_schema(tokenizer, options.length))
    pq.write_table(table, output / "rows.parquet", row_group_size=200)


def train(rows: Path, output: Path, options: argparse.Namespace) -> None:
    command = [sys.executable, "-m", "jobs", "train", "--input", str(rows), "--tokenizer", options.tokenizer]
    command += ["--output", str(output), "--length", str(options.length), "--context_length", str(options.length)]
    command += ["--num_steps", str(options.num_steps)]
    command += ["--batch_rows", str(options.batch_rows), "--warmup_steps", "10", "--decay_fraction", "0.5"]
    command += ["--learning_rate", str(options.learning_rate), "--embedding_learning_rate"]
    command += [str(options.learning_rate / 2), "--middle_weight", "2", "--seed", str(options.seed)]
    command += ["--init_from", str(options.init_from)] if options.init_from else ["--copying_heads"]
    subprocess.run([*command, *options.train_flags.split()], cwd=ROOT, check=True, stdout=sys.stderr)


# --- holes -------------------------------------------------------------------------------------------------------


def defined_names(text: str) -> set[str]:
    """Names that a file defines at its top level: functions, classes, assigned names."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return set()
    found = set()
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in found if len(name) >= MIN_NAME_CHARS}


def identifiers(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))


def ordered(name: str, files: Sequence[SourceFile]) -> OrderedRepository:
    return order_repository(RepositoryIndex([read_facts(file.path, file.content, "python") for file in files], name))


def holes_of(
    name: str, files: Sequence[SourceFile], tokenizer: Tokenizer, length: int
) -> Iterator[tuple[bool, Hole, list[int]]]:
    """Holes of a repository: whether the middle uses an imported name, the hole, and the tokens packed before it."""
    by_path = {file.path: file for file in files}
    order = ordered(name, files)
    names = {path: defined_names(file.content) for path, file in by_path.items()}
    plain: list[list[int]] = []  # the documents before this one
    for path in order.paths:
        file = by_path[path]
        line = tokenizer.encode(path_line_text(path))
        foreign = set().union(*(names[target] for target in order.imports.get(path, ()))) - names[path]
        for span in choose_spans(
            file.content,
            "python",
            job_seed=5,
            content_sha256=file.content_sha256,
            count=TRIES_A_FILE,
            recipe=HOLES,
        ):
            middle = file.content[span.start : span.end]
            pieces = [tokenizer.encode(file.content[: span.start]), tokenizer.encode(middle)]
            pieces.append(tokenizer.encode(file.content[span.end :]))
            document = fim_document(tokenizer, "psm", *pieces, path_line=line)
            context: list[int] = []
            for before in reversed(plain):
                if len(before) + len(context) + len(document) + 2 > length:
                    break
                context = before + context
            hole = Hole(name, context, document, len(pieces[1]), len(middle.encode()))
            if len(document) + 2 <= length:
                yield bool(identifiers(middle) & foreign), hole, context
        plain.append([*line, *tokenizer.encode(file.content), tokenizer.file_separator])


def choose_holes(
    repositories: dict[str, list[SourceFile]], tokenizer: Tokenizer, options: argparse.Namespace
) -> tuple[list[Hole], list[Hole]]:
    """As many holes that use imported names as others, spread over repositories; all have files before them."""
    found: dict[bool, list[Hole]] = {True: [], False: []}
    draw = random.Random(options.seed)
    for name, files in repositories.items():
        holes = [(uses, hole) for uses, hole, context in holes_of(name, files, tokenizer, options.length) if context]
        for kind, kept in found.items():
            ours = [hole for uses, hole in holes if uses is kind]
            kept += draw.sample(ours, min(len(ours), options.holes_a_repository))
    count = min(options.holes, len(found[True]), len(found[False]))
    return draw.sample(found[True], count), draw.sample(found[False], count)


# --- judging -----------------------------------------------------------------------------------------------------


def judge(model_path: Path, holes: Sequence[Hole], tokenizer: Tokenizer, *, alone: bool) -> list[tuple[float, bool]]:
    """For each hole, the nats of its middle, and whether greedy decoding generates it."""
    import functools

    import jax
    import jax.numpy as jnp

    import model as models
    from model.gemma import forward

    loaded = models.load(str(model_path))

    @functools.partial(jax.jit, static_argnums=2)
    def look(weights: Any, tokens: Any, config: Any) -> tuple[Any, Any]:
        logits = forward(weights, tokens, config)[:, :-1]
        log_probs = jax.nn.log_softmax(logits)
        return jnp.take_along_axis(log_probs, tokens[:, 1:, None], axis=-1)[..., 0], logits.argmax(-1)

    found = []
    for hole in holes:
        ids = [tokenizer.bos, *([] if alone else hole.context), *hole.document, tokenizer.file_separator]
        padded = np.full((1, -(-len(ids) // 256) * 256), tokenizer.pad, np.int32)
        padded[0, : len(ids)] = ids
        log_probs, best = (np.asarray(part)[0] for part in look(loaded.arrays(), padded, loaded.config))
        first, last = len(ids) - 1 - hole.middle_tokens, len(ids) - 1
        nats = -float(log_probs[first - 1 : last - 1].sum())
        ends = best[last - 1] in (tokenizer.file_separator, tokenizer.eos)
        found.append((nats, bool((best[first - 1 : last - 1] == ids[first:last]).all() and ends)))
    return found


def bits_per_byte(holes: Sequence[Hole], judged: Sequence[tuple[float, bool]], drawn: Iterable[int]) -> float:
    places = list(drawn)
    return sum(judged[i][0] for i in places) / sum(holes[i].middle_bytes for i in places) / float(np.log(2))


def matched(holes: Sequence[Hole], judged: Sequence[tuple[float, bool]], drawn: Iterable[int]) -> float:
    places = list(drawn)
    return sum(judged[i][1] for i in places) / len(places)


def difference(
    figure: Any, holes: Sequence[Hole], one: Sequence[tuple[float, bool]], other: Sequence[tuple[float, bool]]
) -> tuple[float, float]:
    """The 95% interval of `figure(one) - figure(other)` under resampling of repositories with replacement."""
    by_repository: dict[str, list[int]] = defaultdict(list)
    for index, hole in enumerate(holes):
        by_repository[hole.repo_name].append(index)
    names, draw = sorted(by_repository), random.Random(0)
    values = []
    for _ in range(2000):
        drawn = [index for name in draw.choices(names, k=len(names)) for index in by_repository[name]]
        values.append(figure(holes, one, drawn) - figure(holes, other, drawn))
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def report(judged: dict[str, dict[str, list[tuple[float, bool]]]], holes: dict[str, list[Hole]]) -> str:
    """The results as a Markdown table: one line per run."""
    kinds = list(holes)
    lines = ["| run | " + " | ".join(f"{kind}, bits a byte | {kind}, matched" for kind in kinds) + " |"]
    lines.append("|" + "---|" * (2 * len(kinds) + 1))
    for name, found in judged.items():
        cells = []
        for kind in kinds:
            every = range(len(holes[kind]))
            for figure in (bits_per_byte, matched):
                cell = f"{figure(holes[kind], found[kind], every):.3f}"
                if name != "packed":
                    low, high = difference(figure, holes[kind], found[kind], judged["packed"][kind])
                    cell += f" ({low:+.3f} to {high:+.3f})"
                cells.append(cell)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--held_out", type=Path, required=True)
    parser.add_argument("--tokenizer", default="embedded")
    parser.add_argument("--work", type=Path, required=True, help="rows, runs and figures go here; what exists is kept")
    parser.add_argument("--init_from", type=Path, help="a run of codemill train to go on from; else random weights")
    parser.add_argument("--train_flags", default="", help="more flags of codemill train, such as the run's shapes")
    parser.add_argument("--length", type=int, default=1536)
    parser.add_argument("--max_chars", type=int, default=2400)
    parser.add_argument("--batch_rows", type=int, default=3)
    parser.add_argument("--num_steps", type=int, default=100)
    parser.add_argument("--learning_rate", type=float, default=0.004)
    parser.add_argument("--holes", type=int, default=200)
    parser.add_argument("--holes_a_repository", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--stop_before_training", action="store_true")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.load(options.tokenizer)
    seen = read_corpus(options.corpus, options.max_chars)
    held = read_corpus(options.held_out, options.max_chars)
    rows = {
        name: options.work / f"rows-{name.replace(' ', '-')}" for name in ("packed", "random order", "random chars")
    }
    corpus = options.work / "corpus.parquet"
    if not corpus.exists():
        write_corpus(seen, corpus)
    if not (rows["packed"] / "COMPLETED").exists():
        pack_job(corpus, rows["packed"], options)
    if not (rows["random chars"] / "COMPLETED").exists():
        pack_job(corpus, rows["random chars"], options, "--span_kinds", "random_chars=1")
    if not rows["random order"].exists():
        pack_randomly(seen, rows["random order"], options)
    imported, other = choose_holes(held, tokenizer, options)
    holes = {"imported": imported, "other": other, "imported, alone": imported}
    facts = {
        "files": sum(map(len, seen.values())),
        "repositories": len(seen),
        "held-out repositories": len({hole.repo_name for hole in [*imported, *other]}),
        "holes of each kind": len(imported),
        "rows": {name: count_rows(path) for name, path in rows.items()},
    }
    print(json.dumps(facts), file=sys.stderr, flush=True)
    if options.stop_before_training:
        return
    judged: dict[str, dict[str, list[tuple[float, bool]]]] = {}
    for name, path in rows.items():
        run = options.work / f"run-{name.replace(' ', '-')}"
        figures = run / "judged.json"
        if not figures.exists():
            train(path, run, options)
            found = {
                kind: judge(run / "model", some, tokenizer, alone=kind.endswith("alone"))
                for kind, some in holes.items()
            }
            figures.write_text(json.dumps(found))
        judged[name] = json.loads(figures.read_text())
    print(report(judged, holes))


def count_rows(folder: Path) -> tuple[int, int]:
    """Rows and tokens of packed files."""
    tables = [pq.read_table(path, columns=["num_tokens"]) for path in sorted(folder.rglob("*.parquet"))
              if "_job" not in path.parts and "rejected" not in path.parts]  # fmt: skip
    return sum(table.num_rows for table in tables), sum(sum(table.column(0).to_pylist()) for table in tables)


if __name__ == "__main__":
    main()
