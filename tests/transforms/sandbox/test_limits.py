"""Programs that use too much: each is ended within its limits, with what it had said."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.transforms.sandbox.processes import running
from transforms.sandbox.program import Command, Limits, Outcome, Program
from transforms.sandbox.sandbox import Sandbox
from transforms.sandbox.toolchains import toolchains
from transforms.sandbox.usage import Meter, Usage

PYTHON = toolchains()["Python"]


def run(sandbox: Sandbox, source: str, **limits: float) -> Outcome:
    given = {"wall_s": 20, **limits}
    return sandbox.run(PYTHON.program(source, run_limits=Limits(**given))).last  # type: ignore[arg-type]


def test_a_program_that_never_ends_is_ended(sandbox: Sandbox) -> None:
    outcome = run(sandbox, "print('begun', flush=True)\nwhile True: pass", wall_s=1)
    assert outcome.timed_out
    assert outcome.stdout == "begun\n"
    assert outcome.exit is None


@pytest.mark.parametrize(
    "source",
    [
        "import time; time.sleep(100)",
        "import signal, time\nfor s in range(1, 32):\n  try: signal.signal(s, signal.SIG_IGN)\n  except OSError: pass\n"
        "time.sleep(100)",
        "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)\nwhile True: pass",
        "import os\nfor d in (0, 1, 2): os.close(d)\nwhile True: pass",
        "import threading\nfor _ in range(8): threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()",
        "import resource, signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
    ],
    ids=["sleeps", "ignores signals", "stops itself", "closes its output", "threads", "ignores its limit"],
)
def test_none_of_the_ways_to_go_on_helps(sandbox: Sandbox, source: str) -> None:
    assert run(sandbox, source, wall_s=1).timed_out
    assert not running()


def test_a_program_that_leaves_a_daemon_behind_takes_it_along(sandbox: Sandbox) -> None:
    source = (
        "import os, time\n"
        "if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n    time.sleep(100)\n  os._exit(0)\n"
        "print('gone')"
    )
    assert run(sandbox, source).stdout == "gone\n"
    assert not running()


def test_processor_time_of_all_processes_counts(sandbox: Sandbox) -> None:
    source = (
        "import os, time\n"
        "for _ in range(4):\n  if os.fork() == 0:\n    end = time.process_time() + 3\n"
        "    while time.process_time() < end: pass\n    os._exit(0)\n"
        "while True:\n  try: os.wait()\n  except ChildProcessError: break\n"
    )
    assert run(sandbox, source, wall_s=5).timed_out


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import os\nwhile True: os.fork()", "processes"),
        ("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(9,)).start()", "threads"),
    ],
)
def test_a_bomb_of_processes_or_threads_fizzles(sandbox: Sandbox, source: str, why: str) -> None:
    assert not run(sandbox, source, wall_s=2).is_success, why
    assert not running()


def test_one_process_can_not_have_more_memory(sandbox: Sandbox) -> None:
    outcome = run(sandbox, "x = bytearray(400_000_000)", memory_mb=200)
    assert outcome.exit == 1
    assert "MemoryError" in outcome.stderr


def test_many_processes_can_not_have_more_memory_in_sum(sandbox: Sandbox) -> None:
    source = (
        "import os, time\n"
        "for _ in range(12):\n  if os.fork() == 0:\n    x = bytearray(b'x' * 90_000_000)\n    time.sleep(60)\n"
        "time.sleep(60)"
    )
    assert run(sandbox, source, memory_mb=400).out_of_memory


def test_shared_memory_counts(sandbox: Sandbox) -> None:
    source = (
        "import mmap, time\nkept = []\n"
        "for _ in range(8):\n  x = mmap.mmap(-1, 60_000_000)\n  x.write(b'x' * 60_000_000)\n  kept.append(x)\n"
        "time.sleep(1)\nprint('done')"
    )
    assert run(sandbox, source, memory_mb=300).out_of_memory
    assert run(sandbox, source, memory_mb=900).stdout == "done\n"


def test_memory_that_forked_processes_share_counts_once(sandbox: Sandbox) -> None:
    source = (
        "import os, time\nx = bytearray(b'x' * 150_000_000)\n"
        "for _ in range(6):\n  if os.fork() == 0:\n    time.sleep(1)\n    os._exit(0)\n"
        "for _ in range(6): os.wait()\nprint('done')"
    )
    assert run(sandbox, source, memory_mb=400).stdout == "done\n"


@pytest.mark.parametrize(
    "source",
    [
        "f = open('/tmp/x', 'wb')\nwhile True: f.write(bytes(1_000_000))",
        "for i in range(99):\n  open(f'/tmp/{i}', 'wb').write(bytes(1_000_000))",
        "for i in range(99):\n  open(f'/dev/shm/{i}', 'wb').write(bytes(1_000_000))",
    ],
    ids=["one file", "many files", "shared memory"],
)
def test_a_disk_can_not_be_filled(sandbox: Sandbox, source: str) -> None:
    outcome = run(sandbox, source, disk_mb=20)
    assert not outcome.is_success
    assert not outcome.timed_out


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_output_without_end_is_cut_off(sandbox: Sandbox, stream: str) -> None:
    outcome = run(sandbox, f"import sys\nwhile True: sys.{stream}.write('x' * 999)", output_mb=1)
    assert outcome.too_much_output
    assert 0 < len(getattr(outcome, stream)) < 20_000


def test_a_hundred_megabytes_of_output_cost_no_memory(sandbox: Sandbox) -> None:
    outcome = run(sandbox, "for _ in range(100): print('x' * 999_999)", output_mb=1_000)
    assert outcome.is_success
    assert len(outcome.stdout) < 20_000


def test_standard_input_is_given_and_need_not_be_read(sandbox: Sandbox) -> None:
    text = "ä" * 300_000
    echo = PYTHON.program("import sys; print(len(sys.stdin.read()))", stdin=text)
    assert sandbox.run(echo).last.stdout == "300000\n"
    assert sandbox.run(PYTHON.program("print('done')", stdin=text)).passed


def test_a_compiler_that_runs_out_of_memory_is_told(sandbox: Sandbox) -> None:
    greedy = Command(("python3", "-c", "x = [bytearray(b'x' * 10**7) for _ in range(99)]"), Limits(memory_mb=100))
    result = sandbox.run(Program(files={}, compile=greedy, run=Command(("true",))))
    assert result.compiled is False
    assert not result.passed


def test_results_say_how_a_program_ended(sandbox: Sandbox) -> None:
    assert run(sandbox, "raise SystemExit(7)").exit == 7
    assert run(sandbox, "import ctypes; ctypes.string_at(0)").signal == "SIGSEGV"
    for name in ("SIGABRT", "SIGTERM", "SIGUSR1", "SIGKILL"):
        outcome = run(sandbox, f"import os, signal; os.kill(os.getpid(), signal.{name}); print('goes on')")
        assert (outcome.signal, outcome.stdout, outcome.stderr) == (name, "", "")


def test_a_program_without_a_box_has_the_tools_of_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "python3").write_text("#!/bin/sh\necho another\n")
    (tmp_path / "python3").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with Sandbox(slots=1, isolation="none") as bare:
        assert bare.run(PYTHON.program("print('own')")).last.stdout == "own\n"


def test_the_limit_of_a_process_ends_it_where_nobody_looks(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Meter, "look", lambda self, now: Usage(0.0, now, 0))
    assert run(sandbox, "while True: pass", wall_s=0.5).timed_out


@pytest.mark.parametrize(
    "source",
    [
        "import os, signal, time\nsignal.signal(signal.SIGCHLD, signal.SIG_IGN)\nwhile True:\n"
        "  for _ in range(40):\n    try:\n      if os.fork() == 0:\n        end = time.process_time() + 0.03\n"
        "        while time.process_time() < end: pass\n        os._exit(0)\n    except OSError: break\n"
        "  time.sleep(0.05)",
        "import os, time\nfor _ in range(40):\n  if os.fork() == 0:\n    while True: time.sleep(0.001)\n"
        "time.sleep(100)",
    ],
    ids=["children that nobody waits for", "many that sleep and wake"],
)
def test_what_many_processes_wait_for_each_other_gives_them_no_time(sandbox: Sandbox, source: str) -> None:
    outcome = run(sandbox, source, wall_s=1)
    assert outcome.timed_out
    assert outcome.wall_s < 5  # of the ten that the summed waits of so many would give


def test_standard_input_that_is_closed_costs_nothing(sandbox: Sandbox) -> None:
    before = time.process_time()
    result = sandbox.run(PYTHON.program("import os, time\nos.close(0)\ntime.sleep(1.5)", stdin="x" * 300_000))
    assert result.passed
    assert time.process_time() - before < 0.5
