"""The NOTICE table of a dataset that forgets rows: repositories of which no row is left are no longer in it.

Copyright lines of a repository that keeps other rows stay: they may stand in those rows, too.
"""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.notice import notice_bytes, read_notice, repositories_of
from jobs.finalize.rewriting import Rewriting
from jobs.forgetting.searching import Found
from jobs.storage.folders import DATA, NOTICE, OutputFolder
from transforms.corpus.notice import Notice

_BATCH_ROWS = 8192


def renew_notice(change: Rewriting, output: OutputFolder, found: Found, column: str | None) -> Notice | None:
    """Prepares the table without the rows that go; returns it, or None if the dataset has none.

    Args:
        change: The change that removes the rows.
        output: The dataset.
        found: The rows that go.
        column: The path of the column that names rows' repositories; None if there is none.
    """
    notice = read_notice(output)
    if notice is None or column is None:
        return notice
    for name, rows in _rows_that_go(output, found, column).items():
        known = notice.repositories.get(name)
        if known is not None and known.rows > rows:
            known.rows -= rows
        elif known is not None:
            del notice.repositories[name]
    if notice.repositories:
        change.write(NOTICE, notice_bytes(notice))
    else:
        change.remove(NOTICE)
    return notice


def _rows_that_go(output: OutputFolder, found: Found, column: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for path, gone in found.gone.items():
        if not path.startswith(f"{DATA}/"):
            continue
        start = 0
        with storage.open_input(output.join(path)) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS, columns=[column], use_threads=False):
                here = gone[start : start + batch.num_rows]
                start += batch.num_rows
                counts.update(repositories_of(batch.column(0).filter(pa.array(here))))
    return counts
