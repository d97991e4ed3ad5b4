"""A dataset grows by what is new in its input, edition by edition; what it has stays as it is."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from jobs.finalize.notice import read_notice, write_notice
from jobs.forgetting.families import family
from jobs.storage.folders import OutputFolder
from tests.jobs import uppercase
from transforms.corpus.notice import Notice


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)
    monkeypatch.setattr("jobs.driver.runners.LocalRunner.read_footers", lambda self, files: uppercase.read_here(files))
    monkeypatch.setattr("jobs.driver.runners.LocalRunner.prepare", lambda self, orders: None)


def write(path: Path, *files: str, **more: list) -> None:
    """A corpus file of `repository:path=content` each; content of one word becomes a function of that name."""
    repositories, paths, contents = zip(*(_parts(one) for one in files), strict=True)
    columns = {"content": list(contents), "path": list(paths), "repo_name": list(repositories), **more}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=2)


def _parts(text: str) -> tuple[str, str, str]:
    where, _, content = text.partition("=")
    repository, _, path = where.rpartition(":")
    return repository or "own/repo", path, f"def {content}(a):\n    return a\n" * 9


def run(folder: Path, *more: str, output: str = "out") -> int:
    argv = ["filter", "--policy", "none", "--no-decontaminate", "--input", str(folder / "in")]
    return cli.main([*argv, "--output", str(folder / output), "--progress", "none", *more])


def rows(folder: Path, output: str = "out") -> Counter:
    """The rows of a dataset, without what tells when and from which file they were made."""
    found: Counter = Counter()
    for path in sorted((folder / output / "data").glob("train-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            word = row["content"].split("(")[0].removeprefix("def ")
            found[f"{row['repo_name']}:{row['path']}={word}"] += 1
    return found


def summary(folder: Path, output: str = "out") -> dict:
    return json.loads((folder / output / "summary.json").read_text())


def of(*files: str) -> Counter:
    return Counter(one if ":" in one.partition("=")[0] else f"own/repo:{one}" for one in files)


@pytest.fixture
def folder(tmp_path) -> Path:
    write(tmp_path / "in" / "a.parquet", "x.py=one", "y.py=two", "z.py=three")
    write(tmp_path / "in" / "b.parquet", "v.py=four")
    return tmp_path


def test_a_new_file_is_a_further_edition_and_earlier_shards_stay_as_they_are(folder):
    assert run(folder, "--grow") == 0
    before = {path: path.read_bytes() for path in (folder / "out" / "data").iterdir()}
    write(folder / "in" / "c.parquet", "w.py=five")
    assert run(folder) == 4
    assert run(folder, "--grow") == 0
    assert rows(folder) == of("x.py=one", "y.py=two", "z.py=three", "v.py=four", "w.py=five")
    assert before == {path: path.read_bytes() for path in before}
    assert (folder / "out" / "data" / "train-e0002-00000-of-00001.parquet").exists()
    assert run(folder) == run(folder, "--grow") == 0
    assert summary(folder)["rows"] == {
        "planned": 5, "kept": 5, "rejected": 0, "in_failed_units": 0, "output": 5, "removed": 0
    }  # fmt: skip


def grown(folder: Path, *more: str) -> dict:
    """Grows the dataset; returns what its last edition says."""
    assert run(folder, "--grow", *more) == 0
    ledger = summary(folder)["rows"]
    assert ledger["planned"] == sum(
        ledger[name] for name in ("kept", "rejected", "in_failed_units") if name in ledger
    ) + ledger.get("removed", 0)
    assert ledger["output"] == sum(rows(folder).values()) == summary(folder)["shards"]["data"]["rows"]
    return summary(folder).get("editions", [{}])[-1]


def test_a_changed_row_replaces_the_earlier_one_and_the_others_are_not_made_again(folder):
    grown(folder)
    write(folder / "in" / "a.parquet", "x.py=one", "y.py=other", "z.py=three")
    told = grown(folder)
    assert (told["rows_new"], told["rows_known"], told["rows_replaced"]) == (1, 2, 1)
    assert rows(folder) == of("x.py=one", "y.py=other", "z.py=three", "v.py=four")
    assert summary(folder)["rows"]["removed"] == 1


def test_files_that_were_merged_anew_have_nothing_new(folder):
    grown(folder)
    before = {path: path.read_bytes() for path in (folder / "out" / "data").iterdir()}
    for name in "ab":
        (folder / "in" / f"{name}.parquet").unlink()
    write(folder / "in" / "all.parquet", "v.py=four", "z.py=three", "y.py=two", "x.py=one")
    told = grown(folder)
    assert (told["rows_new"], told["rows_known"], told["rows_gone"]) == (0, 4, 0)
    assert before == {path: path.read_bytes() for path in (folder / "out" / "data").iterdir()}
    assert grown(folder, "--drop_gone")["edition"] == 2  # the rows are in the merged file: nothing is gone


def test_the_report_is_about_the_rows_of_all_editions(folder):
    grown(folder)
    write(folder / "in" / "a.parquet", "x.py=one", "y.js=other", "z.py=three")
    grown(folder)
    report = (folder / "out" / "report.html").read_text()
    assert "Of all 5 rows." in report and all(f">{name}<" in report for name in ("JavaScript", "Python"))


def test_rows_of_files_that_are_gone_stay_unless_drop_gone_is_given(folder):
    grown(folder)
    (folder / "in" / "b.parquet").unlink()
    told = grown(folder)
    assert (told["files_gone"], told["rows_gone"]) == (1, 0)
    assert rows(folder)["own/repo:v.py=four"] == 1
    assert run(folder) == 0  # and it isn't told each night
    told = grown(folder, "--drop_gone")
    assert (told["edition"], told["rows_gone"]) == (3, 1)
    assert rows(folder) == of("x.py=one", "y.py=two", "z.py=three")


def test_a_row_that_is_gone_for_a_night_is_not_made_again(folder):
    grown(folder)
    (folder / "in" / "b.parquet").unlink()
    grown(folder)
    write(folder / "in" / "back.parquet", "v.py=four")
    told = grown(folder)
    assert (told["rows_new"], told["rows_known"]) == (0, 1)
    assert rows(folder)["own/repo:v.py=four"] == 1


def test_a_corpus_that_has_a_row_twice_has_it_twice_in_the_dataset(folder):
    grown(folder)
    write(folder / "in" / "c.parquet", "x.py=one", "x.py=one")
    grown(folder)
    assert run(folder, output="at_once") == 0
    assert rows(folder) == rows(folder, "at_once")
    assert rows(folder)["own/repo:x.py=one"] == 3


def test_rows_of_a_repository_that_opts_out_leave_the_newest_edition(folder):
    write(folder / "in" / "c.parquet", "bad/one:p.py=five", "good/one:q.py=six")
    grown(folder)
    (folder / "list").write_text("bad\n")
    assert run(folder, "--opt_out", str(folder / "list")) == 2  # without --grow it is another job
    write(folder / "in" / "d.parquet", "bad/two:r.py=seven")
    told = grown(folder, "--opt_out", str(folder / "list"))
    assert (told["rows_opted_out"], told["rows_new"]) == (1, 1)
    assert not any(row.startswith("bad/") for row in rows(folder))
    assert rows(folder)["good/one:q.py=six"] == 1
    assert run(folder, "--opt_out", str(folder / "list")) == 0
    write(folder / "in" / "e.parquet", "good/one:s.py=eight")
    grown(folder, "--opt_out", str(folder / "list"), "--strict_opt_out")  # the entry has matched rows in an edition


def test_an_earlier_edition_can_be_read_by_its_manifest(folder):
    grown(folder)
    first = rows(folder)
    write(folder / "in" / "a.parquet", "x.py=changed")
    grown(folder, "--drop_gone")
    write(folder / "in" / "b.parquet", "v.py=changed")
    grown(folder)
    for edition, wanted in ((1, first), (2, of("x.py=changed", "v.py=four")), (3, of("x.py=changed", "v.py=changed"))):
        manifest = json.loads((folder / "out" / "_editions" / f"{edition:04d}" / "manifest.json").read_text())
        found: Counter = Counter()
        for path, size in manifest["files"].items():
            assert (folder / "out" / path).stat().st_size == size
            if path.rpartition("/")[2].startswith("train-"):
                found.update(row["path"] for row in pq.read_table(folder / "out" / path).to_pylist())
        assert found == Counter(row.partition("=")[0].rpartition(":")[2] for row in wanted.elements())
    newest = json.loads((folder / "out" / "_editions" / "0003" / "manifest.json").read_text())["files"]
    there = {f"{name}/{path.name}" for name in ("data", "rejected") for path in (folder / "out" / name).glob("*")}
    assert set(newest) == there


def test_an_edition_that_was_dropped_stays_dropped_when_the_newest_is_published_again(folder):
    grown(folder)
    write(folder / "in" / "a.parquet", "x.py=changed")
    grown(folder, "--drop_gone")
    assert cli.main(["retain", str(folder / "out"), "--editions", "1"]) == 0
    assert run(folder, "--grow", "--drop_gone", "--shard_mb", "7") == 0
    editions = folder / "out" / "_editions"
    assert [path.relative_to(editions).as_posix() for path in editions.rglob("*.json")] == ["0002/manifest.json"]
    assert rows(folder) == of("x.py=changed", "v.py=four")


def test_what_a_later_edition_was_made_of_is_found_by_a_cascade_too(folder, capsys):
    grown(folder)
    write(folder / "other" / "in" / "c.parquet", "bad/one:p.py=five", "w.py=six")
    assert run(folder / "other", "--grow") == 0
    grown(folder, "--input", str(folder / "in"), str(folder / "other" / "out"))
    grown(folder)  # without it again: its rows stay
    assert rows(folder)["bad/one:p.py=five"] == 1
    assert family(str(folder / "other" / "out"), [str(folder / "out")]) == [str(folder / "out")]
    assert cli.main(["forget", str(folder / "other" / "out"), "--path", "p.py", "--cascade", str(folder / "out")]) == 0
    assert f"{folder / 'out'}: removed 1 row" in capsys.readouterr().err
    for output in (folder / "out", folder / "other" / "out"):
        shards = [repr(pq.read_table(path).to_pylist()) for path in output.rglob("*.parquet")]
        assert any("six" in shard for shard in shards) and not any("five" in shard for shard in shards)


def test_rows_that_are_forgotten_in_the_input_leave_the_next_edition(folder):
    write(folder / "other" / "in" / "c.parquet", "p.py=five", "w.py=six")
    write(folder / "other" / "in" / "d.parquet", "v.py=four")
    assert run(folder / "other") == 0
    inputs = ("--input", str(folder / "in"), str(folder / "other" / "out"))
    for number in range(2):
        grown(folder, *inputs)
        write(folder / "in" / f"{number}.parquet", f"n{number}.py=more")
    assert rows(folder)["own/repo:p.py=five"] == 1
    assert cli.main(["forget", str(folder / "other" / "out"), "--path", "p.py"]) == 0
    assert grown(folder, *inputs, "--drop_gone")["rows_gone"] == 1
    assert rows(folder)["own/repo:p.py=five"] == 0 and rows(folder)["own/repo:w.py=six"] == 1
    assert cli.main(["retain", str(folder / "out"), "--editions", "1"]) == 0
    shards = [repr(pq.read_table(path).to_pylist()) for path in (folder / "out").rglob("*.parquet")]
    assert any("six" in shard for shard in shards) and not any("five" in shard for shard in shards)


def test_rows_of_a_dataset_that_left_the_input_keep_its_notice_and_models(folder):
    grown(folder)
    write(folder / "other" / "in" / "c.parquet", "bad/one:p.py=five", "bad/one:w.py=six")
    assert run(folder / "other") == 0
    other, notice = OutputFolder(str(folder / "other" / "out")), Notice()
    notice.of("bad/one").note(["MIT"], ["Copyright 2020 One"])
    write_notice(other, notice)
    models = [{"name": "writer", "checkpoint_sha256": "0" * 64}]
    told = json.loads((folder / "other" / "out" / "summary.json").read_text())
    (folder / "other" / "out" / "summary.json").write_text(json.dumps({**told, "models": models}))
    grown(folder, "--input", str(folder / "in"), other.path)
    for more in ([], ["--shard_mb", "7"]):  # the second time it is published again
        assert run(folder, "--grow", *more) == 0
        found = read_notice(OutputFolder(str(folder / "out")))
        assert found is not None and list(found.repositories) == ["bad/one"]
        assert list(found.of("bad/one").copyright_lines) == ["Copyright 2020 One"] and found.of("bad/one").rows == 2
        assert summary(folder)["models"] == models
        assert {source["name"] for source in summary(folder)["sources"]} == {"in", "out"}


def test_a_lost_shard_of_an_earlier_edition_leaves_the_dataset_marked_as_complete(folder, capsys):
    grown(folder)
    write(folder / "in" / "c.parquet", "w.py=five")
    grown(folder)
    (shard := folder / "out" / "data" / "train-00000-of-00001.parquet").rename(folder / "kept")
    assert run(folder, "--grow") == 2
    assert "of whose rows there is no other copy; restore it" in capsys.readouterr().err
    assert (folder / "out" / "COMPLETED").exists()
    (folder / "kept").rename(shard)
    assert run(folder, "--grow") == 0


def test_a_lost_shard_that_was_written_again_is_made_of_the_earlier_one(folder):
    grown(folder)
    write(folder / "in" / "a.parquet", "x.py=changed")
    grown(folder, "--drop_gone")
    before = rows(folder)
    (shard,) = (folder / "out" / "data").glob("*-r0002.parquet")
    shard.unlink()
    assert run(folder, "--grow", "--drop_gone") == 0
    assert rows(folder) == before and shard.exists()


def test_options_that_change_rows_are_refused_with_the_list(folder, capsys):
    grown(folder)
    write(folder / "in" / "c.parquet", "w.py=five")
    assert run(folder, "--grow", "--seed", "3", "--drop_vendored") == 2
    told = capsys.readouterr().err
    assert "--drop_vendored was False, is now True; --seed was 0, is now 3" in told
    assert run(folder, "--grow", "--limit", "3") == 2
    assert "--grow takes in all of the input; remove --limit" in capsys.readouterr().err
    assert run(folder, "--drop_gone") == 2
    assert not (folder / "out" / "_editions").exists()


def test_a_column_of_another_type_is_refused_before_anything_is_written(folder, capsys):
    write(folder / "in" / "b.parquet", "v.py=four", stars=[1])
    grown(folder)
    write(folder / "in" / "c.parquet", "w.py=five", stars=["many"])
    assert run(folder, "--grow") == 2
    assert "c.parquet can't be taken in: column stars: " in capsys.readouterr().err
    assert not (folder / "out" / "_job" / "editions").exists()
    assert json.loads((folder / "out" / "COMPLETED").read_text())["edition"] == 1


def test_a_new_column_is_null_in_the_rows_that_were_there(folder):
    grown(folder)
    write(folder / "in" / "c.parquet", "w.py=five", stars=[5])
    grown(folder)
    table = pa.concat_tables(pq.read_table(path) for path in (folder / "out" / "data").glob("*.parquet"))
    assert sorted(table["stars"].to_pylist(), key=str) == [5, None, None, None, None]
    assert rows(folder)["own/repo:x.py=one"] == 1


def test_a_file_whose_name_is_taken_gets_a_longer_one_and_names_stay(folder):
    grown(folder)
    write(folder / "in" / "sub" / "a.parquet", "w.py=five")
    grown(folder)
    names = {
        row["lineage"]["source_uri"]
        for path in (folder / "out" / "data").glob("*.parquet")
        for row in pq.read_table(path).to_pylist()
    }
    assert names == {"a.parquet", "b.parquet", "sub/a.parquet"}


def test_a_file_that_can_not_be_read_fails_alone_and_is_taken_in_once_it_is_mended(folder):
    grown(folder)
    (folder / "in" / "c.parquet").write_bytes(b"PAR1 is not enough of a file")
    assert run(folder, "--grow") == 3
    assert sum(rows(folder).values()) == 4
    write(folder / "in" / "c.parquet", "w.py=five")
    assert run(folder, "--grow") == 0
    assert rows(folder)["own/repo:w.py=five"] == 1


def test_an_output_of_an_earlier_version_is_refused_in_one_line(folder, capsys):
    grown(folder)
    for path in (folder / "out" / "_job" / "rows").iterdir():
        path.unlink()
    write(folder / "in" / "c.parquet", "w.py=five")
    assert run(folder, "--grow") == 2
    assert "can't grow: nothing says which rows it was made of" in capsys.readouterr().err


def test_a_forgotten_row_that_is_replaced_has_left_once(folder):
    """Its shard was written without it, and `removed` counts it."""
    grown(folder)
    assert cli.main(["forget", str(folder / "out"), "--path", "y.py"]) == 0
    write(folder / "in" / "a.parquet", "x.py=other", "y.py=again", "z.py=three")
    assert run(folder, "--grow") == 0
    ledger = summary(folder)["rows"]
    assert (ledger["kept"] + ledger["removed"], ledger["planned"]) == (6, 6)


def test_a_dry_run_tells_what_would_be_taken_in_and_writes_nothing(folder, capsys):
    grown(folder)
    write(folder / "in" / "a.parquet", "x.py=one", "y.py=other")
    assert run(folder, "--grow", "--drop_gone", "--dry_run") == 0
    assert "edition 2: rows: 1 new, 1 known from other files, 1 replaced, 1 gone" in capsys.readouterr().err
    assert not (folder / "out" / "_job" / "editions").exists()


@pytest.mark.parametrize("reader", ["datasets", "duckdb", "polars"])
def test_other_readers_load_a_dataset_that_grew(folder, reader):
    module = pytest.importorskip(reader)
    write(folder / "in" / "b.parquet", "v.py=four", stars=[1])
    grown(folder)
    write(folder / "in" / "c.parquet", "w.py=five", forks=[5])
    grown(folder)
    files = str(folder / "out" / "data" / "train-*.parquet")
    if reader == "datasets":
        found = module.load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder / "cache"))
        assert sorted(found["path"]) == ["v.py", "w.py", "x.py", "y.py", "z.py"]
    elif reader == "duckdb":
        assert module.sql(f"SELECT count(*) FROM '{files}' WHERE forks = 5").fetchall() == [(1,)]
    else:
        assert module.read_parquet(files).height == 5
