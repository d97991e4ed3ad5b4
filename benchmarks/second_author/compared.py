"""The second author's samples and ordinary code beside other tools, in one run:
`python -m benchmarks.second_author.compared --others PYTHON --ordinary FOLDER ...`.

betterleaks and detect-secrets look for secrets, presidio (default recognizers and a language model) for personal data,
datatrove's formatter for addresses. Another tool has found a secret if it reports anything in the sample, a value if
its spans cover it; codemill must cover both. What is reported in ordinary code is not all false: see the page.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from benchmarks.filter_rivals import ask
from benchmarks.second_author import Sample, drawn
from benchmarks.second_author.__main__ import MAKERS, _covered, _filter, _found, _is_secret
from benchmarks.second_author.personal_samples import personal_forms
from benchmarks.second_author.secrets_accepted import accepted_forms
from benchmarks.second_author.secrets_added import added_forms
from benchmarks.second_author.secrets_refused import refused_forms
from transforms.filters.quality import Limits, fault, measure
from transforms.languages.lookup import find_language
from transforms.scanning import ContentFilter
from transforms.scanning.content import PERSONAL_TYPES

_MAX_FILE_BYTES = 500_000
_SLOW_MB = 0.5
"""Of the ordinary code, what tools read that need seconds a MB."""
_ENTITIES = {
    "e-mail": {"EMAIL_ADDRESS"}, "IP address": {"IP_ADDRESS"}, "name": {"PERSON"}, "card": {"CREDIT_CARD"},
    "iban": {"IBAN_CODE"}, "phone": {"PHONE_NUMBER"}, "national id": None,
    "other personal": {"LOCATION", "DATE_TIME", "US_PASSPORT", "MAC_ADDRESS"},
}  # fmt: skip
_NOT_IDS = {
    "PERSON",
    "LOCATION",
    "NRP",
    "DATE_TIME",
    "URL",
    "EMAIL_ADDRESS",
    "IP_ADDRESS",
    "CREDIT_CARD",
    "PHONE_NUMBER",
}


def _is_bad(sample: Sample) -> bool:
    return bool(sample.values) or sample.form.bad


def _of_kind(kind: str, entity: str) -> bool:
    listed = _ENTITIES[kind]
    return entity not in _NOT_IDS if listed is None else entity in listed


def _spans_find(sample: Sample, spans: list) -> bool:
    if not sample.values:
        return any(_of_kind(sample.form.kind, entity) for *_, entity in spans)
    return _covered(sample, [(start, end) for start, end, _ in spans])


def _print(name: str, samples: list[Sample], found: Iterable[bool]) -> None:
    counts: dict[str, Counter[tuple[bool, bool]]] = {}
    for sample, is_found in zip(samples, found, strict=True):
        counts.setdefault(sample.form.kind, Counter())[_is_bad(sample), bool(is_found)] += 1
    parts = []
    for kind, n in counts.items():
        true, false = n[True, True] + n[True, False], n[False, True] + n[False, False]
        parts.append(f"{kind} {n[True, True] / true:.3f} of {true}, false {n[False, True]} of {false}")
    print(f"{name}: " + "; ".join(parts), flush=True)


def compare_samples(content: ContentFilter, others: str, draws: int) -> None:
    """Prints what each tool finds of the samples of both halves."""
    secret_forms = [*accepted_forms(), *added_forms(), *refused_forms()]
    secrets = list(drawn(secret_forms, MAKERS, draws=draws, seed=7))
    personal = list(drawn(personal_forms(), MAKERS, draws=draws, seed=7))
    for half, is_held_out in (("seen", False), ("untouched", True)):
        print(f"## {half} half")
        listed = [sample for sample in secrets if sample.form.held_out == is_held_out]
        _print("codemill", listed, (_found(content, sample) for sample in listed))
        rows = [{"text": sample.text, "path": sample.path} for sample in listed]
        for name in ("betterleaks", "detect-secrets"):
            answer = ask(others, "secrets", name, rows)
            _print(name, listed, answer) if isinstance(answer, list) else print(f"{name}: {answer}")
        listed = [sample for sample in personal if sample.form.held_out == is_held_out]
        _print("codemill", listed, (_found(content, sample) for sample in listed))
        for name in ("presidio-analyzer", "datatrove"):
            answer = ask(others, "spans", name, [sample.text for sample in listed])
            if isinstance(answer, list):
                _print(name, listed, (_spans_find(*pair) for pair in zip(listed, answer, strict=True)))
            else:
                print(f"{name}: {answer}")


def ordinary(folders: list[str]) -> list[tuple[str, str]]:
    """Paths and texts of the files of folders, in random order."""
    found = []
    for folder in folders:
        for file in sorted(Path(folder).rglob("*")):
            if ".git" in file.parts or not file.is_file() or not 0 < file.stat().st_size <= _MAX_FILE_BYTES:
                continue
            data = file.read_bytes()
            if b"\0" in data:
                continue
            try:
                found.append((str(file.relative_to(folder)), data.decode("utf-8")))
            except UnicodeDecodeError:
                continue
    random.Random(7).shuffle(found)
    return found


def _first_mb(files: list[tuple[str, str]], limit: float) -> list[tuple[str, str]]:
    taken, size = [], 0
    for path, text in files:
        size += len(text.encode())
        if size > limit * 1e6:
            break
        taken.append((path, text))
    return taken


def _mb(files: list[tuple[str, str]]) -> float:
    return sum(len(text.encode()) for _, text in files) / 1e6


def _seconds(function: Callable[[str, str], object], files: list[tuple[str, str]]) -> float:
    began = time.thread_time()
    for path, text in files:
        function(path, text)
    return time.thread_time() - began


def compare_ordinary(content: ContentFilter, others: str, files: list[tuple[str, str]]) -> None:
    """Prints what each tool reports in a MB of ordinary code, and at which rate of a core."""
    some = _first_mb(files, _SLOW_MB)
    print(f"## ordinary code: {len(files)} files, {_mb(files):.1f} MB; slow tools {_mb(some):.2f} MB of it")
    reported: Counter[str] = Counter()

    def scan(path: str, text: str) -> None:
        for finding in content.scan(text, _name(path, text), path):
            is_secret, is_personal = _is_secret(finding.type), finding.type in PERSONAL_TYPES
            reported["secrets" if is_secret else finding.type if is_personal else "unsafe"] += 1

    took = min(_seconds(scan, files) for _ in range(2))
    shown = ", ".join(f"{kind} {count / 2 / _mb(files):.2f}" for kind, count in sorted(reported.items()))
    print(f"codemill: {_mb(files) / took:.1f} MB/s; a MB: {shown}")
    rows = [{"text": text, "path": path} for path, text in files]
    for name, part in (("betterleaks", rows), ("detect-secrets", rows[: len(some)])):
        answer = ask(others, "secrets", name, part)
        rate = ask(others, "rate", name, [row["text"] for row in part])
        size = sum(len(row["text"].encode()) for row in part) / 1e6
        if isinstance(answer, list):
            print(f"{name}: {rate:.2f} MB/s; a MB: secrets {sum(answer) / size:.2f}")
    for name in ("presidio-analyzer", "datatrove"):
        texts = [text for _, text in some]
        answer, rate = ask(others, "spans", name, texts), ask(others, "rate", name, texts)
        if isinstance(answer, list):
            kinds = Counter(entity for spans in answer for *_, entity in spans)
            listed = ", ".join(f"{kind} {count / _mb(some):.1f}" for kind, count in kinds.most_common())
            print(f"{name}: {rate:.2f} MB/s; a MB: {listed}")
        else:
            print(f"{name}: {answer}")
    texts = [text for _, text in some]
    drops, rate = ask(others, "drops", "datatrove-quality", texts), ask(others, "rate", "datatrove-quality", texts)
    faults = [fault(measure(text, _name(path, text)), Limits(), _name(path, text)) is not None for path, text in some]
    took = _seconds(lambda path, text: fault(measure(text, _name(path, text)), Limits(), _name(path, text)), some)
    print(f"quality, of {len(some)} files dropped: codemill {sum(faults)} ({_mb(some) / took:.1f} MB/s)", end="; ")
    print(f"datatrove {sum(drops)} ({rate:.2f} MB/s)" if isinstance(drops, list) else f"datatrove: {drops}")


def _name(path: str, text: str) -> str:
    found = find_language("", path, text)
    return found.name if found else ""


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--others", metavar="PYTHON", required=True)
    parser.add_argument("--ordinary", metavar="FOLDER", nargs="*", default=[])
    parser.add_argument("--draws", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        content = _filter(folder)
        compare_samples(content, args.others, args.draws)
        if args.ordinary:
            compare_ordinary(content, args.others, ordinary(args.ordinary))


if __name__ == "__main__":
    main()
