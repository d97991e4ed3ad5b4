"""What files may do to the processes that work on them, and what that costs: the file alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jobs.collecting import collect, here, worker, workers
from jobs.collecting.chunks import Chunk, OpenSource
from jobs.collecting.collect import Collection
from jobs.collecting.workers import MAX_FAILED_STARTS
from jobs.corpus import Options, run
from jobs.system.exit_codes import FAILED_UNITS
from model.errors import ConfigError
from tests.jobs.uppercase import ROOT
from transforms.corpus.origin import Origin
from transforms.corpus.sources import open_source

NUM_FILES = 30
DECODE = """
from transforms.corpus import rows
decode = rows.decode
def patched(data, *args, **how):
    {what}
    return decode(data, *args, **how)
rows.decode = patched
"""
CRASH = DECODE.format(what="if b'CRASH' in data: os.kill(os.getpid(), signal.SIGSEGV)")


def folder_of(tmp_path: Path, special: dict[int, bytes]) -> Path:
    folder = tmp_path / "tool"
    folder.mkdir()
    for index in range(NUM_FILES):
        (folder / f"{index:02}.py").write_bytes(special.get(index, b"x = %d\n" % index))
    return folder


def collected(folder: Path, num_workers: int = 2, **how) -> tuple[list[str], dict[str, tuple[str, str]]]:
    """Paths of kept rows in order, and stage and reason of rejected ones."""
    kept: list[str] = []
    rejected: dict[str, tuple[str, str]] = {}
    with Collection([(open_source(str(folder)), "tool")], num_workers, lambda: here, **how) as collection:
        for _, part in collection.parts():
            kept += part.kept["path"].to_pylist()
            rejected |= {row["path"]: (row["stage"], row["reason"]) for row in part.rejected.to_pylist()}
            assert part.num_files == part.kept.num_rows + part.rejected.num_rows
    return kept, rejected


def all_but(*indices: int) -> list[str]:
    return [f"{index:02}.py" for index in range(NUM_FILES) if index not in indices]


class Dead:
    """A worker that has died with a chunk."""

    is_ready, is_counting, survey = True, False, None

    def __init__(self, chunk: Chunk):
        self._chunk = chunk

    def end(self):
        return "SIGKILL", [self._chunk], None


def test_after_several_deaths_the_earliest_chunk_is_given_first(tmp_path, monkeypatch):
    """Else both new workers may get later chunks, and nobody may take the earliest any more."""
    monkeypatch.setattr(workers, "Worker", lambda count: None)
    opened = OpenSource(0, open_source(str(folder_of(tmp_path, {}))), Origin("tool", "tool", {}))
    chunks = [Chunk(opened, first, ["a.py", "b.py"]) for first in (0, 2, 4)]
    both = workers.Workers(2)
    both._order.extend(chunks)
    both._waiting.append(chunks[2])
    for dead in (Dead(chunks[0]), Dead(chunks[1])):
        both._workers.append(dead)
        both._bury(dead)
    assert [chunk.key for chunk in both._waiting] == [(0, 0), (0, 2), (0, 4)]


@pytest.mark.parametrize("guilty", [(0,), (5,), (29,), (6, 7, 17)])
def test_a_file_that_crashes_workers_costs_that_file_only(tmp_path, small_chunks, no_work_here, in_workers, guilty):
    in_workers(CRASH)
    folder = folder_of(tmp_path, dict.fromkeys(guilty, b"CRASH\n"))
    kept, rejected = collected(folder)
    assert kept == all_but(*guilty)
    assert rejected == {f"{index:02}.py": ("decode", "crashed_worker") for index in guilty}


def test_the_job_ends_with_exit_code_3_and_names_the_file(tmp_path, small_chunks, no_work_here, in_workers, capfd):
    in_workers(CRASH)
    folder = folder_of(tmp_path, {5: b"CRASH\n"})
    options = Options(source=(str(folder),), output=str(tmp_path / "out"), workers=2, progress="none")
    assert run(options) == FAILED_UNITS
    told = capfd.readouterr()
    assert run(options) == FAILED_UNITS  # again: as long as it is in the corpus
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["exit_codes"] == [FAILED_UNITS]
    assert f"{NUM_FILES} files seen = {NUM_FILES - 1} kept + 1 rejected (1 crashed_worker)" in told.out
    assert told.err.count("\n") == 1 and "1 crashed_worker" in told.err


def test_a_growth_takes_a_file_in_that_crashed_workers_once_it_has_changed(
    tmp_path, small_chunks, no_work_here, in_workers, capfd
):
    in_workers(CRASH)
    folder = folder_of(tmp_path, {5: b"CRASH\n"})
    options = Options(source=(str(folder),), output=str(tmp_path / "out"), workers=2, progress="none", grow=True)
    assert run(options) == FAILED_UNITS
    assert run(options) == FAILED_UNITS
    assert "edition 2" not in capfd.readouterr().out, "a file that is the same isn't worked on again"
    (folder / "05.py").write_bytes(b"x = 5\n")
    assert run(options) == 0
    assert f"edition 2: {NUM_FILES + 1} files seen = {NUM_FILES} kept + 0 rejected" in capfd.readouterr().out


def test_a_file_that_hangs_costs_that_file_only(tmp_path, small_chunks, no_work_here, in_workers):
    in_workers(DECODE.format(what="if b'HANG' in data: time.sleep(600)"))
    kept, rejected = collected(folder_of(tmp_path, {13: b"HANG\n"}), timeout_s=3.0)
    assert kept == all_but(13)
    assert rejected == {"13.py": ("decode", "timeout")}


def test_one_death_is_an_accident(tmp_path, small_chunks, no_work_here, in_workers):
    marks = tmp_path / "marks"
    once = f"if b'ONCE' in data and not os.path.exists({str(marks)!r}): open({str(marks)!r}, 'w'); os._exit(9)"
    in_workers(DECODE.format(what=once))
    kept, rejected = collected(folder_of(tmp_path, {5: b"ONCE\n"}))
    assert marks.exists()
    assert (kept, rejected) == (all_but(), {})


def test_workers_that_are_killed_again_and_again_lose_nothing(tmp_path, small_chunks, no_work_here, in_workers):
    deaths = tmp_path / "deaths"
    deaths.mkdir()
    # Every file ends the first worker that comes to it, and so none ends more than one.
    each_once = (
        f"mark = {str(deaths)!r} + '/%d' % len(data)\n"
        "    if not os.path.exists(mark): open(mark, 'w'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    in_workers(DECODE.format(what=each_once))
    folder = tmp_path / "tool"
    folder.mkdir()
    for index in range(12):
        (folder / f"{index:02}.py").write_bytes(b"#" * (index + 1))
    kept, rejected = collected(folder)
    assert len(list(deaths.iterdir())) == 12
    assert kept == [f"{index:02}.py" for index in range(12)] and rejected == {}


def test_a_death_while_the_other_files_are_counted_is_not_the_asking_files(
    tmp_path, small_chunks, no_work_here, in_workers
):
    in_workers("""
