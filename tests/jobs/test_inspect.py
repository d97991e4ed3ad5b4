from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.cli import main
from jobs.inspect import Options, run
from jobs.storage.folders import JobFolder
from jobs.terminal.escapes import visible
from jobs.terminal.inspecting import print_rows
from model.errors import ConfigError
from transforms.rows.rejections import REJECTED_SCHEMA

ROOT = Path(__file__).parents[2]

FIM_ROW = {
    "repo_name": "tool",
    "path": "lib/[red]x.py",
    "prefix": "import os\n\n\ndef area(a, b):\n\treturn ",
    "generated_middle": "a + b",
    "original_middle": "a * b",
    "suffix": "  # metres\n\n\ndef next():\n    pass\n",
    "span_kind": "single_line",
    "fim_mode": "psm",
    "checks": {"parses": True, "exact_match": False, "edit_similarity": 0.6, "unchecked": None},
}


@pytest.fixture(autouse=True)
def plain_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def dataset(folder: Path, rows: list[dict], name: str = "data/train-00000-of-00001.parquet", **how) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path, **how)
    return folder


def shown(capsys, path: Path, **options) -> str:
    assert print_rows(Options(path=str(path), **options)) == 0
    return "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())


def test_a_generated_middle_is_a_diff_in_its_place(tmp_path, capsys):
    lines = shown(capsys, dataset(tmp_path, [FIM_ROW])).splitlines()
    assert lines[0].startswith("row 0  tool lib/[red]x.py ---")
    assert lines[1] == "single_line  psm"
    assert lines[2:12] == [
        "  import os",
        "",
        "",
        "  def area(a, b):",
        "-     return a * b  # metres",
        "+     return a + b  # metres",
        "",
        "",
        "  def next():",
        "      pass",
    ]
    assert lines[12] == "ok parses  NO exact_match  edit_similarity 0.60"
    assert lines[-1] == "1 of 1 rows in 1 file"


def test_a_middle_of_several_lines_is_marked_at_each(tmp_path, capsys):
    row = FIM_ROW | {"prefix": "def f():\n", "generated_middle": "    a\n    b\n", "suffix": "# end\n"}
    lines = shown(capsys, dataset(tmp_path, [row | {"original_middle": "    c\n"}])).splitlines()
    assert lines[2:7] == ["  def f():", "-     c", "+     a", "+     b", "  # end"]


def test_an_exact_match_is_not_shown_twice(tmp_path, capsys):
    text = shown(capsys, dataset(tmp_path, [FIM_ROW | {"original_middle": "a + b"}]))
    assert "  identical to the original" in text and "\n-" not in text


def test_context_is_cut_to_the_lines_asked_for(tmp_path, capsys):
    text = shown(capsys, dataset(tmp_path, [FIM_ROW]), context_lines=1)
    assert "def area" not in text and "return a + b" in text and "def next" not in text


def test_a_narrow_terminal_folds_lines_and_loses_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "24")
    row = FIM_ROW | {"generated_middle": "alpha + beta + gamma + delta + epsilon"}
    text = shown(capsys, dataset(tmp_path, [row]))
    assert max(map(len, text.splitlines())) <= 24
    assert all(word in text for word in ("alpha", "beta", "gamma", "delta", "epsilon"))


def test_colour_comes_only_when_it_is_asked_for_or_there_is_a_terminal(tmp_path, capsys):
    assert "\x1b" not in shown(capsys, dataset(tmp_path, [FIM_ROW]))
    assert "\x1b[" in shown(capsys, tmp_path, color="always")


def test_escapes_in_rows_never_reach_the_terminal(tmp_path, capsys):
    evil = "\x1b]0;owned\x07\x9b31m\u202e"
    row = {name: evil if isinstance(value, str) else value for name, value in FIM_ROW.items()}
    for case in (row, {evil: evil, "path": evil}):
        text = shown(capsys, dataset(tmp_path, [case]))
        assert not set(text) & set(evil[:1] + "\x07\x9b\u202e")
        assert "\\x1b]0;owned" in text


