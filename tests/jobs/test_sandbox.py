from __future__ import annotations

from pathlib import Path

import pytest

from jobs import cli
from model.errors import ConfigError
from transforms.sandbox.bubblewrap import Bubblewrap
from transforms.sandbox.sandbox import Sandbox
from transforms.sandbox.toolchains import toolchains


@pytest.fixture
def boxes() -> None:
    try:
        with Sandbox(slots=1):
            pass
    except ConfigError as error:
        pytest.skip(f"programs can't be boxed here: {error}")


@pytest.mark.usefixtures("boxes")
def test_the_check_tells_each_language_and_its_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["sandbox", "--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("sandbox: bubblewrap")
    assert [line.split()[0] for line in lines[1:]] == sorted({*toolchains(), "C", "TypeScript"})
    assert "isn't run" in next(line for line in lines if line.startswith("C "))
    assert any("Python 3" in line for line in lines)


@pytest.mark.usefixtures("boxes")
def test_a_missing_tool_is_told_with_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.sandbox.toolchains.is_there", lambda tool: tool != "rustc")
    assert cli.main(["sandbox", "--check", "--language", "rust"]) == cli.USER_ERROR
    said = capsys.readouterr()
    assert "missing: rustc; install rustc" in said.out


@pytest.mark.usefixtures("boxes")
def test_a_compiler_that_is_missing_is_told_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transforms.verification.compilers.is_there", lambda tool: tool != "tsc")
    assert cli.main(["sandbox", "--check", "--language", "ts"]) == cli.USER_ERROR
    assert "missing: tsc; install nodejs, and npm install -g typescript" in capsys.readouterr().out


def test_without_bubblewrap_one_line_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("transforms.sandbox.bubblewrap._packaged", lambda: None)
    assert cli.main(["sandbox", "--check"]) == cli.USER_ERROR
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "apt-get install bubblewrap" in said and "--sandbox none" in said


def test_a_bubblewrap_that_is_too_old_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "bwrap").write_text("#!/bin/sh\necho bubblewrap 0.4.1\n")
    (tmp_path / "bwrap").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["sandbox", "--check"]) == cli.USER_ERROR
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "is bubblewrap 0.4.1, and 0.8 is the first" in said


def test_a_host_that_forbids_namespaces_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(
        "#!/bin/sh\n[ \"$1\" = --version ] && exec echo bubblewrap 1\necho 'bwrap: No permissions' >&2\nexit 1\n"
    )
    fake.chmod(0o755)
    tmp_path.chmod(0o755)
    monkeypatch.setattr(Bubblewrap, "find", classmethod(lambda cls: cls(str(fake), "bubblewrap 1")))
    assert cli.main(["sandbox", "--check"]) == cli.USER_ERROR
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "could not be started" in said and "unprivileged_userns_clone" in said


@pytest.mark.parametrize(("words", "said"), [([], "--check"), (["--check", "--language", "cobol"], "runs no cobol")])
def test_what_makes_no_sense_is_one_line(capsys: pytest.CaptureFixture[str], words: list[str], said: str) -> None:
    assert cli.main(["sandbox", *words]) == cli.USER_ERROR
    assert said in capsys.readouterr().err
