"""What schedulers and monitors read of a run: JSON lines, metrics, lineage events, summaries of failures too."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from jobs import cli
from jobs.monitoring import prometheus
from jobs.monitoring.lineage_events import LineageEvents, dataset_name
from jobs.monitoring.observer import Observer, RunFacts
from jobs.monitoring.run import monitored
from jobs.options.report import ReportOptions
from jobs.terminal.escapes import print_line, print_text
from jobs.terminal.json_lines import json_line, json_lines
from tests.jobs import uppercase

ENDS = ("plan", "progress", "end")
FACTS = RunFacts(job="filter", run_id="night-1", output="out/clean", inputs=("in/*.parquet",), started="")


@pytest.fixture
def in_this_process(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


@pytest.fixture
def corpus(tmp_path, in_this_process) -> Path:
    texts = ["def f(a):\n    return a\n", "", "", ""]
    pq.write_table(pa.table({"content": texts, "repo_name": ["a/b"] * 4}), tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def run(corpus: Path, *more: str) -> int:
    return cli.main(["filter", "--input", str(corpus), "--output", str(corpus.parent / "out"), *more])


def objects(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


# --- JSON lines --------------------------------------------------------------------------------------


def test_each_line_of_a_json_log_is_an_object_with_run_job_and_level(corpus, capfd):
    assert run(corpus, "--log_format", "json", "--run_id", "night-1", "--progress", "lines") == 0
    printed, told = capfd.readouterr()
    lines = objects(told)
    assert printed == "" and {(line["run_id"], line["job"]) for line in lines} == {("night-1", "filter")}
    events = [line["event"] for line in lines]
    assert events[0] == "start" and events[-1] == "end" and {"plan", "progress", "message"} <= set(events)
    plan, progress, end = (next(line for line in lines if line["event"] == each) for each in ENDS)
    assert (plan["rows"], plan["units"]) == (4, 1)
    assert (progress["rows_done"], progress["rows_total"], progress["rejected"]) == (4, 4, 3)
    assert end["state"] == "complete" and end["exit_code"] == 0 and end["rows"]["kept"] == 1


def test_an_error_is_an_object_too_and_the_end_says_why(corpus, capfd):
    assert run(corpus, "--log_format", "json", "--policy", "missing.toml") == cli.USER_ERROR
    *_, end, error = objects(capfd.readouterr().err)
    assert (end["state"], end["exit_code"], end["level"]) == ("failed", 2, "error")
    assert error["level"] == "error" and error["message"] == end["error"] and "missing.toml" in end["error"]


def test_the_summary_stands_alone_on_standard_output_beside_a_json_log(corpus, capfd):
    assert run(corpus, "--log_format", "json", "--summary", "-", "--run_id", "7") == 0
    printed, told = capfd.readouterr()
    summary = json.loads(printed)
    assert summary["run_id"] == "7" and summary["state"] == "complete"
    assert {line["run_id"] for line in objects(told)} == {"7"}


@given(st.text())
def test_any_message_is_one_line_of_json_in_ascii(text):
    line = json_line(text, {}, run_id="r", job="j", now=0)
    assert line.isascii() and len(line.splitlines()) == 1
    assert text.endswith(json.loads(line)["message"])


def test_what_is_logged_and_tracebacks_are_objects_and_the_form_ends_with_the_block(capfd):
    with json_lines("r", "filter"):
        logging.getLogger("a.library").warning("slow disk")
        print_text("Traceback (most recent call last):\n  in f\nValueError", sys.stderr)
    print_line("plain")
    printed, told = capfd.readouterr()
    logged, trace = objects(told)
    assert (logged["level"], logged["message"]) == ("warning", "a.library: slow disk")
    assert trace["level"] == "error" and trace["message"].endswith("ValueError")
    assert printed == "plain\n"


def test_the_log_file_keeps_the_same_objects(corpus, tmp_path, capfd):
    log = tmp_path / "job.log"
    assert run(corpus, "--log_format", "json", "--log_file", str(log), "--progress", "none") == 0
    kept = objects(log.read_text())
    told = objects(capfd.readouterr().err)
    assert [line["message"] for line in kept] == [line["message"] for line in told]


# --- summaries ---------------------------------------------------------------------------------------


def test_a_failed_job_leaves_its_summary_in_the_output_and_in_the_copy(corpus, tmp_path, monkeypatch):
    def broken(*args, **more):
        raise ValueError("a secret of a row")

    monkeypatch.setattr("jobs.execution.supervisor.run_units", broken)
    copy = tmp_path / "told.json"
    assert run(corpus, "--summary", str(copy), "--run_id", "night-1") == 1
    told = json.loads(copy.read_text())
    assert (told["state"], told["exit_codes"], told["error"]) == ("failed", [1], "a bug: ValueError")
    kept = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert {**kept, "finished": ""} == {**told, "finished": ""} and told["run_id"] == "night-1"
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    assert run(corpus) == 0
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["state"] == "complete"


def test_a_storage_that_does_not_respond_is_no_bug_in_either_summary(corpus, tmp_path, monkeypatch):
    def away(*args, **more):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr("jobs.execution.supervisor.run_units", away)
    copy = tmp_path / "told.json"
    assert run(corpus, "--summary", str(copy)) == cli.USER_ERROR
    for path in (copy, tmp_path / "out" / "summary.json"):
        told = json.loads(path.read_text())
        assert told["exit_codes"] == [cli.USER_ERROR] and "the storage does not respond" in told["error"]


def test_a_command_that_is_refused_writes_its_copy_and_leaves_a_complete_output_alone(corpus, tmp_path):
    assert run(corpus) == 0
    before = (tmp_path / "out" / "summary.json").read_bytes()
    copy = tmp_path / "told.json"
    assert run(corpus, "--seed", "1", "--summary", str(copy)) == cli.USER_ERROR
    told = json.loads(copy.read_text())
    assert told["state"] == "failed" and "--seed was 0, is now 1" in told["error"]
    assert (tmp_path / "out" / "summary.json").read_bytes() == before


def test_a_signal_leaves_the_state_stopped(corpus, tmp_path, monkeypatch):
    def stopped(*args, **more):
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("jobs.execution.supervisor.run_units", stopped)
    assert run(corpus) == 143
    kept = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (kept["state"], kept["exit_codes"]) == ("stopped", [143])


def test_one_run_has_one_end(tmp_path):
    ends = []

    class Noted(Observer):
        def end(self, state, summary):
            ends.append(state)

    with pytest.raises(ValueError), monitored("filter", ReportOptions(run_id="r")) as outer:
        outer._observers.append(Noted())
        with monitored("filter", ReportOptions(run_id="r")) as inner:
            assert inner is outer
            inner.complete({"exit_codes": []})
        raise ValueError
    assert ends == ["complete"]


def test_an_observer_that_fails_is_told_nothing_more_and_fails_no_job(caplog):
    calls = []

    class Broken(Observer):
        def progress(self, facts):
            calls.append(facts)
            raise OSError("collector away")

    with monitored("filter", ReportOptions()) as run:
        run._observers.append(Broken())
        run.progress(units_done=1)
        run.progress(units_done=2)
    assert len(calls) == 1 and "collector away" in caplog.text


# --- metrics -----------------------------------------------------------------------------------------


def samples(path: Path) -> dict[str, float]:
    families = text_string_to_metric_families(path.read_text())
    return {
        sample.name + sample.labels.get("state", ""): sample.value for family in families for sample in family.samples
    }


def test_metrics_follow_a_job_to_its_end(corpus, tmp_path):
    path = tmp_path / "codemill.prom"
    assert run(corpus, "--metrics", str(path), "--progress", "none", "--min_yield", "0.9") == 5
    told = samples(path)
    assert told["codemill_rows_planned"] == told["codemill_rows_done_total"] == 4
    assert told["codemill_rows_rejected_total"] == 3 and told["codemill_units_done_total"] == 1
    assert told["codemill_exit_code"] == 5 and told["codemill_run_statecomplete"] == 1
    assert told["codemill_run_staterunning"] == 0 and told["codemill_end_time_seconds"] > 0


def test_metrics_tell_a_failure_and_are_never_half_a_file(corpus, tmp_path, monkeypatch):
    path = tmp_path / "codemill.prom"
    seen = []
    write = prometheus.write_to_textfile

    def noted(to, registry):
        write(to, registry)
        seen.append(samples(path))

    monkeypatch.setattr(prometheus, "write_to_textfile", noted)
    assert run(corpus, "--metrics", str(path), "--policy", "missing.toml") == cli.USER_ERROR
    assert seen[0]["codemill_run_staterunning"] == 1 and "codemill_exit_code" not in seen[0]
    assert seen[-1]["codemill_run_statefailed"] == 1 and seen[-1]["codemill_exit_code"] == 2
    assert [each.name for each in tmp_path.glob("*.prom*")] == ["codemill.prom"]


def test_a_metrics_file_that_cannot_be_written_is_refused_before_anything_is_done(corpus, tmp_path, capsys):
    assert run(corpus, "--metrics", str(tmp_path / "missing" / "a.prom")) == cli.USER_ERROR
    assert "--metrics" in capsys.readouterr().err and not (tmp_path / "out").exists()


@pytest.mark.parametrize("flag", ["--metrics", "--summary"])
def test_a_device_link_or_pipe_is_not_replaced_by_a_file(corpus, tmp_path, capsys, flag):
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "elsewhere")
    for path in (pipe, link):
        assert run(corpus, flag, str(path)) == cli.USER_ERROR
        assert f"{flag} {path} is a device, link or pipe" in capsys.readouterr().err
    assert pipe.is_fifo() and link.is_symlink() and not (tmp_path / "out").exists()
    assert run(corpus, flag, "") == cli.USER_ERROR
    assert f"{flag} is empty" in capsys.readouterr().err


def test_a_name_that_is_no_utf_8_is_in_summary_and_metrics_all_the_same(corpus, tmp_path):
    run_id, metrics, copy = os.fsdecode(b"night \xff"), tmp_path / "a.prom", tmp_path / "copy.json"
    more = ("--run_id", run_id, "--metrics", str(metrics), "--summary", str(copy))
    assert run(corpus, *more) == 0
    for path in (tmp_path / "out" / "summary.json", copy):
        assert json.loads(path.read_bytes())["run_id"] == run_id
    assert 'run_id="night \\\\udcff"' in metrics.read_text()
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/odd \xff")
    assert cli.main(["filter", "--input", str(corpus), "--output", odd, "--metrics", str(metrics)]) == 0
    assert "codemill_exit_code{" in metrics.read_text() and "odd " in metrics.read_text()


# --- lineage -----------------------------------------------------------------------------------------


@pytest.fixture
def events(tmp_path, monkeypatch):
    pytest.importorskip("openlineage.client", reason="the extra openlineage is not installed")
    path = tmp_path / "events.json"
    for name, value in {"TYPE": "file", "LOG_FILE_PATH": str(path), "APPEND": "true"}.items():
        monkeypatch.setenv(f"OPENLINEAGE__TRANSPORT__{name}", value)
    return lambda: objects(path.read_text())


def test_a_run_is_two_events_with_its_datasets_and_what_it_wrote(corpus, tmp_path, events, monkeypatch):
    parent = str(uuid.uuid4())
    monkeypatch.setenv("OPENLINEAGE_PARENT_ID", f"airflow/nightly.clean/{parent}")
    assert run(corpus, "--openlineage") == 0
    first, last = events()
    assert (first["eventType"], last["eventType"]) == ("START", "COMPLETE")
    assert first["run"]["runId"] == last["run"]["runId"] and first["job"] == last["job"]
    assert last["job"]["name"] == "filter.out"
    assert first["run"]["facets"]["parent"]["run"]["runId"] == parent
    assert [each["name"] for each in last["inputs"]] == [str(corpus)]
    (output,) = last["outputs"]
    assert output["namespace"] == "file" and output["name"] == str(tmp_path / "out" / "data")
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 1


def test_a_glob_in_the_working_folder_is_of_the_dataset_in_that_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dataset_name("*.parquet") == ("file", str(tmp_path)) == dataset_name(".")


def test_a_dry_run_sends_and_writes_nothing(corpus, tmp_path, events):
    path = tmp_path / "codemill.prom"
    assert run(corpus, "--openlineage", "--metrics", str(path), "--dry_run") == 0
    assert not path.exists() and not (tmp_path / "events.json").exists()


def test_a_failed_run_ends_with_fail_and_its_message(corpus, events):
    assert run(corpus, "--openlineage", "--policy", "missing.toml") == cli.USER_ERROR
    assert [event["eventType"] for event in events()] == ["START", "FAIL"]
    assert "missing.toml" in events()[-1]["run"]["facets"]["errorMessage"]["message"]


def test_an_event_that_cannot_be_sent_fails_no_job(corpus, events, monkeypatch, caplog):
    def away(self, event):
        raise ConnectionError("nobody answers")

    monkeypatch.setattr("jobs.monitoring.lineage_events.OpenLineageClient.emit", away)
    assert run(corpus, "--openlineage") == 0
    assert caplog.text.count("nobody answers") == 1


def test_without_the_client_the_option_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr("jobs.monitoring.lineage_events.OpenLineageClient", None)
    with pytest.raises(cli.ConfigError, match="pip install 'codemill"):
        LineageEvents(FACTS)


def test_an_index_tells_monitors_what_it_is_made_of_and_how_it_ended(corpus, tmp_path, capfd):
    words = ["index", "--input", str(corpus), "--output", str(tmp_path / "known"), "--run_id", "night-2"]
    words += ["--log_format", "json", "--summary", str(tmp_path / "s.json"), "--metrics", str(tmp_path / "m.prom")]
    assert cli.main(words) == 0
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["run_id"], summary["state"], summary["exit_codes"]) == ("night-2", "complete", [])
    assert (summary["files"], summary["rows"], summary["texts"], summary["bad_files"]) == (1, 4, 1, [])
    events = [(line["event"], line["run_id"], line["job"]) for line in objects(capfd.readouterr().err)]
    assert events[0] == ("start", "night-2", "index") and events[-1] == ("end", "night-2", "index")
    assert 'codemill_run_state{job="index"' in (tmp_path / "m.prom").read_text()


def test_an_index_of_a_file_that_cannot_be_read_names_it_in_its_summary(corpus, tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"no Parquet")
    words = ["index", "--input", str(corpus), str(tmp_path / "bad.parquet"), "--output", str(tmp_path / "known")]
    assert cli.main([*words, "--summary", str(tmp_path / "s.json")]) == 3
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["exit_codes"] == [3] and [bad["uri"][-11:] for bad in summary["bad_files"]] == ["bad.parquet"]
