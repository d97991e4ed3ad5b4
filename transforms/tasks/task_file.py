"""Task files: a user's own prompt in YAML, read and fully validated before anything runs.

    name: explain
    version: "1"
    targets: [function, method]         # from file, class, function, method
    select: any                         # broken: only code that doesn't parse
    languages: [python]                 # default: every language with a grammar
    system: You are a careful engineer. # optional; folded into the user's turn
    params: {depth: short}              # names for the template; `--set depth=long` overrides
    template: |                         # Jinja2, sandboxed; an unknown field is refused before anything runs
      Explain {{ name }} ({{ depth }}):
      {{ code }}
    answer: {kind: text, min_chars: 40} # text; line (the first one); code (in a fence, must parse); json (with a
        schema)

Template fields: code, language, path, repo_name, kind, name, signature, documentation, and the task's params. A
definition that doesn't fit loses its last lines (`is_windowed`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import jinja2
import jinja2.meta
import jinja2.sandbox
import jsonschema
import referencing
import referencing.exceptions
import referencing.jsonschema
import yaml

from model.errors import ConfigError, RecordError
from transforms.languages.grammars import SPAN_NODES, grammar_name

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
        must_mention_name: Code: whether the target's name must occur.
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
    must_match: str = ""
    must_not_match: str = ""


@dataclass(frozen=True, kw_only=True)
class AnnotationSpec:
    """One validated task file."""

    name: str
    version: str
    targets: tuple[str, ...]
    template: str
    select: Literal["any", "broken"] = "any"
    languages: tuple[str, ...] = tuple(SPAN_NODES)
    system: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
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
    shipped = SHIPPED / f"{name_or_path}.yaml"
    path = shipped if shipped.exists() else Path(name_or_path)
    try:
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        known = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.yaml")))
        raise ConfigError(f"--task {name_or_path}: {error.strerror}; built-in tasks are {known}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"--task {path}: not valid YAML: {' '.join(str(error).split())}") from None
    try:
        spec = _spec(written)
        return _checked(spec, params or {})
    except (ConfigError, TypeError) as error:
        raise ConfigError(f"--task {path.name}: {error}") from None


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
            raise ConfigError(f"params.{key} is {value!r}; it must be a string")
    answer = written.pop("answer", {})
    _check_keys(answer, _ANSWER_KEYS, "answer.")
    lists = {key: tuple(map(str, written[key])) for key in ("targets", "languages") if key in written}
    version = str(written.get("version", "1"))
    params = {str(key): str(value) for key, value in written.get("params", {}).items()}
    return AnnotationSpec(**{**written, **lists, "version": version, "params": params, "answer": AnswerSpec(**answer)})


def _check_keys(given: Mapping[Any, Any], known: Mapping[str, tuple[type | tuple[type, ...], str]], where: str) -> None:
    if unknown := sorted(map(str, set(given) - set(known))):
        raise ConfigError(f"unknown key {where}{unknown[0]}; keys are {', '.join(sorted(known))}")
    for key, value in given.items():
        kind, wanted = known[key]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ConfigError(f"{where}{key} is {value!r}; it must be {wanted}")


def _checked(spec: AnnotationSpec, overrides: Mapping[str, str]) -> AnnotationSpec:
    if unknown := sorted(set(overrides) - set(spec.params)):
        known = ", ".join(sorted(spec.params)) or "none"
        raise ConfigError(f"--set {unknown[0]}: the task has no such param; its params are {known}")
    spec = replace(spec, params={**spec.params, **overrides})
    if bad := sorted(set(spec.targets) - set(TARGETS)):
        raise ConfigError(f"unknown target {bad[0]}; targets are {', '.join(TARGETS)}")
    if bad := sorted(set(spec.languages) - set(SPAN_NODES)):
        raise ConfigError(f"unknown language {bad[0]}; languages are {', '.join(SPAN_NODES)}")
    if clash := sorted(set(spec.params) & set(FIELDS)):
        raise ConfigError(f"param {clash[0]} has the name of a field")
    if spec.select not in ("any", "broken"):
        raise ConfigError(f"select is {spec.select!r}; it must be any or broken")
    if spec.answer.kind not in ("text", "line", "code", "json"):
        raise ConfigError(f"answer.kind is {spec.answer.kind!r}; it must be text, line, code or json")
    _check_template("template", spec.template, {*FIELDS, *spec.params}, spec.params)
    _check_template("answer.language", spec.answer.language, {"language", *spec.params}, spec.params)
    _check_answer(spec)
    for key in ("must_match", "must_not_match"):
        try:
            re.compile(getattr(spec.answer, key))
        except re.error as error:
            raise ConfigError(f"answer.{key} is not a valid regular expression: {error}") from None
    language = render(spec.answer.language, {"language": "python", **spec.params}) if spec.answer.language else ""
    if language and grammar_name(language) is None:
        known = ", ".join(SPAN_NODES)
        raise ConfigError(
            f"answer.language is {language}: no parser for it, so no answer can be checked; languages are {known}"
        )
    if spec.answer.kind == "json":
        try:
            jsonschema.Draft202012Validator.check_schema(spec.answer.schema or {})
        except jsonschema.SchemaError as error:
            raise ConfigError(f"answer.schema is not a valid JSON schema: {error.message}") from None
        if outside := [ref for ref in _references(spec.answer.schema) if not ref.startswith("#")]:
            raise ConfigError(
                f"answer.schema refers to {outside[0]}; it may only refer to its own parts, e.g. #/$defs/x"
            )
        _check_references(spec.answer.schema or {})
    return spec


# Keys that affect only answers of one kind.
_KEYS_OF_KIND: Final[Mapping[str, tuple[str, ...]]] = {
    "code": ("whole", "min_edit_similarity", "must_mention_name"),
    "json": ("schema", "code_field"),
}


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
    if answer.must_mention_name and "file" in spec.targets:
        raise ConfigError(
            "answer.must_mention_name requires a definition's name, but a file has none; remove one of them"
        )


def json_validator(schema: Mapping[str, Any]) -> jsonschema.Draft202012Validator:
    """Returns the validator of a schema; it never fetches anything."""
    return jsonschema.Draft202012Validator(schema, registry=referencing.Registry())


def _check_references(schema: Mapping[str, Any]) -> None:
    """Follows every reference once: an undefined or cyclic one would fail only at the first answer."""
    resolver = referencing.Registry().with_resource("", referencing.jsonschema.DRAFT202012.create_resource(schema))
    for ref in _references(schema):
        found, seen = schema, {ref}
        while True:
            try:
                found = resolver.resolver().lookup(ref).contents
            except referencing.exceptions.Unresolvable:
                raise ConfigError(f"answer.schema refers to {ref}, which it does not define") from None
            ref = found.get("$ref", "") if isinstance(found, dict) else ""
            if not ref:
                break
            if ref in seen:
                raise ConfigError(f"answer.schema refers to {ref} in a cycle")
            seen.add(ref)


def _references(schema: Any) -> Iterator[str]:
    """Returns all references of a schema; one that points outside it would be fetched."""
    for key, value in schema.items() if isinstance(schema, dict) else ():
        if key in ("$ref", "$dynamicRef") and isinstance(value, str):
            yield value
        yield from _references(value)
    for value in schema if isinstance(schema, list) else ():
        yield from _references(value)


def _check_template(where: str, template: str, known: set[str], params: Mapping[str, str]) -> None:
    try:
        parsed = _jinja().parse(template)
        names = jinja2.meta.find_undeclared_variables(parsed)
    except jinja2.TemplateSyntaxError as error:
        raise ConfigError(f"{where}, line {error.lineno}: {error.message}") from None
    if unknown := sorted(names - known):
        raise ConfigError(f"{where}: unknown field {unknown[0]}; fields are {', '.join(sorted(known))}")
    if any(True for _ in jinja2.meta.find_referenced_templates(parsed)):
        raise ConfigError(f"{where}: it refers to another template; write it all in this file")
    try:
        _jinja().from_string(template).render({**dict.fromkeys(known, "text"), **params})
    except jinja2.UndefinedError as error:
        if "'str object' has no attribute" in str(error):  # fields are always strings; other types vary
            raise ConfigError(f"{where}: {error.message}; each field is a string") from None
    except jinja2.TemplateError as error:
        raise ConfigError(f"{where}: {error}") from None
    except (TypeError, ValueError, ArithmeticError, LookupError):
        pass  # depends on the value: other values may work


@functools.cache
def _jinja() -> jinja2.Environment:
    return jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True)


def render(template: str, fields: Mapping[str, str]) -> str:
    """Fills in a template.

    Raises:
        RecordError: `template_failed`.
    """
    try:
        return _jinja().from_string(template).render(fields)
    except Exception as error:  # a template is a user's program: any error in it rejects this target
        raise RecordError("template_failed", f"{type(error).__name__} in the task's template") from None
