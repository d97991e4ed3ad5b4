"""Hostile names go to every place that prints: a terminal, the report, the cards. Nothing comes out but plain text."""

from __future__ import annotations

import ast
import io
import json
import logging
import os
import re
import types
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from jobs.collecting.card import card as corpus_card
from jobs.finalize.card import dataset_card
from jobs.finalize.report import html_report
from jobs.inspect import Options
from jobs.system import child_process as process
from jobs.terminal import printer
from jobs.terminal.display import count_line, open_display
from jobs.terminal.escapes import one_line
from jobs.terminal.inspecting import print_rows
from jobs.training.data import read_files
from model.errors import ConfigError
from tests.jobs import hostile, uppercase
from tests.jobs.terminal.test_escapes import MARKDOWN, Page
from transforms.rows.rejections import REJECTED_SCHEMA

ROOT = Path(__file__).parents[2]
COLOR = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture(autouse=True)
def here(monkeypatch):
    """Units and merges run in this process, and a wide terminal breaks no name."""
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)
    monkeypatch.setenv("COLUMNS", "1000")
    monkeypatch.delenv("FORCE_COLOR", raising=False)


def assert_plain(text: str, *names: str) -> None:
    """Holds that a text has nothing hidden, and that it shows each of the names, escaped."""
    assert not hostile.hidden_in(text)
    for name in names:
        assert one_line(name) in text, ascii(name)


def bad_files(folder: Path) -> list[str]:
    """Empty Parquet files with hostile names, and a good one."""
    folder.mkdir()
    pq.write_table(pa.table({"content": ["x = 1\n"], "path": ["a.py"]}), folder / "good.parquet")
    names = [f"{name}.parquet" for name in hostile.file_names()]
    for name in names:
        (folder / name).write_bytes(b"")
    return names


# --- inspect -----------------------------------------------------------------------------------------


def infill_row(name: str) -> dict:
    texts = ("repo_name", "path", "prefix", "generated_middle", "original_middle", "suffix", "span_kind", "fim_mode")
    return dict.fromkeys(texts, name) | {"checks": {name: True, name + "2": 0.5, name + "3": name}}


def documented_row(name: str) -> dict:
    return dict.fromkeys(("path", "symbol_name", "code", "code_documented", "original_documentation"), name)


def packed_row(name: str) -> dict:
    part = {"token_start": 0, "token_end": 1, "start": 0, "end": 1, "text_start": 0, "text_end": len(name)}
    part |= {"span_start": 0, "span_end": 1}
    part |= dict.fromkeys(("fim_mode", "span_kind", "repo_name", "path"), name)
    return {"input_ids": [1], "segment_ids": [1], "parts": [part], "text": name}


def answered_row(name: str) -> dict:
    return dict.fromkeys(("path", "prompt_text", "answer", "target_kind", "description", "generated_code"), name)


def any_row(name: str) -> dict:
    return {"path": name, "repo_name": name, f"{name}x": name, "deep": {name: [name]}}


def rejected_row(name: str) -> dict:
    return dict.fromkeys((field.name for field in REJECTED_SCHEMA), name) | {"row_group": 0, "row": 0}


@pytest.mark.parametrize("row_of", [infill_row, documented_row, packed_row, answered_row, any_row, rejected_row])
@pytest.mark.parametrize("color", ["never", "always"])
def test_inspect_shows_a_hostile_row_as_plain_text(tmp_path, capsys, row_of, color):
    for index, name in enumerate(hostile.ENCODED):
        path = tmp_path / f"{index}.parquet"
        pq.write_table(pa.Table.from_pylist([row_of(name)]), path)
        assert print_rows(Options(path=str(path), color=color, rejected=row_of is rejected_row)) == 0
        said = capsys.readouterr().out
        assert_plain(COLOR.sub("", said) if color == "always" else said, *([] if "\n" in name else [name]))


