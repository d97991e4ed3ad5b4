"""rensa in a Python loop: `python rensa_loop.py CORPUS OUTPUT`.

One MinHash of 128 permutations per text over its 5-grams of words, 16 bands, and a pair counts if the estimated
similarity is at least 0.7; of a text and those before it that are like it, the first one stays. All texts' sketches are
in memory, in one process.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rensa import RMinHash, RMinHashLSH

PERMUTATIONS, BANDS, THRESHOLD, NGRAM = 128, 16, 0.7, 5
_WORD = re.compile(r"\w+")


def main(corpus: str, output: str) -> None:
    index = RMinHashLSH(THRESHOLD, PERMUTATIONS, BANDS)
    sketches: list[RMinHash] = []
    rows = removed = 0
    for path in sorted(Path(corpus).glob("*.parquet")):
        with pq.ParquetFile(path) as file, pq.ParquetWriter(Path(output, path.name), file.schema_arrow) as writer:
            for batch in file.iter_batches(1000):
                is_kept = [_is_new(text, index, sketches) for text in batch.column("text").to_pylist()]
                writer.write_batch(batch.filter(pa.array(is_kept)))
                rows, removed = rows + len(is_kept), removed + is_kept.count(False)
    Path(output, "result.json").write_text(json.dumps({"rows": rows, "duplicates": removed}))


def _is_new(text: str, index: RMinHashLSH, sketches: list[RMinHash]) -> bool:
    words = _WORD.findall(text.lower())
    sketch = RMinHash(PERMUTATIONS, 42)
    sketch.update([" ".join(words[place : place + NGRAM]) for place in range(max(1, len(words) - NGRAM + 1))])
    if any(sketches[other].jaccard(sketch) >= THRESHOLD for other in index.query(sketch)):
        return False
    index.insert(len(sketches), sketch)
    sketches.append(sketch)
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
