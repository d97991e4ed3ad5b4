"""The estimate: what it counts, how it states where its numbers come from, and what it refuses."""

from __future__ import annotations

import dataclasses
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from jobs.driver import estimates as estimate
from jobs.driver.estimates import Source, read_input_source, read_job_source, table, workload
from jobs.ledger.commits import CommitRecord
from jobs.options.estimate import EstimateOptions as Options
from jobs.plan.job_file import JobFile
from jobs.plan.units import BYTES_PER_TOKEN, plan_to_parquet
from model.config import PRESETS
from model.errors import ConfigError
from model.roofline import DEVICES, Shape, Workload, floor_of
from transforms.work import Unit

ROWS, CHARS = 400, 3400


@pytest.fixture
def corpus(tmp_path):
    """400 rows of 3,400 characters: about 1,000 tokens each."""
    rows = {"content": [f"{index:08d}" + "x" * (CHARS - 8) for index in range(ROWS)], "path": ["a.py"] * ROWS}
    path = tmp_path / "corpus.parquet"
    pq.write_table(pa.table(rows), path, compression="none", use_dictionary=False, row_group_size=100)
    return str(path)


def write_job(folder, *, job: str = "infill", options: dict, commits: list[CommitRecord] = ()) -> str:
    """The folder of a started job with two units of 100 rows."""
    unit = Unit(unit_id="0", uri="a", version="", row_group=0, row_start=0, row_count=100, num_bytes=340_000)
    units = [dataclasses.replace(unit, unit_id=str(number)) for number in range(2)]
    names = {field.name for field in dataclasses.fields(JobFile)} - {"job", "options", "schema_version"}
    blank = {"versions": {}, "columns": {}, "projected": (), "totals": {}}
    file = JobFile(job=job, options=options, **{**dict.fromkeys(names, ""), **blank})
    place = folder / "_job"
    (place / "commits").mkdir(parents=True)
    (place / "plan.parquet").write_bytes(plan_to_parquet(units))
    (place / "job.json").write_bytes(file.to_json())
    for commit in commits:
        (place / "commits" / f"{commit.unit_id}.json").write_bytes(commit.to_json())
    return str(folder)


def test_rows_bytes_become_prompts_and_tokens_and_what_is_assumed_is_called_so(corpus: str) -> None:
    options = Options(input=(corpus,))
    work, notes = workload(options, read_input_source(options))
    assert work.requests == ROWS
    assert work.prompt_tokens == pytest.approx(CHARS / BYTES_PER_TOKEN, rel=0.03)  # and pages have headers
    assert [line.split(", ")[-1] for line in notes[1:4]] == ["assumed", "from row bytes", "assumed"]


def test_long_rows_are_cut_to_the_longest_prompt_before_the_mean_is_taken() -> None:
    source = Source(rows=4, units=((3, 100.0), (1, 10_000.0)), job_options={}, counts={})
    assert source.mean_prompt(1000) == (3 * 100 + 1000) / 4


def test_finished_units_are_believed_before_bytes(tmp_path) -> None:
    counts = {"rows_in": 100, "targets": 150, "tokens_in": 150 * 700, "tokens_out": 150 * 40}
    commit = CommitRecord(unit_id="0", attempt_id="a", status="done", rows_in=100, config_hash="", counts=counts)
    options = {"max_prompt_tokens": 896, "max_new_tokens": 128, "samples": 1, "model": "codegemma-7b"}
    path = write_job(tmp_path, options=options, commits=[commit])
    work, notes = workload(Options(path=path), read_job_source(path))
    assert work == Workload(requests=300, prompt_tokens=700, new_tokens=40, max_prompt_tokens=896, max_new_tokens=128)
    assert all("measured on 100 rows" in line for line in notes[1:4])


def test_what_the_user_gives_is_believed_before_everything(tmp_path) -> None:
    counts = {"rows_in": 100, "targets": 150, "tokens_in": 1500, "tokens_out": 150}
    commit = CommitRecord(unit_id="0", attempt_id="a", status="done", rows_in=100, config_hash="", counts=counts)
    path = write_job(tmp_path, options={"max_prompt_tokens": 896, "max_new_tokens": 128}, commits=[commit])
    given = Options(path=path, prompts_per_row=2, prompt_tokens=500, new_tokens=50, max_new_tokens=64)
    work, _ = workload(given, read_job_source(path))
    assert (work.requests, work.prompt_tokens, work.new_tokens, work.max_new_tokens) == (400, 500, 50, 64)


def test_spans_and_samples_multiply_prompts_before_anything_is_measured(tmp_path) -> None:
    options = {"max_prompt_tokens": 2048, "max_new_tokens": 128, "samples": 2, "spans_per_file": 3}
    path = write_job(tmp_path, options=options)
    assert workload(Options(path=path), read_job_source(path))[0].requests == 200 * 6


def test_the_command_prints_one_line_a_device_in_eighty_columns(corpus: str, capsys) -> None:
    assert cli.main(["estimate", "--input", corpus, "--price_per_hour", "1.5", "h100=1234.5"]) == cli.DONE
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    for device in DEVICES.values():
        assert sum(line.startswith(device.title) for line in lines) == 1
    text = " ".join(" ".join(lines).split())
    assert "60% and 25% of that speed are assumptions, not measurements" in text


def test_a_large_job_stays_within_eighty_columns(tmp_path) -> None:
    options = Options(path="somewhere", price_per_hour=("100",), model="codegemma-7b")
    source = Source(rows=10**9, units=((10**9, 1000.0),), job_options={}, counts={})
    lines = estimate.estimate(options, source)
    assert max(map(len, lines)) <= 80


