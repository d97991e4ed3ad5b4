from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cluster import conftest, parts
from tests.cluster.record import Record

NAME = st.text(st.sampled_from("abcdefgh-.0123456789"), min_size=1, max_size=90)


@given(st.lists(NAME, max_size=30))
def test_a_folded_manifest_says_what_was_put_in(jars):
    lines = parts.manifest_of("a.B", jars).split("\r\n")
    assert all(len(line.encode()) <= 70 for line in lines) and lines[-2:] == ["", ""]
    whole = "\r\n".join(lines).replace("\r\n ", "")
    assert f"Class-Path: {' '.join(jars)}\r\n" in whole and "Main-Class: a.B\r\n" in whole


def test_a_part_that_no_server_gives_is_named_and_fails_what_needs_it(tmp_path):
    def refuse():
        raise parts.Unreachable("mvn: no such version")

    record = Record(tmp_path / "record.json")
    with pytest.raises(parts.Unreachable):
        conftest.had(record, "Prism", refuse)
    written = json.loads((tmp_path / "record.json").read_text())
    assert written["unreachable"] == [{"what": "Prism", "why": "mvn: no such version"}]
    assert any(line.startswith("UNREACHABLE: Prism") for line in record.lines())


def test_a_program_that_is_missing_or_fails_makes_a_part_unreachable(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PARTS", tmp_path / "parts")
    monkeypatch.setattr(parts, "RUNNER", "no:such:1")
    monkeypatch.delenv("FLINK_JOB_SERVER_JAR", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(parts.Unreachable, match="there is no mvn on this machine"):
        parts.job_server_jar()
    (tmp_path / "mvn").write_text("#!/bin/sh\necho the server says no >&2; exit 1\n")
    (tmp_path / "mvn").chmod(0o755)
    with pytest.raises(parts.Unreachable, match=r"dependency:copy-dependencies .*: the server says no"):
        parts.job_server_jar()
    assert not any((tmp_path / "parts").iterdir())
