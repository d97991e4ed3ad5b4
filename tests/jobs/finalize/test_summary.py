from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser

import pyarrow as pa
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import EveryRowFailed, LedgerBroken
from jobs.finalize.card import dataset_card
from jobs.finalize.report import html_report
from jobs.finalize.shard_plan import ShardRecord
from jobs.finalize.summary import Totals, closing_lines, engine_figures, memory_line, stage_errors_line, summarize
from jobs.ledger.commits import CommitRecord
from jobs.ledger.heartbeat import Heartbeat
from jobs.plan.footers import InputFile
from jobs.plan.job_file import JobFile
from jobs.plan.schemas import schema_to_text
from transforms.work import Unit

SCHEMA = pa.schema(
    [("content", pa.large_string()), ("checks", pa.struct([("parses", pa.bool_()), ("exact_match", pa.bool_())]))]
)
HOSTILE = "<script>alert(1)</script>|x\nb.parquet"


def unit(rows: int, row_group: int = 0) -> Unit:
    return Unit(
        unit_id="000000-a", uri=HOSTILE, version="1", row_group=row_group, row_start=0, row_count=rows, num_bytes=1
    )


def commit(rows_in: int, **fields) -> CommitRecord:
    return CommitRecord(
        **{"unit_id": "000000-a", "attempt_id": "x", "status": "done", "rows_in": rows_in, "config_hash": "c"} | fields
    )


def some_job() -> JobFile:
    return JobFile(
        job="infill",
        options={"input": ["/home/somebody/in/*.parquet"], "seed": 0, "model": "/home/somebody/codegemma-2b"},
        config_hash="cafe",
        checkpoint_sha256="ab" * 32,
        versions={"python": "3.11"},
        columns={"content": "content"},
        input_schema=schema_to_text(SCHEMA),
        projected=("content",),
        output_schema=schema_to_text(SCHEMA),
        plan_sha256="",
        totals={},
        created="2030-01-01T00:00:00Z",
    )


def some_summary(**changes) -> dict:
    """The summary of a job with a failed unit, rejected rows and rejected targets."""
    totals = Totals()
    counts = {
        "rows_in": 6,
        "rows_kept": 4,
        "rows_rejected": 2,
        "targets": 9,
        "targets_accepted": 6,
        "targets_rejected": 3,
        "tokens_out": 1200,
        "rejected_row/read/null_content": 2,
    }
    totals.add(unit(6), commit(6, counts=counts, wall_s=2.5))
    totals.add(unit(0, -1), commit(0, status="failed", reason="zero_bytes", detail="the file has no bytes"))
    totals.add(unit(3), commit(3, status="failed", reason="input_changed", detail="has changed"))
    shards = [
        ShardRecord(kind="train", index=0, path="p", rows=6, bytes=1000, sha256="s"),
        ShardRecord(
            kind="rejected",
            index=0,
            path="p",
            rows=5,
            bytes=100,
            sha256="s",
            tally={"row/read/null_content": 2, "target/judge/does_not_parse": 3},
        ),
    ]
    files = [InputFile(uri=HOSTILE, state="bad", reason="zero_bytes", detail="the file has no bytes")]
    return summarize(some_job(), totals, shards, files, finished="2030-01-02T00:00:00Z", session_s=4.0) | changes


# --- sums ------------------------------------------------------------------------------------------

counts = st.integers(0, 50)


@given(st.lists(st.tuples(counts, counts, counts, counts, st.booleans()), max_size=6))
def test_the_ledgers_hold_whatever_mix_of_done_and_failed_units_there_is(units):
    totals = Totals()
    for kept, rejected, accepted, refused, is_failed in units:
        rows = kept + rejected
        if is_failed:
            totals.add(unit(rows), commit(rows, status="failed", reason="input_changed"))
            continue
        tally = Counter(rows_in=rows, rows_kept=kept, rows_rejected=rejected)
        tally.update(targets=accepted + refused, targets_accepted=accepted, targets_rejected=refused)
        totals.add(unit(rows), commit(rows, counts=tally))
    totals.check()
    assert totals.planned_rows == sum(kept + rejected for kept, rejected, *_ in units)
    assert totals.failed_rows == sum(kept + rejected for kept, rejected, *_, is_failed in units if is_failed)
    assert totals.counts["rows_kept"] == sum(kept for kept, *_, is_failed in units if not is_failed)


@pytest.mark.parametrize("which", ["rows_kept", "rows_rejected", "targets", "targets_accepted", "targets_rejected"])
def test_a_single_one_off_breaks_a_ledger(which):
    tally = Counter(rows_in=5, rows_kept=3, rows_rejected=2, targets=4, targets_accepted=3, targets_rejected=1)
    tally[which] += 1
    totals = Totals()
    totals.add(unit(5), commit(5, counts=tally))
    with pytest.raises(LedgerBroken):
        totals.check()


