"""The annotate task: built-in and user task files, templates that are refused, answers that are read or rejected."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from model.engine.requests import Completion
from model.errors import ConfigError, RecordError
from transforms import bounded
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.annotate import RESULT_SCHEMA, AnnotateTask
from transforms.tasks.base import Accepted, RejectedTarget
from transforms.tasks.task_file import SHIPPED, load_annotation

PYTHON = '''\
def area(width, height):
    """Gives the area."""
    return width * height


class Shape:
    def move(self, dx):
        self.x += dx
'''


def row_of(content=PYTHON, language="python", path="shapes.py"):
    sha = content_sha256(content)
    return Row(SourceRef("corpus.parquet", 0, 0), content, sha, sha, path=path, language=language)


@pytest.fixture
def make(small_vocabulary):
    def task(name_or_path, max_prompt_tokens=4096, **params):
        spec = load_annotation(str(name_or_path), params)
        return AnnotateTask(tokenizer=small_vocabulary, spec=spec, max_prompt_tokens=max_prompt_tokens)

    return task


@pytest.fixture
def answer(small_tokenizer):
    def validate(task, text, *, row=None, finish_reason="stop"):
        row = row or row_of()
        request = next(iter(task.requests(row)))
        tokens = tuple(small_tokenizer.encode(text))
        completion = Completion(
            tokens=tokens, finish_reason=finish_reason, stop_id=1, mean_logprob=-0.5, prompt_tokens=9
        )
        return task.accept(row, request, completion)

    return validate


@pytest.fixture
def task_file(tmp_path):
    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write


def reason(verdict):
    assert isinstance(verdict, RejectedTarget), verdict
    return verdict.rejection.reason


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.yaml")))
def test_every_shipped_task_is_read_asks_and_travels_between_processes(name, make):
    task = pickle.loads(pickle.dumps(make(name)))  # noqa: S301
    content = "def broken(:\n    pass\n" if name == "grammar" else PYTHON
    request = next(iter(task.requests(row_of(content))))
    assert content.splitlines()[0].split("(")[0] in request.payload.prompt_text
    assert task.name == f"annotate:{name}"


GOOD = {
    "explain": "It multiplies the two sides of a rectangle and gives the product back to the caller.",
    "review": '[{"severity": "risk", "where": "return width * height", "comment": "Negative sides pass."}]',
    "unit-tests": "```python\ndef test_area():\n    assert area(2, 3) == 6\n```",
    "exercise": json.dumps(
        {
            "title": "Area",
            "task": "Write a function area(width, height) that gives the area.",
            "solution": "def area(w, h):\n    return w * h",
        }
    ),
    "translate": "```go\nfunc area(width, height int) int {\n\treturn width * height\n}\n```",
    "question-answer": '{"question": "What of negative sides?", "answer": "They are multiplied like others."}',
}


@pytest.mark.parametrize("name", GOOD)
def test_a_good_answer_is_accepted_in_its_form(name, make, answer):
    accepted = answer(make(name), GOOD[name])
    assert isinstance(accepted, Accepted), accepted
    assert set(accepted.columns) == set(RESULT_SCHEMA.names)
    kind = make(name).spec.answer.kind
    assert (accepted.columns["answer_code"] is not None) == (kind == "code" or name == "exercise")
    assert (accepted.columns["answer_json"] is not None) == (kind == "json")


LABEL = """
name: label
targets: [function]
template: "One word for {{ name }}: {{ code }}"
answer: {kind: line, max_chars: 20}
"""


def test_an_answer_of_one_line_ends_there_whatever_the_model_goes_on_with(make, answer, task_file, small_tokenizer):
    task = make(task_file(LABEL))
    stops = next(iter(task.requests(row_of()))).request.stop_ids
    assert all(id_ in stops for id_ in small_tokenizer.encode("\n"))
    for finish_reason in ("stop", "length"):
        accepted = answer(task, "geometry\nand more that nobody asked for", finish_reason=finish_reason)
        assert isinstance(accepted, Accepted) and accepted.columns["answer"] == "geometry"
    assert reason(answer(task, "geo", finish_reason="length")) == "cut_off"
    assert reason(answer(task, "\n", finish_reason="stop")) == "empty_answer"


BAD = [
    ("explain", "", "empty_answer"),
    ("explain", "Short.", "length_out_of_bounds"),
    ("explain", "I'm sorry, but I can't explain this code, as it is too long for me.", "refusal"),
    ("review", "There is nothing to say about this code at all.", "wrong_form"),
    ("review", '[{"severity": "catastrophe", "where": "x", "comment": "Everything burns."}]', "wrong_form"),
    ("review", '[{"severity": "bug"', "wrong_form"),
    ("unit-tests", "def test_area(): pass", "wrong_form"),
    ("unit-tests", "```python\ndef test_area(:\n    pass\n```", "does_not_parse"),
    ("unit-tests", "```python\ndef test_other():\n    assert True\n```", "name_not_mentioned"),
    ("exercise", GOOD["exercise"].replace("return w * h", "return w *"), "does_not_parse"),
    ("translate", "```go\nfunc area(width int {\n```", "does_not_parse"),
    ("translate", "```python\ndef area(width, height):\n    return height * width\n```", "other_language"),
    ("question-answer", '{"question": "This is no question at all", "answer": "But this is an answer."}', "wrong_form"),
]


@pytest.mark.parametrize(("name", "text", "wanted"), BAD)
def test_a_bad_answer_is_rejected_for_its_reason(name, text, wanted, make, answer):
    assert reason(answer(make(name), text)) == wanted


def test_an_answer_that_was_cut_is_rejected(make, answer):
    assert reason(answer(make("explain"), GOOD["explain"], finish_reason="length")) == "cut_off"


def test_only_broken_files_are_mended_and_the_mended_file_stays_near(make, answer):
    task = make("grammar")
    with pytest.raises(RecordError) as error:
        list(task.requests(row_of()))
    assert error.value.reason == "no_target"
    broken = row_of(PYTHON.replace("height):", "height:"))
    assert isinstance(answer(task, f"```python\n{PYTHON}```", row=broken), Accepted)
    assert reason(answer(task, "```python\nx = 1\n```", row=broken)) == "too_far_from_original"
    assert reason(answer(task, f"```python\n{broken.content}```", row=broken)) in ("does_not_parse", "copy_of_original")


def test_params_fill_the_template_and_unknown_ones_are_refused(make, answer):
    assert "to rust" in next(iter(make("translate", to_language="rust").requests(row_of()))).payload.prompt_text
    with pytest.raises(ConfigError, match="klingon: no parser for it"):
        make("translate", to_language="klingon")
    with pytest.raises(ConfigError, match="no such param; its params are to_language"):
        make("translate", language_to="rust")


def test_a_definition_that_does_not_fit_loses_its_last_lines_and_is_marked(make):
    long = "def long(x):\n" + "".join(f"    x = x + {i}\n" for i in range(300)) + "    return x\n"
    request = next(iter(make("explain", max_prompt_tokens=600).requests(row_of(long))))
    assert len(request.request.prompt) <= 600
    assert request.payload.is_windowed
    assert "def long(x):" in request.payload.prompt_text and "..." in request.payload.prompt_text


HEAD = "name: mine\ntargets: [function]\n"
REFUSED = {
    "an unknown field": (HEAD + "template: 'Explain {{ cod }}'", "unknown field cod; fields are code"),
    "an unknown key": (HEAD + "template: x\ntarget: file", "unknown key target"),
    "an unknown answer key": (HEAD + "template: x\nanswer: {kin: text}", "unknown key answer.kin"),
    "no template": (HEAD, "template is missing"),
    "a template that does not parse": (HEAD + "template: 'Explain {{ code'", "template, line 1"),
    "an unknown target": ("name: m\ntargets: [gadget]\ntemplate: x", "unknown target gadget"),
    "an unknown language": (HEAD + "template: x\nlanguages: [klingon]", "unknown language klingon"),
    "an unknown kind of answer": (HEAD + "template: x\nanswer: {kind: poem}", "answer.kind is 'poem'"),
    "a schema that is none": (
        HEAD + "template: x\nanswer: {kind: json, schema: {type: nonsense}}",
        "not a valid JSON schema",
    ),
    "a param with a field's name": (HEAD + "template: x\nparams: {code: x}", "param code has the name of a field"),
    "no mapping": ("- a\n- b\n", "expected lines of the form key: value"),
    "no YAML": ("name: [", "not valid YAML"),
    "a list that is none": ("name: m\ntargets: function\ntemplate: x", "targets is 'function'; it must be a list"),
    "an answer that is text": (
        HEAD + "template: x\nanswer: text",
        "answer is 'text'; it must be a mapping (lines of the form",
    ),
    "a number that is none": (HEAD + "template: x\nanswer: {min_chars: few}", "answer.min_chars is 'few'"),
    "params in a list": (HEAD + "template: x\nparams: [a]", "params is ['a']; it must be a mapping (lines of the form"),
    "a pattern that is none": (
        HEAD + "template: x\nanswer: {must_match: '('}",
        "answer.must_match is not a valid regular",
    ),
    "a schema that leads elsewhere": (
        HEAD + "template: x\nanswer: {kind: json, schema: {$ref: 'other.json'}}",
        "answer.schema refers to other.json",
    ),
    "a schema that leads nowhere": (
        HEAD + "template: x\nanswer: {kind: json, schema: {$ref: '#/$defs/x'}}",
        "refers to #/$defs/x, which it does not define",
    ),
    "a schema that goes round": (HEAD + "template: x\nanswer: {kind: json, schema: {$ref: '#'}}", "# in a cycle"),
    "a filter that there is not": (HEAD + "template: '{{ code | nosuch }}'", "No filter named 'nosuch'"),
    "a part that no text has": (HEAD + "template: '{{ code.lines }}'", "no attribute 'lines'; each field is a string"),
    "another file's template": (HEAD + "template: '{% include \"a\" %}'", "template: it refers to another template"),
    "what the sandbox forbids": (HEAD + "template: \"{{ ''.__class__.__mro__ }}\"", "'str' object is unsafe"),
    "a key of another kind": (
        HEAD + "template: x\nanswer: {whole: true}",
        "answer.whole applies to answers of kind code",
    ),
    "a schema for text": (
        HEAD + "template: x\nanswer: {schema: {type: object}}",
        "schema applies to answers of kind json",
    ),
    "bounds that nothing meets": (HEAD + "template: x\nanswer: {min_chars: 9, max_chars: 5}", "0 <= min_chars <="),
    "a similarity above one": (
        HEAD + "template: x\nanswer: {kind: code, min_edit_similarity: 5}",
        "min_edit_similarity is 5; it must be between 0 and 1",
    ),
    "a name that files lack": (
        "name: m\ntargets: [file]\ntemplate: x\nanswer: {kind: code, must_mention_name: true}",
        "a file has none",
    ),
    "no language": (HEAD + "template: x\nlanguages: []", "languages is empty"),
    "a param that is no text": (HEAD + "template: x\nparams: {depth: }", "params.depth is None; it must be a string"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_task_file_is_refused_in_one_line_before_anything_runs(name, task_file, make):
    text, wanted = REFUSED[name]
    with pytest.raises(ConfigError) as error:
        make(task_file(text))
    assert wanted in str(error.value)
    assert "\n" not in str(error.value)


def test_patterns_of_the_task_file_are_matched_against_the_answer(task_file, make, answer):
    text = HEAD + "template: '{{ code }}'\nanswer: {must_match: 'O\\(.+\\)', must_not_match: TODO}"
    task = make(task_file(text))
    assert isinstance(answer(task, "It takes O(n) steps."), Accepted)
    assert reason(answer(task, "It takes some steps.")) == "pattern_not_found"
    assert reason(answer(task, "It takes O(n) steps. TODO: why.")) == "unwanted_pattern"


def test_the_task_file_that_the_documentation_shows_is_read_and_does_what_it_says(task_file, make, answer):
    page = (Path(__file__).parents[3] / "docs/tasks.md").read_text(encoding="utf-8")
    task = make(task_file(page.split("```yaml\n")[1].split("```")[0]))
    assert isinstance(answer(task, '{"time": "O(1)"}'), Accepted)
    assert reason(answer(task, '{"time": "constant"}')) == "pattern_not_found"
    assert reason(answer(task, '{"space": "O(1)"}')) == "wrong_form"
    assert "in big-O notation" in next(iter(task.requests(row_of()))).payload.prompt_text


def test_a_missing_task_names_the_built_in_ones(make):
    with pytest.raises(ConfigError, match=r"built-in tasks are exercise, explain, .*unit-tests"):
        make("explian")


def test_a_template_can_not_leave_its_sandbox(task_file, make):
    hidden = "{% if name == 'area' %}{{ ''.__class__.__mro__[1].__subclasses__() }}{% endif %}{{ code }}"
    task = make(task_file(f'{HEAD}template: "{hidden}"'))
    verdict = next(iter(task.requests(row_of())))
    assert reason(verdict) == "template_failed"


def test_a_template_may_ask_for_what_only_some_values_have(task_file, make):
    task = make(task_file(HEAD + "template: '{{ path.split(\"/\")[1] }}'"))
    assert next(iter(task.requests(row_of(path="shapes/sizes.py")))).payload.prompt_text == "sizes.py"
    assert reason(next(iter(task.requests(row_of())))) == "template_failed"


def test_a_template_that_costs_too_much_rejects_the_file_s_targets_after_one_try(task_file, make, monkeypatch):
    monkeypatch.setattr(bounded, "ROW_CPU_S", 0.2)
    calls = []
    render_bounded = bounded.call
    monkeypatch.setattr(bounded, "call", lambda *args, **words: calls.append(args) or render_bounded(*args, **words))
    task = make(task_file(HEAD + "template: \"{{ 'a' * (code | length) ** 8 }}\""))
    calls.clear()
    verdicts = list(task.requests(row_of("".join(f"def f{i}(a):\n    return a\n\n\n" for i in range(20)))))
    assert [reason(verdict) for verdict in verdicts] == ["template_too_costly"] * 20
    assert len({verdict.target for verdict in verdicts}) == 20 and len(calls) == 1


def test_a_pattern_that_backtracks_without_end_rejects_the_answer(task_file, make, answer, monkeypatch):
    monkeypatch.setattr(bounded, "ROW_CPU_S", 0.2)
    for key in ("must_match", "must_not_match"):
        task = make(task_file(HEAD + f"template: x\nanswer: {{{key}: '(a+)+$'}}"))
        assert reason(answer(task, "It says " + "a" * 60 + "!")) == "check_timed_out"


def test_a_number_that_json_does_not_have_is_of_the_wrong_form(task_file, make, answer):
    task = make(task_file(HEAD + "template: x\nanswer: {kind: json}"))
    assert reason(answer(task, '{"a": 1e999}')) == "wrong_form"


@pytest.mark.parametrize("text", ["It is fine.", "NaN", '"\\ud800"', '[{"a": Infinity}]', ""])
def test_what_is_no_json_is_rejected_whatever_the_schema_asks_for(text, task_file, make, answer):
    for schema in ("", ", schema: {}"):
        task = make(task_file(HEAD + f"template: x\nanswer: {{kind: json{schema}}}"))
        assert reason(answer(task, text)) == "wrong_form"


def test_a_field_that_should_hold_code_must_be_there(task_file, make, answer):
    task = make(task_file(HEAD + "template: x\nanswer: {kind: json, code_field: solution}"))
    assert isinstance(answer(task, '{"solution": "x = 1"}'), Accepted)
    assert reason(answer(task, '{"title": "x = 1"}')) == "wrong_form"
    assert reason(answer(task, '{"solution": "# x"}')) == "empty_answer"


@pytest.mark.parametrize("code", ["", "\n", "# to be written\n", "pass\n"])
def test_a_fence_with_no_code_in_it_is_empty(code, task_file, make, answer):
    task = make(task_file(HEAD + "template: x\nanswer: {kind: code}"))
    assert reason(answer(task, f"Here it is:\n```python\n{code}```")) == "empty_answer"


def test_a_name_is_mentioned_by_a_word_of_its_own(task_file, make, answer):
    task = make(task_file(HEAD + "template: x\nanswer: {kind: code, must_mention_name: true}"))
    assert reason(answer(task, "```python\nassert areas(1, 2) == 2\n```")) == "name_not_mentioned"
    assert isinstance(answer(task, "```python\ndef test_area():\n    assert 1\n```"), Accepted)


def test_a_control_tokens_name_in_an_answer_is_rejected(make, answer):
    text = "It gives the area of a rectangle, and nothing else happens.<end_of_turn>"
    assert reason(answer(make("explain"), text)) == "control_token_in_output"