@given(st.text())
def test_what_is_visible_holds_no_control_but_tab_and_newline(text):
    assert all(char in "\t\n" or not (ord(char) < 32 or 127 <= ord(char) < 160) for char in visible(text))


def test_any_other_parquet_is_shown_column_by_column(tmp_path, capsys):
    rows = [{"path": "a.py", "content": "\n".join(map(str, range(20))), "deep": {"x": None, "y": [1, 2]}}]
    text = shown(capsys, dataset(tmp_path, rows), context_lines=3)
    for expected in ("content 0", "(17 more lines)", "deep.x  null", "deep.y  [1, 2]"):
        assert expected in text


def test_rows_are_numbered_through_files_and_row_groups(tmp_path, capsys):
    dataset(tmp_path, [{"path": f"{i}.py"} for i in range(5)], "data/train-00000-of-00002.parquet", row_group_size=2)
    dataset(tmp_path, [{"path": f"{i}.py"} for i in range(5, 8)], "data/train-00001-of-00002.parquet")
    text = shown(capsys, tmp_path, start=3, rows=3)
    assert [line.split(" -")[0] for line in text.splitlines() if line.startswith("row ")] == [
        "row 3  3.py",
        "row 4  4.py",
        "row 5  5.py",
    ]
    assert "3 of 8 rows in 2 files" in text


def test_a_seed_draws_the_same_rows_each_time(tmp_path, capsys):
    dataset(tmp_path, [{"path": f"{i}.py"} for i in range(50)])
    first, again, other = (shown(capsys, tmp_path, seed=seed, rows=4) for seed in (1, 1, 2))
    assert first == again != other and first.count("row ") == 4


def test_what_was_rejected_is_counted_by_reason(tmp_path, capsys):
    base = {"kind": "row", "uri": "in.parquet", "row_group": 0, "stage": "read", "detail": "no UTF-8"}
    rows = [base | {"row": i, "reason": "not_utf8", "path": f"{i}.py"} for i in range(3)]
    rows.append(base | {"row": 7, "reason": "null_content", "path": None})
    path = tmp_path / "rejected/rejected-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=REJECTED_SCHEMA), path)
    text = shown(capsys, tmp_path, rejected=True)
    assert "row   read   not_utf8      3" in text and "row   read   null_content  1" in text
    assert "read/not_utf8  0.py  no UTF-8" in text
    assert "read/null_content  in.parquet group 0 row 7  no UTF-8" in text


def test_a_rejected_target_is_shown_with_its_place_in_the_source_and_its_answer(tmp_path, capsys):
    content = "import os\n\n\ndef area(w, h):\n    return w * h\n"
    pq.write_table(pa.table({"content": ["x", content]}), tmp_path / "in.parquet")
    base = {"kind": "target", "uri": str(tmp_path / "in.parquet"), "row_group": 0, "row": 1, "stage": "judge"}
    base |= {"content_sha256": hashlib.sha256(content.encode()).hexdigest(), "path": "a.py", "detail": "why"}
    rows = [
        base | {"reason": "cut_off", "target": "function:area:12", "answer": "Gives the\narea of the"},
        base | {"reason": "does_not_parse", "target": "single_line:32:40", "answer": None},
        base | {"reason": "changed", "target": "function:area:12", "content_sha256": "another", "answer": None},
    ]
    path = tmp_path / "rejected/rejected-00000-of-00001.parquet"
    path.parent.mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=REJECTED_SCHEMA), path)
    text = shown(capsys, tmp_path, rejected=True, reason="cut_off")
    assert "  def area(w, h):\n      return w * h\n+ Gives the\n+ area of the\n" in text
    assert "does_not_parse  a.py" not in text
    assert "      return w * h\n" in shown(capsys, tmp_path, rejected=True, reason="does_not_parse")
    assert "return w" not in shown(capsys, tmp_path, rejected=True, reason="changed"), "the source is another by now"
    with pytest.raises(ConfigError, match="reasons are changed, cut_off, does_not_parse"):
        print_rows(Options(path=str(tmp_path), rejected=True, reason="nonsense"))
    with pytest.raises(ConfigError, match="selects among rejected records; add --rejected"):
        run(Options(path=str(tmp_path), reason="cut_off"))


