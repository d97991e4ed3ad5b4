"""What the filters find of the second author's samples: `python -m benchmarks.second_author [--half seen] [--show]`.

Found means that every character of a value is covered by findings, for malicious and unsafe text that there is one, for
replacements that the values are gone and that the text parses as before. A negative sample counts as a false one if the
filter finds anything of its kind in it. Each form's values are drawn several times (`--draws`).
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.second_author import Form, Sample, drawn, identities, values
from benchmarks.second_author.license_samples import ALLOWED, DENIED, headers
from benchmarks.second_author.malicious_samples import malicious_forms
from benchmarks.second_author.personal_samples import personal_forms
from benchmarks.second_author.secrets_accepted import accepted_forms
from benchmarks.second_author.secrets_added import added_forms
from benchmarks.second_author.secrets_refused import refused_forms, replaced_forms
from benchmarks.second_author.unsafe_samples import OWN_TERMS, texts
from transforms.filters.license_names import parse_license
from transforms.filters.licenses import make_policy, read_licenses
from transforms.languages.lookup import find_language
from transforms.languages.parsing import parses
from transforms.scanning import ContentFilter
from transforms.scanning.content import PERSONAL_TYPES, SAFETY_TYPES

MAKERS = {**identities.MAKERS, **values.MAKERS, "ip": identities.MAKERS["ipv4"]}
_NUMBERS = frozenset({"phone", "card", "iban", "national_id"})
_TYPES = {
    "e-mail": frozenset({"email"}), "IP address": frozenset({"ip_address"}), "card": _NUMBERS, "phone": _NUMBERS,
    "national id": _NUMBERS, "iban": _NUMBERS, "name": frozenset({"author_name"}),
    "other personal": frozenset({"coordinates", "date_of_birth", "mac_address", "passport", "postal_address"}),
    "malicious code": frozenset({"malicious_code"}),
}  # fmt: skip
Outcome = tuple[str, bool, bool, bool, str]
"""Kind, whether in the untouched half, whether it is to be found, whether it is found, and what to show."""


def _filter(folder: str) -> ContentFilter:
    """The default policy, which also looks for authors' names and for a user's terms."""
    (Path(folder) / "terms.txt").write_text("\n".join(OWN_TERMS), encoding="utf-8")
    policy = Path(folder) / "policy.yaml"
    policy.write_text(
        "extends: default\nactions:\n  author_name: keep\n  own_term: keep\nterm_lists:\n  own_term: terms.txt\n"
    )
    content = ContentFilter(str(policy))
    content.open()
    return content


def _language(sample: Sample) -> str:
    """As a corpus has it."""
    found = find_language("", sample.path, sample.text)
    return found.name if found else ""


def _is_secret(kind: str) -> bool:
    return kind not in PERSONAL_TYPES | SAFETY_TYPES | {"own_term"}


def _covered(sample: Sample, spans: list[tuple[int, int]]) -> bool:
    gone = bytearray(len(sample.text))
    for start, end in spans:
        gone[start:end] = b"\x01" * (end - start)
    at = 0
    for value in sample.values:
        at = sample.text.index(value, at)
        if not all(gone[at : at + len(value)]):
            return False
        at += len(value)
    return True


def _found(content: ContentFilter, sample: Sample) -> bool:
    findings = content.scan(sample.text, _language(sample), sample.path)
    types = _TYPES.get(sample.form.kind)
    own = [f for f in findings if (f.type in types if types else _is_secret(f.type))]
    if not sample.values:
        return bool(own)
    spans = [(f.start, f.end) for f in findings if types is None or f.type in PERSONAL_TYPES]
    return _covered(sample, spans)


def _replaced(content: ContentFilter, sample: Sample) -> bool:
    """Whether the replacement does what it must: the values are gone, or nothing is; and it parses as before."""
    outcome = content.filter_input(sample.text, _language(sample), sample.path)
    is_sound = outcome.dropped is None and (
        parses(sample.text, "", sample.path) is not True or parses(outcome.text, "", sample.path) is True
    )
    if not sample.values:
        return is_sound and outcome.text == sample.text
    return is_sound and not any(value in outcome.text for value in sample.values)


def of_forms(content: ContentFilter, forms: list[Form], draws: int) -> Iterator[Outcome]:
    """Secrets, personal data, malicious code, replacements."""
    for sample in drawn(forms, MAKERS, draws=draws, seed=7):
        kind, is_bad = sample.form.kind, bool(sample.values) or sample.form.bad
        if kind == "secrets, point 4":
            yield kind, sample.form.held_out, True, _replaced(content, sample), f"{sample.form.name}: {sample.text}"
        else:
            yield kind, sample.form.held_out, is_bad, _found(content, sample), f"{sample.form.name}: {sample.text}"


def _held_out(name: str) -> bool:
    return hashlib.blake2b(name.encode(), digest_size=1).digest()[0] % 2 == 1


def of_texts(content: ContentFilter) -> Iterator[Outcome]:
    """Unsafe terms and a user's own."""
    for text in texts():
        found = {f.type for f in content.scan(text.text, "python")}
        is_found = "own_term" in found if text.own else bool(found & (SAFETY_TYPES - {"malicious_code"}))
        kind = "terms of a user" if text.own else "unsafe terms"
        yield kind, _held_out(text.text), text.bad, is_found, f"{text.disguise}: {text.text}"