from transforms.corpus import neighbors
def patched(data, *args, **how):
    os.kill(os.getpid(), signal.SIGSEGV)
neighbors.decode = patched
""")
    # What the uncertain files would be read as, if it could be counted.
    danish = dict.fromkeys((0, 1, 2), "// Læser næste linje fra filen, prøv igen på et tidspunkt\n".encode("cp1252"))
    uncertain = dict.fromkeys((3, 20), "// ø\n".encode("cp1252"))
    kept, rejected = collected(folder_of(tmp_path, danish | uncertain))
    assert kept == all_but(3, 20)
    assert rejected == dict.fromkeys(("03.py", "20.py"), ("decode", "uncertain_encoding"))


def test_workers_that_can_not_start_are_one_line(tmp_path, small_chunks, no_work_here, in_workers):
    in_workers("print('no such library', file=sys.stderr, flush=True); os._exit(7)")
    line = (
        rf"ended {MAX_FAILED_STARTS} times in a row .*\(exit code 7\).*no such library; --workers 1 does without them"
    )
    with pytest.raises(ConfigError, match=line):
        collected(folder_of(tmp_path, {}))


def test_a_bug_in_a_worker_is_a_bug_of_the_job(tmp_path, small_chunks, no_work_here, in_workers):
    in_workers(DECODE.format(what="1 // 0"))
    with pytest.raises(RuntimeError, match=r"(?s)a worker process failed.*ZeroDivisionError"):
        collected(folder_of(tmp_path, {}))


def test_few_files_start_no_process(tmp_path, monkeypatch):
    monkeypatch.setattr(worker.Worker, "_start", None)
    kept, _ = collected(folder_of(tmp_path, {}), num_workers=8)
    assert kept == all_but()


def test_one_worker_is_this_process(tmp_path, small_chunks, monkeypatch):
    monkeypatch.setattr(worker.Worker, "_start", None)
    kept, _ = collected(folder_of(tmp_path, {}), num_workers=1)
    assert kept == all_but()


def test_workers_end_with_a_driver_that_is_killed(tmp_path, in_workers):
    in_workers("open(os.environ['PIDS'] + '/%d' % os.getpid(), 'w')\n" + DECODE.format(what="time.sleep(600)"))
    pids = tmp_path / "pids"
    pids.mkdir()
    code = (
        "from jobs.collecting.workers import Workers\n"
        "workers = Workers(2)\nworkers.start()\n"
        "while not all(worker.is_ready for worker in workers._workers): workers.wait()\n"
        "print('ready', flush=True)\nimport time\ntime.sleep(600)\n"
    )
    environment = {**os.environ, "PIDS": str(pids)}
    environment["PYTHONPATH"] = os.pathsep.join([os.environ["PYTHONPATH"], str(ROOT)])
    with subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None and driver.stdout.readline() == b"ready\n"
        driver.kill()
    children = [int(path.name) for path in pids.iterdir()]
    assert len(children) == 2
    deadline = time.monotonic() + 60
    while any(is_running(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in children)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_worker_starts_without_storage_beam_and_kernels():
    code = "import sys, jobs.collecting.child; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert "pyarrow" in loaded.split()
    assert not {"jobs.storage", "fsspec", "apache_beam", "pyarrow.compute"} & set(loaded.split())


def test_workers_are_started_before_what_takes_long_is_imported():
    code = "import sys, jobs.corpus, jobs.collecting.collect, jobs.collecting.claim, jobs.execution.processes\n"
    code += "import jobs.plan.input_paths, jobs.ledger.lock; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    assert "jobs.collecting.workers" in loaded.split()
    assert not {"pyarrow", "numpy"} & set(loaded.split())


def test_a_large_folder_has_workers_from_the_start_and_a_small_one_has_none(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(workers.Workers, "start", lambda self: started.append(self))
    folder = folder_of(tmp_path, {})
    for files, num_bytes, is_large in ((31, 1 << 30, False), (30, 1 << 30, True), (99, 100, True)):
        monkeypatch.setattr(collect, "START_FILES", files)
        monkeypatch.setattr(collect, "START_BYTES", num_bytes)
        with Collection([(open_source(str(folder)), "tool")], 2, lambda: here):
            assert bool(started) == is_large
        started.clear()
