"""What is counted of rejected records."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.finalize.shards import ShardRecord
from jobs.finalize.summary import rejection_table
from jobs.finalize.tallies import RejectedTally
from transforms.rows.rejections import REJECTED_SCHEMA, rejected_table

RECORDS = st.lists(
    st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["row", "target"]),
            "uri": st.just("in.parquet"),
            "row_group": st.integers(0, 3),
            "row": st.integers(0, 99),
            "stage": st.sampled_from(["read", "judge"]),
            "reason": st.sampled_from(["cut_off", "not_utf8"]),
            "detail": st.just("why") | st.just("x" * 1000),
            "path": st.none() | st.sampled_from(["a/b.py", "c.go", "Makefile", "weird.\u202e", "a.py"]),
            "target": st.none() | st.sampled_from(["single_line:1:2", "function:Ünï.x:3", "plain"]),
            "answer": st.none() | st.just("never shown"),
        }
    ),
    min_size=1,
    max_size=30,
)


def key_of(record: dict) -> str:
    return f"{record['kind']}/{record['stage']}/{record['reason']}"


@given(RECORDS, st.integers(1, 10))
@settings(deadline=None)
def test_the_first_record_of_each_reason_is_its_example_and_all_are_counted(records, step):
    tally = RejectedTally()
    for start in range(0, len(records), step):
        tally.add(rejected_table(records[start : start + step]))
    assert tally.counts == Counter(map(key_of, records))
    for key, example in tally.examples.items():
        first = next(record for record in records if key_of(record) == key)
        assert (example["row"], example["uri"], example.get("path")) == (first["row"], first["uri"], first["path"])
        assert "answer" not in example and len(example["detail"]) < 310
    assert {key: sum(found.values()) for key, found in tally.languages.items()} == tally.counts
    of_targets = {key: count for key, count in tally.counts.items() if key.startswith("target/")}
    assert {key: sum(found.values()) for key, found in tally.target_kinds.items()} == of_targets


def test_languages_and_kinds_of_targets_are_named():
    tally = RejectedTally()
    base = dict.fromkeys(REJECTED_SCHEMA.names) | {"kind": "target", "uri": "u", "row_group": 0, "row": 1}
    base |= {"stage": "judge", "reason": "cut_off", "detail": ""}
    tally.add(pa.Table.from_pylist([base | {"path": "a.py", "target": "block:1:2"}], REJECTED_SCHEMA))
    tally.add(pa.Table.from_pylist([base | {"path": "LICENSE", "target": "block:9:12"}], REJECTED_SCHEMA))
    assert tally.languages == {"target/judge/cut_off": {"Python": 1, "other": 1}}
    assert tally.target_kinds == {"target/judge/cut_off": {"block": 2}}


def test_the_summary_sums_shards_and_takes_the_first_ones_example():
    def shard(index: int, **more) -> ShardRecord:
        return ShardRecord(kind="rejected", index=index, path="", rows=1, bytes=1, sha256="", **more)

    key = "row/read/not_utf8"
    shards = [
        shard(0, tally={key: 1}, examples={key: {"row": 4}}, languages={key: {"C": 1}}),
        shard(1, tally={key: 2}, examples={key: {"row": 9}}, languages={key: {"C": 1, "Go": 1}}),
        shard(2, tally={"row/read/of_an_earlier_version": 1}),
    ]
    first, second = rejection_table(shards)
    assert first == {
        "kind": "row",
        "stage": "read",
        "reason": "not_utf8",
        "count": 3,
        "example": {"row": 4},
        "languages": {"C": 2, "Go": 1},
    }
    assert "example" not in second


def test_an_example_leaves_out_a_path_that_is_not_to_be_shown():
    tally, address = RejectedTally(), "jane.roe" + "@" + "corp-mail.dev"
    record = dict.fromkeys(REJECTED_SCHEMA.names) | {"kind": "row", "uri": "u", "row_group": 0, "row": 4}
    record |= {"stage": "read", "reason": "not_utf8", "detail": "byte 3 is not valid UTF-8"}
    tally.add(pa.Table.from_pylist([record | {"path": f"mail/{address}.py"}], REJECTED_SCHEMA))
    assert tally.examples["row/read/not_utf8"] == {
        "uri": "u",
        "row_group": 0,
        "row": 4,
        "detail": "byte 3 is not valid UTF-8",
    }


def test_a_detail_is_searched_whole_before_it_is_cut():
    tally, address = RejectedTally(), "jane.roe" + "@" + "corp-mail.dev"
    record = dict.fromkeys(REJECTED_SCHEMA.names) | {"kind": "row", "uri": "u", "row_group": 0, "row": 4}
    record |= {"stage": "read", "reason": "not_utf8", "detail": f"{'x ' * 145}{address}"}
    tally.add(pa.Table.from_pylist([record], REJECTED_SCHEMA))
    assert "detail" not in tally.examples["row/read/not_utf8"]
