"""The child that bounds what users write: its limits hold, it is replaced, and what is cheap never goes there."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model.errors import RecordError
from transforms import bounded
from transforms.tasks import patterns, schemas, templates
from transforms.tasks.task_file import SHIPPED, load_annotation

FIELDS = {"code": "x = 1\n" * 50, "name": "area", "language": "python"}


@pytest.fixture
def short_limits(monkeypatch):
    monkeypatch.setattr(bounded, "ROW_CPU_S", 0.3)


@pytest.fixture
def no_child(monkeypatch):
    def call(*_args, **_words):
        raise AssertionError("this must not need a child")

    monkeypatch.setattr(bounded, "call", call)


def rejected(function, *arguments):
    with pytest.raises(RecordError) as error:
        function(*arguments)
    return error.value.reason, error.value.detail


TEMPLATES = {
    "{{ 'a' * (code | length) ** 5 }}": "memory",
    "{% for a in code %}{% for b in code %}{% for c in code * 999 %}{% endfor %}{% endfor %}{% endfor %}": "processor",
    "{% macro m() %}{{ m() }}{% endmacro %}{{ m() if code != 'text' }}": "too deeply",
    "{{ code * 9999 }}": "characters, the limit is",
    "{{ code.upper }}": "an object's address",
    "{{ code.nothing }}": "UndefinedError",
    "{{ ''.__class__ }}": "SecurityError",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_grows_with_the_row_rejects_the_row(template, short_limits):
    reason, detail = rejected(templates.render, template, FIELDS)
    is_limit = TEMPLATES[template] in ("memory", "processor", "too deeply")
    assert reason == ("template_too_costly" if is_limit else "template_failed")
    assert TEMPLATES[template] in detail
    assert "x = 1" not in detail
    assert templates.render("{% for a in 'ab' %}{{ a }}{{ name }}{% endfor %}", FIELDS) == "aareabarea"


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a|aa)+$", r"(.*)*x", r"(?=(a+)+$)b", r"(a+)+\1$"])
def test_a_pattern_that_backtracks_without_end_rejects_the_answer(pattern, short_limits):
    reason, detail = rejected(patterns.matches, "answer.must_match", pattern, "a" * 5000 + "!")
    assert reason == "check_timed_out"
    assert detail == "answer.must_match was matched against the answer, but it took more than 0.3 s of processor time"
    assert patterns.matches("answer.must_match", pattern, "aaa") or pattern.endswith(("x", "b", r"\1$"))


def test_patterns_mean_the_same_here_and_in_the_child():
    for pattern in (r"O\(.+\)", r"(?i)todo|fixme", r"^\w", "é", "\ud800"):
        for text in ("It takes O(n).", "x: ToDo", "é\n", "\ud800", ""):
            there = bounded.call("search", (pattern, text), cpu_s=5)
            assert there == patterns.search_here(pattern, text) == patterns.matches("", pattern, text)


TREE = {"$defs": {"t": {"anyOf": [{"type": "string"}, {"items": {"$ref": "#/$defs/t"}}]}}, "$ref": "#/$defs/t"}
DOUBLED = {
    "$defs": {"t": {"anyOf": [{"items": {"$ref": "#/$defs/t"}, "type": "array", "not": {}}] + [
        {"items": {"$ref": "#/$defs/t"}, "type": "array", "minItems": 2}] * 2}},
    "$ref": "#/$defs/t",
}  # fmt: skip


def nested(depth: int) -> list:
    found: list = []
    for _ in range(depth):
        found = [found]
    return found


def test_a_schema_of_a_tree_is_applied_and_one_that_doubles_with_each_level_rejects_the_answer(short_limits):
    schemas.check_schema("answer.schema", TREE)
    assert schemas.is_valid("answer.schema", TREE, nested(20), 40)
    assert not schemas.is_valid("answer.schema", {**TREE, "type": "string"}, nested(20), 40)
    schemas.check_schema("answer.schema", DOUBLED)
    reason, detail = rejected(schemas.is_valid, "answer.schema", DOUBLED, nested(40), 80)
    assert reason == "check_timed_out" and "answer.schema was applied to the answer, but it took more" in detail


def test_an_answer_that_is_nested_too_deeply_is_of_the_wrong_form():
    reason, _ = rejected(schemas.is_valid, "answer.schema", TREE, nested(400), 800)
    assert reason in ("wrong_form", "check_timed_out")


def test_a_schema_s_pattern_that_backtracks_rejects_the_answer(short_limits):
    schema = {"type": "string", "pattern": "(a+)+$"}
    schemas.check_schema("answer.schema", schema)
    assert schemas.is_valid("answer.schema", schema, "aaa", 3)
    assert rejected(schemas.is_valid, "answer.schema", schema, "a" * 50 + "!", 51)[0] == "check_timed_out"


def test_schemas_mean_the_same_here_and_in_the_child():
    schema = {"type": "object", "required": ["a"], "properties": {"a": {"type": "string", "pattern": "^x+$"}}}
    written = json.dumps(schema, sort_keys=True)
    for found in ({"a": "xx"}, {"a": "y"}, {}, [], None, 5, "x"):
        there = bounded.call("is_valid", (written, found), cpu_s=5)
        assert there == schemas.is_valid_here(written, found) == schemas.is_valid("", schema, found, 9)


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.yaml")))
def test_built_in_tasks_need_no_child(name, no_child):
    spec = load_annotation(name)
    fields = {"code", "language", "path", "repo_name", "kind", "name", "signature", "documentation"}
    assert templates.render(spec.template, {**dict.fromkeys(fields, "text"), **spec.params})
    if spec.answer.kind == "json":
        schemas.is_valid("answer.schema", spec.answer.schema or {}, {}, 2)
    for pattern in filter(None, (spec.answer.must_match, spec.answer.must_not_match)):
        patterns.matches("answer", pattern, "text")


def test_plain_patterns_and_templates_need_no_child(no_child):
    assert patterns.matches("", r"O\(.+\)|TODO", "It takes O(n).")
    assert templates.render("{% if name %}{{ code | trim }}{% endif %}", FIELDS).startswith("x = 1")


def test_a_prompt_with_an_address_that_the_code_contains_is_no_fault():
    code = "# <function f at 0x7f3a2c>\n"
    assert templates.render("{{ code }}", {"code": code}) == code


def test_a_child_that_was_killed_is_replaced_at_the_next_call():
    assert bounded.call("search", ("a", "a"), cpu_s=5) is True
    assert bounded._child is not None
    bounded._child._process.kill()
    with pytest.raises(bounded.LimitExceeded, match="was killed, possibly because memory ran out"):
        bounded.call("search", ("a", "a"), cpu_s=5)
    assert bounded.call("search", ("a", "a"), cpu_s=5) is True


def test_a_child_that_only_waits_is_given_up(monkeypatch):
    monkeypatch.setattr(bounded, "_WALL_PER_CPU", 1)
    assert bounded.call("search", ("a", "a"), cpu_s=5) is True
    child = bounded._child
    assert child is not None
    child._process.send_signal(signal.SIGSTOP)
    with pytest.raises(bounded.LimitExceeded, match=r"it did nothing for 0\.5 s"):
        bounded.call("search", ("a", "a"), cpu_s=0.5)
    assert child._process.poll() is not None


def test_a_child_that_computes_slowly_is_waited_for(monkeypatch):
    assert bounded.call("search", ("a", "a"), cpu_s=5) is True
    monkeypatch.setattr(bounded, "_WALL_PER_CPU", 0.01)
    child = bounded._child
    assert child is not None
    asked = []

    def computed_s(self):
        asked.append(len(asked))
        if len(asked) == 5:
            child._process.send_signal(signal.SIGCONT)
        return asked[-1] / 1000

    monkeypatch.setattr(bounded._Child, "_computed_s", computed_s)
    child._process.send_signal(signal.SIGSTOP)
    assert bounded.call("search", ("a", "a"), cpu_s=5) is True
    assert len(asked) >= 5


def test_processor_time_is_read_of_the_child():
    assert bounded.call("search", ("a", "a"), cpu_s=5) is True
    assert bounded._child is not None
    assert 0 < bounded._child._computed_s() < 100


def test_the_limit_holds_where_a_library_has_the_process_ignore_the_signal():
    """As libtpu does; a child inherits it."""
    program = (
        "import signal; signal.signal(signal.SIGPROF, signal.SIG_IGN)\n"
        "from transforms import bounded\n"
        "try: bounded.call('search', ('(a+)+$', 'a' * 60 + '!'), cpu_s=0.2)\n"
        "except bounded.LimitExceeded as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "it took more than 0.2 s of processor time\n", done.stderr


def test_a_child_that_the_signal_does_not_end_is_ended_by_its_parent(monkeypatch):
    assert bounded.call("search", ("a", "a"), cpu_s=5) is True
    monkeypatch.setattr(bounded, "_WALL_PER_CPU", 0.01)
    child = bounded._child
    assert child is not None
    used = iter(range(100))
    monkeypatch.setattr(bounded._Child, "_computed_s", lambda self: float(next(used)))
    child._process.send_signal(signal.SIGSTOP)
    with pytest.raises(bounded.LimitExceeded, match="more than 1 s of processor time"):
        bounded.call("search", ("a", "a"), cpu_s=1.0)
    assert child._process.poll() is not None


@pytest.mark.parametrize("letters", [60, 20])  # a match without an end; one that ends in less than a second
def test_the_checks_of_one_row_have_a_limit_together(letters, short_limits, monkeypatch):
    monkeypatch.setattr(bounded, "ROW_TOTAL_CPU_S", 0.5)
    calls = []
    bounded_call = bounded.call
    monkeypatch.setattr(bounded, "call", lambda *args, **words: calls.append(args) or bounded_call(*args, **words))
    found = []
    with bounded.for_one_row():
        for _ in range(200):
            with contextlib.suppress(RecordError):
                patterns.matches("answer.must_match", "(a+)+$", "a" * letters + "!")
        found.append(rejected(patterns.matches, "answer.must_match", "(a+)+$", "aa"))
    together = "all of the row together took more than 0.5 s of processor time"
    assert found == [("check_timed_out", f"answer.must_match was matched against the answer, but {together}")]
    assert len(calls) < 200
    assert patterns.matches("answer.must_match", "(a+)+$", "aa")  # another row's


def test_a_child_does_not_outlive_a_parent_that_is_killed():
    code = (
        "import os, signal; from transforms import bounded; bounded.call('search', ('a', 'a'), cpu_s=5); "
        "print(bounded._child._process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    parent = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=False)
    assert parent.returncode == -signal.SIGKILL
    child = int(parent.stdout)
    deadline = time.monotonic() + 60
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(child)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1][0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_only_known_functions_are_called():
    with pytest.raises(bounded.LimitExceeded, match="exit code 1"):
        bounded.call("os.system", ("true",), cpu_s=5)
