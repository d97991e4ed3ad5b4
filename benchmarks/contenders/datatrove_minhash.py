"""datatrove's MinHash pipeline: `python datatrove_minhash.py CORPUS OUTPUT WORKERS`.

Its four steps as its own example has them: signatures, buckets, clusters, filter; 5-grams of words, 16 buckets of 8
hashes; one task per input file, one per bucket. It doesn't verify pairs: what shares a bucket is a duplicate.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter

CONFIG = MinhashConfig(n_grams=5, num_buckets=16, hashes_per_bucket=8)


def main(corpus: str, output: str, workers: str) -> None:
    files = sorted(Path(corpus).glob("*.parquet"))
    signatures, buckets, removed, kept = (f"{output}/{name}" for name in ("signatures", "buckets", "removed", "kept"))
    steps = [
        ([ParquetReader(corpus), MinhashDedupSignature(signatures, CONFIG)], len(files)),
        ([MinhashDedupBuckets(signatures, buckets, config=CONFIG)], CONFIG.num_buckets),
        ([MinhashDedupCluster(buckets, removed, CONFIG)], 1),
        ([ParquetReader(corpus), MinhashDedupFilter(removed), ParquetWriter(kept)], len(files)),
    ]
    for number, (pipeline, tasks) in enumerate(steps):
        logs = f"{output}/logs/{number}"
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=int(workers), logging_dir=logs).run()
    rows = sum(pq.read_metadata(file).num_rows for file in files)
    left = sum(pq.read_metadata(file).num_rows for file in Path(kept).glob("*.parquet"))
    Path(output, "result.json").write_text(json.dumps({"rows": rows, "duplicates": rows - left}))


if __name__ == "__main__":
    main(*sys.argv[1:])
