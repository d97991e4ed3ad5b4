"""The benchmarks by name. One module each (or for a family): columns, protocol, problems."""

from __future__ import annotations

from transforms.evaluation.benchmarks import babelcode, human_eval, infilling, mbpp
from transforms.evaluation.benchmarks.base import Benchmark

BENCHMARKS: dict[str, Benchmark] = {
    one.name: one for one in (human_eval.BENCHMARK, *infilling.BENCHMARKS, mbpp.BENCHMARK, *babelcode.BENCHMARKS)
}