def test_the_summary_says_where_every_row_went():
    summary = some_summary()
    assert summary["rows"] == {"planned": 9, "kept": 4, "rejected": 2, "in_failed_units": 3, "output": 0}
    assert summary["targets"] == {"chosen": 9, "accepted": 6, "rejected": 3}
    assert [unit["rows"] for unit in summary["failed_units"]] == ["unknown", 3]
    assert summary["rejected"][0] == {"kind": "row", "stage": "read", "reason": "null_content", "count": 2}
    assert summary["last_session"] == {"rows": 6, "tokens_out": 1200, "tokens_per_s": 300.0}


def test_what_the_filters_found_is_in_the_summary():
    totals = Totals()
    totals.add(
        unit(1), commit(1, counts={"rows_in": 1, "rows_kept": 1, "found/email/redact": 2, "rejected_row/a/b": 0})
    )
    counts = summarize(some_job(), totals, [], [], finished="", session_s=1.0)["counts"]
    assert counts == {"found/email/redact": 2}


def test_the_closing_lines_are_few_and_add_up():
    lines = closing_lines(some_summary(), "out")
    assert lines[0] == "rows: 9 = 4 kept + 2 rejected + 3 in failed units"
    assert lines[1] == "targets: 9 = 6 accepted + 3 rejected"
    assert "1,200 tokens in 4.0 s, 300.0 tokens/s" in lines
    assert "FAILED UNITS: 2 of 3 (zero_bytes 1, input_changed 1)" in lines
    assert lines[-1] == "6 rows in 1 file: out/data"


# --- card ------------------------------------------------------------------------------------------


def card_of(options: dict, output_rows: int = 6, **changes) -> str:
    summary = some_summary(**changes)
    return dataset_card(summary | {"rows": summary["rows"] | {"output": output_rows}}, SCHEMA, options)


