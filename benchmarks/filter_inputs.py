# ruff: noqa: E501 - word lists and templates read best unbroken
"""Inputs of the filters' benchmark: the standard library, secrets and personal data planted in it, and adversarial text.

All of it is generated at run time from one seed, different from those of the tests.
"""

from __future__ import annotations

import glob
import random
import sysconfig
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from transforms.scanning.validators.recipes import fill

if TYPE_CHECKING:
    from transforms.scanning import Rule

LANGUAGES = ["python", "javascript", "java", "go", "ruby", "php", "c", "rust", "typescript", "shell"]
TEMPLATES = {
    "python": '# {word} {value}\nx = {{"{word}": "{value}"}}\ny = f"{word}: {value} {{z}}"\n',
    "javascript": 'const cfg = {{ {word}: "{value}" }}; // {word} {value}\n',
    "java": 'String {word} = "{value}"; /* {word}: {value} */\n',
    "go": '{word} := "{value}" // {word} {value}\n',
    "ruby": "{word} = '{value}' # {word}: {value}\n",
    "php": "$config['{word}'] = '{value}'; // {word}: {value}\n",
    "c": '#define {upper} "{value}"\n/* {word} {value} */\n',
    "rust": 'let {word} = "{value}"; // {word} {value}\n',
    "typescript": "fetch(`https://api.acme.io/u?{word}={value}&n=1`); // {word}: {value}\n",
    "shell": 'export {upper}="{value}"  # {word} {value}\n',
}
LOCALES = ["en_US", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "pt_BR", "en_GB", "sv_SE"]
SEED = 20_240_817  # the tests use others


def stdlib_files() -> list[Path]:
    """The standard library's modules without its tests."""
    root = sysconfig.get_paths()["stdlib"]
    names = glob.glob(root + "/**/*.py", recursive=True)
    return sorted(Path(name) for name in names if "site-packages" not in name and "/test/" not in name)


def texts_of(files: Iterable[Path], max_mb: float) -> list[str]:
    """The first `max_mb` MB of the files."""
    texts, size = [], 0
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        if (size := size + len(text)) > max_mb * 1e6:
            break
        texts.append(text)
    return texts


def rate(function: Callable[[str], object], texts: list[str], repeat: int = 3) -> float:
    """Megabytes per second of one thread's processor time, best of `repeat`."""
    size, best = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts), float("inf")
    for _ in range(repeat):
        began = time.thread_time()
        for text in texts:
            function(text)
        best = min(best, time.thread_time() - began)
    return size / best / 1e6


def plant_secrets(texts: list[str], per_mb: int, rules: Sequence[Rule]) -> list[str]:
    """The texts with `per_mb` secrets per MB, each on its own line."""
    rng = random.Random(SEED)
    rules = [rule for rule in rules if rule.like and rule.family.startswith("secrets") and not rule.near]
    dense = []
    for text in texts:
        lines = text.splitlines(keepends=True)
        for _ in range(max(1, len(text) * per_mb // 1_000_000)):
            rule = rng.choice(rules)
            lines.insert(rng.randrange(len(lines) + 1), f'value = "{fill(rng.choice(rule.like), rng)}"\n')
        dense.append("".join(lines))
    return dense


def adversarial_inputs() -> dict[str, str]:
    """Inputs designed to be slow, by name."""
    rng = random.Random(SEED)
    b64 = "".join(rng.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", k=200_000))
    code = "".join(texts_of(stdlib_files(), 0.8)).replace("\n", ";")[:670_000]
    return {
        "a.a.a.": "a." * 100_000, "a@a.a@a.": "a@a." * 50_000, "1.1.1.": "1." * 100_000, "1:1:1:": "1:" * 100_000,
        "+1 1 1": "+1 " * 70_000, "digits": "4" * 200_000, "200 KB base64": b64, "670 KB minified line": code,
        "nested quantifiers": ("a" * 50 + "=") * 4000, "password=password=": "password=" * 22_000, "quotes": "password='\"" * 18_000,
        "://::@": "://a:b" * 33_000, "BEGIN KEY": ("-----BEGIN " + "PRIVATE KEY-----") * 7500, "eyeyey": "ey" * 100_000,
        "-u -u": "curl -u " * 25_000, "spaces": "token" + " " * 200_000, "jwt heads": "eyJhbGciOiJIUzI1NiJ9." * 9500,
    }  # fmt: skip


def words_of_rules(rules: Sequence[Rule]) -> dict[str, str]:
    """For each rule, its own words and a truncated example, repeated for 20 KB, by name."""
    rng = random.Random(SEED)
    made = {}
    for rule in rules:
        seeds = list(rule.keywords[:2]) + [fill(recipe, rng)[:-3] for recipe in rule.like[:1]]
        made |= {f"{rule.id}: {seed[:6]}...": (seed + " ") * (20_000 // (len(seed) + 1)) for seed in seeds}
    return made


def plant_personal() -> list[tuple[str, str, str, str]]:
    """`(type, value, language, text)`."""
    from faker import Faker

    planted = []
    for number, locale in enumerate(LOCALES):
        fake = Faker(locale)
        Faker.seed(SEED + number)
        rng = random.Random(SEED + number)
        for _ in range(12):
            values = {
                "email": fake.ascii_free_email(), "phone": fake.phone_number(), "ip": fake.ipv4_public(), "ipv6": fake.ipv6(),
                "card": fake.credit_card_number("visa16"), "iban": fake.iban(), "mail": fake.ascii_company_email(),
            }  # fmt: skip
            if locale == "en_US":
                values["ssn"] = fake.ssn()
            for word, value in values.items():
                language = rng.choice(LANGUAGES)
                text = TEMPLATES[language].format(word=word, upper=word.upper(), value=value)
                planted.append((word, value, language, text))
    return planted
