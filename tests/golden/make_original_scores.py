"""Make original_scores.json beside this file: `python -m tests.golden.make_original_scores`.

For each span that `codemill infill` cuts out of three small files with its default options: the log-probability of the
original middle under the embedded model, as one forward pass over prompt and middle gives it, and its tokens.
"""

from __future__ import annotations

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import model
from model.tokenizer import Tokenizer
from transforms.rows.row import Row, SourceRef, content_sha256
from transforms.tasks.base import TaskRequest
from transforms.tasks.infill import InfillTask

GOLDEN = Path(__file__).parent / "original_scores.json"
FILES = {
    "area.py": 'import math\n\n\ndef area(radius):\n    """Area of a circle."""\n    return math.pi * radius**2\n\n\n'
    "def ring(outer, inner):\n    return area(outer) - area(inner)\n",
    "names.py": "NAMES = ['ada', 'grace', 'alan']\n\n\ndef initials(names):\n    found = []\n    for name in names:\n"
    "        found.append(name[0].upper())\n    return found\n\n\nprint(initials(NAMES))\n",
    "count.py": "from collections import Counter\n\n\ndef most_common(words, count=3):\n    tally = Counter(words)\n"
    "    return [word for word, _ in tally.most_common(count)]\n",
}
SPANS = 4  # of each file
MAX_PROMPT_TOKENS, MAX_NEW_TOKENS = 256, 64


def requests() -> dict[str, TaskRequest]:
    """The targets by file and name."""
    task = InfillTask(
        tokenizer="embedded",
        spans_per_file=SPANS,
        max_prompt_tokens=MAX_PROMPT_TOKENS,
        max_new_tokens=MAX_NEW_TOKENS,
    )
    found = {}
    for number, (path, content) in enumerate(FILES.items()):
        sha = content_sha256(content)
        row = Row(SourceRef("corpus.parquet", 0, number), content, sha, sha, path=path, language="Python")
        for request in task.requests(row):
            assert isinstance(request, TaskRequest)
            found[f"{path}:{request.target}"] = request
    return found


def main() -> None:
    gemma, tokenizer = model.load("embedded"), Tokenizer.load("embedded")
    golden = {}
    for name, request in requests().items():
        path, span = name.split(":", 1)
        start, end = map(int, span.split(":")[1:])
        middle = tokenizer.encode(FILES[path][start:end])
        sequence = [*request.request.prompt, *middle]
        logprobs = np.asarray(jax.nn.log_softmax(gemma(jnp.asarray([sequence]))[0]), np.float64)
        at = len(request.request.prompt) - 1 + np.arange(len(middle))
        golden[name] = {"original_logprob": round(float(logprobs[at, middle].sum()), 5), "original_tokens": len(middle)}
    GOLDEN.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
