"""How well `codemill corpus` decodes files that aren't UTF-8: right, wrong and not marked as such, rejected.

    python -m benchmarks.text_encodings [--seed 0] [--per_cell 4] [--show_wrong 10]

Source files in eight programming languages are made of comments in 24 natural languages
(`encoding_sentences.py`), written in each encoding that has their letters, from one line to 10 KB. Two densities:
`dense`, a comment every few lines; `sparse`, a single line that isn't ASCII, wherever it stands. Only files with
at least one byte that isn't ASCII count. A file that is rejected, or kept with the mark `uncertain`, is not wrong.
To compare two versions copy both files into the other's tree.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.encoding_sentences import SENTENCES
from model.errors import RecordError
from transforms.corpus.encoding import decode

_WEST = ("English", "German", "French", "Spanish", "Portuguese", "Italian", "Dutch", "Swedish", "Danish", "Finnish")
_CENTER = ("Polish", "Czech", "Hungarian", "Romanian")
_CYRILLIC = ("Russian", "Ukrainian", "Bulgarian")
ENCODINGS = {
    "utf-8": tuple(SENTENCES),
    "utf-16": tuple(SENTENCES),  # with a byte order mark
    "utf-16-le": tuple(SENTENCES),  # without one
    "latin-1": _WEST,
    "cp1252": _WEST,
    "iso8859-15": _WEST,
    "cp1250": _CENTER,
    "iso8859-2": _CENTER,
    "cp1254": ("Turkish",),
    "cp1251": _CYRILLIC,
    "koi8-r": ("Russian", "Bulgarian"),
    "cp866": ("Russian", "Bulgarian"),
    "iso8859-5": _CYRILLIC,
    "cp1253": ("Greek",),
    "cp1255": ("Hebrew",),
    "gb18030": ("Chinese (simplified)", "Chinese (traditional)"),
    "big5": ("Chinese (traditional)",),
    "shift_jis": ("Japanese",),
    "euc-jp": ("Japanese",),
    "cp949": ("Korean",),
}
SIZES = {"one line": 0, "300 B": 300, "1 KB": 1000, "3 KB": 3000, "10 KB": 10_000}

# Line comment, a text literal, and ASCII code around them.
_CODE = {
    "Python": ("# {}", 'print("{}")', "def step(items, index):\n    return items[index + 1] if index else None"),
    "C": ("/* {} */", 'puts("{}");', "static int add(int a, int b)\n{\n    return a + b; /* sum */\n}"),
    "C++": ("// {}", 'std::cout << "{}";', "for (size_t i = 0; i < n; ++i) {\n    total += values[i];\n}"),
    "Java": (
        "    /** {} */",
        'log.info("{}");',
        "    public int getCount() {\n        return this.count;\n    }",
    ),
    "JavaScript": ("// {}", 'alert("{}");', "const next = (state) => ({ ...state, count: state.count + 1 });"),
    "SQL": ("-- {}", "INSERT INTO notes VALUES (1, '{}');", "SELECT id, name FROM users WHERE id > 10 ORDER BY name;"),
    "HTML": ("<!-- {} -->", "<p>{}</p>", '<div class="row">\n  <a href="index.html">Home</a>\n</div>'),
    "INI": ("; {}", "title = {}", "[section]\nwidth = 640\nheight = 480"),
}


@dataclass(frozen=True)
class Case:
    text: str
    data: bytes
    language: str
    encoding: str
    size: str


def file_text(rng: random.Random, language: str, sentences: list[str], num_bytes: int, is_dense: bool) -> str:
    """A source file of about `num_bytes` with comments of `sentences`, or one of them."""
    comment, literal, block = _CODE[language]
    lines: list[str] = []
    if num_bytes == 0:
        code = block.split("\n")[0]
        return rng.choice((comment, literal)).format(rng.choice(sentences)) + "\n" + code + "\n"
    size = 0
    order: list[str] = []
    while size < num_bytes:
        if is_dense:
            order = order or rng.sample(sentences, len(sentences))
            lines.append(rng.choice((comment, comment, literal)).format(order.pop()))
        lines.append(block)
        size += len(lines[-1]) + 40 * is_dense
    if not is_dense:
        lines.insert(rng.randrange(len(lines) + 1), comment.format(rng.choice(sentences)))
    return "\n".join(lines) + "\n"


def cases(seed: int, per_cell: int) -> Iterator[Case]:
    for encoding, languages in ENCODINGS.items():
        for language in languages:
            sentences = [line for line in SENTENCES[language].strip().splitlines() if _fits(line, encoding)]
            for size, num_bytes in SIZES.items():
                rng = random.Random(f"{seed}:{encoding}:{language}:{size}")
                for index in range(per_cell):
                    code = rng.choice(list(_CODE))
                    text = file_text(rng, code, sentences, num_bytes, is_dense=index % 2 == 0)
                    yield Case(text, text.encode(encoding), language, encoding, size)


def _fits(line: str, encoding: str) -> bool:
    try:
        return not line.isascii() and bool(line.encode(encoding))
    except UnicodeEncodeError:
        return False


def outcome(case: Case) -> tuple[str, str]:
    """`right`, `wrong`, `marked` or `rejected`, and what was found."""
    try:
        found = decode(case.data)
    except RecordError as error:
        return "rejected", f"{error.reason}: {error.detail}"
    if getattr(found, "confidence", "") == "uncertain":
        return "marked", found.encoding
    return ("right" if found.text == case.text else "wrong"), found.encoding


def table(heading: str, groups: dict[str, Counter[str]]) -> None:
    print(f"\n{heading:22} {'files':>6} {'right':>7} {'wrong':>7} {'rejected':>9}")
    for name, counts in [*groups.items(), ("all", sum(groups.values(), Counter()))]:
        total = counts.total()
        rejected = counts["rejected"] + counts["marked"]
        print(
            f"{name:22} {total:6} {counts['right'] / total:7.1%} {counts['wrong'] / total:7.2%} {rejected / total:9.1%}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--per_cell", type=int, default=4, help="files of each encoding, language and size")
    parser.add_argument("--show_wrong", type=int, default=10)
    parser.add_argument("--show_rejected", type=int, default=0)
    options = parser.parse_args()
    groups: dict[str, dict[str, Counter[str]]] = {
        name: defaultdict(Counter) for name in ("encoding", "language", "size")
    }
    shown: Counter[str] = Counter()
    limits = {"wrong": options.show_wrong, "rejected": options.show_rejected}
    started = time.perf_counter()
    for case in cases(options.seed, options.per_cell):
        what, found = outcome(case)
        for name, counts in groups.items():
            counts[getattr(case, name)][what] += 1
        shown[what] += 1
        if shown[what] <= limits.get(what, 0):
            line = next((line for line in case.text.splitlines() if not line.isascii()), "")
            print(f"{what}: {case.language} in {case.encoding}, {case.size} -> {found}: {line[:70]!r}")
    for name, counts in groups.items():
        table(name, counts)
    print(f"\n{time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
