"""Ten sample holes: functions written for this purpose, in the style of a standard library.

    python benchmarks/embedded/samples.py [--model embedded]      prints a Markdown table for the card

`[[...]]` marks the hole and contains the author's text, which the model doesn't see.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from model.tokenizer import Tokenizer
from transforms.fim.formats import fim_prompt, fim_stop_ids

HOLES = (
    'def read_text(path, encoding=None):\n    """Return the contents of a file."""\n'
    "    with open(path, encoding=encoding) as file:\n        [[return file.read()]]\n",
    "class Stack:\n    def __init__(self):\n        [[self.items = []]]\n\n    def push(self, item):\n"
    "        self.items.append(item)\n\n    def pop(self):\n        return self.items.pop()\n",
    "def parse_header(line):\n    if not isinstance(line, str):\n"
    '        [[raise TypeError("line must be a string")]]\n    name, _, value = line.partition(":")\n'
    "    return name.strip(), value.strip()\n",
    "import os\nimport shutil\n\n\ndef remove_tree(path):\n    if os.path.isdir(path):\n"
    "        [[shutil.rmtree(path)]]\n    elif os.path.exists(path):\n        os.remove(path)\n",
    "def mean(values):\n    total = 0\n    for value in values:\n        [[total += value]]\n"
    "    return total / len(values)\n",
    "class Timer:\n    def __enter__(self):\n        self.start = time.time()\n        [[return self]]\n\n"
    "    def __exit__(self, exc_type, exc_value, traceback):\n        self.elapsed = time.time() - self.start\n",
    "def get_int(config, key, default=None):\n    try:\n        return int(config[key])\n"
    "    [[except KeyError:]]\n        return default\n",
    "import unittest\n\n\nclass TestQueue(unittest.TestCase):\n    def setUp(self):\n"
    "        self.queue = Queue()\n\n    def test_empty(self):\n        [[self.assertTrue(self.queue.empty())]]\n\n"
    "    def test_put(self):\n        self.queue.put(1)\n        self.assertFalse(self.queue.empty())\n",
    "def close(self):\n    if self._closed:\n        [[return]]\n    self._closed = True\n    self._socket.close()\n"
    "    self._socket = None\n",
    "def group_by(items, key):\n    groups = {}\n    for item in items:\n"
    "        [[groups.setdefault(key(item), []).append(item)]]\n    return groups\n",
)


def split(hole: str) -> tuple[str, str, str]:
    """Prefix, middle and suffix of a text whose hole is marked."""
    prefix, rest = hole.split("[[", 1)
    # The mark's end is the last `]]` before the end of the line, because the middle may end in brackets too.
    line, _, after = rest.partition("\n")
    return prefix, line[: line.rindex("]]")], f"{line[line.rindex(']]') + 2 :]}\n{after}"


def fill(engine: Any, tokenizer: Tokenizer, mode: str) -> list[str]:
    from model.engine import Request

    requests = []
    for hole in HOLES:
        prefix, _, suffix = split(hole)
        prompt = fim_prompt(tokenizer, mode, tokenizer.encode(prefix), tokenizer.encode(suffix))  # type: ignore[arg-type]
        requests.append(Request(prompt=tuple(prompt), max_new_tokens=64, stop_ids=fim_stop_ids(tokenizer)))
    return [tokenizer.decode(future.result().tokens) for future in engine.submit(requests)]


def main() -> None:
    import model as models
    from model.engine import Engine, EngineOptions

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="embedded")
    options = parser.parse_args()
    tokenizer = Tokenizer.load(options.model)
    shapes = EngineOptions(slots=10, prompt_buckets=(128, 256), max_new_tokens=64, prompt_lookup="off")
    engine = Engine(models.load(options.model), options=shapes)
    psm, spm = (fill(engine, tokenizer, mode) for mode in ("psm", "spm"))
    engine.close()

    def cell(text: str) -> str:
        return "`" + text.replace("\n", "⏎").replace("|", "\\|") + "`" if text else "(nothing)"

    print("| line before the hole | written by hand | PSM | SPM |\n|---|---|---|---|")
    for hole, first, second in zip(HOLES, psm, spm, strict=True):
        prefix, middle, _ = split(hole)
        before = [line for line in prefix.split("\n") if line.strip()][-1].strip()
        print(f"| {cell(before)} | {cell(middle)} | {cell(first)} | {cell(second)} |")


if __name__ == "__main__":
    main()
