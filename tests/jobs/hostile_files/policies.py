"""Hostile policies and rule files."""

from __future__ import annotations

from collections.abc import Mapping

from tests.jobs.hostile_files.configs import ESCAPE, TOO_MANY, laughs

POLICIES: Mapping[str, tuple[str | bytes, str]] = {
    "aliases that stand for 10^12 values": (laughs(), f":5: {TOO_MANY}"),
    "aliases as an action": (
        "actions:\n" + "".join(f"  {line}\n" for line in laughs(4).strip().split("\n")).replace("a0:", "email:"),
        ":2: actions.email is ['x', 'x']; it must be one of keep",
    ),
    "mappings without end": ("".join(f"{' ' * i}a:\n" for i in range(1000)), ":40: values are nested more than 40"),
    "a parent that is a list": ("extends: [[[[strict]]]]\n", ":1: extends [[[[...]]]]; it must be one of strict"),
    "a parent of 500,000 characters": (f"extends: [{'a' * 500_000}]\n", ":1: extends ['aaa"),
    "an unknown key": ("action: {}\n", ": unknown key 'action'; did you mean 'actions'?"),
    "a key of 10,000 characters": (f"? {'a' * 10_000}\n: 1\n", ": unknown key 'aaa"),
    "a key with an escape sequence": (f'"{ESCAPE}": 1\n', "unknown key '\\x1b]8;;"),
    "a key that is a number": ("5: 1\n", "unknown key 5"),
    "an unknown type": ("actions:\n  emial: keep\n", "actions: unknown type 'emial'; did you mean 'email'?"),
    "a type of 10,000 characters": (f"actions:\n  ? {'a' * 10_000}\n  : keep\n", "actions: unknown type 'aaa"),
    "an action that is a mapping": (
        "actions: {email: {a: {b: {c: {d: e}}}}}\n",
        ":1: actions.email is {'a': {'b': {'c'",
    ),
    "actions in a list": ("actions: [email]\n", ":1: actions must map types to one of keep"),
    "a type given twice": ("actions:\n  email: keep\n  email: drop\n", ":3: email is given twice"),
    "a copy that is redacted": ("actions: {verbatim_copy: redact}\n", "verbatim_copy is 'redact'"),
    "a confidence that is no number": ("min_confidence: .nan\n", ":1: min_confidence is nan"),
    "a confidence that is true": ("min_confidence: true\n", ":1: min_confidence is True"),
    "a confidence beyond 64 bits": (f"min_confidence: 0x{'f' * 90}\n", ":1: a number beyond 64 bits"),
    "a list": ("- a\n", "is not a mapping"),
    "rule files as a text": ("rule_files: ours.toml\n", ":1: rule_files contains 'ours.toml'; it must be a list"),
    "rule files as a number": ("rule_files: 5\n", ":1: rule_files contains 5; it must be a list"),
    "a rule file that is a list": ("rule_files: [[ours.toml]]\n", ":1: rule_files contains ['ours.toml']"),
    "a rule file that isn't there": ("rule_files: [nowhere.toml]\n", "nowhere.toml: No such file"),
    "a rule file that is a folder": ("rule_files: [.]\n", "Is a directory"),
    "a rule file with a NUL": ('rule_files: ["a\\0b"]\n', "its name contains a NUL character"),
    "bytes that aren't UTF-8": (b"extends: \xff\n", ":1 is not UTF-8: byte 0xff"),
}


def rule(**values: str) -> str:
    """A rule file with one rule; values are TOML."""
    keys = {"id": "'mine'", "type": "'t'", "token": "'tok_[0-9]{9}'", **values}
    return "[[rules]]\n" + "".join(f"{key} = {value}\n" for key, value in keys.items() if value)


RULES: Mapping[str, tuple[str | bytes, str]] = {
    "arrays without end": ("a = " + "[" * 100_000, "is nested too deeply"),
    "inline tables without end": ("a = " + "{a = " * 50_000, "is nested too deeply"),
    "a key with 200,000 dots": (
        ".".join(["a"] * 200_000) + " = 1\n",
        "rule file own.toml was checked, but it took more than",
    ),
    "tables with 2,000 dots": (
        "".join(f"[{'.'.join(['a'] * 900)}.b{i}]\n" for i in range(500)),
        "has no `rules` array",
    ),
    "a number of 100,000 digits": (f"a = {'9' * 100_000}\n", "rule file own.toml is not valid TOML: Exceeds the limit"),
    "a text that doesn't end": ("a = '", "rule file own.toml is not valid TOML"),
    "more than a megabyte": ("# " + "x" * (1 << 20), "is larger than 1048576 bytes"),
    "rules that are a table": ("[rules]\nid = 1\n", "has no `rules` array of tables"),
    "rules that are numbers": ("rules = [1, 2]\n", "has no `rules` array of tables"),
    "defaults that are a number": ("defaults = 5\n" + rule(), "defaults is 5; it must be a table"),
    "a pattern that is a number": (rule(token="", pattern="5"), "rule mine: pattern is 5; it must be text"),
    "a token that is a list": (rule(token="['a']"), "rule mine: token is ['a']; it must be text"),
    "an id that is a table": (rule(id="{a = 1}"), "id is {'a': 1}; it must be text"),
    "an id of 10,000 characters": (rule(id=f"'{'a' * 10_000}'", colour="'x'"), "unknown key colour"),
    "an unknown key of 10,000 characters": (rule(**{"a" * 10_000: "'x'"}), "rule mine: unknown key aaa"),
    "a confidence that is a text": (rule(confidence="'high'"), "rule mine: confidence is 'high'; it must be a number"),
    "a confidence that is no number": (rule(confidence="nan"), "rule mine: confidence nan is not between 0 and 1"),
    "keywords that are numbers": (rule(keywords="[1]"), "rule mine: keywords is [1]; it must be a list of texts"),
    "an empty keyword": (rule(keywords="['']"), "rule mine: keywords contains an empty text"),
    "a validator of 10,000 characters": (rule(validator=f"'{'a' * 10_000}'"), "rule mine: validator 'aaa"),
    "a repeat of a repeat": (rule(token="'(a+)+'"), "rule mine: a match may be longer than 65536 bytes"),
    "a bounded repeat of a repeat": (rule(token="'(a{1,60}){1,60}'"), "rule mine: a repeat of a repeat"),
    "a bounded repeat of a repeat in groups": (rule(token="'x(((a{1,9})){1,9})b'"), "rule mine: a repeat of a repeat"),
    "a pattern that doesn't end": (rule(token="'('"), "rule mine: the pattern is not a valid regular expression"),
    "groups without end": (rule(token=f"'{'(' * 5000}a{')' * 5000}'"), "maximum recursion depth exceeded"),
    "an empty pattern": (rule(token="", pattern="''"), "rule mine: the pattern matches the empty string"),
    "a counter of counters": (rule(token="'(?:[a-z]{200}){300}'"), "Hyperscan rejects the pattern"),
    "alternatives without end": (
        rule(token=f"'(?:{'|'.join(f'w{i}x' for i in range(20_000))})'"),
        "Hyperscan rejects the pattern",
    ),
}
