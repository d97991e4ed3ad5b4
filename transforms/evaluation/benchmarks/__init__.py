"""The benchmarks by name. One module each (or for a family): columns, protocol, problems."""

from __future__ import annotations

from transforms.evaluation.benchmarks import babelcode, gsm8k, human_eval, infilling, math, mbpp, trivia_qa
from transforms.evaluation.benchmarks.base import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one
    for one in (
        human_eval.BENCHMARK,
        *infilling.BENCHMARKS,
        mbpp.BENCHMARK,
        *babelcode.BENCHMARKS,
        trivia_qa.BENCHMARK,
        gsm8k.BENCHMARK,
        math.BENCHMARK,
    )
}
