"""The engine compared with other ways to run the same model, on the same weights and ragged requests, side by side.

    python -m benchmarks.engine --size 100m --others ENV/bin/python --gemma OTHER_ENV/bin/python --write

64 requests with log-normal lengths (128 to 512 tokens in, 10 to 200 out, no stop ids), random Gemma weights in float32
in Hugging Face's layout, greedy tokens; `--size gemma-3-270m` takes the weights of `codemill[real]`. Each contender is
a separate process (`benchmarks/contenders`), bound to the same number of cores, that loads and compiles before it is
timed. Rounds are interleaved, so that other load on the machine affects all alike, and the median counts. Tokens per
second are generated tokens over the time of all requests, including prefill; the peak of memory is the process's, its
start and loading included. The share of requests whose first tokens equal the reference's shows that all run the same
model.

Results are written to `out/bench/engine-SIZE.json` as soon as they are available. `--write` puts the table into
docs/benchmarks.md, with the names of contenders that aren't installed, fail or take too long below it. The other
libraries come from the user's environments: `--others` has torch, transformers and xllamacpp (llama.cpp), `--gemma`
(Python 3.12 or later) has gemma.

    python -m benchmarks.engine --platform gpu --size 2b --requests 512 --batches 32 64 128 --others ENV/bin/python

is the same comparison on a GPU, in bfloat16, against transformers; one contender at a time uses the card.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from model.config import PRESETS, GemmaConfig

ROOT = Path(__file__).resolve().parents[1]
CONTENDERS = ROOT / "benchmarks" / "contenders"
DOCS = ROOT / "docs" / "benchmarks.md"

SIZES = {
    "8m": GemmaConfig(num_layers=6, d_model=320, d_ff=1024, num_heads=5, num_kv_heads=1, head_dim=64, vocab_size=4096),
    "100m": GemmaConfig(
        num_layers=10, d_model=768, d_ff=3072, num_heads=8, num_kv_heads=1, head_dim=96, vocab_size=16_384
    ),
    "400m": GemmaConfig(
        num_layers=16, d_model=1280, d_ff=5120, num_heads=10, num_kv_heads=1, head_dim=128, vocab_size=16_384
    ),
    "2b": PRESETS["codegemma-2b"],
    "gemma-3-270m": PRESETS["gemma-3-270m"],
    "gemma-3-1b": PRESETS["gemma-3-1b"],
}
PUBLISHED = {"gemma-3-270m": "gemma3-270m"}
"""Sizes whose weights are those that Google trained, as `codemill[real]` brings them; of others they are random."""
JAX_PLATFORM = {"cpu": "cpu", "gpu": "cuda"}
REFERENCE = "transformers"
AGREEING_TOKENS = 8
WARM_UP_TOKENS = 3


@dataclass(frozen=True)
class Entry:
    """One line of the table: a way to run the requests.

    Args:
        name: Name in the table.
        process: Entries with the same value share a process.
        script: File in `benchmarks/contenders`.
        python: Environment to run in: `own`, `others` or `gemma`.
        settings: The script's settings for each run.
        needs: A module that the environment must have.
    """

    name: str
    process: str
    script: str
    python: str
    settings: dict[str, Any]
    needs: str


def entries(batches: Sequence[int], platform: str = "cpu") -> list[Entry]:
    def transformers(name: str, **settings: Any) -> Entry:
        settings["platform"] = platform
        return Entry(f"transformers, {name}", REFERENCE, "transformers_generate.py", "others", settings, "transformers")

    def llama(name: str, **settings: Any) -> Entry:
        return Entry(f"llama.cpp, {name}", f"llama.cpp {name}", "llamacpp_batching.py", "others", settings, "xllamacpp")

    def own(name: str, weights: str) -> Entry:
        return Entry(name, name, "codemill_engine.py", "own", {"weights": weights}, "jax")

    static = [transformers(f"static batches of {batch}", mode="static", batch=batch) for batch in batches]
    if platform == "gpu":
        continuous = transformers("continuous batching", mode="continuous")
        return [own("codemill, fast", "as chosen"), *static, continuous, own("codemill, int8 weights", "int8")]
    return [
        own("codemill, fast", "as chosen"),
        *static,
        transformers("sorted by length, static batches of 16", mode="static", batch=16, sort=True),
        llama("F32, continuous batching", file="model-f32.gguf", slots=32),
        transformers("continuous batching", mode="continuous"),
        Entry("gemma's sampler", "gemma", "gemma_sampler.py", "gemma", {"batch": 16}, "gemma"),
        own("codemill, int8 weights", "int8"),
        llama("Q8_0, continuous batching", file="model-q8_0.gguf", slots=32),
    ]


@dataclass
class Figures:
    """Results of one entry."""

    rounds: list[dict[str, float]] = field(default_factory=list)
    first_tokens: list[list[int]] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    fault: str = ""

    @property
    def middle(self) -> dict[str, float]:
        """The round with the median time; of an even number, the faster one of the two in the middle."""
        return sorted(self.rounds, key=lambda one: one["wall_s"])[(len(self.rounds) - 1) // 2]


# --- the work ----------------------------------------------------------------------------------------


def ragged_lengths(count: int, seed: int = 0) -> list[tuple[int, int]]:
    """Log-normal lengths: 128 to 512 tokens in, 10 to 200 out."""
    rng = np.random.default_rng(seed)
    prompts = np.clip(rng.lognormal(np.log(260), 0.45, count), 128, 512).astype(int)
    outputs = np.clip(rng.lognormal(np.log(50), 0.8, count), 10, 200).astype(int)
    return [(int(prompt), int(new)) for prompt, new in zip(prompts, outputs, strict=True)]


def prepare(folder: Path, config: GemmaConfig, count: int, platform: str = "cpu", published: str = "") -> None:
    """Writes weights and requests if they are missing; GGUF files only for contenders that read them."""
    rng = np.random.default_rng(1)
    asks = [
        {"prompt": rng.integers(3, config.vocab_size, length).tolist(), "new_tokens": new}
        for length, new in ragged_lengths(count)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "requests.json").write_text(json.dumps(asks))
    last = folder / ("model/config.json" if platform == "gpu" else "model-q8_0.gguf")
    if last.exists():
        return
    # A separate process, so that JAX in this one doesn't use memory or threads while others run.
    words = [sys.executable, str(CONTENDERS / "random_model.py"), str(folder), json.dumps(published or config.__dict__)]
    subprocess.run([*words, *([] if platform == "gpu" else ["--gguf"])], check=True)


# --- contenders as processes -------------------------------------------------------------------------


class Faulty(Exception):
    """A contender died or took too long."""


class Process:
    """A contender's process: receives orders and returns answers, each within a time limit."""

    def __init__(self, entry: Entry, python: str, folder: Path, threads: int, log: Path, platform: str):
        environment = {**os.environ, **{name: str(threads) for name in _THREAD_VARIABLES}}
        environment["JAX_PLATFORMS"] = JAX_PLATFORM[platform]
        # Threads that spin while waiting would take cores from the contender that is running.
        environment |= {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "HF_HUB_OFFLINE": "1"}
        # Compilation isn't measured, so a contender that ran before needn't compile again.
        environment |= {"JAX_COMPILATION_CACHE_DIR": str(folder / "compiled")}
        cores = sorted(os.sched_getaffinity(0))[:threads]
        self._log = log.open("a")
        self._process = subprocess.Popen(
            [python, str(CONTENDERS / entry.script), str(folder), "--threads", str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),
        )
        self._buffer = b""

    def ask(self, order: dict[str, Any], limit_s: float) -> dict[str, Any]:
        """Sends an order and waits for its answer. Raises Faulty."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise Faulty(f"it ended: {self._last_words()}") from None
        return self.answer(limit_s)

    def answer(self, limit_s: float) -> dict[str, Any]:
        """Waits for an answer. Raises Faulty."""
        assert self._process.stdout is not None
        until = time.monotonic() + limit_s
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                left = until - time.monotonic()
                if left <= 0 or not selector.select(left):
                    raise Faulty(f"no answer in {limit_s:.0f} s")
                chunk = os.read(self._process.stdout.fileno(), 1 << 20)
                if not chunk:
                    raise Faulty(f"it ended: {self._last_words()}")
                self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def _last_words(self) -> str:
        self._process.wait()
        lines = [line for line in Path(self._log.name).read_text(errors="replace").splitlines() if line.strip()]
        return lines[-1].strip() if lines else "it said nothing"

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._log.close()


_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC")


@dataclass
class Race:
    """All entries, round by round; results are stored after each."""

    entries: list[Entry]
    pythons: dict[str, str | None]
    folder: Path
    threads: int
    limit_s: float
    platform: str = "cpu"
    figures: dict[str, Figures] = field(default_factory=dict)
    spent_s: dict[str, float] = field(default_factory=dict)
    processes: dict[str, Process] = field(default_factory=dict)

    def run(self, rounds: int, requests: int) -> Iterator[None]:
        """Runs the rounds; yields after each result. From the second round on, only the best static batch runs."""
        self.figures = {entry.name: Figures() for entry in self.entries}
        for number in range(rounds):
            racing = self.entries if number == 0 else best_of_each(self.entries, self.figures)
            for entry in racing:
                figures = self.figures[entry.name]
                if not figures.fault:
                    self._once(entry, figures, requests, number)
                    yield

    def _once(self, entry: Entry, figures: Figures, requests: int, number: int) -> None:
        began = time.monotonic()
        left = self.limit_s - self.spent_s.get(entry.process, 0.0)
        try:
            process = self._process(entry)
            if number == 0:
                warm_up = {"requests": entry.settings.get("batch", 8), "new_tokens": WARM_UP_TOKENS}
                process.ask({**warm_up, "settings": entry.settings}, left)
            answer = process.ask({"requests": requests, "settings": entry.settings}, left)
        except Faulty as error:
            figures.fault = str(error)
            if entry.process in self.processes:
                self.processes.pop(entry.process).close()
            return
        finally:
            self.spent_s[entry.process] = self.spent_s.get(entry.process, 0.0) + time.monotonic() - began
        tokens = answer["tokens"]
        figures.rounds.append(
            {name: answer[name] for name in ("wall_s", "cpu_s", "peak_mb")} | {"tokens": sum(map(len, tokens))}
        )
        figures.first_tokens = [line[:AGREEING_TOKENS] for line in tokens]
        figures.notes = answer["notes"]

    def _process(self, entry: Entry) -> Process:
        """The entry's process, started and loaded on first use. Raises Faulty."""
        if entry.process in self.processes:
            return self.processes[entry.process]
        python = self.pythons[entry.python]
        if python is None:
            raise Faulty(f"no environment: give --{entry.python}")
        found = subprocess.run([python, "-c", f"import {entry.needs}"], capture_output=True, text=True, check=False)
        if found.returncode:
            raise Faulty(f"not installed: {found.stderr.strip().splitlines()[-1]}")
        log = self.folder / f"{entry.process.replace(' ', '-').replace(',', '')}.log"
        log.unlink(missing_ok=True)
        if self.platform == "gpu":  # each takes most of the card's memory
            self.close()
            self.processes.clear()
        process = Process(entry, python, self.folder, self.threads, log, self.platform)
        self.processes[entry.process] = process
        process.answer(self.limit_s)  # it is ready
        return process

    def close(self) -> None:
        for process in self.processes.values():
            process.close()


