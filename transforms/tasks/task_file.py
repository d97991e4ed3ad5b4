"""Task files: a user's own prompt in YAML, read and fully validated before anything runs.

    name: explain
    version: "1"
    targets: [function, method]         # from file, class, function, method
    select: any                         # broken: only code that doesn't parse
    languages: [python]                 # default: every language with a grammar
    system: You are a careful engineer. # optional; folded into the user's turn
    params: {depth: short}              # names for the template; `--set depth=long` overrides
    template: |                         # Jinja2 (`transforms.tasks.templates`)
      Explain {{ name }} ({{ depth }}):
      {{ code }}
    verify: tests                       # optional: how answers are run (`--verify run`): tests, translation, exercise
    answer: {kind: text, min_chars: 40} # text; line (the first one); code (in a fence, must parse); json (with a
        schema)

Template fields: code, language, path, repo_name, kind, name, signature, documentation, and the task's params. A
definition that doesn't fit loses its last lines (`is_windowed`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from model.errors import SHOWN_CHARS, ConfigError, RecordError, one_line, shown
from transforms.languages.grammars import SPAN_NODES, grammar_name
from transforms.tasks.patterns import check_pattern
from transforms.tasks.schemas import check_schema
from transforms.tasks.templates import check_template, render
from transforms.user_files import load_yaml, located, read_text

SHIPPED: Final = Path(__file__).parent / "annotations"
TARGETS: Final = ("file", "class", "function", "method")
FIELDS: Final = ("code", "language", "path", "repo_name", "kind", "name", "signature", "documentation")


@dataclass(frozen=True, kw_only=True)
class AnswerSpec:
    """How an answer is read and validated.

    Args:
        kind: `text`; `line`: its first line, where generation ends (labels, titles); `code`; `json`.
        language: Code: a template for its language; "" is the target's own.
        whole: Code: the answer replaces the target, which must become sound by it.
        schema: JSON: its schema.
        code_field: JSON: a field that contains code, which must parse.
        min_chars, max_chars: Bounds on the answer's length.
        min_edit_similarity: Code: minimum similarity to the target, from 0 to 1.
        must_mention_name: Code: whether the target's name must occur; in tests, in their code itself.
        only_faults: Code: whether only what doesn't parse may change (`transforms.tasks.contents`).
        quoted_field: JSON: a field, of the object or of each object in the list, whose text must stand in the target.
        distinct_fields: JSON: fields, of the object or of each object in the list, in which the answer speaks: prose,
            of which none may repeat the one before it, as an answer does its question.
        must_match: A regular expression that must match in the answer, or "".
        must_not_match: A regular expression that must not match in the answer, or "".
    """

    kind: Literal["text", "line", "code", "json"] = "text"
    language: str = ""
    whole: bool = False
    schema: Mapping[str, Any] | None = None
    code_field: str = ""
    min_chars: int = 1
    max_chars: int = 20_000
    min_edit_similarity: float = 0.0
    must_mention_name: bool = False
    only_faults: bool = False
    quoted_field: str = ""
    distinct_fields: tuple[str, ...] = ()
    must_match: str = ""
    must_not_match: str = ""


@dataclass(frozen=True, kw_only=True)
class AnnotationSpec:
    """One validated task file; `verify` says how its answers are run, if they are.

    tests        the answer is tests for the target: they must pass on it, and fail on a mutant of it
    translation  the answer is the target in another language: both must behave alike
    exercise     the answer's code must behave as the target, or at least run
    """

    name: str
    version: str
    targets: tuple[str, ...]
    template: str
    select: Literal["any", "broken"] = "any"
    languages: tuple[str, ...] = tuple(SPAN_NODES)
    system: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    verify: Literal["", "tests", "translation", "exercise"] = ""
    answer: AnswerSpec = field(default_factory=AnswerSpec)


def load_annotation(name_or_path: str, params: Mapping[str, str] | None = None) -> AnnotationSpec:
    """Reads a task file, or a built-in task by name.

    Args:
        name_or_path: `explain`, ..., or a YAML file.
        params: Overrides of the task's own params.

    Raises:
        ConfigError: The file is missing, a key is unknown, the template doesn't parse or names an unknown field, or the
            schema is invalid; the message names the file and the fault.
    """
    known = {file.stem: file for file in SHIPPED.glob("*.yaml")}
    path = known.get(name_or_path, Path(name_or_path))
    name = f"--task {one_line(path.name)}"
    try:
        text = read_text(path, name)
    except OSError as error:
        built_in = ", ".join(sorted(known))
        raise ConfigError(f"--task {one_line(name_or_path)}: {error.strerror}; built-in tasks are {built_in}") from None
    written, lines = load_yaml(text, name)
    try:
        return _checked(_spec(written), params or {})
    except ConfigError as error:
        raise located(name, lines, error) from None


# Allowed types of each key's value, and their name in messages.
_KEYS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "name": (str, "text"),
    "version": ((str, int, float), "text"),
    "targets": (list, "a list"),
    "template": (str, "text"),
    "select": (str, "text"),
    "languages": (list, "a list"),
    "system": (str, "text"),
    "params": (dict, "a mapping (lines of the form name: value)"),
    "verify": (str, "text"),
    "answer": (dict, "a mapping (lines of the form key: value)"),
}
_ANSWER_KEYS: Final[Mapping[str, tuple[type | tuple[type, ...], str]]] = {
    "kind": (str, "text"),
    "language": (str, "text"),
    "whole": (bool, "true or false"),
    "schema": (dict, "a JSON schema"),
    "code_field": (str, "text"),
    "min_chars": (int, "a number"),
    "max_chars": (int, "a number"),
    "min_edit_similarity": ((int, float), "a number"),
    "must_mention_name": (bool, "true or false"),
    "only_faults": (bool, "true or false"),
    "quoted_field": (str, "text"),
    "distinct_fields": (list, "a list"),
    "must_match": (str, "a regular expression"),
    "must_not_match": (str, "a regular expression"),
}


def _spec(written: Any) -> AnnotationSpec:
    if not isinstance(written, dict):
        raise ConfigError("expected lines of the form key: value")
    _check_keys(written, _KEYS, "")
    for key in ("name", "template", "targets"):
        if not written.get(key):
            raise ConfigError(f"{key} is missing")
    if written.get("languages") == []:
        raise ConfigError("languages is empty; omit it for all languages")
    for key, value in written.get("params", {}).items():
        if not isinstance(value, str | int | float):
            raise ConfigError(f"params.{one_line(key, SHOWN_CHARS)} is {shown(value)}; it must be a string")
    answer = written.pop("answer", {})
    _check_keys(answer, _ANSWER_KEYS, "answer.")
    lists = {key: _names_of(key, written[key]) for key in ("targets", "languages") if key in written}
    version = str(written.get("version", "1"))
    params = {str(key): str(value) for key, value in written.get("params", {}).items()}
    if "distinct_fields" in answer:
        answer["distinct_fields"] = _names_of("answer.distinct_fields", answer["distinct_fields"])
    return AnnotationSpec(**{**written, **lists, "version": version, "params": params, "answer": AnswerSpec(**answer)})


def _names_of(key: str, values: list[Any]) -> tuple[str, ...]:
    if wrong := [value for value in values if not isinstance(value, str)]:
        raise ConfigError(f"{key} contains {shown(wrong[0])}; it must be a list of names")
    return tuple(values)


def _check_keys(given: Mapping[Any, Any], known: Mapping[str, tuple[type | tuple[type, ...], str]], where: str) -> None:
    if unknown := [key if isinstance(key, str) else shown(key) for key in given if key not in known]:
        raise ConfigError(
            f"unknown key {where}{one_line(unknown[0], SHOWN_CHARS)}; keys are {', '.join(sorted(known))}"
        )
    for key, value in given.items():
        kind, wanted = known[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{where}{key} is {shown(value)}; it must be {wanted}")
        if value != value:  # NaN passes every comparison that looks for a fault
            raise ConfigError(f"{where}{key} is {value}; it must be {wanted}")


def _checked(spec: AnnotationSpec, overrides: Mapping[str, str]) -> AnnotationSpec:
    if unknown := sorted(set(overrides) - set(spec.params)):
        known = ", ".join(sorted(spec.params)) or "none"
        raise ConfigError(
            f"--set {one_line(unknown[0], SHOWN_CHARS)}: the task has no such param; its params are {known}"
        )
    spec = replace(spec, params={**spec.params, **overrides})
    if bad := sorted(set(spec.targets) - set(TARGETS)):
        raise ConfigError(f"targets: unknown target {one_line(bad[0], SHOWN_CHARS)}; targets are {', '.join(TARGETS)}")
    if bad := sorted(set(spec.languages) - set(SPAN_NODES)):
        raise ConfigError(
            f"languages: unknown language {one_line(bad[0], SHOWN_CHARS)}; languages are {', '.join(SPAN_NODES)}"
        )
    if clash := sorted(set(spec.params) & set(FIELDS)):
        raise ConfigError(f"param {clash[0]} has the name of a field")
    if spec.select not in ("any", "broken"):
        raise ConfigError(f"select is {shown(spec.select)}; it must be any or broken")
    if spec.answer.kind not in ("text", "line", "code", "json"):
        raise ConfigError(f"answer.kind is {shown(spec.answer.kind)}; it must be text, line, code or json")
    check_template("template", spec.template, {*FIELDS, *spec.params}, spec.params)
    check_template("answer.language", spec.answer.language, {"language", *spec.params}, spec.params)
    _check_answer(spec)
    _check_verify(spec)
    for key in ("must_match", "must_not_match"):
        check_pattern(f"answer.{key}", getattr(spec.answer, key))
    language = _answer_language(spec)
    if language and grammar_name(language) is None:
        known = ", ".join(SPAN_NODES)
        raise ConfigError(
            f"answer.language is {one_line(language, SHOWN_CHARS)}: no parser for it, so no answer can be checked; "
            f"languages are {known}"
        )
    if spec.answer.kind == "json":
        check_schema("answer.schema", spec.answer.schema or {})
    return spec


def _answer_language(spec: AnnotationSpec) -> str:
    if not spec.answer.language:
        return ""
    try:
        return render(spec.answer.language, {"language": "python", **spec.params})
    except RecordError as error:
        raise ConfigError(f"answer.language: {error.detail}") from None


# Keys that affect only answers of one kind.
_KEYS_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "code": ("whole", "min_edit_similarity", "must_mention_name", "only_faults"),
    "json": ("schema", "code_field", "quoted_field", "distinct_fields"),
}


def _check_verify(spec: AnnotationSpec) -> None:
    """Refuses a way to run answers that answers of this kind don't have."""
    if spec.verify not in ("", "tests", "translation", "exercise"):
        raise ConfigError(f"verify is {shown(spec.verify)}; it must be tests, translation or exercise")
    if spec.verify and spec.answer.kind != "code" and not spec.answer.code_field:
        raise ConfigError(f"verify: {spec.verify} needs answers with code; this task's kind is {spec.answer.kind}")


