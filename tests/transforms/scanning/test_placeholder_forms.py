# ruff: noqa: E501 - a form reads best on its line
"""Placeholders are legal where they stand: no row is lost because a placeholder breaks its syntax."""

from __future__ import annotations

import re

import pytest

from transforms.languages.parsing import parses
from transforms.scanning import ContentFilter
from transforms.scanning.findings import HASH_KEY_VARIABLE
from transforms.scanning.validators.recipes import fill

NAME, HOST = "ann.lee", "acme-corp.io"
MAIL = f"{NAME}@{HOST}"
PW = "Test" + "123456x"
KEY_LINES = [("Zk9q2Lm7Xw" * 7)[at : at + 64] for at in range(4)]
DASHES = "-" * 5
FORMS = {
    "a.sh": [f"export DB_PASSWORD={PW}\n", f"mysql -u root -p{PW} app\n", f'echo "password: {PW}"\n', f"# {MAIL}\nls\n"],
    "Dockerfile": [f"FROM a\nENV DB_PASSWORD={PW}\nENV DB_PASSWORD {PW}\nRUN mysql -p{PW} app\n"],
    "a.xml": [f"<c><password>{PW}</password></c>\n", f'<c><user password="{PW}"/></c>\n', f"<c>\n<!-- {MAIL} --></c>\n"],
    "a.svg": [f"<svg><text>{MAIL}</text></svg>\n"],
    "a.html": [f'<p>{MAIL}</p><a href="mailto:{MAIL}">x</a>\n'],
    "a.jsx": [f"const a = <p>{MAIL}</p>;\n", f'const a = <p title="{MAIL}">x</p>; // {MAIL}\n'],
    "a.tsx": [f"const a = <p>{MAIL}</p>;\n"],
    "a.json": [f'{{"mail": "{MAIL}", "password": "{PW}"}}\n'],
    "a.yml": [f"password: {PW}\nmail: {MAIL}\n"],
    "a.py": [f'a = "{MAIL}"  # {MAIL}\n', "card = CARD\n"],
    "a.js": ["const card = CARD;\n"],
    "a.go": [f'package a\n\nvar a = "{MAIL}"\n'],
    "a.rb": ["\n".join([f"# {DASHES}BEGIN RSA PRIVATE KEY{DASHES}", *(f"# {line}" for line in KEY_LINES),
                        f"# {DASHES}END RSA PRIVATE KEY{DASHES}", "x = 1", ""])],
}  # fmt: skip


@pytest.fixture(scope="module")
def content_filter() -> ContentFilter:
    made = ContentFilter("default")
    made.open()
    return made


@pytest.mark.parametrize(("path", "text"), [(path, text) for path, texts in FORMS.items() for text in texts])
def test_a_placeholder_is_legal_where_it_stands(content_filter, path, text):
    import random

    text = text.replace("CARD", fill("{card}", random.Random(4)))
    assert parses(text, "", path) is True
    outcome = content_filter.filter_input(text, path=path)
    assert outcome.dropped is None and parses(outcome.text, "", path) is True
    assert re.search(r"[<\[][A-Z_]+_1[>\]]", outcome.text) and PW not in outcome.text and NAME not in outcome.text
    assert content_filter.filter_input(outcome.text, path=path).text == outcome.text


def test_a_comment_keeps_its_sign_when_its_key_is_replaced(content_filter):
    lines = content_filter.filter_input(FORMS["a.rb"][0], path="a.rb").text.splitlines()
    assert all(line.startswith("# ") for line in lines[:-1]) and lines[-1] == "x = 1"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.go", "package a\n\nconst (\n\tX_PASSWORD uint32 = 1 << iota\n)\n"),
        ("a.py", "connect(username=self.u, password=self.p_word)\n"),
        ("a.sh", "export TOKEN=$(make_token)\nPASSWORD=${1:?missing}\n"),
    ],
)
def test_an_expression_is_not_replaced(content_filter, path, text):
    outcome = content_filter.filter_input(text, path=path)
    assert outcome.dropped is None and outcome.text == text


def test_with_a_key_a_value_has_one_placeholder_in_all_files(content_filter, monkeypatch):
    texts = [f"{MAIL} x.{MAIL}\n", f"write to {MAIL}\n", "198.51.99.7 and 45.33.32.156\n", "from 45.33.32.156 on\n"]
    monkeypatch.setenv(HASH_KEY_VARIABLE, "ours")
    made = ContentFilter("default")
    made.open()
    made._scanner._hash_key = b"ours"
    found = [re.findall(r"<EMAIL_\d+>|198\.1[89]\.\d+\.\d+", made.filter_input(text).text) for text in texts]
    assert len(set(found[0])) == 2 and found[1] == found[0][:1] and found[3] == found[2][-1:]
    assert made.filter_input(made.filter_input(texts[0]).text).text == made.filter_input(texts[0]).text
