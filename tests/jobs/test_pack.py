"""`codemill pack` from corpus to rows: nothing lost, the same however the corpus is cut into files, resumable."""

from __future__ import annotations

import json
import os
import random
import time
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.cli import main
from jobs.driver.runners import runner_for
from jobs.grouping import cutting, reading, runs
from jobs.grouping.reading import GroupSettings
from jobs.grouping.repositories import COLUMNS, group_by_repository
from jobs.grouping.stages import GroupStages
from jobs.ledger.lock import acquire
from jobs.storage.folders import JobFolder
from model.errors import ConfigError
from model.tokenizer import Tokenizer
from tests.transforms.fim.documents import read_fim_document
from transforms.packing.documents import DocumentRecipe
from transforms.packing.parts import UNIT
from transforms.packing.rows import ROW_SCHEMA
from transforms.packing.work import PackWork
from transforms.rows.columns import ColumnOverrides, RowLimits
from transforms.rows.row import content_sha256
from transforms.scanning import ContentFilter
from transforms.work import Unit

LOCALLY = runner_for([]).group


def source(number: int) -> dict[str, str | None]:
    repo = number % 5
    imports = f"import module_{number - 5}\n" if number >= 5 else ""
    body = "".join(f"    total_{line} = first * {number} + {line}\n" for line in range(number % 30))
    content = f"{imports}\n\ndef function_{number}(first):\n{body}    return first\n"
    return {"content": content, "path": f"module_{number}.py", "repo_name": f"org/repo_{repo}", "language": "Python"}


@pytest.fixture
def rows():
    return [source(number) for number in range(60)]