def of_licenses() -> Iterator[Outcome]:
    """Headers with the right expression, and verdicts of policies."""
    for header in headers():
        read = read_licenses(header.text).expressions
        want = () if header.license is None else (str(parse_license(header.license)),)
        is_right = read == want if want else bool(read)
        yield "license header", _held_out(header.name), bool(want), is_right, f"{header.name}: {read} for {want}"
    for kind, rows in (("allow", ALLOWED), ("deny", DENIED)):
        for stated, word, is_kept in rows:
            policy = make_policy([word]) if kind == "allow" else make_policy((), [word])
            read = read_licenses("x = 1\n", [stated])
            is_right = (policy.reason(read.expressions, read.unrecognized) is None) == is_kept
            yield "license policy", _held_out(kind + stated), True, is_right, f"{kind} {word}: {stated}"


def table(outcomes: Iterable[Outcome]) -> Iterator[str]:
    """A line for each kind: found of those to be found, false ones of the others."""
    counts: dict[str, Counter[tuple[bool, bool]]] = {}
    for kind, _, is_bad, is_found, _ in outcomes:
        counts.setdefault(kind, Counter())[is_bad, is_found] += 1
    for kind, n in counts.items():
        true, false = n[True, True] + n[True, False], n[False, True] + n[False, False]
        share = n[True, True] / max(1, true)
        yield f"{kind:20} {n[True, True]:4} of {true:4} ({share:.3f})   false {n[False, True]} of {false}"


def main() -> None:
    """Prints the table of one half or of both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--half", choices=("seen", "untouched", "both"), default="seen")
    parser.add_argument("--draws", type=int, default=3, help="samples of each form")
    parser.add_argument("--show", action="store_true", help="what is missed and what is false, of the seen half")
    args = parser.parse_args()
    forms = [
        *accepted_forms(),
        *added_forms(),
        *refused_forms(),
        *replaced_forms(),
        *personal_forms(),
        *malicious_forms(),
    ]
    with tempfile.TemporaryDirectory() as folder:
        content = _filter(folder)
        outcomes = [*of_forms(content, forms, args.draws), *of_texts(content), *of_licenses()]
    for half, is_held_out in (("seen", False), ("untouched", True)):
        if args.half not in (half, "both"):
            continue
        print(f"## {half} half")
        print("\n".join(table(outcome for outcome in outcomes if outcome[1] == is_held_out)))
    if args.show:
        for kind, is_held_out, is_bad, is_found, shown in outcomes:
            if not is_held_out and is_bad != is_found:
                print(f"\n--- {kind}, {'missed' if is_bad else 'false'}: {shown.rstrip()}")


if __name__ == "__main__":
    main()
