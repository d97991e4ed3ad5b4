"""An output folder that can't be made is the user's mistake: one line and exit code 2, in every job that writes one."""

from __future__ import annotations

import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli, storage
from model.errors import ConfigError

BAD = [
    "{file}/out",
    "{file}/out/deeper",
    "{folder}/" + "n" * 300,
    "{folder}/" + "n/" * 3000,
    "/proc/out",
    "{circle}/out",
]


@pytest.fixture
def places(tmp_path) -> dict[str, str]:
    table = pa.table({"content": ["def f(a):\n    return a + 1\n"], "path": ["a.py"]})
    pq.write_table(table, tmp_path / "in.parquet")
    (tmp_path / "a.py").write_text("x = 1\n")
    os.symlink(tmp_path / "circle", tmp_path / "circle")
    return {
        "file": str(tmp_path / "in.parquet"),
        "folder": str(tmp_path),
        "circle": str(tmp_path / "circle"),
        "source": str(tmp_path / "a.py"),
    }


@pytest.mark.parametrize("output", BAD)
@pytest.mark.parametrize("job", ["dedup", "corpus", "index", "filter"])
def test_an_output_that_can_not_be_made_is_one_line(job, output, places, capsys):
    first = [places["source"]] if job == "corpus" else ["--input", places["file"]]
    more = [] if job == "index" else ["--progress", "none"]
    code = cli.main([job, *first, "--output", output.format(**places), *more])
    said = capsys.readouterr().err
    assert (code, said.count("\n")) == (2, 1), said
    assert "choose another --output" in said


def test_a_new_folder_in_a_good_place_is_no_mistake_and_is_not_made(tmp_path):
    for path in (tmp_path / "new" / "deeper", tmp_path):
        storage.check_output_path(str(path))
        storage.check_output_path(f"file://{path}")
    storage.check_output_path("gs://bucket/" + "n" * 5000)
    assert not (tmp_path / "new").exists()


def test_a_name_that_is_not_utf8_is_shown_escaped(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(ConfigError, match=r"\\udcff") as error:
        storage.check_output_path(f"{tmp_path}/a/\udcff")
    assert str(error.value).isprintable()