def test_the_cards_head_is_yaml_that_tells_where_the_rows_are():
    head = yaml.safe_load(card_of({}, models=[{"name": "a", "checkpoint_sha256": "b"}]).split("---")[1])
    assert head["configs"] == [
        {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*.parquet"}]}
    ]
    assert head["size_categories"] == ["n<1K"] and "synthetic" in head["tags"]


def test_a_card_without_rows_names_no_file_and_says_so():
    card = card_of({"model": "codegemma-2b"}, output_rows=0)
    assert "configs" not in yaml.safe_load(card.split("---")[1])
    assert "There are no rows, so there is no file in `data/`" in card and "load_dataset" not in card


def test_a_gemma_models_card_carries_the_terms():
    models = [{"name": "codegemma-7b", "checkpoint_sha256": "ab"}]
    card = card_of({"model": "models/codegemma-7b/"}, models=models)
    assert "`codegemma-7b`" in card
    assert "https://ai.google.dev/gemma/terms" in card and "prohibited_use_policy" in card
    assert "Model Derivative" in card


def test_the_embedded_models_card_names_its_own_terms():
    card = card_of({"model": "embedded"}, models=[{"name": "embedded", "checkpoint_sha256": "ab"}])
    assert "model/embedded/README.md" in card and "ai.google.dev" not in card


def test_a_job_without_a_model_has_no_model_terms():
    card = card_of({})
    assert "Gemma" not in card and "synthetic" not in card


def test_the_card_names_columns_reasons_and_counts_but_no_local_folders():
    card = card_of({"model": "/home/somebody/codegemma-2b"})
    assert "| `checks` | struct of parses, exact_match |" in card
    assert "| target | judge | does_not_parse | 3 |" in card
    assert "9 = 4 kept + 2 rejected + 3 in failed units" in card
    assert "/home/somebody" not in card and "codegemma-2b" in card


# --- report ----------------------------------------------------------------------------------------


class Tags(HTMLParser):
    """Collects what a browser would open and fetch."""

    def __init__(self, page: str):
        super().__init__()
        self.open: list[str] = []
        self.seen: Counter[str] = Counter()
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.seen[tag] += 1
        self.links += [value for name, value in attrs if name in ("src", "href", "srcset", "action")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_report_is_one_well_formed_page_that_fetches_nothing():
    page = html_report(some_summary())
    tags = Tags(page)
    assert tags.open == [] and tags.links == []
    assert not re.search(r"https?://|url\(|@import", page)
    assert "script" not in tags.seen


def test_the_report_escapes_whatever_a_file_is_called():
    page = html_report(some_summary())
    assert "&lt;script&gt;" in page and "<script>" not in page


def test_the_report_is_readable_in_light_and_dark():
    page = html_report(some_summary())
    assert "color-scheme: light dark" in page and "prefers-color-scheme: dark" in page


def test_the_report_shows_the_funnel_per_stage_and_reason_and_the_timings():
    page = html_report(some_summary())
    for text in ("4 kept (44.4%)", "does_not_parse", "null_content", "input_changed", "300.0", "2.5 s"):
        assert text in page


def test_what_wasnt_given_is_no_option_and_small_files_have_a_size():
    summary = some_summary()
    summary["options"] |= {"limit": None, "span_kinds": [], "path_line": False}
    page = html_report(summary)
    assert "None" not in page and "span_kinds" not in page
    assert "<td>path_line</td><td>false</td>" in page and "1 file, 6 rows, 1.0 kB" in page


def test_card_and_report_say_when_a_row_is_kept_and_hide_where_a_policy_lay():
    summary = some_summary()
    summary["options"] |= {"policy": "/home/somebody/strict.toml"}
    card = dataset_card(summary, SCHEMA, {})
    for text in (card, html_report(summary)):
        assert "kept when at least one of its targets was accepted" in text
    assert "| `--policy` | `strict.toml` |" in card


def test_a_job_without_rejections_failures_or_targets_has_a_page_too():
    nothing = {"planned": 0, "kept": 0, "rejected": 0, "in_failed_units": 0, "output": 0}
    page = html_report(
        some_summary(
            rows=nothing,
            targets={"chosen": 0, "accepted": 0, "rejected": 0},
            rejected=[],
            failed_units=[],
            units={"all": 0, "failed": 0, "restarted": 0},
        )
    )
    assert Tags(page).open == [] and "Failed units" not in page


# --- the engine's metrics ----------------------------------------------------------------------------


def beat(session: str, **figures: float) -> Heartbeat:
    return Heartbeat(
        session=session, host="h", pid=1, at=1.0, rss_mb=1.0, units_done=1, units_in_flight=0, figures=figures
    )


WORKED = {
    "requests_done": 2.0,
    "tokens_in": 100.0,
    "tokens_out": 30.0,
    "slot_steps": 40.0,
    "busy_slot_steps": 30.0,
    "tokens_decoded": 30.0,
    "prefill_tokens": 98.0,
    "prefill_positions": 128.0,
    "busy_s": 3.0,
    "compile_s": 1.0,
    "compiles": 4.0,
    "floor_s": 0.5,
}


def test_the_engines_of_all_workers_are_summed_and_their_ratios_are_of_the_sums():
    idle = beat("third")  # a worker that no unit came to
    figures = engine_figures([beat("first", **WORKED), beat("second", **{**WORKED, "busy_slot_steps": 10.0}), idle])
    assert figures["tokens_in"] == 200 and figures["compiles"] == 8
    assert figures["slot_occupancy"] == 0.5
    assert figures["tokens_out_per_s"] == 15.0
    assert figures["padding_waste"] == round(128 / 98, 4)
    assert figures["floor_share"] == 0.25


def test_where_one_device_is_unknown_there_is_no_share_of_the_floor():
    unknown = {name: value for name, value in WORKED.items() if name != "floor_s"}
    assert "floor_share" not in engine_figures([beat("first", **WORKED), beat("second", **unknown)])


def test_a_job_without_a_model_has_no_engine_figures():
    assert engine_figures([beat("first", rows=3.0)]) == {}
    assert some_summary()["engine"] == {}


def test_the_closing_lines_tell_what_the_engine_did():
    summary = {**some_summary(), "engine": engine_figures([beat("first", **WORKED)])}
    (line,) = [line for line in closing_lines(summary, "out") if line.startswith("engine: ")]
    assert line == (
        "engine: 75% of slots busy, prefill padded by 30.6%, 50 tokens/s in, 15 out, "
        "25% of the speed that the device allows, 4 programs compiled"
    )


def test_no_share_of_the_devices_speed_is_above_all_of_it():
    # Peaks of a CPU are measured, and were measured too low if it was busy; weights that fit caches beat its memory.
    fast = engine_figures([beat("first", **{**WORKED, "floor_s": 4 * WORKED["floor_s"] + 100})])
    (line,) = [line for line in closing_lines({**some_summary(), "engine": fast}, "out") if line.startswith("engine: ")]
    assert fast["floor_share"] > 1 and "faster than the device was measured to be" in line and "00%" not in line


@pytest.mark.parametrize(
    ("keeps", "option", "end"),
    [
        ([1.0, 1.0], None, "the programs are kept for the next run with this model and these lengths"),
        ([1.0, 0.0], None, "as no folder could be made for it: pass --compile_cache DIR"),
        ([0.0, 0.0], "none", "without --compile_cache none, the next run would be spared it"),
        ([], None, "s of the engine's 6.0 s (33%)"),
    ],
)
def test_programs_are_said_to_be_kept_only_where_every_worker_keeps_them(keeps, option, end):
    figures = [{"keeps_programs": value} for value in keeps] or [{}, {}]
    beats = [beat(str(number), **WORKED, **more) for number, more in enumerate(figures)]
    summary = {**some_summary(), "engine": engine_figures(beats)}
    (line,) = [line for line in closing_lines(summary, "out", option) if line.startswith("compilation: ")]
    assert line.startswith("compilation: 2.0 s of the engine's 6.0 s (33%)") and line.endswith(end)


def summary_with(rows: int, targets: int, **rejected: int) -> dict:
    table = [
        {"kind": kind, "stage": "judge", "reason": reason, "count": count}
        for kind, _, reason, count in ((*name.partition("_"), count) for name, count in rejected.items())
    ]
    return {"rows": {"planned": rows}, "targets": {"chosen": targets}, "rejected": table}


@pytest.mark.parametrize(
    "summary",
    [
        summary_with(0, 0),
        summary_with(100, 0, row_stage_error=1),
        summary_with(100, 1000, target_stage_error=10, row_cut_off=90, target_does_not_parse=900),
    ],
)
def test_few_errors_of_stages_and_other_rejections_end_no_job(summary):
    assert stage_errors_line(summary, "out") is None


def test_a_line_says_how_many_rows_and_targets_ended_in_errors_of_stages():
    line = stage_errors_line(summary_with(100, 196, row_stage_error=2, target_stage_error=50, target_cut_off=9), "out")
    assert line is not None and line.startswith(
        "2 of 100 rows (2.0%) and 50 of 196 targets (25.5%) ended in a bug of codemill (stage_error), which is more "
        "than 1%; "
    )
    assert line.endswith("codemill inspect out --rejected --reason stage_error lists them")
    assert "rows" not in stage_errors_line(summary_with(100, 196, row_stage_error=1, target_stage_error=50), "out")


def test_a_line_says_what_to_raise_where_memory_was_too_little():
    of_program = {"kind": "row", "stage": "judge", "reason": "out_of_memory", "count": 7}
    row = {"kind": "row", "stage": "run", "reason": "out_of_memory", "count": 1}
    file = {"kind": "row", "stage": "read", "reason": "out_of_memory", "count": 2}
    assert memory_line({"rejected": [of_program], "failures": {"timeout": 1}}) is None
    line = memory_line({"rejected": [of_program, row, file], "failures": {"out_of_memory": 1}})
    assert line is not None and line.startswith("3 rows and 1 unit needed more memory than there was (out_of_memory): ")
    assert "raise the memory limit" in line


EVERY_ROW_FAILED = [
    {"rejected_row/targets/stage_error": 3},
    {"rejected_row/judge/no_target_accepted": 3, "rejected_target/judge/stage_error": 7},
]
SOME_ROW_RAN = [
    {"rejected_row/targets/stage_error": 2, "rejected_row/read/null_content": 1},
    {"rejected_row/targets/stage_error": 2, "rejected_row/judge/no_target_accepted": 1},
    {"rejected_row/judge/no_target_accepted": 3, "rejected_target/judge/stage_error": 6, "rejected_target/x/y": 1},
    {"rejected_row/read/null_content": 3},
    {"rejected_row/judge/no_target_accepted": 3, "rejected_target/judge/cut_off": 7},
]


def totals_of(counts: dict) -> Totals:
    totals = Totals()
    totals.add(unit(3), commit(3, counts={"rows_in": 3, "rows_rejected": 3, **counts}))
    return totals


def is_refused(totals: Totals) -> bool:
    try:
        totals.check_some_row_ran()
    except EveryRowFailed:
        return True
    return False


@pytest.mark.parametrize("counts", EVERY_ROW_FAILED)
def test_a_job_all_of_whose_rows_end_in_the_same_stage_error_is_not_published(counts):
    with pytest.raises(EveryRowFailed, match="all 3 rows ended as stage_error"):
        totals_of(counts).check_some_row_ran()


@pytest.mark.parametrize("counts", SOME_ROW_RAN)
def test_a_job_whose_rows_are_rejected_for_their_own_faults_is_published(counts):
    assert not is_refused(totals_of(counts))


def test_a_job_without_rows_is_published():
    assert not is_refused(Totals())


def test_the_last_lines_say_what_was_redacted_and_how_to_look_at_the_rejected():
    summary = some_summary()
    assert not [line for line in closing_lines(summary, "out") if line.startswith("redacted")]
    summary["counts"] |= {"redacted/email": 26, "redacted/secret": 4, "rows_with_redactions": 15}
    lines = closing_lines(summary, "out")
    assert "redacted: 15 rows: 26 email, 4 secret" in lines
    assert "to look at what was rejected: codemill inspect out --rejected --reason does_not_parse" in lines
