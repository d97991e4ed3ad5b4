from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict

from benchmarks.clusters import Result, processor_s, table

FEW, MANY = "filter, few units", "filter, many units"


def results(**changes):
    found = [
        Result("local", FEW, "", 30, 4.0, 5.0, "same"),
        Result("local", MANY, "", 930, 13.0, 14.0, "same"),
        Result("work", FEW, "", 30, 7.0, 6.0, "same"),
        Result("work", MANY, "", 930, 25.0, 15.0, "same"),
        Result("work", MANY, "host", 930, 40.0, 16.0, "same"),
        Result("local", "infill", "", 5, 6.0, 7.0, "of infill"),
        Result("work", "infill", "", 5, 11.0, 14.0, "of infill"),
    ]
    return [asdict(one) | (changes if one.kill else {}) for one in found]


def lines_of(tmp_path, found):
    (file := tmp_path / "results.json").write_text(json.dumps(found))
    return list(table(file))


def test_the_table_gives_what_a_unit_and_a_kill_cost(tmp_path):
    lines = lines_of(tmp_path, results())
    assert lines[0] == "rows equal: True in 7 runs"
    assert "| *ms a unit* | 10.0 | 10.0 | 20.0 | 10.0 |" in lines
    assert "| *SIGKILL of a host* |  |  | +15.0 | +1.0 |" in lines
    assert "| infill (5) | 6.0 | 7.0 | 11.0 | 14.0 |" in lines


def test_one_run_with_other_rows_makes_rows_unequal(tmp_path):
    assert lines_of(tmp_path, results(rows_sha256="another"))[0] == "rows equal: False in 7 runs"


def test_processor_time_holds_that_of_children_that_ended_and_of_servers():
    burn = "import time\nwhile time.process_time() < {}: pass\n"
    before = processor_s([])
    subprocess.run([sys.executable, "-c", burn.format(0.5)], check=True)
    assert processor_s([]) - before >= 0.5
    waiting = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {burn.format(0.5)!r}])\nprint(flush=True)"
    with subprocess.Popen(
        [sys.executable, "-c", f"{waiting}\nsys.stdin.read()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as server:
        assert server.stdout is not None
        server.stdout.readline()
        assert processor_s([server.pid]) - processor_s([]) >= 0.5  # the server's own child
        server.communicate(b"")
