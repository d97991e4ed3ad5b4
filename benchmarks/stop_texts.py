"""What ending requests at their stop texts saves: the same prompts with the stops in the engine, and cut off afterward.

    python -m benchmarks.stop_texts --data BENCHMARKS [--count 64] [--write]

The prompts are the first ones of each benchmark, as `codemill evaluate --model embedded` asks them. Both ways run in
turns, with the same compiled programs. The script ends with an error if an answer differs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import model
from benchmarks.engine import write_section
from jobs.evaluation.asking import Questions, asked_rows
from jobs.evaluation.prepare import Sources
from model.engine import Engine, EngineOptions
from transforms.evaluation.asker import Asker
from transforms.evaluation.benchmarks import BENCHMARKS
from transforms.evaluation.protocol import protocol_of
from transforms.evaluation.question import Question
from transforms.rows.row import Row, SourceRef, content_sha256

DOCS = Path(__file__).resolve().parents[1] / "docs" / "evaluation.md"
FILES = {
    "human_eval": ("human_eval", None),
    "mbpp": ("mbpp", None),
    "babelcode_human_eval": ("babelcode_human_eval", None),
    "trivia_qa": ("trivia_qa_rc.wikipedia.nocontext_validation", "trivia_qa_rc.wikipedia.nocontext_validation"),
    "gsm8k": ("gsm8k_main_test", "gsm8k_main_train_first200"),
}
PROMPT_TOKENS, NEW_TOKENS = 768, 256  # what the model's context of 1,024 leaves for answers by default


@dataclass(frozen=True)
class Asked:
    row: Row
    question: Question


@dataclass(frozen=True)
class Measured:
    answers: list[str]
    tokens: int  # in completions
    decoded: float
    slot_steps: float
    seconds: float
    cpu_s: float


def asked_of(name: str, data: Path, count: int, asker: Asker) -> list[Asked]:
    """The first questions that fit."""
    benchmark = BENCHMARKS[name]
    assert benchmark.asking is not None
    protocol = protocol_of(benchmark.asking.protocol)
    file, shots_file = FILES[name]
    rows = asked_rows(
        Questions(
            sources=Sources(
                benchmark=benchmark, data=f"{data}/{file}.parquet", answers=None, reference=False, limit=4 * count
            ),
            benchmark=benchmark,
            asking=benchmark.asking,
            protocol=protocol,
            shots=min(protocol.shots, 2),
            shots_data=shots_file and f"{data}/{shots_file}.parquet",
            samples=1,
        )
    )
    found = []
    for row in rows:
        digest = content_sha256(row["content"])
        source = Row(SourceRef(name, 0, 0), row["content"], digest, digest, language=row["language"])
        question = Question.of(row["question"])
        try:
            asker.request(source, question)
        except model.errors.RecordError:
            continue
        found.append(Asked(source, question))
    return found[:count]


def run(engine: Engine, asker: Asker, asked: Sequence[Asked], *, stops: bool) -> Measured:
    requests = [asker.request(one.row, one.question).request for one in asked]
    if not stops:
        requests = [replace(request, stop_texts=None) for request in requests]
    before, began, cpu_began = engine.stats(), time.perf_counter(), time.process_time()
    completions = [future.result() for future in engine.submit(requests)]
    seconds, cpu_s, after = time.perf_counter() - began, time.process_time() - cpu_began, engine.stats()
    return Measured(
        answers=[
            asker.answer(one.row, one.question, completion).text
            for one, completion in zip(asked, completions, strict=True)
        ],
        tokens=sum(len(completion.tokens) for completion in completions),
        decoded=after["tokens_decoded"] - before["tokens_decoded"],
        slot_steps=after["slot_steps"] - before["slot_steps"],
        seconds=seconds,
        cpu_s=cpu_s,
    )


def line(name: str, count: int, way: str, found: Measured, useful: int) -> str:
    return (
        f"| `{name}` | {count} | {way} | {found.decoded:,.0f} | {found.slot_steps:,.0f} | "
        f"{useful / found.slot_steps:.0%} | {found.seconds:.1f} | {found.cpu_s:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--write", action="store_true", help="put the table into docs/evaluation.md")
    given = parser.parse_args()
    asker = Asker(tokenizer="embedded", max_prompt_tokens=PROMPT_TOKENS, max_new_tokens=NEW_TOKENS)
    options = EngineOptions(
        slots=given.slots,
        prompt_buckets=(256, PROMPT_TOKENS),
        max_new_tokens=NEW_TOKENS,
        determinism="exact",  # no row depends on what else runs, so answers must be equal
    )
    lines = [
        "| benchmark | prompts | stops | tokens decoded | slot steps | of them useful | s | processor s |",
        "|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    with Engine(model.load("embedded"), options=options) as engine:
        engine.start()
        for name in FILES:
            asked = asked_of(name, given.data, given.count, asker)
            run(engine, asker, asked[:2], stops=True)  # compiles
            late, early = (run(engine, asker, asked, stops=stops) for stops in (False, True))
            assert early.answers == late.answers, f"{name}: an answer differs"
            lines.append(line(name, len(asked), "cut off afterward", late, early.tokens))
            lines.append(line(name, len(asked), "end the request", early, early.tokens))
            print(lines[-2], lines[-1], sep="\n", flush=True)
    if given.write:
        write_section(DOCS, "stop texts", lines)


if __name__ == "__main__":
    main()
