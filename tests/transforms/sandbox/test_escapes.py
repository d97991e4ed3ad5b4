"""Attacks from inside a box: none gets out, none leaves anything behind, and the sandbox goes on."""

from __future__ import annotations

import os
import platform
import re
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transforms.sandbox.attacks import ATTACKS, attack, is_by_number
from tests.transforms.sandbox.processes import running
from transforms.sandbox.program import Command, Limits, Program
from transforms.sandbox.sandbox import Sandbox
from transforms.sandbox.supervise import run_bare
from transforms.sandbox.toolchains import toolchains

PYTHON = toolchains()["Python"]

# What an ordinary process may do: the attacks' code does what it says.
DONE_WITHOUT_A_BOX = (
    "connects to a port of the host",
    "connects to an abstract socket of the host",
    "opens a netlink socket",
    "reads a file of the host",
    "lists the folder of the job",
    "reads the host's users",
    "reads the environment of what started it",
    "sees processes of the host",
    "hides memory in files of memory",
    "calls as a program of 32 bits",
    "leaves by a link in /proc",
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, object]]:
    folder = tmp_path_factory.mktemp("job")
    (folder / "rows").write_text("rows")
    os.environ["CODEMILL_TEST_SECRET"] = secret = secrets.token_hex(16)
    abstract = f"codemill-{secrets.token_hex(8)}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(f"\0{abstract}")
        local.listen()
        yield {
            "port": server.getsockname()[1],
            "abstract": abstract,
            "file": folder / "rows",
            "folder": folder,
            "secret": secret,
            "pid": os.getpid(),
            "boxes": Path(os.environ.get("TMPDIR", "/var/tmp")),
        }
    del os.environ["CODEMILL_TEST_SECRET"]


def _skip_elsewhere(name: str) -> None:
    if is_by_number(name) and platform.machine() != "x86_64":
        pytest.skip("numbers of system calls are those of x86-64")


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_gets_out(sandbox: Sandbox, places: dict[str, object], name: str) -> None:
    _skip_elsewhere(name)
    result = sandbox.run(PYTHON.program(attack(name, **places), run_limits=Limits(wall_s=20)))
    assert "OUT" not in result.last.stdout
    assert not result.last.timed_out
    # An attack that is broken attacks nothing.
    assert not re.search(r"(?:Syntax|Name|Type|Attribute|Value|Index|Key|Import)\w*Error", result.last.stderr)
    assert running() == []
    assert sandbox.run(PYTHON.program(PYTHON.hello)).passed


@pytest.mark.parametrize("name", DONE_WITHOUT_A_BOX)
def test_the_same_attacks_succeed_without_a_box(places: dict[str, object], name: str, tmp_path: Path) -> None:
    _skip_elsewhere(name)
    if name == "calls as a program of 32 bits" and not os.path.exists("/proc/sys/abi"):
        pytest.skip("this kernel runs no programs of 32 bits")
    (tmp_path / PYTHON.file).write_text(attack(name, **places))
    outcome = run_bare(Command(PYTHON.run, Limits(wall_s=20)), work=str(tmp_path))
    assert "OUT" in outcome.stdout, outcome.stderr


def test_a_link_that_a_compiler_leaves_is_not_followed(sandbox: Sandbox, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    tmp_path.chmod(0o777)
    program = Program(
        files={"main.py": "import os\nprint(os.listdir('/box/link'))\n"},
        compile=Command(("ln", "-s", str(tmp_path), "/box/link")),
        run=Command(PYTHON.run),
    )
    result = sandbox.run(program)
    assert result.compiled
    assert not result.passed
    assert kept.read_text() == "kept"


@pytest.mark.parametrize("way", ["ln -s {kept} /box/src", "mkdir -p /box/src/main.py/x", "true"])
def test_a_compiler_can_not_have_others_files_removed(sandbox: Sandbox, tmp_path: Path, way: str) -> None:
    (tmp_path / "main.py").write_text("kept")
    tmp_path.chmod(0o777)
    program = Program(
        files={"src/main.py": "print(1)\n"},
        compile=Command(("sh", "-c", "rm -r /box/src; " + way.format(kept=tmp_path))),
        run=Command(("true",)),
    )
    assert sandbox.run(program).passed
    assert (tmp_path / "main.py").read_text() == "kept"


def test_sources_in_folders_are_gone_when_the_program_runs(sandbox: Sandbox) -> None:
    look = Command(("sh", "-c", "ls -R /box"))
    program = Program(files={"src/a/main.py": "", "b.py": ""}, compile=Command(("true",)), run=look)
    assert sandbox.run(program).last.stdout == "/box:\nsrc\n\n/box/src:\na\n\n/box/src/a:\n"


def test_a_folder_that_a_compiler_closes_is_removed(sandbox: Sandbox) -> None:
    close = "import os; os.makedirs('/box/a/b'); open('/box/a/b/c', 'w'); os.chmod('/box/a', 0)"
    program = Program(files={}, compile=Command(("python3", "-c", close)), run=Command(("true",)))
    assert sandbox.run(program).passed
    assert os.listdir(sandbox.root) == []


def test_slots_do_not_see_each_other(sandbox: Sandbox) -> None:
    look = PYTHON.program(
        "import os, time\n"
        "open('/tmp/mine', 'w'); time.sleep(1)\n"
        "print(sorted(os.listdir('/tmp')), len([p for p in os.listdir('/proc') if p.isdigit()]))\n"
    )
    results = [future.result() for future in (sandbox.submit(look), sandbox.submit(look))]
    assert [result.last.stdout for result in results] == ["['mine'] 2\n"] * 2
