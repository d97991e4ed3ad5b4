from __future__ import annotations

from pathlib import Path

import pytest

from model import user_cache
from model.errors import ConfigError
from transforms.scanning import RuleSet, Scanner, databases, load_rules
from transforms.scanning.rule import Rule
from transforms.scanning.rules import RULES_DIRECTORY, read_rule_file

hyperscan = pytest.importorskip("hyperscan")

RULES = RuleSet(load_rules().rules[:12])
TEXT = 'key = "A"\nmail ann@corp-mail.com\n' + "".join(f"{word}\n" for rule in RULES.rules for word in rule.keywords)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "codemill"


@pytest.fixture
def compiled(monkeypatch) -> list[int]:
    """The number of expressions of each database that is compiled for entire texts."""
    counts: list[int] = []
    compile_database = databases.compile_expressions

    def counting(expressions, ids, flags=0):
        counts.append(0 if flags else len(ids))
        return compile_database(expressions, ids, flags)

    databases._environment()  # compiles a small one, once
    monkeypatch.setattr(databases, "compile_expressions", counting)
    return counts


def ends(rules: RuleSet = RULES) -> dict[int, list[int]]:
    return Scanner(rules, backend="hyperscan")._backend.ends(TEXT.encode())


def test_a_database_is_compiled_once_and_finds_the_same(folder, compiled):
    first = ends()
    assert first and sum(compiled) == len(RULES.rules)
    assert ends() == first
    assert sum(compiled) == len(RULES.rules)


def test_without_a_cache_every_scanner_compiles(monkeypatch, compiled):
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    assert ends() == ends()
    assert sum(compiled) == 2 * len(RULES.rules)


@pytest.mark.parametrize(
    "damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: bytes(len(data))]
)
def test_a_damaged_entry_is_compiled_again(folder, compiled, damage):
    first = ends()
    for path in folder.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    assert ends() == first
    assert sum(compiled) == 2 * len(RULES.rules)
    assert ends() == first
    assert sum(compiled) == 2 * len(RULES.rules)


@pytest.mark.parametrize("data", [b"", b"no database", bytes(4096)])
def test_an_entry_that_is_no_database_of_this_hyperscan_is_compiled_again(folder, compiled, data):
    first = ends()
    for path in folder.iterdir():
        user_cache.write_entry(path.name, data)  # with its right hash
    assert ends() == first
    assert sum(compiled) == 2 * len(RULES.rules)


def test_other_rules_code_or_processors_have_entries_of_their_own(folder, compiled, monkeypatch):
    ends()
    names = {path.name for path in folder.iterdir()}
    ends(RuleSet(RULES.rules[:-1]))
    assert {path.name for path in folder.iterdir()} > names
    for function, value in (("_environment", ("another processor",)), ("_code_hash", "another version")):
        names = {path.name for path in folder.iterdir()}
        with monkeypatch.context() as patch:
            patch.setattr(databases, function, lambda value=value: value)
            ends()
        assert {path.name for path in folder.iterdir()} > names


def test_code_that_cannot_be_read_means_no_cache(folder, compiled, monkeypatch):
    def unreadable() -> str:
        raise NotADirectoryError("codemill.zip/transforms/scanning/rule.py")

    monkeypatch.setattr(databases, "_code_hash", unreadable)
    assert ends() == ends()
    assert sum(compiled) == 2 * len(RULES.rules) and not folder.exists()


def test_a_rule_that_hyperscan_rejects_is_named_and_not_cached(folder, compiled, tmp_path):
    file = tmp_path / "ours.toml"
    pattern = "k(?:[a-z]{200}){300}z"
    file.write_text(f'family = "ours"\n[[rules]]\nid = "too-large"\ntype = "api_token"\npattern = "{pattern}"\n')
    rules = RuleSet((*RULES.rules[:1], *read_rule_file(file)))
    with pytest.raises(ConfigError, match="rule too-large: Hyperscan rejects the pattern"):
        Scanner(rules, backend="hyperscan")
    assert not folder.exists() or len(list(folder.iterdir())) <= 1


def own_rules(*, checks_patterns: bool) -> tuple[Rule, ...]:
    paths = sorted(RULES_DIRECTORY.glob("*.toml"))
    rules = [rule for path in paths for rule in read_rule_file(path, checks_patterns=checks_patterns)]
    return tuple({rule.id: rule for rule in rules}.values())


def test_the_projects_own_patterns_pass_the_check_that_is_not_made_at_start():
    rules = own_rules(checks_patterns=True)
    assert rules == load_rules().rules
    assert [rule.id for rule in rules if rule.trigger_fold != rule.trigger.fold] == []


def test_a_pattern_that_starts_with_a_rare_literal_is_searched_for_as_it_is():
    rules = {rule.id: rule for rule in load_rules().rules}
    phone, card = rules["phone-international"], rules["payment-card"]
    assert phone.fold == card.fold == "digits"
    assert (phone.trigger_fold, card.trigger_fold) == ("", "digits")
    numbers = b"".join(b"%d.%d\n" % (n, n * n) for n in range(10**6, 10**6 + 2000))
    backend = Scanner(load_rules()).__dict__["_backend"]
    index = [rule.id for rule in load_rules().rules].index("phone-international")
    assert len(backend.ends(numbers).get(index, [])) < 50


def test_all_of_the_projects_exact_patterns_compile():
    Scanner(load_rules()).compile_patterns()


def test_opening_the_scanner_derives_no_trigger_that_is_cached(folder):
    Scanner(load_rules(), backend="hyperscan")
    rules = own_rules(checks_patterns=False)
    Scanner(RuleSet(rules), backend="hyperscan")
    assert [rule.id for rule in rules if {"trigger", "regex"} & set(vars(rule))] == []
