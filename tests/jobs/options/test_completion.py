"""The shell's completion: a script per shell, tried in bash itself."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from jobs import cli
from jobs.catalog import JOBS
from jobs.options.completion import SHELLS


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "codemill.bash"
    with path.open("w") as file, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", file)
        assert cli.main(["--completion", "bash"]) == cli.DONE
    return path


def completed(script, *words: str) -> set[str]:
    """What bash offers for the last of these words."""
    quoted = " ".join(f"'{word}'" for word in ("codemill", *words))
    function = "$(complete -p codemill | sed 's/.*-F \\([^ ]*\\) .*/\\1/')"
    lines = [
        f"source {script}",
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words)}; COMP_LINE={quoted!r}; COMP_POINT=${{#COMP_LINE}}",
        f'{function} codemill "{words[-1]}" "{(("codemill", *words))[-2]}"',
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    done = subprocess.run(["bash", "-c", "\n".join(lines)], capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return {line.strip() for line in done.stdout.splitlines() if line.strip()}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
def test_bash_completes_jobs_flags_choices_and_files(bash_script, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "corpus.parquet").touch()
    assert set(JOBS) <= completed(bash_script, "")
    assert completed(bash_script, "infi") == {"infill"}
    assert completed(bash_script, "infill", "--max_new") == {"--max_new_tokens"}
    assert completed(bash_script, "infill", "--accelerator", "v5") == {"v5e-1", "v5e-4", "v5e-8", "v5p-4"}
    assert completed(bash_script, "infill", "--determinism", "") == {"fast", "exact"}
    assert "corpus.parquet" in completed(bash_script, "filter", "--input", "cor")


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script_with_all_jobs(shell, capsys):
    assert cli.main(["--completion", shell]) == cli.DONE
    script = capsys.readouterr().out
    assert all(job in script for job in JOBS) and "max_new_tokens" in script
    assert "tokenizer_sha256" not in script  # an internal option


@pytest.mark.parametrize(
    ("words", "got"), [([], "got nothing"), (["ksh"], "got ksh"), (["bash", "zsh"], "got bash zsh")]
)
def test_a_shell_that_is_not_known_is_one_line(words, got, capsys):
    assert cli.main(["--completion", *words]) == cli.USER_ERROR
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("codemill: error: --completion takes the name of a shell, bash, zsh") and line.endswith(got)