def test_a_job_that_is_not_finished_shows_what_is_committed(tmp_path, capsys):
    from jobs.ledger.commits import commit_unit, new_attempt_id
    from transforms.work import Unit, UnitResult

    unit = Unit(unit_id="000000-a", uri="u", version="v", row_group=0, row_start=0, row_count=1, num_bytes=1)
    result = UnitResult(kept=pa.Table.from_pylist([FIM_ROW]), rejected=REJECTED_SCHEMA.empty_table())
    commit_unit(JobFolder(str(tmp_path / "_job")), unit, new_attempt_id(), result, config_hash="h")
    assert "return a + b" in shown(capsys, tmp_path)


def test_a_file_a_folder_and_a_glob_are_understood(tmp_path, capsys):
    dataset(tmp_path, [{"path": "a.py"}], "x.parquet")
    for path in (tmp_path, tmp_path / "x.parquet", tmp_path / "*.parquet"):
        assert "a.py" in shown(capsys, path)


def test_what_cannot_be_shown_is_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"no rows at .*nowhere; pass a job's output"):
        print_rows(Options(path=str(tmp_path / "nowhere")))
    (tmp_path / "bad.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(ConfigError, match=r"bad\.parquet can't be read as a Parquet file"):
        print_rows(Options(path=str(tmp_path / "bad.parquet")))


def lines_of(row, capsys, tmp_path):
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "rows.parquet")
    print_rows(Options(path=str(tmp_path / "rows.parquet"), color="never", context_lines=2))
    return capsys.readouterr().out.splitlines()


def test_documentation_is_shown_as_a_diff_of_its_definition(capsys, tmp_path):
    lines = lines_of(
        {
            "path": "a.py",
            "symbol_kind": "function",
            "symbol_name": "area",
            "code": "def area(w):\n    return w\n",
            "code_documented": 'def area(w):\n    """Give it."""\n    return w\n',
            "original_documentation": '"""Old."""',
            "checks": {"code_unchanged": True, "raises_agree": None},
        },
        capsys,
        tmp_path,
    )
    assert any(line.startswith("+") and '"""Give it."""' in line for line in lines)
    assert any(line.startswith("-") and '"""Old."""' in line for line in lines)
    assert any("ok code_unchanged" in line for line in lines)
    assert not any("raises_agree" in line for line in lines)


def test_generated_code_is_shown_under_what_described_it_as_a_diff_against_the_original(capsys, tmp_path):
    lines = lines_of(
        {
            "symbol_name": "area",
            "description": 'def area(w):\n    """Area."""',
            "original_code": "x = 1\nreturn x",
            "generated_code": "x = 1\nreturn 2",
            "checks": {"parses": True},
        },
        capsys,
        tmp_path,
    )
    text = "\n".join(lines)
    assert '"""Area."""' in text
    assert any(line.startswith("+") and "return 2" in line for line in lines)
    assert any(line.startswith("-") and "return x" in line for line in lines)


def test_an_answer_is_shown_under_its_prompt_with_escapes_made_visible(capsys, tmp_path):
    lines = lines_of(
        {
            "target_kind": "function",
            "prompt_text": "Explain this.",
            "answer": "It \x1b[31mmultiplies.",
            "checks": {"parses": None},
        },
        capsys,
        tmp_path,
    )
    assert any("Explain this." in line for line in lines)
    assert any(line.startswith("+") and "\\x1b[31mmultiplies." in line for line in lines)


def test_an_output_whose_name_looks_like_a_glob_is_shown(tmp_path, capsys):
    output = dataset(tmp_path / "out [1] #%41", [{"a": 1}])
    assert "1 of 1 rows" in shown(capsys, output)


def test_times_that_python_has_no_value_for_are_shown_as_text(tmp_path, capsys):
    times = pa.table({"at": pa.array([1], pa.timestamp("ns")), "far": pa.array([10**18], pa.timestamp("us"))})
    pq.write_table(times, tmp_path / "a.parquet")
    assert "1970-01-01 00:00:00.000000001" in shown(capsys, tmp_path / "a.parquet")


# --- the child that reads ----------------------------------------------------------------------------