def write_corpus(folder, rows, *, files=2, seed=0):
    rows = random.Random(seed).sample(rows, len(rows))
    folder.mkdir()
    for number in range(files):
        part = rows[number * len(rows) // files : (number + 1) * len(rows) // files]
        pq.write_table(pa.Table.from_pylist(part), folder / f"{number}.parquet", row_group_size=7)
    return str(folder)


def pack(corpus, output, *more, code=0):
    words = ["pack", "--input", corpus, "--output", str(output), "--context_length", "512", "--progress", "none"]
    assert main([*words, *more]) == code


def test_a_dry_run_packs_a_sample_although_nothing_is_grouped(tmp_path, rows, capfd):
    pack(write_corpus(tmp_path / "corpus", rows), tmp_path / "out", "--dry_run")
    told = capfd.readouterr().out
    assert " kept, 0 rejected" in told and "raised" not in told
    assert not (tmp_path / "out").exists()


def packed_here(corpus, job_dir, content_filter=None, workers=0, counts=None):
    """The job's output without the job framework: grouped, then each row group packed. Rows and rejected records."""
    settings = GroupSettings(workers=workers)
    job = JobFolder(str(job_dir))
    grouped = group_by_repository([corpus], job, ColumnOverrides(), spread=LOCALLY, settings=settings)
    work = PackWork(
        tokenizer="embedded",
        recipe=DocumentRecipe(),
        context_length=512,
        context_share=0.25,
        columns=COLUMNS,
        limits=RowLimits(),
        content_filter=content_filter,
    )
    work.open()
    kept, rejected = [], []
    for path in sorted(Path(grouped.folder).glob("*.parquet")):
        for group in range(pq.ParquetFile(path).num_row_groups):
            table = pq.ParquetFile(path).read_row_group(group)
            unit = Unit(
                unit_id="0",
                uri=str(path),
                version="",
                row_group=group,
                row_start=0,
                row_count=table.num_rows,
                num_bytes=table.nbytes,
            )
            result = work.run(unit, table, list(range(table.num_rows)))
            assert result.counts["rows_in"] == table.num_rows
            kept += result.kept.to_pylist()
            rejected += result.rejected.to_pylist()
            if counts is not None:
                counts.update(result.counts)
    work.close()
    return kept, rejected


def packed_rows(output):
    table = pa.concat_tables([pq.read_table(path) for path in sorted((output / "data").glob("*.parquet"))])
    assert table.schema.names == [*ROW_SCHEMA.names, UNIT]
    return table.to_pylist()


def rebuilt(packed):
    tokenizer = Tokenizer.load("embedded")
    pieces = defaultdict(list)
    for row in packed:
        for part in row["parts"]:
            if part["role"] != "file":
                continue
            ids = row["input_ids"][part["token_start"] : part["token_end"]]
            if part["fim_mode"] == "none":
                text = tokenizer.decode(ids[part["path_tokens"] :])
            else:
                read = read_fim_document(tokenizer, ids, prefix_tokens=part["prefix_tokens"])
                text = "".join(map(tokenizer.decode, (read.prefix, read.middle, read.suffix)))
            pieces[part["repo_name"], part["path"], part["content_sha256"]].append((part["start"], text))
    return {key: "".join(text for _, text in sorted(found)) for key, found in pieces.items()}


def test_all_files_of_a_corpus_stand_in_rows_whatever_files_they_came_in(tmp_path, rows):
    one = write_corpus(tmp_path / "one", rows, files=1)
    many = write_corpus(tmp_path / "many", rows, files=9, seed=1)
    pack(one, tmp_path / "a")
    packed = packed_rows(tmp_path / "a")
    assert (packed, []) == packed_here(many, tmp_path / "b")
    assert rebuilt(packed) == {(r["repo_name"], r["path"], content_sha256(r["content"])): r["content"] for r in rows}
    summary = json.loads((tmp_path / "a" / "summary.json").read_text())
    assert (summary["rows"]["kept"], summary["rows"]["rejected"]) == (60, 0)


def test_files_of_a_repository_stand_in_the_order_of_their_imports(tmp_path, rows):
    packed, _ = packed_here(write_corpus(tmp_path / "corpus", rows), tmp_path / "job")
    first: dict[tuple[str, str], int] = {}
    for row in packed:
        for part in row["parts"]:
            first.setdefault((part["repo_name"], part["path"]), len(first))
    for number in range(5, 60):
        repo = f"org/repo_{number % 5}"
        assert first[repo, f"module_{number - 5}.py"] < first[repo, f"module_{number}.py"]


def test_a_packed_row_is_shown_part_by_part(tmp_path, rows, capfd):
    packed, _ = packed_here(write_corpus(tmp_path / "corpus", rows), tmp_path / "job")
    pq.write_table(pa.Table.from_pylist(packed, schema=ROW_SCHEMA), tmp_path / "rows.parquet")
    assert main(["inspect", str(tmp_path / "rows.parquet"), "--rows", "1", "--color", "never"]) == 0
    said = capfd.readouterr().out
    for part in packed[0]["parts"]:
        assert f"- {part['repo_name']} {part['path']} [" in said
    assert "def function_" in said and "segment 1" in said


def test_a_resumed_job_groups_nothing_again_and_refuses_another_input(tmp_path, rows, monkeypatch, capsys):
    corpus = write_corpus(tmp_path / "corpus", rows)
    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("jobs.driver.driver.plan_job", interrupt)  # killed after it had grouped
        pack(corpus, out, code=130)
    assert (out / "_job" / "grouped.json").exists() and not (out / "_job" / "job.json").exists()
    monkeypatch.setattr("jobs.grouping.repositories.read_inputs", None)
    pack(corpus, out)
    monkeypatch.undo()
    assert packed_rows(out) == packed_here(corpus, tmp_path / "whole")[0]
    pack(corpus, out)  # complete: nothing to do
    pack(write_corpus(tmp_path / "other", rows), out, code=2)
    assert "can't change --input" in capsys.readouterr().err


def test_an_output_that_was_moved_is_resumed_where_it_lies_now(tmp_path, rows, monkeypatch):
    corpus = write_corpus(tmp_path / "corpus", rows)
    with monkeypatch.context() as patch:
        patch.setattr("jobs.driver.edition.EditionRun._run_units", interrupt)  # killed when the plan was frozen
        pack(corpus, tmp_path / "here", code=130)
    assert (tmp_path / "here" / "_job" / "job.json").exists()
    (tmp_path / "here").rename(tmp_path / "there")
    pack(corpus, tmp_path / "there")
    assert packed_rows(tmp_path / "there") == packed_here(corpus, tmp_path / "whole")[0]


def interrupt(*arguments):
    raise KeyboardInterrupt


def test_what_goes_in_is_filtered_and_what_was_found_is_counted(tmp_path, rows):
    mail = "jane.roe" + "@" + "corp-mail.org"
    key = "AKIA" + "QYLPMN5HFIQR7XYA"  # assembled here, so that no scanner takes this file for a leak
    rows[7]["content"] += f"AUTHOR = '{mail}'\n"
    rows[9]["content"] += f"aws_access_key_id = '{key}'\n"
    corpus = write_corpus(tmp_path / "corpus", rows)
    plain, _ = packed_here(corpus, tmp_path / "plain")
    filtered, _ = packed_here(corpus, tmp_path / "filtered", ContentFilter("default"))
    texts = "".join(row["text"] for row in filtered)
    assert mail in "".join(row["text"] for row in plain) and mail not in texts and key not in texts
    changed = {p["path"] for row in filtered for p in row["parts"] if p["redacted_sha256"] != p["content_sha256"]}
    assert changed == {"module_7.py", "module_9.py"}
    whole = rebuilt(filtered)
    for row in rows:
        text = whole[row["repo_name"], row["path"], content_sha256(row["content"])]
        hashes = {p["redacted_sha256"] for r in filtered for p in r["parts"] if p["path"] == row["path"]}
        assert hashes == {content_sha256(text)}


def test_bad_rows_are_rejected_with_where_they_came_from(tmp_path, rows):
    bad = [
        {"content": None, "path": "null.py", "repo_name": "org/bad", "language": "Python"},
        {"content": "", "path": "empty.py", "repo_name": "org/bad", "language": "Python"},
        {"content": "x = 1\n", "path": None, "repo_name": "org/bad", "language": "Python"},
    ]
    corpus = write_corpus(tmp_path / "corpus", [*rows, *bad])
    _, rejected = packed_here(corpus, tmp_path / "job")
    paths = {row["reason"]: row["path"] for row in rejected}
    assert paths == {"empty_content": "empty.py", "no_path": None, "null_content": "null.py"}
    for row in rejected:
        assert "/" not in row["uri"], "the maker's folders are published"
        table = pq.ParquetFile(f"{corpus}/{row['uri']}").read_row_group(row["row_group"])
        assert table.column("repo_name")[row["row"]].as_py() == "org/bad"


def test_rows_without_a_repository_and_duplicate_paths_are_packed(tmp_path):
    rows = [
        {"content": f"x = {n}\n" * 3, "path": "same.py", "repo_name": repo, "language": "Python"}
        for n, repo in enumerate([None, None, "org/a", "org/a", "org/A"])
    ]
    packed, _ = packed_here(write_corpus(tmp_path / "corpus", rows), tmp_path / "job")
    assert sorted(rebuilt(packed).values()) == sorted(row["content"] for row in rows)


def shrink(monkeypatch, group_mb=0.002):
    """Gives a small corpus as many hash buckets, runs and row groups as a large one."""
    monkeypatch.setattr(reading, "BUCKET_MB", 0.005)
    monkeypatch.setattr(runs, "RUN_MB", 0.001)
    monkeypatch.setattr(cutting, "GROUP_MB", group_mb)


def grouped_groups(grouped):
    """The row groups of all grouped files, in order."""
    files = [pq.ParquetFile(path) for path in sorted(Path(grouped.folder).glob("*.parquet"))]
    return [file.read_row_group(number).to_pylist() for file in files for number in range(file.num_row_groups)]


def by_repository(grouped):
    """The rows of each repository, in order."""
    found = defaultdict(list)
    for row in chain(*grouped_groups(grouped)):
        found[row["repo_name"]].append(row)
    return found


def test_a_repository_over_all_files_is_one_row_group(tmp_path, rows, monkeypatch):
    shrink(monkeypatch, 0.012)
    corpus = write_corpus(tmp_path / "corpus", rows, files=8)
    grouped = group_by_repository([corpus], JobFolder(str(tmp_path / "job")), ColumnOverrides(), spread=LOCALLY)
    groups = grouped_groups(grouped)
    assert sum(map(len, groups)) == grouped.rows == 60
    found = [{row["repo_name"] for row in group} for group in groups]
    assert len(found) > 1 and sum(map(len, found)) == 5


def test_a_large_repository_is_cut_in_packing_order_where_the_rows_alone_say(tmp_path, monkeypatch):
    shrink(monkeypatch)
    rows = [{**source(number), "repo_name": "org/large"} for number in range(60)]
    rows += [{**source(number), "repo_name": f"org/small_{number}"} for number in range(10)]
    found = []
    for seed in range(3):
        corpus = write_corpus(tmp_path / f"corpus{seed}", rows, files=seed + 1, seed=seed)
        job = JobFolder(str(tmp_path / f"job{seed}"))
        settings = GroupSettings(workers=seed)
        groups = grouped_groups(
            group_by_repository([corpus], job, ColumnOverrides(), spread=LOCALLY, settings=settings)
        )
        found.append([[(row["repo_name"], row["path"]) for row in group] for group in groups])
        large = [row for group in groups for row in group if row["repo_name"] == "org/large"]
        assert [row["position"] for row in large] == list(range(60))
        place = {row["path"]: row["position"] for row in large}
        for row in large:
            number = int(row["path"][7:-3])
            assert row["imports"] == ([place[f"module_{number - 5}.py"]] if number >= 5 else [])
        for group in groups:
            assert len(group) == 1 or sum(len(row["content"]) for row in group) <= 2000
    assert found[0] == found[1] == found[2]
    assert sum(any(name == "org/large" for name, _ in group) for group in found[0]) > 9


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_do_not_depend_on_files_or_workers(tmp_path, rows, monkeypatch, workers):
    shrink(monkeypatch)
    expected, _ = packed_here(write_corpus(tmp_path / "one", rows, files=1), tmp_path / "a")
    cut = write_corpus(tmp_path / "cut", rows, files=7, seed=workers)
    assert packed_here(cut, tmp_path / "b", workers=workers)[0] == expected
    assert rebuilt(expected) == {(r["repo_name"], r["path"], content_sha256(r["content"])): r["content"] for r in rows}


def test_a_repository_in_several_units_is_counted_once(tmp_path, rows, monkeypatch):
    shrink(monkeypatch)
    counts = Counter()
    packed_here(write_corpus(tmp_path / "corpus", rows), tmp_path / "job", counts=counts)
    assert counts["repositories"] == 5


class CrashingStages(GroupStages):
    """Crashes or hangs at one file each."""

    def spool(self, item):
        if any(file.public_name == "1.parquet" and group == 0 for file, group, _ in item.pieces):
            os._exit(3)
        return super().spool(item)

    def facts(self, item):
        if item.path == "module_7.py":
            os._exit(3)
        if item.path == "module_9.py":
            time.sleep(600)
        return super().facts(item)


def test_a_file_whose_imports_crash_or_hang_their_reader_is_ordered_without_them(tmp_path, rows, monkeypatch):
    monkeypatch.setattr("jobs.grouping.on_disk.GroupStages", CrashingStages)
    corpus = write_corpus(tmp_path / "corpus", rows, files=1)
    table = pa.Table.from_pylist([{**source(60), "path": "lost.py"}] * 2)
    pq.write_table(table, tmp_path / "corpus" / "1.parquet", row_group_size=2)  # crashes its reader
    job = JobFolder(str(tmp_path / "job"))
    settings = GroupSettings(workers=1, row_timeout_s=10)  # more than a process takes to start
    grouped = group_by_repository([corpus], job, ColumnOverrides(), spread=LOCALLY, settings=settings)
    imports = {row["path"]: row["imports"] for group in grouped_groups(grouped) for row in group}
    assert [name for name, _ in grouped.bad_files] == ["1.parquet"] and grouped.rows == 60
    assert len(imports) == 60
    alone = {f"module_{number}.py" for number in (0, 1, 2, 3, 4, 7, 9)}
    assert {path for path, found in imports.items() if not found} == alone


def test_a_runner_groups_as_local_disk_does(tmp_path, rows, monkeypatch):
    shrink(monkeypatch)
    corpus = write_corpus(tmp_path / "corpus", rows, files=3)
    (tmp_path / "corpus" / "bad.parquet").write_bytes(b"PAR1 but no more")
    runner = ["--runner", "apache_beam.runners.portability.fn_api_runner.FnApiRunner"]
    for limit in (None, 25):
        on_disk = group_by_repository(
            [corpus], JobFolder(str(tmp_path / f"disk{limit}")), ColumnOverrides(), limit=limit, spread=LOCALLY
        )
        on_runner = group_by_repository(
            [corpus],
            JobFolder(str(tmp_path / f"runner{limit}")),
            ColumnOverrides(),
            limit=limit,
            spread=runner_for(runner).group,
        )
        assert on_runner.rows == on_disk.rows == (limit or 60)
        assert on_runner.bad_files == on_disk.bad_files
        assert by_repository(on_runner) == by_repository(on_disk)
        assert len(list(Path(on_runner.folder).glob("*.parquet"))) > 1


def test_a_damaged_file_does_not_stop_the_others(tmp_path, rows):
    corpus = write_corpus(tmp_path / "corpus", rows)
    (tmp_path / "corpus" / "bad.parquet").write_bytes(b"PAR1 but no more")
    grouped = group_by_repository([corpus], JobFolder(str(tmp_path / "job")), ColumnOverrides(), spread=LOCALLY)
    assert [uri.rsplit("/", 1)[-1] for uri, _ in grouped.bad_files] == ["bad.parquet"]
    assert grouped.rows == 60


@pytest.mark.parametrize("missing", ["repo_name", "path"])
def test_a_missing_column_is_one_clear_line(tmp_path, rows, missing):
    table = [{name: value for name, value in row.items() if name != missing} for row in rows]
    corpus = write_corpus(tmp_path / "corpus", table)
    with pytest.raises(ConfigError, match="column, which grouping by repository needs; name it with --"):
        group_by_repository([corpus], JobFolder(str(tmp_path / "job")), ColumnOverrides(), spread=LOCALLY)


def test_two_drivers_dont_group_for_one_output(tmp_path, rows, capsys):
    corpus, job_dir = write_corpus(tmp_path / "corpus", rows), JobFolder(str(tmp_path / "out" / "_job"))
    with acquire(job_dir):
        assert main(["pack", "--input", corpus, "--output", str(tmp_path / "out")]) == 2
    assert "is being written by" in capsys.readouterr().err
    assert not os.path.exists(job_dir.join("grouped"))


def test_retry_rejected_is_refused(tmp_path, capsys):
    assert main(["pack", "--retry_rejected", "x", "--output", str(tmp_path / "out")]) == 2
    assert "codemill pack does not support --retry_rejected" in capsys.readouterr().err
