"""Footers are read in a process that may die of them; the job and the other files go on."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.plan import reader as module
from jobs.plan.footers import answer_of, parse_answer, read_footer
from jobs.plan.inputs import read_inputs
from jobs.plan.reader import FooterReader, open_reader
from model.errors import ConfigError
from transforms.rows.columns import ColumnOverrides

pytestmark = pytest.mark.reading_child
ROOT = Path(__file__).parents[3]


def write(path: Path, rows: int = 3) -> str:
    pq.write_table(pa.table({"content": ["x = 1\n"] * rows, "path": ["a.py"] * rows}), path)
    return str(path)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """The file with some bytes of its footer changed, its length field and the magic word left alone."""
    length = int.from_bytes(data[-8:-4], "little")
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        changed[len(data) - 8 - 1 - rng.randrange(length)] = rng.randrange(256)
    return bytes(changed)


def files(*uris: str) -> list[tuple[str, str]]:
    return [(uri, os.path.basename(uri)) for uri in uris]


def test_what_a_child_says_of_a_file_is_what_reading_it_here_says(tmp_path):
    uris = [write(tmp_path / f"{n}.parquet", n) for n in range(4)]
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 but no more")
    asked = files(*uris, str(tmp_path / "bad.parquet"), str(tmp_path / "gone.parquet"))
    with open_reader() as read:
        assert list(read(asked)) == [read_footer(*file) for file in asked]
        assert list(read(asked)) == [read_footer(*file) for file in asked], "the child serves more than one call"


def test_an_answer_survives_its_way(tmp_path):
    uri = write(tmp_path / "a.parquet")
    assert parse_answer(answer_of(uri, "a.parquet")) == read_footer(uri, "a.parquet")


def test_a_file_that_kills_its_reader_is_bad_and_the_others_are_good(tmp_path, monkeypatch):
    """The killer is any file that a child of this environment finds named so."""
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    uris = [write(tmp_path / f"{'kill' if n in (3, 50) else 'good'}{n:03}.parquet") for n in range(80)]
    with open_reader() as read:
        found = [file for file, _ in read(files(*uris))]
    assert [file.uri for file in found] == uris
    bad = {file.name: (file.reason, file.detail) for file in found if file.state == "bad"}
    said = ("damaged_footer", "reading its footer killed the process that read it (SIGABRT)")
    assert bad == {"kill003.parquet": said, "kill050.parquet": said}


def test_a_file_that_takes_for_ever_is_bad_and_the_others_are_good(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    uris = [write(tmp_path / name) for name in ("a.parquet", "hang.parquet", "z.parquet")]
    reader = FooterReader(timeout_s=5)
    found = [file for file, _ in reader(files(*uris))]
    reader.close()
    assert [(file.state, file.reason) for file in found] == [("good", ""), ("bad", "timeout"), ("good", "")]


# Put before all else in a child: reading a file of such a name aborts, or never ends.
KILLER = """
import os, sys, time
if "jobs.execution.child" in sys.orig_argv:
    import builtins
    import jobs.storage.objects as objects
    opened = objects.open_input
    def open_input(uri):
        if "kill" in os.path.basename(uri):
            os.abort()
        if "hang" in os.path.basename(uri):
            time.sleep(1e6)
        return opened(uri)
    objects.open_input = open_input
    import jobs.storage
    jobs.storage.open_input = open_input
"""


# Put before all else in a child: the first so many end before they can start, or at their first file.
ACCIDENT = """
import os, signal, sys
if "jobs.execution.child" in sys.orig_argv:
    with open(os.environ["CHILDREN"], "a") as log:
        log.write("x")
    if os.path.getsize(os.environ["CHILDREN"]) <= int(os.environ["DIE"]):
        if os.environ["WHEN"] == "start":
            print("ImportError: libmissing.so", file=sys.stderr, flush=True)
            os._exit(1)
        import jobs.storage as storage
        storage.open_input = lambda uri: os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("when", "die"), [("start", 2), ("file", 1), ("file", 3)])
