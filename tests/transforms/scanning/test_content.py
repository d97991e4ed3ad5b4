from __future__ import annotations

import pickle
import random

import pytest

from model.errors import ConfigError
from transforms.languages.table import BY_NAME, fold
from transforms.scanning import ContentFilter
from transforms.scanning.findings import Finding
from transforms.scanning.rule import Rule, RuleSet
from transforms.scanning.scanner import Scanner
from transforms.scanning.validators.recipes import fill


@pytest.fixture(scope="module")
def content_filter() -> ContentFilter:
    made = ContentFilter("default")
    made.open()
    return made


def example(recipe: str, seed: int = 0) -> str:
    return fill(recipe, random.Random(seed))


def test_the_same_value_gets_the_same_placeholder_and_another_value_another(content_filter):
    first, second = example("{lower:8}@gmail.com", 1), example("{lower:8}@gmail.com", 2)
    text = f'to = "{first}"\ncc = "{second}"\nbcc = "{first}"\n'
    outcome = content_filter.filter_input(text, "python")
    assert outcome.text == 'to = "<EMAIL_1>"\ncc = "<EMAIL_2>"\nbcc = "<EMAIL_1>"\n'
    assert any(finding.placeholder for finding in outcome.findings) and outcome.dropped is None


def test_redacting_twice_equals_redacting_once(content_filter):
    text = example(
        'a = "{lower:9}@gmail.com"; ip = "{ip}"; password = "{password:12}7"\nurl = "ftp://me:{alnum:12}@h.net/"\n{pem}'
    )
    once = content_filter.filter_input(text, "python").text
    assert once != text
    assert content_filter.filter_input(once, "python").text == once


def test_a_private_key_keeps_its_frame_and_loses_its_body(content_filter):
    text = example("{pem}\n")
    outcome = content_filter.filter_input(text)
    assert outcome.text.startswith("-----BEGIN RSA") and outcome.text.endswith("KEY-----\n")
    assert "<PRIVATE_KEY_1>" in outcome.text and text.splitlines()[3] not in outcome.text


def test_an_address_becomes_a_documentation_address_that_the_text_does_not_use_yet(content_filter):
    outcome = content_filter.filter_input(example('a = "192.0.2.1"; b = "{ip}"'))
    assert outcome.text == 'a = "192.0.2.1"; b = "192.0.2.2"'


BROKEN_BY = {  # a classifier's finding here can't be redacted without breaking the code
    "JavaScript": "f(1);\n",
    "C#": "class A { int x = f(1); }\n",
    "Go": "package a\n\nvar x = f(1)\n",
    "Python": "f(1)\n",
    "C++": "int x = f(1);\n",
    "Rust": "fn f() { g(1); }\n",
}


def find_brackets(text: str, _language: str) -> list[Finding]:
    at = text.find("1)")
    return [Finding("api_token", "own", at, at + 2, at, at + 2, 1.0, True, 0, "")] if at >= 0 else []


@pytest.mark.parametrize("name", BROKEN_BY)
def test_redaction_that_breaks_syntax_is_noticed_by_every_name_of_a_language(name):
    made = ContentFilter("default", classifier=find_brackets)
    made.open()
    language, text = BY_NAME[fold(name)], BROKEN_BY[name]
    assert made.filter_input(text, "no such language").dropped is None
    for called in (name, name.lower(), *language.aliases):
        assert made.filter_input(text, called).dropped == "redaction_breaks_syntax", called
        assert made.filter_input("}}) " + text, called).dropped is None, called  # it was broken before
    for extension in language.extensions:
        assert made.filter_input(text, "", f"a.{extension}").dropped == "redaction_breaks_syntax", extension


def test_only_the_password_of_a_url_is_replaced(content_filter):
    outcome = content_filter.filter_input(example("postgres://app:{alnum:14}7@db.internal:5432/x"))
    assert outcome.text == "postgres://app:<PASSWORD_1>@db.internal:5432/x"


def test_a_secret_that_straddles_the_boundary_counts_as_generated(content_filter):
    prefix, completion = 'password = "' + example("{lower:4}"), example("{digit:4}{alpha:4}Q") + '"\n'
    findings = content_filter.filter_output(prefix, completion, "x = 1\n", "python")
    assert [f.start for f in findings] == [-4]
    assert content_filter.output_reason(findings) == "secret_in_output"


def test_findings_in_prefix_or_suffix_alone_do_not_count_as_generated(content_filter):
    mail = example('m = "{lower:9}@gmail.com"\n')
    assert content_filter.filter_output(mail, "x = 1\n", mail, "python") == []