def test_a_title_is_no_markup(tmp_path, capsys):
    title = "\\[link=http://evil.example]x"  # a backslash before the bracket undoes one that escapes it
    pq.write_table(pa.table({"path": [title]}), tmp_path / "a.parquet")
    assert print_rows(Options(path=str(tmp_path / "a.parquet"), color="always")) == 0
    assert f"row 0  {title} -" in COLOR.sub("", capsys.readouterr().out)


@pytest.mark.parametrize("layout", [infill_row, packed_row, answered_row, rejected_row])
def test_columns_of_a_jobs_names_with_other_values_are_shown_column_by_column(tmp_path, capsys, layout):
    pq.write_table(pa.Table.from_pylist([dict.fromkeys(layout(""), 7)]), tmp_path / "a.parquet")
    assert print_rows(Options(path=str(tmp_path / "a.parquet"), rejected=layout is rejected_row)) == 0
    assert "row 0" in capsys.readouterr().out


# --- printed lines -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in (*hostile.ENCODED, "lone\udc9b") if "\0" not in name])
def test_a_hostile_word_of_the_command_is_refused_in_one_plain_line(tmp_path, capsys, name, monkeypatch):
    monkeypatch.setattr(printer, "print_in_child", lambda module, order: print_rows(Options(**order)))
    config = tmp_path / "job.yaml"
    config.write_text(json.dumps({name: 1}))
    for words in (
        [name],
        ["corpus", f"--{name}"],
        ["corpus", name, "--output", str(tmp_path / "out"), "--max_content_mb", name],
        ["inspect", str(tmp_path / f"no{name}")],
        ["inspect", "x", "--reason", name],
        ["index", "--config", f"{tmp_path}/no{name}"],
        ["index", "--config", str(config)],
        ["estimate", "--input", f"{tmp_path}/no{name}"],
        ["infill", "--input", f"{tmp_path}/no{name}", "--output", str(tmp_path / "out")],
    ):
        assert cli.main(words) == 2, words
        said = capsys.readouterr()
        assert said.out == "" and said.err.count("\n") == 1
        assert_plain(said.err)


def test_bad_files_are_named_in_plain_lines_by_every_job_that_reads(tmp_path, capsys):
    names = bad_files(tmp_path / "in")
    flags = ["--input", str(tmp_path / "in"), "--progress", "none"]
    assert uppercase.command_line([*flags, "--output", str(tmp_path / "out"), "--dry_run"]) == 3
    assert_plain(capsys.readouterr().out, *names)
    assert uppercase.command_line([*flags, "--output", str(tmp_path / "out")]) == 3
    said = capsys.readouterr()
    assert_plain(said.out)
    assert_plain(said.err, *names)
    assert cli.main(["index", "--input", str(tmp_path / "in"), "--output", str(tmp_path / "known")]) == 3
    assert_plain(capsys.readouterr().err, *names)
    read_files([str(tmp_path / "in")])
    assert_plain(capsys.readouterr().err, *names)


@pytest.mark.parametrize("name", hostile.file_names()[::4])
def test_an_output_folder_is_named_in_plain_lines(tmp_path, capsys, name):
    uppercase.write_corpus(tmp_path / "a.parquet", 3)
    for _ in range(2):
        uppercase.command_line(["--input", str(tmp_path), "--output", str(tmp_path / name), "--progress", "lines"])
        said = capsys.readouterr()
        assert_plain(said.err)
        assert_plain(said.out, name)


def test_corpus_prints_and_publishes_plain_lines(tmp_path, capsys):
    source = tmp_path / hostile.CODES[1].replace("/", "")
    source.mkdir()
    for name in hostile.file_names():
        (source / f"{name}.py").write_text("x = 1\n")
        (source / f"{name}.bin").write_bytes(b"\0\1")
    (source / os.fsdecode(b"not utf-8 \x9b.py")).write_text("x = 1\n")
    words = ["corpus", str(source), "--output", str(tmp_path / "out"), "--progress", "lines"]
    assert cli.main([*words, "--repo_name", hostile.CODES[0]]) in (0, 3)
    said = capsys.readouterr()
    assert_plain(said.out)
    assert_plain(said.err, f"rejected, {hostile.CODES[0]}")
    assert_plain((tmp_path / "out" / "README.md").read_text())


