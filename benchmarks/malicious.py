"""Malicious code: recall over samples by technique, and false findings in ordinary packages.

    python -m benchmarks.malicious [--ordinary FILE] [--half developed | untouched] [--show]

    --ordinary FILE   Parquet with the columns content, path and repo_name: packages that are not malicious. `repo_name`
                      decides which half a package belongs to

The samples are `benchmarks.malicious_samples`. Nothing here decides a test.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter

import pyarrow.parquet as pq

from benchmarks.malicious_samples import samples
from transforms.scanning import RuleSet, Scanner, load_rules
from transforms.scanning.unsafe.combinations import SIGNAL_PREFIX


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ordinary", metavar="FILE")
    parser.add_argument("--half", choices=("developed", "untouched"), default="untouched")
    parser.add_argument("--show", action="store_true", help="print every false finding")
    args = parser.parse_args()
    rules = load_rules().rules
    scanner = Scanner(RuleSet(tuple(rule for rule in rules if rule.type.startswith(SIGNAL_PREFIX))))
    print_recall(scanner, args.half)
    if args.ordinary:
        print_false(scanner, args.ordinary, args.half, args.show)


def print_recall(scanner: Scanner, half: str) -> None:
    total, found = Counter(), Counter()
    for family, path, text in samples(half):
        total[family] += 1
        found[family] += bool(scanner.scan(text, path=path))
    for family, number in total.items():
        print(f"{family}: {found[family]} of {number}")
    print(f"{half}: {found.total()} of {total.total()} samples, {found.total() / total.total():.2f}")


def print_false(scanner: Scanner, file: str, half: str, show: bool) -> None:
    size, counts = 0, Counter()
    for batch in pq.ParquetFile(file).iter_batches(1000, columns=["content", "path", "repo_name"]):
        for row in batch.to_pylist():
            text, repo = row["content"] or "", row["repo_name"] or ""
            if half != ("developed", "untouched")[hashlib.sha256(repo.encode()).digest()[0] % 2]:
                continue
            size += len(text.encode("utf-8", "surrogatepass"))
            for finding in scanner.scan(text, path=row["path"] or ""):
                counts[finding.rule] += 1
                if show:
                    line = text.count("\n", 0, finding.start) + 1
                    print(f"  {finding.rule} {repo} {row['path']}:{line} {text[finding.start : finding.end][:120]!r}")
    print(f"ordinary code: {counts.total()} in {size / 1e6:.0f} MB, {counts.total() / max(size, 1) * 1e7:.2f} a 10 MB")
    print(", ".join(f"{rule} {number}" for rule, number in counts.most_common()))


if __name__ == "__main__":
    main()
