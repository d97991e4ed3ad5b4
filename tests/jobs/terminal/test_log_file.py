"""--log_file keeps what is printed and logged, --quiet prints only what went wrong."""

from __future__ import annotations

import logging
import re

import pytest

from jobs import cli
from jobs.terminal.log_file import log_kept
from model.errors import ConfigError

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


def lines_of(path) -> list[str]:
    """The lines of a log without their times."""
    lines = path.read_text(encoding="utf-8").splitlines()
    assert all(re.match(TIME, line) for line in lines), lines
    return [re.sub(TIME, "", line) for line in lines]


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.py").write_text(f"def f{number}():\n    return {number}\n")
    return folder


def corpus(sources, tmp_path, *flags: str) -> int:
    return cli.main(["corpus", str(sources), "--output", str(tmp_path / "corpus"), "--workers", "1", *flags])


def test_what_is_printed_is_kept_with_times_and_a_resumed_job_goes_on(sources, tmp_path, capsys):
    log = tmp_path / "job.log"
    flags = ["--log_file", str(log), "--progress", "none"]
    assert corpus(sources, tmp_path, *flags) == cli.DONE
    first = capsys.readouterr()
    assert lines_of(log) == [*first.err.splitlines(), *first.out.splitlines()]
    assert corpus(sources, tmp_path, *flags) == cli.DONE
    assert "is complete already" in lines_of(log)[-1]
    assert len(lines_of(log)) == 2


def test_an_error_is_kept_as_well(sources, tmp_path, capsys):
    log = tmp_path / "job.log"
    assert corpus(tmp_path / "missing", tmp_path, "--log-file", str(log)) == cli.USER_ERROR
    assert lines_of(log) == capsys.readouterr().err.splitlines()
    assert lines_of(log)[0].startswith("codemill corpus: error: ")


def test_quiet_prints_nothing_and_keeps_all(sources, tmp_path, capsys):
    log = tmp_path / "job.log"
    assert corpus(sources, tmp_path, "--quiet", "--log_file", str(log)) == cli.DONE
    assert capsys.readouterr() == ("", "")
    assert lines_of(log)[0].startswith("3 files seen = 3 kept")
    output = tmp_path / "filtered"
    words = ["filter", "--input", str(tmp_path / "corpus/data"), "--output", str(output), "--workers", "1", "--quiet"]
    assert cli.main([*words, "--log_file", str(log)]) == cli.DONE
    assert capsys.readouterr() == ("", "")
    kept = lines_of(log)
    assert any(line.startswith("codemill filter: plan: 1 file") for line in kept)
    assert any(line.startswith("rows: 3 = ") for line in kept)


def test_quiet_does_not_hide_an_error(sources, tmp_path, capsys):
    assert corpus(tmp_path / "missing", tmp_path, "--quiet") == cli.USER_ERROR
    assert capsys.readouterr().err.startswith("codemill corpus: error: ")


def test_what_is_logged_is_kept_with_level_and_origin_and_once(tmp_path):
    log = tmp_path / "job.log"
    with log_kept(str(log)):
        logging.getLogger("jobs.ledger.lock").warning("a lock of %s\x1b[31m", "another")
    logging.getLogger("jobs.ledger.lock").warning("after its end")
    assert lines_of(log) == ["a lock of another\\x1b[31m (WARNING, jobs.ledger.lock)"]


def test_a_file_that_cannot_be_written_is_one_line(tmp_path):
    for path, fault in ((tmp_path, "Is a directory"), (tmp_path / "none/x.log", "No such file or directory")):
        with pytest.raises(ConfigError, match=f"can't be written: {fault}$"), log_kept(str(path)):
            pass
    with pytest.raises(ConfigError, match="is a URL; pass a local path"), log_kept("gs://bucket/job.log"):
        pass