@pytest.mark.parametrize("mode", ["bar", "lines"])
@pytest.mark.parametrize("name", hostile.ANY)
def test_progress_is_plain_text(mode, name):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    stream = Terminal() if mode == "lines" else io.StringIO()  # rich draws a bar as plain text where it is no terminal
    display = open_display(mode, stream)
    display.show([name], 0.5)
    display.close()
    with count_line(mode, "files", stream) as line:
        line.update(1, name)
    assert_plain(stream.getvalue())
    assert one_line(name)[:20] in stream.getvalue()


def test_what_a_worker_prints_is_plain_text(capsys):
    child = types.SimpleNamespace(_is_quiet=False, _printed=[])
    process.ChildProcess._pass_on(child, io.BytesIO("\n".join(hostile.ENCODED).encode() + b"\n\x9b\xff\n"))
    assert not hostile.hidden_in(capsys.readouterr().err.replace("\t", ""))


def test_log_messages_and_tracebacks_are_plain_text(capsys, monkeypatch):
    def fail(options, beam_args):
        logging.lastResort.stream  # noqa: B018 - standard error, as it is now
        raise RuntimeError("".join(hostile.ANY))

    monkeypatch.setattr("jobs.corpus.run", fail)
    assert cli.main(["corpus", "x", "--output", "y"]) == cli.BUG
    record = logging.LogRecord("x", logging.WARNING, "x", 1, "%s", (hostile.CODES[0],), None)
    logging.lastResort.handle(record)
    said = capsys.readouterr().err
    assert "RuntimeError" in said and "evil.example" in said
    assert_plain(said)


# --- pages -------------------------------------------------------------------------------------------


def summary_with(names: list[str], tmp_path: Path) -> dict:
    """A real job's summary with these names wherever data or the file system could put them."""
    output = tmp_path / "out"
    if not output.exists():
        uppercase.write_corpus(tmp_path / "in" / "a.parquet", 40)
        argv = ["--input", str(tmp_path / "in"), "--output", str(output), "--progress", "none"]
        assert uppercase.command_line(argv) == 0
    found = uppercase.summary(output)
    found["rejected"] = [{"kind": "row", "stage": name, "reason": name, "count": 3} for name in names]
    found["failed_units"] = [{"unit": "0", "uri": name, "rows": 1, "reason": name, "detail": name} for name in names]
    found["units"]["failed"] = len(names)
    found["options"] |= {"input": list(names), "policy": "x" + "; ".join(names), "languages": list(names)}
    found["columns"] = {name: name for name in names}
    return found


def pages(names: list[str], tmp_path: Path) -> tuple[str, str, str]:
    """The report, a job's card and a corpus's card."""
    summary = summary_with(names, tmp_path)
    fields = [pa.field(name, pa.struct([pa.field(f"{name}{n}", pa.int64()) for n in range(2)])) for name in names]
    fields += [pa.field(f"list {name}", pa.list_(pa.field(name, pa.string()))) for name in names]
    corpus_summary = {"files_seen": 1, "rows_kept": 1, "rows_rejected": 0, "bytes_kept": 1, "shards": 1}
    corpus_summary |= {"languages": dict.fromkeys(names, 1), "rejected": dict.fromkeys(names, 1)}
    card = dataset_card(summary, pa.schema(fields), summary["options"] | {"model": names[0]})
    return html_report(summary), card, corpus_card(corpus_summary)


def kinds(card: str) -> list[str]:
    """The structure of a card as Markdown; text and code in a cell count as the same."""
    found = []
    for token in MARKDOWN.parse(card):
        found.append(token.type)
        if token.type == "inline":
            inside = [
                child.type.replace("code_inline", "text") for child in token.children if child.type != "softbreak"
            ]
            found += [kind for index, kind in enumerate(inside) if inside[max(0, index - 1) : index] != [kind]]
    return found


