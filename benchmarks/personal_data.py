"""How much personal data is found, and how much is found that is none: `python -m benchmarks.personal_data`.

    --half NAME       the places: `held-out` (the default) or `developed`, see `personal_places.py`
    --per-country N   values of each type and country
    --ordinary FILE   a Parquet file of ordinary code (`content`, optionally `path`, `language`, `repo_name`): findings
                      per MB by type, to be looked at by hand
    --show N          that many findings of ordinary code of each rule, and that many missed values, with their line
    --others PYTHON   an interpreter with presidio-analyzer; its recognizers read the same planted texts, and half a
                      MB of the ordinary code

A planted value counts as found if all of it is covered by findings. The values have no owner; see `personal_places.py`.
"""

from __future__ import annotations

import argparse
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from benchmarks.filter_rivals import ask
from benchmarks.personal_places import PLACES, TYPES, Planted, plant

SEED = 20_261_130
_RIVAL_MB = 0.5


def personal_scanner() -> Any:
    """The default policy's filter."""
    from transforms.scanning import ContentFilter

    content = ContentFilter("default")
    content.open()
    return content


def is_covered(text: str, value: str, spans: Sequence[tuple[int, int]]) -> bool:
    """Whether each occurrence of the value lies in spans, apart from marks at its ends."""
    covered = bytearray(len(text))
    for start, end, *_ in spans:
        covered[start:end] = b"\x01" * (end - start)
    at = text.find(value)
    while at >= 0:
        if not all(covered[i] for i in range(at, at + len(value)) if text[i].isalnum()):
            return False
        at = text.find(value, at + 1)
    return True


def report(name: str, planted: list[Planted], spans: Sequence[Sequence[tuple[int, int]]], show: int) -> None:
    """Prints recall by type, country and what stands beside the value."""
    found = [is_covered(item.text, item.value, own) for item, own in zip(planted, spans, strict=True)]
    print(f"\n## {name}: {sum(found) / len(found):.3f} of {len(found)} planted values found")
    for label, key in (("type", lambda p: p.type), ("beside", lambda p: f"{p.type} beside {p.beside}")):
        print(f"  by {label}: " + ", ".join(_share(planted, found, key)))
    for kind in ("phone", "national_id"):
        of_kind = [(item, hit) for item, hit in zip(planted, found, strict=True) if item.type == kind]
        print(f"  {kind} by country: " + ", ".join(_share(*zip(*of_kind, strict=True), lambda p: p.country)))
        print(f"  {kind} by place: " + ", ".join(_share(*zip(*of_kind, strict=True), lambda p: p.place.path)))
    missed = [item for item, hit in zip(planted, found, strict=True) if not hit]
    random.Random(SEED).shuffle(missed)
    for kind in TYPES:
        for item in [item for item in missed if item.type == kind][:show]:
            line = next(line for line in item.text.splitlines() if item.value in line)
            print(f"    missed {kind} {item.country} {item.place.path}: {line.strip()}")


def _share(planted: Sequence[Planted], found: Sequence[bool], key: Any) -> Iterator[str]:
    hits: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for item, hit in zip(planted, found, strict=True):
        total[key(item)] += 1
        hits[key(item)] += hit
    return (f"{name} {hits[name] / total[name]:.3f}" for name in sorted(total))


def report_ordinary(content: Any, file: str, show: int) -> list[str]:
    """Prints what is found in ordinary code, by type and rule; returns half a MB of it, drawn at random."""
    import pyarrow.parquet as pq

    from transforms.scanning.content import PERSONAL_TYPES

    by_rule: dict[tuple[str, str], list[str]] = defaultdict(list)
    size, texts = 0, []
    rows = pq.read_table(file).to_pylist()
    random.Random(SEED).shuffle(rows)
    for row in rows:
        text = row["content"] or ""
        size += len(text.encode("utf-8", "surrogatepass"))
        if size < _RIVAL_MB * 1e6:
            texts.append(text)
        for f in content.scan(text, row.get("language") or "", row.get("path") or ""):
            if f.type in PERSONAL_TYPES:
                line = text[text.rfind("\n", 0, f.start) + 1 : f.end + 40].split("\n")[0]
                at = max(0, len(line) - 160)
                by_rule[f.type, f.rule].append(f"{row.get('path')}: [{text[f.start : f.end]}] {line[at:].strip()}")
    print(f"\n## Findings in ordinary code, {size / 1e6:.1f} MB, true ones included")
    for (kind, rule), lines in sorted(by_rule.items()):
        print(f"  {kind} {rule}: {len(lines)} ({len(lines) / size * 1e6:.2f} a MB)")
        random.Random(SEED).shuffle(lines)
        for line in lines[:show]:
            print(f"    {line}")
    return texts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=sorted(PLACES), default="held-out")
    parser.add_argument("--per-country", type=int, default=36)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--ordinary", metavar="FILE")
    parser.add_argument("--others", metavar="PYTHON")
    parser.add_argument("--show", type=int, default=0)
    args = parser.parse_args()
    content = personal_scanner()
    planted = plant(args.half, args.per_country, args.seed)
    spans = [
        [(f.start, f.end) for f in content.scan(item.text, item.place.language, item.place.path)] for item in planted
    ]
    report("codemill", planted, spans, args.show)
    theirs = ask(args.others, "spans", "presidio", [item.text for item in planted])
    if isinstance(theirs, list):
        report("presidio", planted, theirs, 0)
    else:
        print(f"presidio: {theirs}")
    if args.ordinary:
        texts = report_ordinary(content, args.ordinary, args.show)
        theirs = ask(args.others, "spans", "presidio", texts)
        if isinstance(theirs, list):
            size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
            print(f"presidio finds {sum(map(len, theirs)) / size * 1e6:.1f} a MB in {size / 1e6:.1f} MB of it")


if __name__ == "__main__":
    main()
