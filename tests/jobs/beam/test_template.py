"""The Flex Template's program: each slot runs `codemill work`, a failed one is tried again, nobody waits."""

from __future__ import annotations

import subprocess
import sys

import pytest

from jobs.beam import template
from tests.dataflow import Translated

LOCAL = ["--runner=FnApiRunner"]


class Commands:
    """Stands in for processes: notes each command, which ends with `code`."""

    def __init__(self) -> None:
        self.ran: list[list[str]] = []
        self.code = 0

    def run(self, command, check):
        self.ran.append(command)
        return subprocess.CompletedProcess(command, self.code)


@pytest.fixture
def commands(monkeypatch) -> Commands:
    made = Commands()
    monkeypatch.setattr(template.subprocess, "run", made.run)
    return made


def test_each_slot_joins_the_job(commands):
    assert template.main(["--output", "gs://b/out", "--slots", "3", *LOCAL]) == 0
    assert commands.ran == [[sys.executable, "-m", "jobs", "work", "gs://b/out"]] * 3


@pytest.mark.parametrize("code", [1, 2, 143, -9])
def test_a_slot_that_fails_is_the_runners_to_try_again(commands, code):
    commands.code = code
    with pytest.raises(Exception, match=f"codemill work gs://b/out ended with exit code {code}"):
        template.main(["--output", "gs://b/out", "--slots", "1", *LOCAL])


def test_a_wrong_flag_is_one_line(commands, capsys):
    assert template.main(["--output", "o", "--slots", "1", "--runer=DataflowRunner"]) == 2
    assert capsys.readouterr().err == "codemill workers: error: Beam has no flag --runer; did you mean --runner?\n"


def test_dataflow_is_sent_one_harness_a_machine_and_is_not_waited_for(submission):
    flags = ["--runner=DataflowRunner", "--project=some-project", "--region=us-west1", "--temp_location=gs://b/tmp"]
    with pytest.raises(Translated):
        template.main(["--output=gs://b/out", "--slots=2", *flags, "--sdk_container_image=image", "--no_auth"])
    assert submission.calls("jobs.beam.template.JoinJob")
    assert "no_use_multiple_sdk_containers" in submission.environment["experiments"]
    assert submission.beam_options["no_wait_until_finish"] is True
