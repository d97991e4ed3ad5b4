"""What a card says about the middles of packed rows: rates by documents and by tokens, kinds, lengths."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

from jobs.terminal.escapes import markdown
from transforms.packing.documents import PLAIN
from transforms.packing.middles import LENGTHS, MIDDLES

# Languages with fewer documents are told together.
MOST_LANGUAGES: Final = 20
_ALL: Final = "all"
_OTHER: Final = "other"


def middles_section(counts: Mapping[str, int], editions: int = 1) -> Iterator[str]:
    """The section's lines; none if the counts have no middles.

    Args:
        counts: The job's counts, among them those of `transforms.packing.middles`.
        editions: Of how many editions they are the sum.
    """
    groups: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for name, count in counts.items():
        if name.startswith(MIDDLES):
            group, key, *rest = name.removeprefix(MIDDLES).split("/")
            groups[group][key]["/".join(rest)] += count
    if not groups["kind"]:
        return
    yield from ("## Middles", "")
    if editions > 1:
        yield f"Of all that was packed in {editions} editions, rows that later ones have replaced or dropped among it."
        yield ""
    yield from _rates(groups["language"])
    yield ""
    yield from _kinds(groups["kind"])
    yield ""
    yield from _lengths({key: found[""] for key, found in groups["length"].items()})


def _rates(languages: Mapping[str, Counter[str]]) -> Iterator[str]:
    """A table: the share of FIM, and of PSM and SPM in it, by documents and by tokens."""
    ordered = sorted(languages, key=lambda name: (-_total(languages[name], "documents"), name))
    rows = {_ALL: sum(languages.values(), Counter[str]())}
    rows |= {name: languages[name] for name in ordered[:MOST_LANGUAGES]}
    if rest := ordered[MOST_LANGUAGES:]:
        rows[_OTHER] = sum((languages[name] for name in rest), Counter[str]())
    yield "| language | documents | FIM | of it PSM | SPM | tokens | FIM | of it PSM | SPM |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    for name, found in rows.items():
        cells = [markdown(name)]
        for unit in ("documents", "tokens"):
            total, plain, psm = (_total(found, unit), found[f"{PLAIN}/{unit}"], found[f"psm/{unit}"])
            fim = total - plain
            cells += [f"{total:,}", _share(fim, total), _share(psm, fim), _share(fim - psm, fim)]
        yield f"| {' | '.join(cells)} |"


def _total(found: Counter[str], unit: str) -> int:
    return sum(count for name, count in found.items() if name.endswith(f"/{unit}"))


def _kinds(kinds: Mapping[str, Counter[str]]) -> Iterator[str]:
    """A table: how many middles are of which kind, how long they are, how many say nothing."""
    rows = {_ALL: sum(kinds.values(), Counter[str]())}
    rows |= {kind: kinds[kind] for kind in sorted(kinds, key=lambda kind: (-kinds[kind]["documents"], kind))}
    middles = rows[_ALL]["documents"]
    yield "| kind of middle | middles | share | tokens, mean | trivial | comments alone |"
    yield "|---|--:|--:|--:|--:|--:|"
    for kind, found in rows.items():
        own = found["documents"]
        cells = [markdown(kind), f"{own:,}", _share(own, middles), f"{found['tokens'] / own:.1f}"]
        cells += [_share(found["trivial"], own), _share(found["comment_only"], own)]
        yield f"| {' | '.join(cells)} |"


def _lengths(lengths: Mapping[str, int]) -> Iterator[str]:
    """One line: the shares of middles by their number of tokens."""
    total = sum(lengths.values())
    bounds = {str(most): f"{least + 1} to {most}" for least, most in zip((0, *LENGTHS), LENGTHS, strict=False)}
    bounds["more"] = f"more than {LENGTHS[-1]}"
    shares = [f"{words} {_share(lengths[key], total)}" for key, words in bounds.items() if lengths.get(key)]
    yield f"Tokens of a middle: {', '.join(shares)}. A trivial middle is blank, or only punctuation, `pass` or `end`."


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