def _check_answer(spec: AnnotationSpec) -> None:
    """Refuses bounds that no answer can meet and keys that would be ignored."""
    answer = spec.answer
    for kind, keys in _KEYS_OF_KIND.items():
        given = [key for key in keys if getattr(answer, key) != getattr(AnswerSpec(), key)]
        if given and answer.kind != kind:
            raise ConfigError(f"answer.{given[0]} applies to answers of kind {kind}; this task's kind is {answer.kind}")
    if answer.language and answer.kind != "code" and not answer.code_field:
        raise ConfigError(f"answer.language applies to answers of kind code; this task's kind is {answer.kind}")
    if not 0 <= answer.min_chars <= answer.max_chars:
        bounds = f"answer.min_chars is {answer.min_chars} and answer.max_chars is {answer.max_chars}"
        raise ConfigError(f"{bounds}: no answer can satisfy both; use 0 <= min_chars <= max_chars")
    if not 0 <= answer.min_edit_similarity <= 1:
        raise ConfigError(f"answer.min_edit_similarity is {answer.min_edit_similarity}; it must be between 0 and 1")
    if answer.only_faults and not answer.whole:
        raise ConfigError("answer.only_faults is of answers that take the target's place; add whole: true")
    if answer.must_mention_name and "file" in spec.targets:
        raise ConfigError(
            "answer.must_mention_name requires a definition's name, but a file has none; remove one of them"
        )