# Put before all else in a child: opening a file of such a name ends the process, or fails as a bug of ours would.
KILLER = """
import os, sys
if "jobs.terminal.inspecting" in sys.orig_argv:
    from jobs import storage
    opened = storage.open_input
    def open_input(uri):
        if "abort" in os.path.basename(uri):
            print("terminate called after throwing an instance", file=sys.stderr, flush=True)
            os.abort()
        if "exit" in os.path.basename(uri):
            os._exit(70)
        return opened(uri)
    storage.open_input = open_input
    if os.environ.get("BUG"):
        from jobs.terminal import show
        def shown_row(*args):
            raise RuntimeError("a bug \\x1b[2J")
        show.shown_row = shown_row
"""


@pytest.fixture
def killer(tmp_path, monkeypatch) -> Path:
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return dataset(tmp_path / "rows", [{"path": "a.py"}], "good.parquet")


@pytest.mark.parametrize(("name", "how"), [("abort", "SIGABRT"), ("exit", "exit code 70")])
def test_a_file_that_kills_its_reader_is_one_line_that_names_it(killer, capfd, name, how):
    dataset(killer, [{"path": "b.py"}], f"{name}.parquet")
    assert main(["inspect", str(killer / "*.parquet")]) == 2
    said = capfd.readouterr()
    assert said.err == (
        f"codemill inspect: error: {killer}/{name}.parquet killed the process that read it ({how}): "
        "the file is damaged, or memory ran out\n"
    )
    assert said.out == ""


def test_a_source_that_kills_its_reader_is_the_one_that_is_named(killer, capfd):
    dataset(killer, [{"content": "x = 1\n"}], "abort.parquet")
    row = {"kind": "target", "uri": f"{killer}/abort.parquet", "row_group": 0, "row": 0, "stage": "judge"}
    row |= {"reason": "cut_off", "detail": "", "target": "function:f:0", "content_sha256": "0"}
    pq.write_table(pa.Table.from_pylist([row], schema=REJECTED_SCHEMA), killer / "records.parquet")
    assert main(["inspect", str(killer / "records.parquet"), "--rejected"]) == 2
    assert f"{killer}/abort.parquet killed the process" in capfd.readouterr().err


def test_a_bug_in_the_child_is_a_bug_with_its_traceback(killer, capfd, monkeypatch):
    monkeypatch.setenv("BUG", "1")
    assert main(["inspect", str(killer)]) == 1
    said = capfd.readouterr().err
    assert "RuntimeError: a bug \\x1b[2J" in said and "\x1b" not in said


def test_rows_come_through_to_standard_output(killer, capfd):
    assert main(["inspect", str(killer)]) == 0
    assert capfd.readouterr().out.splitlines()[-1] == "1 of 1 rows in 1 file"


def test_a_reader_that_goes_away_ends_the_command_in_silence(tmp_path):
    dataset(tmp_path / "rows", [{"path": "a.py"}] * 20_000)
    words = [sys.executable, "-m", "jobs", "inspect", str(tmp_path / "rows"), "--rows", "20000"]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as shown_rows:
        assert shown_rows.stdout.readline().startswith(b"row 0")
        shown_rows.stdout.close()
        assert shown_rows.wait(timeout=120) == 141 and shown_rows.stderr.read() == b""


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_footer_is_one_line_or_shows_rows(tmp_path, capsys, seed):
    good = dataset(tmp_path, [{"path": "a.py", "deep": {"x": [1, None]}}] * 3, "a.parquet") / "a.parquet"
    data, rng = bytearray(good.read_bytes()), random.Random(seed)
    for _ in range(rng.randint(1, 8)):
        data[len(data) - 9 - rng.randrange(int.from_bytes(data[-8:-4], "little"))] = rng.randrange(256)
    good.write_bytes(data)
    try:
        assert print_rows(Options(path=str(good), color="never")) == 0
    except ConfigError as error:
        assert str(good) in str(error) and "\n" not in str(error)


def test_an_output_without_rows_is_shown_as_one(tmp_path, capfd):
    (tmp_path / "COMPLETED").write_text("{}")
    assert run(Options(path=str(tmp_path)), []) == 0
    assert "0 of 0 rows in 0 files" in capfd.readouterr().out