def test_hostile_names_change_nothing_about_the_pages_but_their_text(tmp_path):
    names = list(hostile.ENCODED)
    report, *cards = pages(names, tmp_path)
    harmless, *harmless_cards = pages([f"name{index}" for index in range(len(names))], tmp_path)
    assert Page(report).tags == Page(harmless).tags
    assert_plain(Page(report).text, *names)
    for card, other in zip(cards, harmless_cards, strict=True):
        assert kinds(card) == kinds(other)
        assert "image" not in kinds(card) and "html_inline" not in kinds(card) and "html_block" not in kinds(card)
        assert_plain(card)
        shown = "".join(child.content for token in MARKDOWN.parse(card) for child in token.children or ())
        for name in names:
            assert one_line(name).replace("`", r"\x60").replace("|", r"\x7c").strip() in shown


def test_pages_with_names_that_are_no_utf8_can_be_written(tmp_path):
    summary = summary_with(["lone\udc9b", "\ud800"], tmp_path)
    for page in (html_report(summary), dataset_card(summary, pa.schema([]), summary["options"])):
        assert "lone\\udc9b" in page and "\\ud800" in page
        assert page.encode().decode() == page


# --- nobody prints beside them -----------------------------------------------------------------------

# The process that prints what a child said, escaped; and children, whose standard error comes out there.
MAY_PRINT = {
    "jobs/terminal/escapes.py": {"print"},
    "jobs/system/child_process.py": {"write"},
    "jobs/terminal/printer.py": {"print_exc"},
}


def calls_that_print(tree: ast.AST) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name) and function.id == "print":
                found.add("print")
            elif isinstance(function, ast.Attribute) and function.attr in ("print_exc", "print_exception"):
                found.add("print_exc")
            elif isinstance(function, ast.Attribute) and ast.unparse(function) in (
                "sys.stderr.write",
                "sys.stdout.write",
            ):
                found.add("write")
    return found


def strings_for_rich(tree: ast.AST) -> list[int]:
    """Lines that give rich a string with a value in it, which would be read as markup, where Text is not."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in (
            "add_row", "add_column", "print", "Rule", "Table", "Columns", "Panel", "log", "print_markup", "from_markup",
        ):  # fmt: skip
            words = [*node.args, *(word.value for word in node.keywords if word.arg in ("title", "caption", "header"))]
            found += [word.lineno for word in words if _has_string(word)]
    return found


def _has_string(node: ast.AST) -> bool:
    """Whether a string with a value in it is made here, other than for Text."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Text":
        return False
    return isinstance(node, ast.JoinedStr | ast.BinOp) or any(map(_has_string, ast.iter_child_nodes(node)))


def test_every_printed_line_goes_through_the_escape():
    for path in sorted((ROOT / "jobs").rglob("*.py")):
        name, tree = path.relative_to(ROOT).as_posix(), ast.parse(path.read_text(encoding="utf-8"))
        assert calls_that_print(tree) <= MAY_PRINT.get(name, set()), f"{name}: use jobs.terminal.escapes.print_line"
        assert not strings_for_rich(tree), f"{name}: lines {strings_for_rich(tree)} give rich a string; use Text"


def test_the_walk_sees_what_prints():
    prints = ast.parse("print(x)\nsys.stderr.write(y)\ntraceback.print_exc()\n")
    assert calls_that_print(prints) == {"print", "write", "print_exc"}
    markup = ast.parse("Rule(f'{x}'.strip())\ntable.add_row(a + b)\nconsole.print(Text(f'{x}'), width=a + b)\n")
    assert strings_for_rich(markup) == [1, 2]


def test_a_config_error_with_line_breaks_is_still_one_line(capsys, monkeypatch):
    def fail(options, beam_args):
        raise ConfigError("first\nsecond\x1b[2J")

    monkeypatch.setattr("jobs.corpus.run", fail)
    assert cli.main(["corpus", "x", "--output", "y"]) == 2
    assert capsys.readouterr().err == "codemill corpus: error: first\\nsecond\\x1b[2J\n"