def test_a_child_that_dies_by_accident_makes_no_file_bad(tmp_path, monkeypatch, when, die):
    (tmp_path / "sitecustomize.py").write_text(ACCIDENT)
    for name, value in {"PYTHONPATH": tmp_path, "CHILDREN": tmp_path / "children", "DIE": die, "WHEN": when}.items():
        monkeypatch.setenv(name, str(value))
    uris = [write(tmp_path / f"{n:02}.parquet") for n in range(20)]
    with open_reader() as read:
        assert [file.state for file, _ in read(files(*uris))] == ["good"] * 20


def test_a_child_that_can_not_start_is_one_line_with_what_it_printed(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(ACCIDENT)
    for name, value in {"PYTHONPATH": tmp_path, "CHILDREN": tmp_path / "children", "DIE": 99, "WHEN": "start"}.items():
        monkeypatch.setenv(name, str(value))
    said = r"ended 3 times in a row before it could start \(exit code 1\).*ImportError: libmissing.so"
    with open_reader() as read, pytest.raises(ConfigError, match=said):
        list(read(files(write(tmp_path / "a.parquet"))))


def test_many_more_files_than_are_asked_for_at_once_come_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_LINES_SENT", 3)
    monkeypatch.setattr(module, "_LOCAL_FILES_A_LINE", 7)
    uris = [write(tmp_path / f"{n:03}.parquet", n % 5) for n in range(60)]
    with open_reader() as read:
        assert [file.rows for file, _ in read(files(*uris))] == [n % 5 for n in range(60)]


def test_randomly_damaged_footers_end_no_process_and_each_bad_one_is_named(tmp_path):
    rng = random.Random(0)
    data = Path(write(tmp_path / "whole.parquet", 200)).read_bytes()
    uris = []
    for number in range(300):
        path = tmp_path / f"{number:04}.parquet"
        path.write_bytes(damaged(data, rng))
        uris.append(str(path))
    with open_reader() as read:
        found = [file for file, _ in read(files(*uris))]
    assert [file.uri for file in found] == uris
    assert all(file.reason and file.detail for file in found if file.state == "bad")
    assert sum(file.state == "bad" for file in found) > 30


def test_a_storage_that_does_not_answer_is_one_line_and_no_bad_file(monkeypatch):
    monkeypatch.setattr("jobs.plan.footers.read_footer", refuse)
    answer = answer_of("gs://bucket/a.parquet", "a.parquet")
    with pytest.raises(ConfigError, match="the storage does not respond"):
        parse_answer(answer)


def refuse(uri: str, name: str) -> None:
    raise ConnectionError("no route")


def test_the_child_that_read_is_handed_on_once(tmp_path):
    reader = FooterReader()
    list(reader(files(write(tmp_path / "a.parquet"))))
    child = reader.take_child()
    assert child is not None and reader.take_child() is None
    assert len(list(reader(files(write(tmp_path / "b.parquet"))))) == 1, "another is started when it is needed"
    child.close()
    reader.close()


def test_inputs_are_read_in_a_child_by_default(tmp_path):
    inputs = read_inputs([write(tmp_path / "a.parquet")], ColumnOverrides())
    assert inputs.files[0].rows == 3


def test_the_job_ends_with_the_bad_file_named_where_a_footer_kills(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    (tmp_path / "in").mkdir()
    for name in ("a.parquet", "kill.parquet"):
        write(tmp_path / "in" / name)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.jobs.uppercase",
            "--input",
            str(tmp_path / "in"),
            "--output",
            str(tmp_path / "out"),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 3, done.stderr
    assert "kill.parquet: damaged_footer: reading its footer killed the process that read it (SIGABRT)" in done.stderr
    assert not {"Traceback", "Fatal", "WARNING"} & set(done.stderr.replace(":", " ").split()), done.stderr
    assert pq.read_table(tmp_path / "out" / "data").num_rows == 3


def test_the_reading_child_starts_without_http_client_beam_and_kernels():
    code = "import sys, jobs.execution.child; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    loaded = set(done.stdout.split())
    assert "pyarrow.parquet" in loaded
    assert not {"aiohttp", "http.client", "apache_beam", "pyarrow.compute"} & loaded
