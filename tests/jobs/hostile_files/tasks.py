"""Hostile task files: templates, patterns and schemas that would run, grow or recurse without end."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tests.jobs.hostile_files.configs import ESCAPE, TOO_MANY, laughs, merged

HEAD = "name: mine\ntargets: [function]\n"
MEMORY = ":3: template was rendered as a test, but it needs more than 1024 MB of memory; simplify it"
TIME = ":3: template was rendered as a test, but it took more than 0.5 s of processor time; simplify it"
DEPTH = ":3: template was rendered as a test, but it calls itself too deeply; simplify it"
TIME_OF_PATTERN = ":4: answer.must_match was compiled, but it took more than 0.5 s of processor time; simplify it"
LONG = "characters, the limit is 10"


def template(text: str) -> str:
    """A task with a template."""
    return f"{HEAD}template: {json.dumps(text, ensure_ascii=False)}\n"


def answer(**keys: Any) -> str:
    """A task with checks of the answer, on line 4."""
    return f"{HEAD}template: x\nanswer: {json.dumps(keys, ensure_ascii=False)}\n"


def schema(**keys: Any) -> str:
    """A task with a schema, on line 4."""
    return answer(kind="json", schema=keys)


def doubled(key: str, levels: int = 40) -> dict[str, Any]:
    """A schema whose definitions each name the next one twice."""
    ends = {f"d{levels}": {"type": "string"}}
    steps = {f"d{i}": {key: [{"$ref": f"#/$defs/d{i + 1}"}] * 2} for i in range(levels)}
    return {"$defs": {**steps, **ends}, "$ref": "#/$defs/d0"}


def nested(depth: int, key: str = "items") -> dict[str, Any]:
    """A schema inside a schema inside ..."""
    found: dict[str, Any] = {}
    for _ in range(depth):
        found = {key: found}
    return found


TEMPLATES: Mapping[str, tuple[str, str]] = {
    "a text times 10^10": ("{{ 'a' * 10 ** 10 }}", MEMORY),
    "a text times 10^8": ("{{ 'a' * 3 * 10 ** 7 }}", LONG),
    "a field times 10^10": ("{{ code * 10 ** 10 }}", MEMORY),
    "a list times 10^10": ("{{ ['a'] * 10 ** 10 }}", MEMORY),
    "a tower of powers": ("{{ 9 ** (9 ** 9) }}", TIME),
    "a shift by 10^11": ("{{ 2 ** (10 ** 11) }}", ":3: template"),
    "center": ("{{ code | center(10 ** 10) }}", MEMORY),
    "center, 10^8": ("{{ code | center(3 * 10 ** 7) }}", LONG),
    "indent": ("{{ code | indent(10 ** 10, true) }}", MEMORY),
    "format": ("{{ '%010000000000d' | format(1) }}", ":3: template"),
    "the method format": ("{{ '{:30000000}'.format('') }}", LONG),
    "zfill": ("{{ code.zfill(10 ** 10) }}", MEMORY),
    "ljust": ("{{ code.ljust(3 * 10 ** 7) }}", LONG),
    "expandtabs": ("{{ '\\t'.expandtabs(2 * 10 ** 9) }}", MEMORY),
    "replace": ("{{ ('a' * 10 ** 6) | replace('a', 'b' * 10 ** 6) }}", MEMORY),
    "join": ("{{ ('a' * 10 ** 4) | list | join('b' * 10 ** 6) }}", MEMORY),
    "batch": ("{{ [1] | batch(10 ** 10, 'x') | list }}", MEMORY),
    "slice": ("{{ [1] | slice(10 ** 10, 'x') | list }}", ":3: template was rendered as a test, but it"),
    "tojson": ("{{ [[1]] | tojson(indent=10 ** 10) }}", MEMORY),
    "doubling": (
        "{% set a = 'a' * 999 %}" + "{% set a = a ~ a %}" * 40 + "{{ a }}",
        ":3: template was rendered as a test, but it",
    ),
    "squares in loops": ("{% for a in 'a' * 99999 %}{% for b in 'b' * 99999 %}{% endfor %}{% endfor %}", TIME),
    "text in loops": ("{% for a in 'a' * 9999 %}{% for b in 'b' * 9999 %}xy{% endfor %}{% endfor %}", ":3: template"),
    "a recursive loop": ("{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", DEPTH),
    "a recursive macro": ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", DEPTH),
    "a macro that calls itself twice": (
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        TIME,
    ),
    "xmlattr": ("{{ {'a b': code} | xmlattr }}", ":3: template, line 1: No filter named 'xmlattr'"),
    "random": ("{{ ['a', 'b'] | random }}", ":3: template, line 1: No filter named 'random'"),
    "lipsum": ("{{ lipsum() }}", ":3: template: unknown field lipsum"),
    "cycler": ("{{ cycler('a', 'b').next() }}", ":3: template: unknown field cycler"),
    "joiner": ("{{ joiner()() }}", ":3: template: unknown field joiner"),
    "namespace": ("{% set n = namespace(a=1) %}{{ n.a }}", ":3: template: unknown field namespace"),
    "range": ("{% for i in range(10 ** 10) %}{% endfor %}", ":3: template: unknown field range"),
    "an address": ("{{ code.upper }}", ":3: template: it shows an object's address"),
    "a generator's address": ("{{ [1] | map('string') }}", ":3: template: it shows an object's address"),
    "the class of a text": ("{{ ''.__class__ }}", "is unsafe"),
    "the class by a filter": ("{{ '' | attr('__class__') }}", "is unsafe"),
    "the class by a format": ("{{ '{0.__class__}'.format(code) }}", "is unsafe"),
    "an include": ("{% include 'a' %}", ":3: template: it refers to another template"),
    "a parent": ("{% extends 'a' %}", ":3: template: it refers to another template"),
    "an unfinished block": ("\n\n{% if code %}", ":3: template, line 3: Unexpected end of template"),
    "an unknown tag of 1,000 characters": ("{% " + "a" * 1000 + " %}", ":3: template, line 1: Encountered unknown tag"),
    "an unknown field of 1,000 characters": ("{{ " + "a" * 1000 + " }}", ":3: template: unknown field aaa"),
    "brackets without end": ("{{ " + "(" * 20_000 + " }}", ":3: template is nested too deeply"),
    "signs without end": ("{{ " + "- " * 20_000 + "1 }}", ":3: template is nested too deeply"),
    "conditions in conditions": ("{% if code %}" * 120 + "{% endif %}" * 120, ":3: template is nested too deeply"),
    "loops in loops": ("{% for a in code %}" * 25 + "{% endfor %}" * 25, ":3: template is nested too deeply"),
    "a template of 300,000 characters": ("x" * 300_000, ":3: template has 300000 characters, the limit is 262144"),
}

PATTERNS: Mapping[str, tuple[str, str]] = {
    "a bracket that doesn't end": ("(", ":4: answer.must_match is not a valid regular expression: missing )"),
    "a pattern of 20,000 characters": ("a" * 20_000, ":4: answer.must_match has 20000 characters, the limit is 10000"),
    "a repeat beyond all counters": ("a{99999999999999999999}", ":4: answer.must_match is not a valid regular expr"),
    "groups without end": ("(" * 4000 + ")" * 4000, ":4: answer.must_match"),
    "sets of all characters in any case": ("(?i)" + "[a-\U0010fffe]" * 1500, TIME_OF_PATTERN),
    "sets of all characters in a group": ("(?i:" + "[a-\U0010fffe]" * 1500 + ")", TIME_OF_PATTERN),
    "an unknown group of 5,000 characters": (f"(?P={'a' * 5000})", ":4: answer.must_match is not a valid regular expr"),
}

SCHEMAS: Mapping[str, tuple[dict[str, Any], str]] = {
    "allOf that leads to itself": ({"allOf": [{"$ref": "#"}]}, ":4: answer.schema refers to # in a cycle"),
    "mutual allOf": (
        {
            "$defs": {"a": {"allOf": [{"$ref": "#/$defs/b"}]}, "b": {"allOf": [{"$ref": "#/$defs/a"}]}},
            "$ref": "#/$defs/a",
        },
        ":4: answer.schema refers to #/$defs/a in a cycle",
    ),
    "mutual anyOf": (
        {"$defs": {"a": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/a"}]}}, "$ref": "#/$defs/a"},
        "in a cycle",
    ),
    "not of itself": ({"not": {"$ref": "#"}}, ":4: answer.schema refers to # in a cycle"),
    "if of itself": ({"if": {"$ref": "#"}, "then": {}}, ":4: answer.schema refers to # in a cycle"),
    "a dependent schema of itself": ({"dependentSchemas": {"a": {"$ref": "#"}}}, "refers to # in a cycle"),
    "a dynamic reference to itself": ({"$dynamicRef": "#"}, ":4: answer.schema refers to # in a cycle"),
    "doubled anyOf": (doubled("anyOf"), ":4: answer.schema has more than 1000 paths to one value"),
    "doubled allOf": (doubled("allOf"), ":4: answer.schema has more than 1000 paths to one value"),
    "doubled oneOf": (doubled("oneOf"), ":4: answer.schema has more than 1000 paths to one value"),
    "a reference to the web": ({"$ref": "http://127.0.0.1:9/x"}, ":4: answer.schema refers to http://127.0.0.1:9/x"),
    "a reference to a file": ({"$ref": "file:///etc/passwd"}, ":4: answer.schema refers to file:///etc/passwd"),
    "a reference of 10,000 characters": ({"$ref": "#/" + "a" * 10_000}, ":4: answer.schema refers to #/aaa"),
    "a reference to nothing": ({"$ref": "#/$defs/~9"}, "which it does not define"),
    "a reference that is a number": ({"$ref": 5}, ":4: answer.schema is not a valid JSON schema: 5 is not of type"),
    "a type of 10,000 characters": ({"type": "a" * 10_000}, ":4: answer.schema is not a valid JSON schema: 'aaa"),
    "30 levels, and a wrong one": (nested(30) | {"type": 5}, ":4: answer.schema is not a valid JSON schema: 5 is"),
    "6,000 properties": (
        {"properties": {f"p{i}": {} for i in range(6000)}},
        ":4: answer.schema has 6002 values, the limit is 5000",
    ),
    "a pattern that is none": ({"pattern": "("}, ":4: answer.schema"),
    "a property's pattern that is none": ({"patternProperties": {"(": {}}}, ":4: answer.schema"),
}

OTHERS: Mapping[str, tuple[str | bytes, str]] = {
    "aliases that stand for 10^12 values": (HEAD + laughs(), f":7: {TOO_MANY}"),
    "aliases in params": (
        HEAD + "template: x\nparams:\n" + "".join(f"  {line}\n" for line in laughs(4).strip().split("\n")),
        ":5: params.a0 is ['x', 'x']; it must be a string",
    ),
    "aliases in a schema": (
        HEAD
        + "template: x\nanswer:\n  kind: json\n  schema:\n"
        + "".join(f"    {line}\n" for line in laughs(5).strip().split("\n")),
        ":11: more than 20000",
    ),
    "merge keys that multiply": (HEAD + merged(), f":7: {TOO_MANY}"),
    "a name that is a list": (HEAD.replace("mine", "[[[[[[x]]]]]]") + "template: x\n", ":1: name is [[[[...]]]]"),
    "a name of 500,000 characters": (f"name: [{'a' * 500_000}]\n", ":1: name is ['aaa"),
    "a target that is a mapping": ("name: m\ntargets: [{a: 1}]\ntemplate: x\n", ":2: targets contains {'a': 1}"),
    "a language that is a list": (HEAD + "template: x\nlanguages: [[python]]\n", ":4: languages contains ['python']"),
    "a key that is a number": (HEAD + "template: x\n5: x\n", "unknown key 5"),
    "a key of 1,000 characters": (HEAD + f"template: x\n{'a' * 1000}: x\n", ":4: unknown key aaa"),
    "a key with an escape sequence": (HEAD + f'template: x\n"{ESCAPE}": x\n', "unknown key \\x1b]8"),
    "a key given twice": (HEAD + "template: x\ntemplate: y\n", ":4: template is given twice"),
    "a version that is no number": (HEAD + "template: x\nversion: .nan\n", ":4: version is nan"),
    "a similarity that is no number": (
        HEAD + "template: x\nanswer:\n  kind: code\n  min_edit_similarity: .nan\n",
        ":6: answer.min_edit_similarity is nan",
    ),
    "a length beyond 64 bits": (HEAD + f"template: x\nanswer: {{max_chars: 0x{'f' * 90}}}\n", ":4: a number beyond"),
    "a kind that is a list": (HEAD + "template: x\nanswer: {kind: [text]}\n", ":4: answer.kind is ['text']"),
    "a param of a mapping": (HEAD + "template: x\nparams: {a: {b: c}}\n", ":4: params.a is {'b': 'c'}"),
    "a schema with a date": (
        answer(kind="json").replace('"json"', '"json", "schema": {"const": 2024-01-01}'),
        ":4: answer.schema contains a value that JSON doesn't have",
    ),
    "a schema with the key 1": (
        answer(kind="json").replace('"json"', '"json", "schema": {1: {}}'),
        ":4: answer.schema has the key 1; put it in quotes",
    ),
    "a language that never ends": (
        HEAD + "template: x\nanswer: {kind: code, language: \"{{ 'a' * 10 ** 10 }}\"}\n",
        ":4: answer.language was rendered as a test, but it needs more than 1024 MB",
    ),
    "a language of a billion characters": (
        HEAD + "template: x\nanswer: {kind: code, language: \"{{ 'a' * 3 * 10 ** 7 }}\"}\n",
        ":4: answer.language: it makes 30000000 characters",
    ),
    "bytes that aren't UTF-8": (HEAD.encode() + b"template: \xff\n", ":3 is not UTF-8: byte 0xff"),
    "brackets without end": ("[" * 100_000, ":1: values are nested more than 40 deep"),
    "half of a character": (HEAD + 'template: "\\ud83d\\ude00"\n', ":3: half of a character"),
    "nothing": ("", "expected lines of the form key: value"),
}

TASKS: Mapping[str, tuple[str | bytes, str]] = {
    **{f"template: {name}": (template(text), line) for name, (text, line) in TEMPLATES.items()},
    **{f"pattern: {name}": (answer(must_match=text), line) for name, (text, line) in PATTERNS.items()},
    **{f"schema: {name}": (schema(**found), line) for name, (found, line) in SCHEMAS.items()},
    **OTHERS,
}
