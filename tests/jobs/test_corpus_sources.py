"""Sources that are hostile, damaged, locked or half gone: `codemill corpus` reads the others, and tells."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.collecting.output import AFTER_CLEANING, AFTER_COMPLETED, BEFORE_CLEANING
from jobs.corpus import Options, run
from jobs.storage.failpoints import VARIABLE
from jobs.system.exit_codes import FAILED_UNITS
from tests.transforms.corpus.hostile_archives import hostile

GERMAN = "// Überprüft, ob die Länge größer als das Maximum ist\n"


def rows(output: Path, folder: str = "data") -> list[dict]:
    return [row for path in sorted((output / folder).glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def made(output: Path, *sources: Path, **options) -> int:
    return run(Options(source=tuple(map(str, sources)), output=str(output), progress="none", **options))


def tree(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    return root


def test_no_hostile_archive_loses_another_source(tmp_path, capfd):
    sources = [tree(tmp_path / "first", {"a.py": b"first"})]
    for index, (_, suffix, build, *_) in enumerate(hostile()):
        sources.append(tmp_path / f"h{index}{suffix}")
        sources[-1].write_bytes(build())
    sources.append(tree(tmp_path / "last", {"a.py": b"last"}))
    assert made(tmp_path / "out", *sources) == FAILED_UNITS
    kept = rows(tmp_path / "out")
    assert [row["content"] for row in kept if row["repo_name"] in ("first", "last")] == ["first", "last"]
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["files_seen"] == summary["rows_kept"] + summary["rows_rejected"]
    rejected = rows(tmp_path / "out", "rejected")
    assert {row["reason"] for row in rejected} >= {"corrupt_archive", "corrupt_entry", "unsafe_path", "link"}
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("codemill corpus: not all of the sources could be read: ")
    assert f"{summary['rejected']['corrupt_archive']} corrupt_archive" in line


def test_what_could_not_be_read_is_exit_code_3_also_when_it_is_asked_again(tmp_path, capfd):
    source = tree(tmp_path / "tool", {"a.py": b"a"})
    (source / "gone.py").symlink_to("../blobs/0123")
    assert made(tmp_path / "out", source) == FAILED_UNITS == made(tmp_path / "out", source)
    assert capfd.readouterr().err.count("1 dangling_link") == 2


def test_what_rules_leave_out_is_exit_code_0(tmp_path):
    source = tree(tmp_path / "tool", {"a.py": b"a", "x.bin": b"\0", "large.py": b"x" * 2000})
    (source / "link.py").symlink_to("a.py")
    os.mkfifo(source / "pipe.py")
    assert made(tmp_path / "out", source, max_content_mb=0.001) == 0
    assert len(rows(tmp_path / "out", "rejected")) == 4


def test_a_bare_clone_in_a_folder_is_one_rejected_row_and_its_password_is_nowhere(tmp_path):
    source = tree(tmp_path / "all", {"a.py": b"a", "work/b.py": b"b"})
    for words in (["init", "--quiet"], ["add", "."]):
        subprocess.run(["git", "-C", str(source / "work"), *words], check=True)
    subprocess.run(["git", "clone", "--quiet", "--mirror", str(source / "work"), str(source / "copy")], check=True)
    (source / "copy/config").write_text("[core]\n\tbare = true\n[remote]\n\turl = https://me:canary@git.example.com/\n")
    assert made(tmp_path / "out", source) == FAILED_UNITS
    (rejected,) = rows(tmp_path / "out", "rejected")
    assert (rejected["path"], rejected["reason"]) == ("copy/", "bare_repository")
    assert {row["path"] for row in rows(tmp_path / "out")} == {"a.py", "work/b.py"}


# --- encodings ---------------------------------------------------------------------------------------------


@pytest.fixture
def uncertain(tmp_path) -> Path:
    """Sources with a file that may be Danish in windows-1252 or Czech in windows-1250."""
    danish = {f"da/{n}.c": "// Læser næste linje fra filen, prøv igen på et senere tidspunkt\n" for n in "abc"}
    czech = {f"cs/{n}.c": "// Vrátí délku největšího řetězce, soubor nelze otevřít\n" for n in "abc"}
    files = {name: text.encode("cp1252") for name, text in danish.items()}
    files |= {name: text.encode("cp1250") for name, text in czech.items()}
    return tree(tmp_path / "tool", files | {f"{folder}/x.c": b"// \xf8\n" for folder in ("da", "cs", "other")})


def test_an_uncertain_file_is_read_as_its_neighbors_are_and_refused_without_any(tmp_path, uncertain):
    assert made(tmp_path / "out", uncertain) == 0
    found = {row["path"]: row for row in rows(tmp_path / "out")}
    assert (found["da/x.c"]["content"], found["da/x.c"]["src_encoding_confidence"]) == ("// ø\n", "neighbors")
    assert (found["cs/x.c"]["content"], found["cs/x.c"]["src_encoding"]) == ("// ř\n", "windows-1250")
    (rejected,) = rows(tmp_path / "out", "rejected")
    assert (rejected["path"], rejected["reason"]) == ("other/x.c", "uncertain_encoding")


def test_what_a_file_is_read_as_does_not_depend_on_the_selection(tmp_path, uncertain):
    made(tmp_path / "all", uncertain)
    made(tmp_path / "some", uncertain, include=("*/x.c",))
    some = rows(tmp_path / "some")
    assert some == [row for row in rows(tmp_path / "all") if row["path"].endswith("/x.c")] and len(some) == 2


def test_an_uncertain_file_is_kept_and_marked_where_that_is_asked_for(tmp_path, uncertain):
    assert made(tmp_path / "out", uncertain, keep_uncertain_encoding=True) == 0
    (marked,) = [row for row in rows(tmp_path / "out") if row["src_encoding_confidence"] == "uncertain"]
    assert marked["path"] == "other/x.c"


# --- killed ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", [BEFORE_CLEANING, AFTER_CLEANING, AFTER_COMPLETED])
def test_killed_around_its_end_it_leaves_no_attempt_behind_when_it_is_complete(tmp_path, point):
    source = tree(tmp_path / "tool", {"a.py": GERMAN.encode()})
    output = tmp_path / "out"
    command = [sys.executable, "-m", "jobs", "corpus", str(source), "--output", str(output), "--progress", "none"]
    killed = subprocess.run(command, env={**os.environ, VARIABLE: f"{point}=kill"}, capture_output=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    attempts = output / "_job/attempts"
    is_complete = (output / "COMPLETED").exists()
    assert is_complete == (point == AFTER_COMPLETED)
    assert bool(list(attempts.rglob("*.parquet"))) == (point == BEFORE_CLEANING)
    assert made(output, source) == 0
    assert not [path for path in attempts.rglob("*") if path.is_file()]
    assert [row["content"] for row in rows(output)] == [GERMAN]


def test_attempts_that_an_older_version_left_in_a_complete_corpus_are_taken_away(tmp_path):
    source = tree(tmp_path / "tool", {"a.py": b"a"})
    assert made(tmp_path / "out", source) == 0
    left = tree(tmp_path / "out/_job/attempts/0123", {"kept-00000.parquet": b"left"})
    assert made(tmp_path / "out", source) == 0
    assert not list(left.iterdir())


def test_halves_of_files_that_a_killed_run_was_writing_are_taken_away(tmp_path):
    source = tree(tmp_path / "tool", {"a.py": b"a"})
    assert made(tmp_path / "out", source) == 0
    (tmp_path / "out/COMPLETED").unlink()  # as after a kill
    halves = [f".README.md.{'0' * 32}.tmp", f"data/.train-00000-of-00001.parquet.{'1' * 32}.tmp"]
    halves += [f"_job/.job.json.{'2' * 32}.tmp", f"_job/lock/.000001.json.{'3' * 32}.tmp"]
    tree(tmp_path / "out", dict.fromkeys(halves, b"half"))
    assert made(tmp_path / "out", source) == 0
    assert not [name for name in halves if (tmp_path / "out" / name).exists()]


def told(output: Path) -> dict:
    return json.loads((output / "summary.json").read_text())


def test_a_complete_corpus_tells_new_changed_and_missing_files_by_content(tmp_path, capfd):
    source = tree(tmp_path / "tool", {"a.py": b"a", "b.py": b"b", "c.py": b"c", "image": b"\x00\xff\x00"})
    output = tmp_path / "out"
    assert made(output, source) == 0
    os.utime(source / "a.py", (1, 1))
    assert made(output, source) == 0 and told(output)["exit_codes"] == []
    tree(source, {"b.py": b"other", "new.py": b"n", "also_new": b"\x00\xfe\x00", "image": b"\x00\xfe\xfe"})
    (source / "c.py").unlink()
    capfd.readouterr()
    assert made(output, source) == 4 and told(output)["exit_codes"] == [4]
    err = capfd.readouterr().err
    assert "2 files are new, 2 have changed, 1 is gone since this corpus was made; none of it is in this output" in err
    assert made(output, source, input_frozen=True) == 0 and told(output)["exit_codes"] == []


def test_news_of_an_archive_and_what_cannot_be_read_come_in_order_in_the_summary(tmp_path):
    source = tree(tmp_path / "tool", {"a.py": b"a"})
    (source / "gone.py").symlink_to("../blobs/0123")
    output, opted_out = tmp_path / "out", tmp_path / "list.txt"
    opted_out.write_text("no/where\n")
    lists = {"opt_out": (str(opted_out),)}
    assert made(output, source, **lists) == 3
    (source / "a.py").write_bytes(b"other")
    assert made(output, source, **lists) == 3 and told(output)["exit_codes"] == [3, 4]
    assert made(output, source, **lists, strict_opt_out=True) == 2 and told(output)["exit_codes"] == [2, 3, 4]


def test_files_of_a_source_that_is_opted_out_are_no_news(tmp_path):
    source = tree(tmp_path / "tool", {"a.py": b"a"})
    opted_out = tmp_path / "list.txt"
    opted_out.write_text("acme/tool\n")
    more = {"opt_out": (str(opted_out),), "repo_name": "acme/tool"}
    assert made(tmp_path / "out", source, **more) == 0
    tree(source, {"b.py": b"b"})
    assert made(tmp_path / "out", source, **more) == 0


def test_a_corpus_that_fails_says_so_in_its_summary_and_is_made_again(tmp_path, monkeypatch):
    source = tree(tmp_path / "tool", {"a.py": b"a"})

    def broken(*args):
        raise ValueError

    with monkeypatch.context() as patch, pytest.raises(ValueError):
        patch.setattr("jobs.collecting.output.CorpusFiles.publish", broken)
        made(tmp_path / "out", source)
    assert (told(tmp_path / "out")["state"], told(tmp_path / "out")["exit_codes"]) == ("failed", [1])
    assert made(tmp_path / "out", source) == 0 and told(tmp_path / "out")["state"] == "complete"


def test_a_corpus_without_rows_warns(tmp_path, capfd):
    assert made(tmp_path / "out", tree(tmp_path / "tool", {"image": b"\x00\xff\x00"})) == 0
    assert "warning: 0 of 1 file kept" in capfd.readouterr().err


def test_a_corpus_of_an_earlier_version_whose_summary_has_no_exit_codes_is_complete(tmp_path):
    source = tree(tmp_path / "tool", {"a.py": b"a"})
    assert made(tmp_path / "out", source) == 0
    old = {
        name: value for name, value in told(tmp_path / "out").items() if name not in ("exit_codes", "run_id", "state")
    }
    (tmp_path / "out" / "summary.json").write_text(json.dumps(old))
    copy = tmp_path / "told.json"
    assert made(tmp_path / "out", source, summary=str(copy), metrics=str(tmp_path / "a.prom")) == 0
    assert json.loads(copy.read_text())["exit_codes"] == [] and told(tmp_path / "out") == old
