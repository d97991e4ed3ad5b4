"""What breaks filters: lines without end, values that overlap, quotes inside of values, secrets that are encoded."""

from __future__ import annotations

import ast
import base64
import itertools
import random

import pytest
import yaml
from hypothesis import example as hypothesis_example
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.duplicates.signatures import sign
from transforms.filters.quality import measure
from transforms.scanning import ContentFilter, Scanner, load_rules
from transforms.scanning.candidate import Document
from transforms.scanning.validators.recipes import fill

RULES = load_rules()
LINE_MB = 50


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(RULES)


@pytest.fixture(scope="module")
def content_filter() -> ContentFilter:
    made = ContentFilter("default")
    made.open()
    return made


def made(recipe: str, seed: int = 0) -> str:
    return fill(recipe, random.Random(seed))


def test_a_line_of_50_mb_is_scanned_measured_and_signed(scanner):
    token = made("ghp_{crctoken}")
    text = "x=f(1);" * (LINE_MB * 1_000_000 // 7) + f'k="{token}";'
    (finding,) = scanner.scan(text, language="javascript")
    assert text[finding.start : finding.end] == token
    assert measure(text, "javascript").longest_line == len(text)
    assert sign("a", text).num_tokens > 20_000_000


# --- overlaps and quoting ----------------------------------------------------------------------------

QUOTED = (
    'u = "https://me:{alnum:9}7@{lower:8}.com/{lower:7}@gmail.com"\n',
    'password = "{lower:8}@gmail.com{digit:4}"\n',
    "password = '{alnum:5}\\'{alnum:6}7'\n",
    'password = "{alnum:5}\\"{alnum:6}7"\n',
    'd = {{"token": "{alnum:30}4", "mail": \'{lower:8}@gmail.com\'}\n',
    'h = "Authorization: Bearer {alnum:40}"; t = f"{{x} {lower:8}@gmail.com"\n',
    'key = ("ghp_{crctoken}" "sk-ant-api03-{alnum:93}AA")\n',
    'dsn = """postgres://u:{alnum:12}7@db.acme.io/x mail {lower:8}@gmail.com"""\n',
    "k = '''{pem}'''.replace('x', '')\n",
)


@pytest.mark.parametrize("recipe", QUOTED)
def test_overlapping_and_quoted_values_go_and_the_code_still_parses_with_as_many_strings(content_filter, recipe):
    text = made(recipe)
    outcome = content_filter.filter_input(text, "python")
    assert outcome.dropped is None and any(finding.placeholder for finding in outcome.findings)
    assert count_strings(outcome.text) == count_strings(text)
    assert [f for f in content_filter.scan(outcome.text, "python") if f.action == "redact"] == []
    spans = sorted((f.start, f.end) for f in content_filter.scan(text, "python"))
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(spans))


def count_strings(code: str) -> int:
    return sum(isinstance(node, ast.Constant) and isinstance(node.value, str) for node in ast.walk(ast.parse(code)))


def test_a_value_with_an_escaped_quote_takes_the_whole_literal_with_it(content_filter):
    text = made("password = 'abc\\'{alnum:8}7'\n")
    assert content_filter.filter_input(text, "python").text == "password = '<SECRET_1>'\n"


# --- Kubernetes, bech32 ------------------------------------------------------------------------------


def manifest(kind: str, secret: str) -> str:
    encoded = base64.b64encode(secret.encode()).decode()
    return (
        f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: app-settings-2\ndata:\n  user.name: {encoded}\n"
        f'  "password": "{encoded}"\n  file: |\n    {encoded}\n  empty: ""\n---\nkind: Service\n'
    )


def test_the_values_of_a_kubernetes_secret_go_and_its_keys_stay(content_filter):
    secret = made("{lower:5}-{alnum:9}")
    outcome = content_filter.filter_input(manifest("Secret", secret), "yaml", "k8s/secret.yaml")
    before, after = (list(yaml.safe_load_all(text)) for text in (manifest("Secret", secret), outcome.text))
    assert base64.b64encode(secret.encode()).decode() not in outcome.text
    assert {value.strip() for value in after[0]["data"].values()} == {"<SECRET_1>", ""}
    assert {**after[0], "data": 0} == {**before[0], "data": 0} and after[1] == before[1]
    assert list(after[0]["data"]) == list(before[0]["data"])


