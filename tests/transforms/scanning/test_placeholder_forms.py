# ruff: noqa: E501 - a form reads best on its line
"""Placeholders are legal where they stand: no row is lost because a placeholder breaks its syntax."""

from __future__ import annotations

import random
import re

import pytest

from transforms.languages.lookup import find_language
from transforms.languages.parsing import parses
from transforms.scanning import ContentFilter
from transforms.scanning.findings import HASH_KEY_VARIABLE
from transforms.scanning.validators.recipes import fill

NAME, HOST = "ann.lee", "acme-corp.io"
MAIL = f"{NAME}@{HOST}"
PW = "Test" + "123456x"
KEY_LINES = [("Zk9q2Lm7Xw" * 7)[at : at + 64] for at in range(4)]
DASHES = "-" * 5
BYTES = ", ".join(f"0x{byte:02x}" for byte in random.Random(5).randbytes(16))
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
    "k.rs": ["const ENCRYPTION_KEY: [u8; 16] = [BYTES];\n"],
    "k.java": ["class B { static final byte[] SECRET_KEY = {BYTES}; }\n"],
    "k.py": ["signing_key = bytes([\n    BYTES,\n])\n"],
    "k.c": ["static const unsigned char aes_key[16] = {BYTES};\nint x;\n"],
    "k.go": ["package k\n\nvar privateKey = []byte{BYTES}\n"],
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
    text = text.replace("CARD", fill("{card}", random.Random(4))).replace("BYTES", BYTES)
    assert parses(text, "", path) is True
    outcome = content_filter.filter_input(text, path=path)
    assert outcome.dropped is None and parses(outcome.text, "", path) is True
    assert re.search(r"[<\[][A-Z_]+_1[>\]]", outcome.text) and not any(
        value in outcome.text for value in (PW, NAME, BYTES)
    )
    assert content_filter.filter_input(outcome.text, path=path).text == outcome.text


EXACT = {
    "Dockerfile": [
        (f"FROM a\nENV A=b \\\n  DB_PASSWORD={PW}\n", "FROM a\nENV A=b \\\n  DB_PASSWORD=<SECRET_1>\n"),
        (f"FROM a\nARG API_PASSWORD={PW}\n", "FROM a\nARG API_PASSWORD=<SECRET_1>\n"),
        (f"FROM a\nLABEL maintainer={MAIL}\n", "FROM a\nLABEL maintainer=<EMAIL_1>\n"),
        (f"FROM a\nMAINTAINER Ann <{MAIL}>\n", "FROM a\nMAINTAINER Ann <<EMAIL_1>>\n"),
        (f"FROM a\nRUN ls && \\\n  # why\n  mysql -p{PW} app\n", "FROM a\nRUN ls && \\\n  # why\n  mysql -p'<PASSWORD_1>' app\n"),
    ],
    "a.sql": [("SELECT * FROM card WHERE card = CARD;\n", "SELECT * FROM card WHERE card = '<CARD_1>';\n"),
              ("SELECT * FROM card WHERE card = 'CARD';\n", "SELECT * FROM card WHERE card = '<CARD_1>';\n")],
    "a.ts": [("const card: Array<number> = [CARD];\n", 'const card: Array<number> = ["<CARD_1>"];\n')],
    "a.php": [("<?php\n$a->card = CARD;\n", '<?php\n$a->card = "<CARD_1>";\n')],
    "a.jsx": [("const card = CARD;\nconst a = <p>card: CARD</p>;\n", 'const card = "<CARD_1>";\nconst a = <p>card: [CARD_1]</p>;\n')],
    "a.json": [('{"a": "c:\\\\", "card": CARD}\n', '{"a": "c:\\\\", "card": "<CARD_1>"}\n'),
               ('{"a": "c:\\\\", "b": "card: CARD"}\n', '{"a": "c:\\\\", "b": "card: <CARD_1>"}\n'),
               ('{"a": "\\" card: CARD"}\n', '{"a": "\\" card: <CARD_1>"}\n')],
    "a.sh": [
        (f"cat <<A; cat <<-'B'\nDB_PASSWORD={PW}\nA\nmail {MAIL}\n\tB\nexport DB_PASSWORD={PW}\n",
         "cat <<A; cat <<-'B'\nDB_PASSWORD=<SECRET_1>\nA\nmail <EMAIL_1>\n\tB\nexport DB_PASSWORD='<SECRET_1>'\n"),
        (f"x=$((1 << y))\nexport DB_PASSWORD={PW}\n", "x=$((1 << y))\nexport DB_PASSWORD='<SECRET_1>'\n"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("path", "pair"), [(path, pair) for path, pairs in EXACT.items() for pair in pairs])
def test_a_placeholder_has_quotes_only_where_its_language_needs_them(content_filter, path, pair):
    text, expected = pair[0].replace("CARD", fill("{card}", random.Random(4))), pair[1]
    for language in ("", (find_language("", path) or pytest.fail(path)).name):
        outcome = content_filter.filter_input(text, language, path=path)
        assert (outcome.dropped, outcome.text) == (None, expected)
    assert content_filter.filter_input(expected, path=path).text == expected


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


@pytest.mark.parametrize(
    ("path", "before"),
    [
        ("a.sh", "".join(f"cat <<A{number}\n" for number in range(60_000))),  # none of which ends
        ("a.sh", " ".join(f"$((1 <<A{number}))" for number in range(60_000)) + "\n"),
        ("Dockerfile", "RUN a \\\n" + " && b \\\n" * 60_000),
    ],
)
def test_what_many_lines_mean_for_a_placeholder_is_read_once(content_filter, path, before):
    """Read once for each line, or for each finding, this would take minutes."""
    text = before + f"export DB_PASSWORD={PW} \\\n" * 500
    assert content_filter.filter_input(text, path=path).text.count("'<SECRET_1>'") == 500