def best_of_each(entries: Sequence[Entry], figures: dict[str, Figures]) -> list[Entry]:
    """All entries except the slower sizes of static batches."""

    def is_static(entry: Entry) -> bool:
        return entry.settings.get("mode") == "static"

    done = [entry for entry in entries if is_static(entry) and figures[entry.name].rounds]
    best = min(done, key=lambda entry: figures[entry.name].middle["wall_s"], default=None)
    return [entry for entry in entries if not is_static(entry) or entry is best]


# --- the table ---------------------------------------------------------------------------------------


def table(all_entries: Sequence[Entry], figures: dict[str, Figures]) -> list[str]:
    """Markdown: one line per entry that ran, then the names of those that didn't."""
    ran = [entry for entry in all_entries if figures.get(entry.name, Figures()).rounds]
    static = [figures[entry.name] for entry in ran if entry.settings.get("mode") == "static"]
    reference = min(static, key=lambda one: one.middle["wall_s"], default=None)
    lines = [
        "| | tokens/s | against the best static batch | wall, s | processor, s | peak MB | first tokens agree |",
        "|---|---|---|---|---|---|---|",
    ]
    for entry in ran:
        own = figures[entry.name]
        middle = own.middle
        rate = middle["tokens"] / middle["wall_s"]
        ratio = f"{reference.middle['wall_s'] / middle['wall_s']:.2f}" if reference else "-"
        agree = f"{agreement(own, reference):.0%}" if reference else "-"
        times = f"{middle['wall_s']:.1f} | {middle['cpu_s']:.1f} | {max(one['peak_mb'] for one in own.rounds):,.0f}"
        lines.append(f"| {entry.name} | {rate:.1f} | {ratio} | {times} | {agree} |")
    for entry in all_entries:
        fault = figures.get(entry.name, Figures()).fault
        if fault or entry not in ran:
            lines += ["", f"Not measured: {entry.name}: {fault or 'the run was stopped before it'}."]
    return lines