def test_a_config_map_is_left_alone(content_filter):
    text = manifest("ConfigMap", made("{lower:5}{lower:9}")).replace('  "password"', '  "colour"')
    assert content_filter.filter_input(text, "yaml", "k8s/config.yaml").text == text


def test_a_bech32_key_counts_only_with_its_checksum_and_a_public_one_never(scanner):
    for recipe in ("{nsec}", "{age}"):
        good = made(recipe)
        swapped = good[:-1] + ("q" if good[-1] not in "qQ" else "p")
        assert [f.validated for f in scanner.scan(good)] == [True]
        bad = scanner.scan(swapped.upper() if good.isupper() else swapped)
        assert not any(f.type == "private_key" for f in bad)
    assert scanner.scan(made("npub1{bech32:58}")) == []


# --- equality with finditer on text that is made to be odd --------------------------------------------

WORDS = sorted({word for rule in RULES.rules for word in rule.keywords[:2]})
PIECES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(["=", ": ", '"', "'", "\n", " ", ".", "-", "/", "://", "@", "::", ",", "é", "\\", "(", "key", "$"]),
    st.text("0123456789", min_size=1, max_size=20),
    st.text("0123456789abcdef", min_size=8, max_size=64),
    st.text("abcXYZ019_-+/", min_size=1, max_size=90),
    st.sampled_from(["207-555-01", "4012 8888 8888", "2a02:26f0:1:", "10.11.12.", "+49 30 1234", "000-00-"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(PIECES, max_size=40))
@hypothesis_example(["linode "] * 60 + ["0123456789abcdef" * 4] + [" linode="] * 3 + ["0123456789abcdef" * 4])
@hypothesis_example(["infura"] * 30 + [" ", "0123456789abcdef" * 2, " ", "infura", '="', "0123456789abcdef" * 2, '"'])
@hypothesis_example(["kill ", "liked ", "my ", "like"] * 10)
@hypothesis_example(["00000000"] * 3 + ["\n"])  # a file of nothing but a key, and the line break that ends it
def test_whatever_the_text_each_rule_finds_what_finditer_finds(scanner, pieces):
    document = Document("".join(pieces).encode())
    ends = scanner._backend.ends(document.data)
    for index, rule in enumerate(RULES.rules):
        naive = [match.span() for match in rule.regex.finditer(document.data)]
        quick = [match.span() for match in scanner.matches(index, ends[index], document)] if index in ends else []
        assert quick == naive, rule.id


def test_text_that_repeats_gets_the_verdicts_that_each_piece_gets_alone(scanner):
    line = made('mail = "{lower:8}@gmail.com"; ip = "{ip}"; card = "{card}"; t = "ghp_{crctoken}"\n')
    once = [(f.rule, f.start, f.end, f.value_hash) for f in scanner.scan(line)]
    repeated = scanner.scan(line * 100)
    assert [(f.rule, f.start, f.end, f.value_hash) for f in repeated] == [
        (rule, start + n * len(line), end + n * len(line), value)
        for n in range(100)
        for rule, start, end, value in once
    ]


# --- national ids -----------------------------------------------------------------------------------

IDS = {"en_US": "ssn", "pl_PL": "pesel", "pt_BR": "cpf", "nl_NL": "bsn", "fi_FI": "hetu", "sv_SE": "personnummer",
       "it_IT": "codice fiscale", "ro_RO": "cnp", "no_NO": "fødselsnummer", "de_CH": "ahv"}  # fmt: skip


@pytest.mark.parametrize("locale", sorted(IDS))
def test_national_ids_go_beside_their_name_and_stay_without_it(content_filter, locale):
    from faker import Faker

    fake = Faker(locale)
    fake.seed_instance(20_260_101)
    values = [fake.pesel() if locale == "pl_PL" else fake.cpf() if locale == "pt_BR" else fake.ssn() for _ in range(20)]
    named = [content_filter.filter_input(f'# {IDS[locale]}: {value}\nx = "{value}"\n', "python") for value in values]
    assert sum(any(f.type == "national_id" for f in outcome.findings) for outcome in named) >= 19
    alone = [content_filter.scan(f'x = "{value}"\n', "python") for value in values]
    assert not any(f.type == "national_id" for findings in alone for f in findings)
