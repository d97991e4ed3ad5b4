"""Which problems of a benchmark stand in a training corpus, by the index that `codemill filter` uses.

A problem's text is its question with its known answer. Problems that have the same text but for what was left out of
it (infilling), or the same task in several languages (BabelCode), are found together. Reading is linear in the corpus,
which need not fit into memory.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow.parquet as pq

from jobs import storage
from jobs.evaluation.prepare import Sources, read_problems
from jobs.plan.input_paths import expand
from jobs.plan.inputs import read_inputs
from transforms.evaluation.benchmarks.own_tests import OWN_TESTS
from transforms.evaluation.problems import Problem
from transforms.evaluation.texts.problem import TextProblem
from transforms.filters.benchmark_index import BenchmarkIndex, build_index
from transforms.filters.contamination import ContaminationStage
from transforms.rows.columns import ColumnOverrides
from transforms.tasks.chat import read_turns

_BATCH_ROWS = 256


def trained_problems(sources: Sources, corpus: Sequence[str], content_column: str | None) -> frozenset[str]:
    """The ids of the problems that stand in a corpus.

    Args:
        sources: Where the problems stand.
        corpus: Parquet files, folders or globs.
        content_column: The corpus's column with the text; None: it is detected.

    Raises:
        ConfigError: The problems or the corpus can't be read.
    """
    members: dict[str, list[str]] = defaultdict(list)
    texts = []
    for one in read_problems(sources):
        with one.reading():
            group, whole = _text_of(sources, one.problem, one.row)
        members[group].append(one.problem.problem_id)
        texts.append(("", f"{group}#{one.problem.problem_id}", whole))
    found = _search(build_index(texts), corpus, content_column)
    return frozenset(name for group in found for name in members[group])


def _text_of(sources: Sources, problem: Problem | TextProblem, row: Mapping[str, Any]) -> tuple[str, str]:
    """The group that a problem is found with, and its text."""
    benchmark = sources.benchmark or OWN_TESTS
    reference = benchmark.reference(row) or ""
    if benchmark.asking is not None and (conversation := benchmark.asking.conversation(row)) is not None:
        whole = "\n".join([*(turn.text for turn in read_turns(conversation)), reference])
    elif benchmark.asking is not None:
        whole = f"{benchmark.asking.prompt(row)}{reference}{benchmark.asking.suffix(row)}"
    else:
        assert isinstance(problem, Problem), "texts have questions"
        whole = problem.code(reference)
    if isinstance(problem, Problem) and problem.form == "markers":
        return problem.problem_id.rpartition("/")[0], whole
    return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest(), whole


def _search(index: BenchmarkIndex, corpus: Sequence[str], content_column: str | None) -> set[str]:
    found: set[str] = set()
    for batch in _batches(corpus, content_column):
        for of_text in index.find_all(batch, min_ngrams=ContaminationStage.min_ngrams):
            found.update(one.item.partition("#")[0] for one in of_text)
    return found


def _batches(corpus: Sequence[str], content_column: str | None) -> Iterator[list[str]]:
    inputs = read_inputs(expand(corpus), ColumnOverrides(content=content_column))
    for uri in expand(corpus):
        with storage.open_input(uri) as file:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS, columns=[inputs.columns.content]):
                cells = batch.column(0).to_pylist()
                yield [cell if isinstance(cell, str) else cell.decode("utf-8", "replace") for cell in cells if cell]
