"""However the input is cut into units and pieces, and whatever pool works on them, the same rows come out.

Each case is a corpus of some small files, run twice: in units of one row group, and in units drawn at random.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.dedup import DedupWork
from jobs.dedup import Options as DedupOptions
from jobs.execution.attempt import UnitRunner
from jobs.filter import Options as FilterOptions
from jobs.filter import build_work as filter_work
from jobs.grouping.duplicates import PlannedRows, find_or_make
from jobs.ledger import journal
from jobs.options import all_options
from jobs.plan.cutting import UnitBounds, make_plan
from jobs.plan.inputs import read_inputs
from jobs.storage.folders import OutputFolder
from model.engine.requests import Completion, Request
from model.engine.settings import EngineSpec
from tests.jobs.uppercase import read_here
from transforms.generation.engine import release_engines, use_engine
from transforms.generation.work import GenerationWork
from transforms.rows.columns import ColumnOverrides, RowLimits
from transforms.rows.rejections import Rejection
from transforms.scanning import ContentFilter
from transforms.tasks.base import Accepted, RejectedTarget, TaskRequest

SPEC = EngineSpec(model="none", max_prompt_tokens=16, max_new_tokens=4)
WHOLE = 1e18
PLACE = ("uri", "row_group", "row")


@dataclass(frozen=True)
class LengthTask:
    """One target per word, answered by its length; odd ones are rejected, and equal words repeat each other."""

    name: str = "lengths"
    template_version: str = "1"

    @property
    def result_schema(self):
        return pa.schema([("word", pa.large_string()), ("tokens", pa.list_(pa.int64()))])

    def requests(self, row):
        if "bug" in row.content:
            raise KeyError(row.content)
        for number, word in enumerate(row.content.split()):
            request = Request(prompt=(len(word),), max_new_tokens=4, stop_ids=frozenset({1}))
            yield TaskRequest(target=f"word:{number}", request=request, payload=word, prompt_format="plain")

    def accept(self, row, request, completion):
        if completion.tokens[0] % 2:
            return RejectedTarget(target=request.target, rejection=Rejection("judge", "odd_length"))
        columns = {"word": request.payload, "tokens": list(completion.tokens)}
        return Accepted(columns=columns, written=("", request.payload, ""))

    def distinct_texts(self, row, columns):
        return columns["word"], "the same"


class LengthEngine:
    def submit(self, requests):
        return [self._answer(request) for request in requests]

    def _answer(self, request):
        answer: Future[Completion] = Future()
        tokens = (*request.prompt, request.sampling.seed % 1000)
        answer.set_result(
            Completion(tokens=tokens, finish_reason="stop", stop_id=1, mean_logprob=-0.5, prompt_tokens=1)
        )
        return answer

    def stats(self):
        return {}

    def fingerprint(self):
        return {"engine": "lengths"}

    def close(self):
        pass


def generation_work(row_workers: int) -> GenerationWork:
    return GenerationWork(
        task=LengthTask(),
        engine=SPEC,
        columns=ColumnOverrides(),
        limits=RowLimits(max_content_bytes=100),
        checkpoint_sha256="",
        content_filter=ContentFilter("default"),
        row_workers=row_workers,
        samples=2,
        keep=2,
    )


@pytest.fixture(scope="module")
def works():
    """Each kind of work; generation with no, one and two row workers."""
    use_engine(SPEC, LengthEngine())
    with ExitStack() as stack:
        stack.callback(release_engines)
        found = {"generation": [generation_work(workers) for workers in (0, 1, 2)]}
        filtering = FilterOptions(output="out", input=("in",), allow_licenses=("MIT",), max_content_mb=0.001)
        options = all_options(filtering)
        found["filter"] = [filter_work(options)]
        for work in (*found["generation"], *found["filter"]):
            work.open()
            stack.callback(work.close)
        yield found


words = st.lists(st.sampled_from(["ab", "abcd", "odd", "bug", "", "long " * 300, "ann@corp-mail.dev"]), max_size=5)
rows = st.fixed_dictionaries(
    {
        "content": words.map(" ".join) | st.none(),
        "path": st.sampled_from(["a/ann@corp-mail.dev/x.py", "b/bo@corp-mail.dev/x.py", "x.py", "LICENSE"]),
        "license": st.sampled_from(["MIT", "GPL-3.0", None]),
    }
)
corpora = st.lists(st.lists(st.lists(rows, min_size=1, max_size=6), min_size=1, max_size=3), min_size=1, max_size=6)
cuts = st.fixed_dictionaries(
    {
        "bounds": st.builds(UnitBounds, rows=st.integers(1, 40), bytes=st.integers(1, 5000) | st.just(16_000_000)),
        "max_bytes": st.sampled_from([1, 100, WHOLE]),
        "few": st.booleans(),
    }
)
SCHEMA = pa.schema([("content", pa.large_string()), ("path", pa.string()), ("license", pa.string())])


def write(folder: Path, corpus) -> list[str]:
    paths = []
    for number, groups in enumerate(corpus):
        paths.append(str(folder / f"{number}.parquet"))
        with pq.ParquetWriter(paths[-1], SCHEMA) as writer:
            for group in groups:
                writer.write_table(pa.Table.from_pylist(group, SCHEMA))
    return paths


def outcome(
    folder: Path, paths: list[str], work, bounds: UnitBounds, max_bytes: float, limit: int | None = None, few=False
):
    """The rows, the rejected records and the counts of the job, in plan order."""
    inputs = read_inputs(paths, ColumnOverrides(), read=read_here)
    job_dir = OutputFolder(str(folder)).job
    plan = make_plan(inputs, columns=SCHEMA.names, bounds=bounds, limit=limit, few_rows_in_several_units=few)
    planned = PlannedRows(plan.units)
    if isinstance(work, DedupWork):
        work._planned = planned
        work._duplicates = find_or_make(job_dir, SCHEMA, planned, work._texts, threshold=0.7, keep="longest")
    runner = UnitRunner(
        job_dir=job_dir,
        work=work,
        schema=SCHEMA,
        config_hash="",
        journal=journal.Journal(job_dir, journal.new_session(supervised=True)),
        max_bytes=max_bytes,
    )
    found: dict[str, list[dict]] = {"kept": [], "rejected": []}
    counts: Counter[str] = Counter()
    for unit in plan.units:
        record = runner.run(unit)
        assert record.status == "done", record
        counts.update(record.counts)
        for name, file in record.files.items():
            found[name] += pq.read_table(job_dir.join(file.path)).to_pylist()
    return found, {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("kind", ["generation", "filter", "dedup"])
@given(corpus=corpora, cut=cuts, limit=st.none() | st.integers(1, 40), data=st.data())
@settings(max_examples=15, deadline=None)
def test_rows_rejections_and_counts_are_the_same_however_the_work_is_cut(
    works, tmp_path_factory, kind, corpus, cut, limit, data
):
    folder = tmp_path_factory.mktemp("cuts")
    paths = write(folder, corpus)
    first = second = DedupWork(DedupOptions(output="out", input=("in",)))
    if kind != "dedup":
        first, second = works[kind][0], data.draw(st.sampled_from(works[kind]))
    whole = outcome(folder / "whole", paths, first, UnitBounds.row_groups(), WHOLE, limit)
    assert outcome(folder / "cut", paths, second, **cut, limit=limit) == whole
    ended = [(row["uri"], row["row_group"], row["row"]) for row in whole[0]["rejected"] if row["kind"] == "row"]
    ended += {tuple(row["lineage"][f"source_{part}"] for part in PLACE) for row in whole[0]["kept"]}
    assert (
        len(ended) == len(set(ended)) == min(limit or 10**9, sum(len(group) for groups in corpus for group in groups))
    )
