"""How whole the middles of training data are, over corpora of real repositories, by language; and what a middle costs.

    codemill corpus REPOSITORY --output corpus
    python benchmarks/middles.py corpus... [--show multi_line] [--speed]

For each corpus and language, of `multi_line` middles: the share with unbalanced brackets when lines are drawn anywhere,
as up to recipe 2, and now (`transforms.languages.brackets`); the same by the tokens of the syntax tree, which has no
part in the choice; and the share that is no run of siblings in it: a node reaches over the middle's start or end. Then
the share of the text that is license header or import block, and of the `single_line` middles that lie in them; and the
unbalanced share of the mix `ide`.

`--show KIND` prints middles of a kind or a mix in their places instead; `--speed` the time of a middle by kind and mix.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq
import tree_sitter

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from transforms.fim.boilerplate import boilerplate  # noqa: E402
from transforms.fim.kinds import DEFAULT_MIX, IDE_MIX, KINDS, MIXES  # noqa: E402
from transforms.fim.spans import MAX_LINES, Recipe, Span, choose_spans  # noqa: E402
from transforms.languages import syntax  # noqa: E402
from transforms.languages.brackets import is_balanced, mask  # noqa: E402
from transforms.languages.grammars import grammar_name  # noqa: E402
from transforms.languages.lookup import find_language  # noqa: E402
from transforms.rows.row import content_sha256  # noqa: E402

LANGUAGES: Final = ("Java", "Kotlin", "Go", "Python", "C++", "C", "Rust", "TypeScript", "JavaScript", "Shell")
MOST_FILES: Final = 300  # of a corpus
SPANS_A_FILE: Final = 4
MAX_CHARS: Final = 600
PAIRS: Final = {"(": ")", "[": "]", "{": "}"}


def files_of(corpus: str) -> Iterator[tuple[str, str, str]]:
    """Path, language and text of some files, the same each time."""
    rows = []
    for path in sorted(Path(corpus, "data").glob("*.parquet")):
        rows += pq.read_table(path, columns=["path", "language", "content"]).to_pylist()
    rows = [row for row in rows if row["content"] and row["language"] in LANGUAGES]
    for row in random.Random(0).sample(rows, min(MOST_FILES, len(rows))):
        yield row["path"], row["language"], row["content"]


def spans_of(path: str, language: str, text: str, mix: dict[str, float], count: int = SPANS_A_FILE) -> list[Span]:
    recipe, sha256 = Recipe(mix=mix, max_chars=MAX_CHARS), content_sha256(text)
    return choose_spans(text, language, path=path, job_seed=1, content_sha256=sha256, count=count, recipe=recipe)


def any_lines(text: str, rng: random.Random) -> Iterator[tuple[int, int]]:
    """`multi_line` middles up to recipe 2: from any line that isn't blank to any other, 1 to 19 lines below."""
    lines, starts = text.split("\n"), [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for _ in range(48):
        first = rng.randrange(len(lines))
        last = first + rng.randint(1, MAX_LINES - 1)
        if last >= len(lines) or not lines[first].strip() or not lines[last].strip():
            continue
        start = starts[first] + len(lines[first]) - len(lines[first].lstrip())
        end = starts[last] + len(lines[last].rstrip())
        if end - start <= MAX_CHARS:
            yield start, end


class Tree:
    """The syntax tree as a judge of middles."""

    def __init__(self, text: str, source: syntax.Source):
        self._text, self._source = text, source

    def _bytes(self, start: int, end: int) -> tuple[int, int]:
        first = len(self._text[:start].encode())
        return first, first + len(self._text[start:end].encode())

    def is_balanced(self, start: int, end: int) -> bool:
        """Whether the brackets among the tokens of the middle have their partners in it."""
        waiting: list[str] = []
        for token in self._tokens(self._source.tree.root_node, *self._bytes(start, end)):
            if token[-1:] in PAIRS:
                waiting.append(PAIRS[token[-1]])
            elif token in PAIRS.values() and (not waiting or waiting.pop() != token):
                return False
        return not waiting

    def _tokens(self, node: tree_sitter.Node, start: int, end: int) -> Iterator[str]:
        if node.end_byte <= start or node.start_byte >= end:
            return
        if not node.child_count and not node.is_named and start <= node.start_byte and node.end_byte <= end:
            yield node.type
        for child in node.children:
            yield from self._tokens(child, start, end)

    def is_run_of_siblings(self, start: int, end: int) -> bool:
        """Whether no node reaches over the middle's start or end, among the children of the node around it."""
        edges = self._bytes(start, end)
        node = self._source.tree.root_node.descendant_for_byte_range(*edges)
        if node is None or (node.start_byte, node.end_byte) == edges:
            return node is not None
        data = self._source.data
        ends = (
            (one.start_byte, one.start_byte + len(data[one.start_byte : one.end_byte].rstrip()))
            for one in node.children
        )
        return not any(first < edge < last for first, last in ends for edge in edges)


def measure(path: str, language: str, text: str) -> Counter[str]:
    """Counts one file's middles."""
    counts: Counter[str] = Counter()
    found = find_language(language, path)
    masked, head = mask(text, found), boilerplate(text, found)
    source = syntax.parse(text.encode(), grammar_name(language, path) or "")
    tree = Tree(text, source) if source is not None else None
    before = [span for span, _ in zip(any_lines(text, random.Random(text)), range(SPANS_A_FILE), strict=False)]
    now = [(s.start, s.end) for s in spans_of(path, language, text, {"multi_line": 1}) if s.kind == "multi_line"]
    for name, spans in (("before", before), ("now", now)):
        counts[name] += len(spans)
        counts[f"{name}, unbalanced"] += sum(not is_balanced(masked[start:end]) for start, end in spans)
        if tree is not None:
            counts[f"{name}, read by tree"] += len(spans)
            counts[f"{name}, unbalanced by tree"] += sum(not tree.is_balanced(*span) for span in spans)
            counts[f"{name}, no siblings"] += sum(not tree.is_run_of_siblings(*span) for span in spans)
    for start, end in now:
        counts["now, lines"] += text.count("\n", start, end) + 1
    for line in spans_of(path, language, text, {"single_line": 1}):
        counts["single lines"] += 1
        counts["single lines, boilerplate"] += any(a <= line.start and line.end <= b for a, b in head)
    counts["characters"] += len(text)
    counts["characters, boilerplate"] += sum(b - a for a, b in head)
    for span in spans_of(path, language, text, dict(IDE_MIX)):
        counts["ide"] += 1
        counts["ide, unbalanced"] += not is_balanced(masked[span.start : span.end])
    return counts


def share(counts: Counter[str], part: str, whole: str) -> str:
    return f"{counts[part] / counts[whole]:.1%}" if counts[whole] else ""


def judge(corpora: list[str]) -> None:
    heads = ["corpus", "language", "middles", "unbalanced, before", "now", "by tree, before", "now"]
    heads += [
        "no siblings, before",
        "now",
        "lines, mean",
        "boilerplate of the text",
        "of single lines",
        "`ide`, unbalanced",
    ]
    print(f"| {' | '.join(heads)} |")
    print("|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for corpus in corpora:
        totals: dict[str, Counter[str]] = {}
        for path, language, text in files_of(corpus):
            totals.setdefault(language, Counter()).update(measure(path, language, text))
        for language, n in sorted(totals.items(), key=lambda item: -item[1]["now"]):
            if n["now"] < 10:
                continue
            cells = [Path(corpus).name, language, f"{n['now']:,}"]
            for what, of in (
                ("unbalanced", ""),
                ("unbalanced by tree", ", read by tree"),
                ("no siblings", ", read by tree"),
            ):
                cells += [share(n, f"{when}, {what}", f"{when}{of}") for when in ("before", "now")]
            cells += [f"{n['now, lines'] / n['now']:.1f}", share(n, "characters, boilerplate", "characters")]
            cells += [share(n, "single lines, boilerplate", "single lines"), share(n, "ide, unbalanced", "ide")]
            print(f"| {' | '.join(cells)} |", flush=True)


def show(corpora: list[str], kind: str, count: int) -> None:
    """Prints middles in their places, between marks."""
    files = [file for corpus in corpora for file in files_of(corpus)]
    random.Random(1).shuffle(files)
    mix = dict(MIXES.get(kind, {kind: 1.0}))
    for path, language, text in files:
        for span in spans_of(path, language, text, mix, count=1)[:count]:
            count -= 1
            before, after = text[max(0, span.start - 120) : span.start], text[span.end : span.end + 60]
            print(f"--- {path} ({span.kind})\n{before}⟦{text[span.start : span.end]}⟧{after}")


def speed(corpora: list[str]) -> None:
    """Prints microseconds of processor time a middle, the least of three, by kind and for each mix."""
    files = [file for corpus in corpora for file in files_of(corpus)][:400]
    print(f"{len(files)} files of {sum(len(text) for _, _, text in files) / len(files):,.0f} characters")
    mixes = {kind: {kind: 1.0} for kind in KINDS} | {"the default mix": dict(DEFAULT_MIX), "ide": dict(IDE_MIX)}
    for name, mix in mixes.items():
        for count in (1, 4):
            best, middles = float("inf"), 0
            for _ in range(3):
                began = time.process_time()
                middles = sum(len(spans_of(*file, mix, count)) for file in files)
                best = min(best, time.process_time() - began)
            print(f"| {name}, {count} a file | {best / max(1, middles) * 1e6:,.0f} us |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="+")
    parser.add_argument("--show", metavar="KIND")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--speed", action="store_true")
    options = parser.parse_args()
    if options.show:
        show(options.corpora, options.show, options.count)
    elif options.speed:
        speed(options.corpora)
    else:
        judge(options.corpora)


if __name__ == "__main__":
    main()