# --- conditions, order, unfinished outputs ----------------------------------------------------------


def many(folder: Path) -> Path:
    rows = [
        FIM_ROW
        | {"path": f"{n}.py", "checks": {"exact_match": n % 3 == 0, "parses": True, "edit_similarity": n / 10}}
        | {"lineage": {"mean_logprob": -abs(n - 4) / 10, "agreement": None}}
        for n in range(10)
    ]
    return dataset(folder, rows, row_group_size=3)


def titles(text: str) -> list[str]:
    return [line.split("  tool ")[1].split(" -")[0] for line in text.splitlines() if line.startswith("row ")]


def test_conditions_choose_rows_and_the_last_line_counts_them(tmp_path, capsys):
    text = shown(capsys, many(tmp_path), only=("exact_match=false", "edit_similarity>=0.5"), rows=2)
    assert titles(text) == ["5.py", "7.py"]
    assert text.splitlines()[-1] == "2 of 3 that meet the conditions, of 10 rows in 1 file"


def test_rows_come_in_the_order_of_a_value(tmp_path, capsys):
    assert titles(shown(capsys, many(tmp_path), sort="score", rows=3)) == ["4.py", "3.py", "5.py"]
    assert titles(shown(capsys, tmp_path, sort="-score", rows=2)) == ["9.py", "0.py"]
    assert titles(shown(capsys, tmp_path, sort="edit_similarity", only=("exact_match=true",), rows=2)) == [
        "9.py",
        "6.py",
    ]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"only": ("colour=1",)}, "no column or field colour; there are repo_name, "),
        ({"only": ("exact_match",)}, "is no condition; write NAME=VALUE"),
        ({"sort": "colour"}, "no column or field colour"),
        ({"sort": "score", "seed": 1}, "--seed 1 draws rows and --sort score puts them in order; pass one of them"),
    ],
)
def test_a_choice_that_makes_no_sense_is_one_line(tmp_path, options, why):
    with pytest.raises(ConfigError, match=why):
        print_rows(Options(path=str(many(tmp_path)), **options))


def test_a_file_of_several_documented_symbols_is_shown_as_its_diff(tmp_path, capsys):
    row = {
        "path": "a.py",
        "content": "def f():\n    pass\n\n\ndef g():\n    pass\n",
        "content_documented": 'def f():\n    """Do."""\n    pass\n\n\ndef g():\n    pass\n',
        "documented": [{"symbol_name": "f", "checks": {"code_unchanged": True}}],
    }
    lines = lines_of(row, capsys, tmp_path)
    assert '+     """Do."""' in [line.rstrip() for line in lines]
    assert any(line.startswith("f  ok code_unchanged") for line in lines)


def test_a_job_without_a_commit_is_one_line_for_rows_and_rejected(tmp_path):
    pq.write_table(pa.table({"unit_id": ["a"]}), dataset(tmp_path, [{"a": 1}], "_job/plan.parquet") / "_job/x.parquet")
    for rejected in (False, True):
        with pytest.raises(
            ConfigError, match=r"nothing of .* is committed yet; look again when its first unit is done"
        ):
            print_rows(Options(path=str(tmp_path), rejected=rejected))


def test_an_unfinished_output_is_read_from_its_commits_and_not_from_older_shards(tmp_path, capsys):
    from jobs.ledger.commits import commit_unit, new_attempt_id
    from transforms.work import Unit, UnitResult

    dataset(tmp_path, [FIM_ROW | {"path": "stale.py"}])
    unit = Unit(unit_id="000000-a", uri="u", version="v", row_group=0, row_start=0, row_count=1, num_bytes=1)
    result = UnitResult(kept=pa.Table.from_pylist([FIM_ROW]), rejected=REJECTED_SCHEMA.empty_table())
    commit_unit(JobFolder(str(tmp_path / "_job")), unit, new_attempt_id(), result, config_hash="h")
    text = shown(capsys, tmp_path)
    assert "stale" not in text and text.endswith("1 of 1 rows in 1 file, of the 1 unit committed so far")