def agreement(own: Figures, reference: Figures) -> float:
    """The share of requests whose first tokens equal the reference's."""
    pairs = list(zip(own.first_tokens, reference.first_tokens, strict=True))
    return sum(a == b for a, b in pairs) / len(pairs)


def write_section(path: Path, name: str, lines: Sequence[str]) -> None:
    """Replaces the text between a page's markers of that name. Raises ValueError if it has none."""
    text = path.read_text()
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"{path} has no {begin} ... {end}")
    head, _, rest = text.partition(begin)
    path.write_text("\n".join([head + begin, *lines, end + rest.partition(end)[2]]))


@contextmanager
def closing(race: Race) -> Iterator[Race]:
    try:
        yield race
    finally:
        race.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="100m")
    parser.add_argument("--platform", choices=JAX_PLATFORM, default="cpu")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32], help="sizes of static batches to try")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--limit_s", type=float, default=900.0, help="time for each process, loading included")
    parser.add_argument("--others", help="a Python that has torch, transformers, xllamacpp")
    parser.add_argument("--gemma", help="a Python, 3.12 or later, that has gemma")
    parser.add_argument("--only", nargs="+", default=[], help="only entries whose names hold one of these words")
    parser.add_argument("--note", default="", help="a sentence for the table, such as what else the machine did")
    parser.add_argument("--folder", type=Path, default=ROOT / "out" / "bench")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args()
    if args.platform == "gpu" and args.rounds > 1:
        parser.error("--rounds is 1 on a gpu: contenders hold the card in turn, and would start anew each round")
    folder, config = args.folder / args.size, SIZES[args.size]
    prepare(folder, config, args.requests, args.platform, PUBLISHED.get(args.size, ""))
    known = entries(args.batches, args.platform)
    chosen = [one for one in known if not args.only or any(word in one.name for word in args.only)]
    pythons = {"own": sys.executable, "others": args.others, "gemma": args.gemma}
    race = Race(chosen, pythons, folder, args.threads, args.limit_s, args.platform)
    title = (
        f"{config.num_parameters / 1e6:.0f} M parameters, {args.requests} requests, {args.threads} threads, "
        f"{'one round' if args.rounds == 1 else f'medians of {args.rounds} interleaved rounds'}. {args.note}".strip()
    )
    with closing(race):
        for _ in race.run(args.rounds, args.requests):
            lines = [title, "", *table(chosen, race.figures)]
            stored = {name: {**figures.__dict__} for name, figures in race.figures.items()}
            (args.folder / f"engine-{args.size}.json").write_text(json.dumps(stored, indent=1))
            if args.write:
                write_section(DOCS, f"engine {args.size}", lines)
    print("\n".join([title, "", *table(chosen, race.figures)]))


if __name__ == "__main__":
    main()
