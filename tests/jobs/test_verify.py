"""Jobs that compile or run answers where no sandbox can be made: one line, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cli import USER_ERROR, main
from model.errors import ConfigError
from transforms.sandbox.bubblewrap import Bubblewrap

JOBS = {
    "generate": ["--verify", "compile"],
    "annotate": ["--task", "unit-tests", "--any_model"],  # which runs tests unless it is told not to
}


@pytest.fixture
def corpus(tmp_path: Path) -> str:
    path = tmp_path / "in.parquet"
    code = 'def half(n):\n    """Gives half of n."""\n    return n / 2\n'
    pq.write_table(pa.table({"content": [code], "path": ["a.py"], "language": ["Python"]}), path)
    return str(path)


def no_bubblewrap(monkeypatch: pytest.MonkeyPatch) -> str:
    def find() -> Bubblewrap:
        raise ConfigError("programs are run in bubblewrap, which isn't there; install bubblewrap")

    monkeypatch.setattr(Bubblewrap, "find", find)
    return "which isn't there"


def forbidden_namespaces(monkeypatch: pytest.MonkeyPatch) -> str:
    # A command that ends as bubblewrap does where the host forbids user namespaces.
    monkeypatch.setattr(Bubblewrap, "find", lambda: Bubblewrap("/usr/bin/false", "bubblewrap 0.8.0"))
    return "the sandbox could not be started"


@pytest.mark.parametrize("job", sorted(JOBS))
@pytest.mark.parametrize("host", [no_bubblewrap, forbidden_namespaces])
def test_without_a_sandbox_one_line_says_what_to_do_and_nothing_is_begun(
    corpus: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    job: str,
    host: object,
) -> None:
    words = host(monkeypatch)  # type: ignore[operator]
    output = tmp_path / "out"
    assert main([job, "--input", corpus, "--output", str(output), *JOBS[job]]) == USER_ERROR
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and words in said[0]
    assert ("--verify parse" in said[0] and "--sandbox none" in said[0]) or host is no_bubblewrap
    assert not output.exists()
