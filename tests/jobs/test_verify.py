"""Jobs that compile or run answers where no sandbox can be made: one line, and nothing is written."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cli import main
from jobs.generate import _corpus
from jobs.system.exit_codes import USER_ERROR
from model.errors import ConfigError
from transforms.sandbox.bubblewrap import Bubblewrap
from transforms.verification.repository_tests import RepositoryTests

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


def write_corpus(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"content": ["def f(): pass", "assert 1"], "path": ["a.py", "test_a.py"]}), path)


@pytest.mark.parametrize("tests", ["out", "parts/*.pq", "memory://corpus/data"])
def test_tests_are_found_in_all_that_may_be_input(tmp_path: Path, tests: str) -> None:
    write_corpus(tmp_path / "out" / "data" / "x.parquet")
    pq.write_table(pa.table({"reason": ["x"]}), _made(tmp_path / "out" / "rejected" / "x.parquet"))
    _made(tmp_path / "out" / "_job" / "job.json").write_text("{}")
    write_corpus(tmp_path / "parts" / "x.pq")
    fsspec.filesystem("memory").pipe("/corpus/data/x.parquet", (tmp_path / "parts" / "x.pq").read_bytes())
    corpus = _corpus(tests if "://" in tests else str(tmp_path / tests))
    assert len(corpus.files) == 1
    assert RepositoryTests(corpus).of("", "a.py") == "assert 1"


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("fault", ["missing", "no match", "junk", "no paths"])
def test_tests_that_can_not_be_read_are_one_line_before_anything_is_begun(
    corpus: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: str
) -> None:
    tests = tmp_path / ("*.none" if fault == "no match" else "tests.parquet")
    if fault == "junk":
        tests.write_text("junk" * 9)
    elif fault == "no paths":
        pq.write_table(pa.table({"content": ["x"]}), tests)
    output = tmp_path / "out"
    argv = ["generate", "--input", corpus, "--output", str(output), "--verify", "run", "--tests", str(tests)]
    assert main(argv) == USER_ERROR
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1 and "--tests" in said[0] and "--input" not in said[0]
    assert not output.exists()