def test_a_filter_is_a_picklable_description(content_filter):
    copy = pickle.loads(pickle.dumps(content_filter))  # noqa: S301
    copy.open()
    assert copy.policy_hash == content_filter.policy_hash and copy.rules_hash == content_filter.rules_hash
    text = example('a = "{lower:9}@gmail.com"')
    assert copy.filter_input(text) == content_filter.filter_input(text)


@pytest.mark.parametrize("text", ["", "\x00", "\ud800 \udfff", "a\x00b" * 100, "\ufeff", "é" * 1000, "\r\n" * 50])
def test_odd_texts_pass_unchanged(content_filter, text):
    assert content_filter.filter_input(text, "python").text == text


def test_offsets_count_characters_and_bytes(content_filter):
    mail = example("{lower:9}@gmail.com")
    text = f"# é\ud800 {mail}"
    (finding,) = content_filter.scan(text)
    assert text[finding.start : finding.end] == mail
    assert text.encode("utf-8", "surrogatepass")[finding.byte_start : finding.byte_end].decode() == mail


def test_no_finding_holds_the_value(content_filter):
    mail = example("{lower:9}@gmail.com")
    assert all(mail not in repr(f) for f in content_filter.scan(f"m = {mail}"))


def test_a_policy_that_drops_leaves_the_text_and_says_why(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("actions:\n  email: drop\n")
    strict = ContentFilter(str(file))
    strict.open()
    outcome = strict.filter_input(example("{lower:9}@gmail.com"))
    assert outcome.dropped == "personal_data_in_input"


def test_an_unknown_type_in_a_policy_is_refused_in_one_line(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("actions:\n  emial: drop\n")
    with pytest.raises(ConfigError, match=r"unknown type 'emial'; did you mean 'email'\?"):
        ContentFilter(str(file))


def test_a_name_with_a_finding_has_a_trigger_and_most_names_have_none(content_filter):
    scanner = content_filter._scanner
    named = [example(recipe) for rule in content_filter.rules.rules for recipe in rule.like]
    texts = [*named, "", "src/lib/parsing.py", "9" * 30]
    for text, may in zip(texts, scanner.may_find_in(texts), strict=True):
        assert may or not scanner.scan(text), text
    quiet = ["src/lib/parsing.py", "numpy", "c5d1a9b3e87f", "README.md", "Python", "include/linux/list.h"]
    assert [name for name, may in zip(quiet, scanner.may_find_in(quiet), strict=True) if may] == []


def test_names_together_give_what_each_gives_alone(content_filter):
    names = [example(recipe, seed) for seed, rule in enumerate(content_filter.rules.rules) for recipe in rule.like]
    names += ["src/a.py", "", "a\n", "Telefon/\u0301a", "aws/s3.py"]
    random.Random(1).shuffle(names)
    scanned = [content_filter._filtered_name(name, "redact") for name in names]
    assert content_filter.filter_names(names, "redact") == scanned
    assert [content_filter.filter_name(name, "redact") for name in names] == scanned


@pytest.mark.parametrize("backend", ["hyperscan", "keywords"])
@pytest.mark.parametrize("pattern", [r"\Atok_[a-z]{4}\Z", r"(?<!\s)tok_[a-z]{4}", r"(?<![a-z\n])tok_[a-z]{4}(?:;|\Z)"])
def test_a_rule_sees_the_start_and_the_end_of_each_of_several_names(backend, pattern):
    rule = Rule(id="own", type="secret", pattern=pattern, keywords=("tok_",))
    scanner = Scanner(RuleSet((rule,)), backend=backend)
    names = ["a", "tok_abcd", "b", "tok_wxyz"]
    assert [bool(scanner.scan(name)) for name in names] == [False, True, False, True]
    assert scanner.may_find_in(names) == [False, True, False, True]


def test_a_name_without_a_trigger_is_not_scanned_but_by_a_users_classifier(content_filter, monkeypatch):
    monkeypatch.setattr(ContentFilter, "scan", lambda *_: pytest.fail("scanned"))
    assert content_filter.filter_name("src/lib/parsing.py", "redact") == ("src/lib/parsing.py", ())
    monkeypatch.undo()
    whole = Finding("email", "ours", 0, 3, 0, 3, 0.9, False, 1, "00")
    classifying = ContentFilter("default", classifier=lambda text, _: [whole] if text == "src" else [])
    classifying.open()
    assert classifying.filter_name("src", "keep") == ("src", (whole._replace(action="keep"),))
