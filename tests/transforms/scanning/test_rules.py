from __future__ import annotations

import random

import pytest

from model.errors import ConfigError
from transforms.scanning import RuleSet, Scanner, load_rules
from transforms.scanning.candidate import Document
from transforms.scanning.rules import read_rule_file
from transforms.scanning.trigger import derive_trigger
from transforms.scanning.validators.recipes import fill

RULES = load_rules()
SECRET_FAMILIES = ("secrets.providers", "secrets.generic", "secrets.places", "secrets.formats")


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(RULES)


@pytest.fixture(scope="module")
def keyword_scanner() -> Scanner:
    return Scanner(RULES, backend="keywords")


def example(rule, recipe: str, rng: random.Random) -> str:
    value = fill(recipe, rng)
    return f'{rule.near[0]}_api_key = "{value}"\n' if rule.near else f"{value}\n"


def test_there_are_more_than_two_hundred_provider_rules():
    assert sum(rule.family == "secrets.providers" for rule in RULES.rules) > 200


def test_every_provider_rule_names_its_source_and_makes_examples():
    assert [r.id for r in RULES.rules if r.family == "secrets.providers" and not (r.source and r.like)] == []


def test_every_positive_example_is_found(scanner):
    rng = random.Random(7)
    missed = []
    for rule in RULES.rules:
        if rule.family not in SECRET_FAMILIES and rule.family != "personal":
            continue
        for recipe in rule.like:
            texts = [example(rule, recipe, rng) for _ in range(3)]
            if not any(scanner.scan_all(text) for text in texts):
                missed.append((rule.id, recipe))
    assert missed == []


def test_no_negative_example_is_found_by_its_rule(scanner):
    rng = random.Random(8)
    found = []
    for rule in RULES.rules:
        for recipe in rule.unlike:
            text = fill(recipe, rng)
            found += [(rule.id, text) for f in scanner.scan_all(text) if f.rule == rule.id]
    assert found == []


def planted(count: int, seed: int) -> str:
    rng = random.Random(seed)
    rules = [rule for rule in RULES.rules if rule.like]
    lines = []
    for _ in range(count):
        rule = rng.choice(rules)
        lines.append(
            example(rule, rng.choice(rule.like), rng) + rng.choice(["\n", "x = f(y)  # plain\n", "key = key + 1\n"])
        )
    return "".join(lines)


@pytest.mark.parametrize("seed", [1, 2])
def test_one_pass_finds_exactly_what_finditer_finds(scanner, seed):
    document = Document((planted(700, seed) + fill("{pem}\n{jwt}", random.Random(seed))).encode())
    ends = scanner._backend.ends(document.data)
    total = 0
    for index, rule in enumerate(RULES.rules):
        naive = [match.span() for match in rule.regex.finditer(document.data)]
        quick = (
            [match.span() for match in scanner.matches(index, ends.get(index, []), document)] if index in ends else []
        )
        assert quick == naive, rule.id
        total += len(naive)
    assert total > 700


def test_a_name_that_begins_inside_another_match_s_first_characters_is_still_tried(scanner):
    text = fill('token = "db_password = "{alpha:6}4#{alnum:6}"\n', random.Random(3))
    document = Document(text.encode())
    index, rule = next((i, r) for i, r in enumerate(RULES.rules) if r.id == "assigned-quoted")
    naive = [match.span() for match in rule.regex.finditer(document.data)]
    ends = scanner._backend.ends(document.data)
    assert [match.span() for match in scanner.matches(index, ends[index], document)] == naive


def test_the_keyword_backend_finds_the_same(scanner, keyword_scanner):
    text = planted(40, 3)
    assert keyword_scanner.scan(text) == scanner.scan(text)


def test_scanning_is_deterministic_and_independent_of_threads(scanner):
    from concurrent.futures import ThreadPoolExecutor

    texts = [planted(30, seed) for seed in range(6)]
    alone = [scanner.scan(text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(scanner.scan, texts)) == alone


def test_a_github_token_is_validated_by_its_checksum_and_not_without_it(scanner):
    rng = random.Random(1)
    (good,) = scanner.scan(fill("ghp_{crctoken}", rng))
    (bad,) = scanner.scan(fill("ghp_{alnum:30}000000", rng))
    assert good.validated and not bad.validated


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a+)+b", "longer than"),
        ("x(?:a{1,90}){1,90}b", "exponential"),
        ("a{0,5}", "empty string"),
        ("a(b", "is not a valid regular expression"),
        ("tok[0-9", "is not a valid regular expression"),
    ],
)
def test_a_bad_or_catastrophic_pattern_is_refused_with_rule_and_reason(tmp_path, pattern, reason):
    file = tmp_path / "own.toml"
    file.write_text(f"[[rules]]\nid = 'mine'\ntype = 'staff_number'\npattern = '{pattern}'\n")
    with pytest.raises(ConfigError, match=f"mine.*{reason}"):
        read_rule_file(file)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("validator = 'nope'", "validator 'nope' is unknown"),
        ("colour = 1", "unknown key colour"),
        ("confidence = 7", "not between"),
    ],
)
def test_a_rule_file_with_a_wrong_key_is_refused(tmp_path, line, reason):
    file = tmp_path / "own.toml"
    file.write_text(f"[[rules]]\nid = 'mine'\ntype = 't'\ntoken = 'tok_[0-9]{{9}}'\n{line}\n")
    with pytest.raises(ConfigError, match=reason):
        read_rule_file(file)


def test_a_users_own_rule_is_found_and_changes_the_hash(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text("[[rules]]\nid = 'staff'\ntype = 'staff_number'\ntoken = 'ST-[0-9]{6}'\n")
    rules = load_rules(file)
    assert rules.hash != RULES.hash
    (finding,) = Scanner(rules).scan("by ST-123456.")
    assert (finding.type, finding.start, finding.end) == ("staff_number", 3, 12)


def test_a_trigger_ends_with_its_last_repeat_cut_to_the_minimum():
    assert derive_trigger("r", "tok_[a-z]{4,9}").expression == "tok_[a-z]{4}"


@pytest.mark.parametrize(
    "text", ["a." * 20000, "1." * 20000, "a@" * 20000, "password=" * 4000, "ey" * 20000, "-----BEGIN " * 3000]
)
def test_adversarial_text_yields_no_finding_and_ends(scanner, text):
    assert [f for f in scanner.scan(text) if f.specificity > 1] == []


def test_the_rule_set_has_one_order_and_one_hash():
    assert RULES.hash == RuleSet(RULES.rules, RULES.terms).hash == load_rules().hash
