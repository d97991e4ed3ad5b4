"""A page of redacted samples for review: `python -m benchmarks.filter_samples OUTPUT > samples.md`.

OUTPUT is the output of `codemill filter`. Findings are sampled with a seed, as evenly over rules as possible, and each
is shown as in the published row: the line after redaction, never before. Lines that name people are omitted.
"""

from __future__ import annotations

import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SAMPLES = 20
MAX_LINE_CHARS = 150
SEED = 20_261_123
_NAMES_PEOPLE = re.compile(
    r"(?i)author|copyright|\(c\)|maintain|thanks|contribut|contact|written by|patch|suggest|report|mail|\bby\b"
    r"|[^\x00-\x7f]"
)


@dataclass(frozen=True)
class Sample:
    """One finding at its place in the redacted text."""

    rule: str
    finding_type: str
    path: str
    line: str
    confidence: float
    validated: bool


def samples_of(output: str) -> Iterator[Sample]:
    """The replaced findings of a filter job's rows, each once per row and placeholder."""
    import pyarrow.parquet as pq

    for file in sorted(Path(output, "data").glob("*.parquet")):
        columns = ["content", "path", "repo_name", "findings"]
        for batch in pq.ParquetFile(file).iter_batches(batch_size=256, columns=columns):
            for row in batch.to_pylist():
                lines = row["content"].splitlines()
                for finding in {f["placeholder"]: f for f in row["findings"] if f["placeholder"]}.values():
                    line = next((line.strip() for line in lines if finding["placeholder"] in line), "")
                    if line and not _NAMES_PEOPLE.search(line):
                        path = f"{row['repo_name']}: {row['path']}" if row["repo_name"] else row["path"]
                        yield Sample(
                            finding["rule"], finding["type"], path, _around(line, finding["placeholder"]),
                            finding["confidence"], finding["validated"],
                        )  # fmt: skip


def _around(line: str, placeholder: str) -> str:
    """The line, or its part around the placeholder if it is long."""
    at = max(0, line.index(placeholder) - MAX_LINE_CHARS // 2)
    return line if len(line) <= MAX_LINE_CHARS else f"...{line[at : at + MAX_LINE_CHARS]}..."


def choose(samples: list[Sample], count: int = SAMPLES) -> list[Sample]:
    """Samples findings, one of each rule in turn."""
    rng = random.Random(SEED)
    by_rule: dict[str, list[Sample]] = defaultdict(list)
    for sample in dict.fromkeys(samples):
        by_rule[sample.rule].append(sample)
    for of_rule in by_rule.values():
        rng.shuffle(of_rule)
    chosen: list[Sample] = []
    while len(chosen) < count and any(by_rule.values()):
        chosen += [of_rule.pop() for _, of_rule in sorted(by_rule.items()) if of_rule][: count - len(chosen)]
    return chosen


def page(samples: list[Sample]) -> str:
    """The samples as Markdown."""
    parts = [
        "# Redacted samples",
        "Made by `python -m benchmarks.filter_samples` from the output of `codemill filter` (default policy). Each "
        "line is as it stands in the dataset; what stood there before was never written anywhere. *Validated* means "
        "that a checksum, a structure or a decoder confirmed the value.",
    ]
    for number, sample in enumerate(samples, start=1):
        verdict = "validated" if sample.validated else f"confidence {sample.confidence:.1f}"
        heading = f"**{number}.** `{sample.finding_type}` by rule `{sample.rule}`, {verdict}; {sample.path}"
        parts.append(f"{heading}\n\n```\n{sample.line.replace('```', '` ` `')}\n```")
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("filter_samples: name the outputs of codemill filter")
    print(page(choose([sample for output in sys.argv[1:] for sample in samples_of(output)])), end="")
