"""Benchmarks of language with choices, by name. One module each: columns, protocol, questions."""

from __future__ import annotations

from transforms.evaluation.language import arc, boolq, hellaswag, mmlu, piqa, winogrande
from transforms.evaluation.language.base import ChoiceBenchmark

CHOICE_BENCHMARKS: dict[str, ChoiceBenchmark] = {
    one.BENCHMARK.name: one.BENCHMARK for one in (boolq, piqa, hellaswag, arc, winogrande, mmlu)
}