def test_cost_is_chip_hours_times_price_over_the_assumed_shares() -> None:
    work = Workload(requests=10**7, prompt_tokens=1200, new_tokens=80, max_prompt_tokens=2048, max_new_tokens=256)
    floor = floor_of(work, Shape(config=PRESETS["codegemma-7b"]), DEVICES["v5e"])
    assert floor.chips == 4
    line = table([floor], (0.25, 0.5), {"v5e": 2.0})[1]
    low, high = (float(number.replace(",", "")) for number in line.split()[-1].split(".."))
    assert low == pytest.approx(floor.wall_s / 3600 * 4 * 2.0 / 0.5, rel=0.01)
    assert high == pytest.approx(2 * low, rel=0.01)


def test_a_device_that_is_too_small_is_named_and_the_others_are_estimated(corpus: str, capsys) -> None:
    words = ["estimate", "--input", corpus, "--model", "codegemma-7b", "--chips", "1", "--device", "v5e", "h100"]
    assert cli.main(words) == cli.DONE
    shown = " ".join(capsys.readouterr().out.split())
    assert "TPU v5e: 1 slots of 2304 positions don't fit on 1 x TPU v5e, 0 do" in shown
    assert "H100 SXM 1" in shown


def test_where_nothing_fits_one_line_says_so(corpus: str, capsys) -> None:
    words = ["estimate", "--input", corpus, "--slots", "1000000", "--device", "v5e"]
    assert cli.main(words) == cli.USER_ERROR
    said = capsys.readouterr().err
    assert "1000000 slots of 2304 positions don't fit" in said
    assert said.endswith("; lower --slots or --max_prompt_tokens, or raise --chips\n") and said.count("--chips") == 1


def test_means_above_the_longest_are_reported_with_the_flags_that_this_command_has(corpus: str, capsys) -> None:
    words = ["estimate", "--input", corpus, "--prompt_tokens", "9000", "--device", "v5e"]
    assert cli.main(words) == cli.USER_ERROR
    said = capsys.readouterr().err
    assert said.endswith("; raise --max_prompt_tokens or --max_new_tokens\n") and said.count("--") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "pass either a job's output or --input"),
        (["OUT", "--input", "x"], "pass either a job's output or --input"),
        (["OUT", "--device", "v9"], "--device v9 is unknown; devices are v5e"),
        (["OUT", "--efficiency", "0.9", "0.1"], "the lower first"),
        (["OUT", "--efficiency", "0.5"], "expected two fractions"),
        (["OUT", "--price_per_hour", "v5e=cheap"], "expected a number"),
        (["OUT", "--price_per_hour", "v9=1"], "v9 is unknown"),
        (["nowhere"], "nowhere is not a job's output"),
    ],
)
def test_mistakes_are_reported_in_one_line(words: list[str], message: str, capsys) -> None:
    assert cli.main(["estimate", *words]) == cli.USER_ERROR
    shown = capsys.readouterr().err
    assert message in shown and shown.count("\n") == 1


def test_a_job_that_generates_nothing_is_refused(tmp_path) -> None:
    with pytest.raises(ConfigError, match="is the output of filter, which is not a generation job"):
        read_job_source(write_job(tmp_path, job="filter", options={"policy": "default"}))


def test_a_checkpoint_is_read_for_its_shapes(corpus: str, capsys) -> None:
    words = ["estimate", "--input", corpus, "--model", "embedded", "--max_prompt_tokens", "1024", "--device", "cpu"]
    assert cli.main(words) == cli.DONE
    assert "embedded, 2.36 million parameters" in capsys.readouterr().out


def test_the_compilers_verdict_is_asked_for_the_slots_that_are_shown(corpus: str, capsys, monkeypatch) -> None:
    from model.estimates import report as aot

    asked = []

    def report(target: aot.Target) -> aot.Report:
        asked.append(target)
        program = aot.ProgramReport(
            argument_bytes=1,
            output_bytes=0,
            alias_bytes=0,
            temp_bytes=1 << 30,
            cycles=200_000,
            step_cycles=123_456,
            loop_copies=(),
        )
        return aot.Report(versions={"libtpu": "1.2"}, programs={"burst": program}, resident_bytes=10 << 30)

    monkeypatch.setattr(aot, "report_in_subprocess", report)
    words = ["estimate", "--input", corpus, "--device", "v5e", "h100", "--slots", "96", "--compile"]
    assert cli.main(words) == cli.DONE
    assert [(target.slots, target.topology, target.prompt_buckets) for target in asked] == [
        (96, "v5e:1x1x1", (512, 1024, 2048))
    ]
    shown = " ".join(capsys.readouterr().out.split())
    assert "11.00 of 15.75 GiB per chip, which fits; 123,456 estimated cycles per greedy step" in shown


def test_numbers_have_three_digits_that_count() -> None:
    shown = [
        estimate._number(value)
        for value in (0.0, 0.00123, 0.0456, 0.789, 1.234, 45.67, 99.99, 123.4, 98_765.4, 2.5e6, 3.1e8)
    ]
    assert shown == ["0.0000", "0.00123", "0.0456", "0.789", "1.23", "45.7", "100.0", "123", "98,765", "2.50M", "310M"]


def test_the_job_file_of_the_fixture_is_what_the_framework_reads(tmp_path) -> None:
    path = write_job(tmp_path, options={"max_prompt_tokens": 1})
    assert json.loads((tmp_path / "_job" / "job.json").read_text())["job"] == "infill"
    assert read_job_source(path).rows == 200
