"""Tests that stand in a repository: finds, for a source file, the test file that `codemill pack` puts beside it.

A corpus is read once, its test files are kept in memory with the paths of all others, and files are paired as
`transforms.packing.beside` does, without looking at imports. Memory: the test files, up to `MAX_TESTS_MB`.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

from model.errors import ConfigError
from transforms.packing.beside import name_under_test, pair_tests
from transforms.rows.columns import resolve_columns

MAX_TESTS_MB: Final = 1_000
_ROWS_READ: Final = 256


class RepositoryTests:
    """The tests of a corpus.

    Args:
        corpus: A Parquet file, or a folder of them.

    Raises:
        ConfigError: There is none, it has no paths, or its tests are too large.
    """

    def __init__(self, corpus: str):
        self._paths: dict[str, set[str]] = defaultdict(set)
        self._tests: dict[str, dict[str, str]] = defaultdict(dict)
        self._found: dict[str, dict[str, str]] = {}
        size = 0
        for file in parquet_files(corpus):
            for repo_name, path, content in _rows(file, corpus):
                self._paths[repo_name].add(path)
                if name_under_test(path) is not None:
                    self._tests[repo_name][path] = content
                    size += len(content)
            if size > MAX_TESTS_MB * 1_000_000:
                raise ConfigError(f"--tests {corpus}: its tests have more than {MAX_TESTS_MB} MB; give fewer files")

    def of(self, repo_name: str, path: str) -> str | None:
        """The tests of a file; None if there are none. Of several test files, the first by path."""
        if repo_name not in self._found:
            tests = self._tests.get(repo_name, {})
            pairs = pair_tests(tests, self._paths.get(repo_name, ()))
            self._found[repo_name] = {tested: test for test, tested in sorted(pairs.items(), reverse=True)}
        test = self._found[repo_name].get(path)
        return None if test is None else self._tests[repo_name][test]


def parquet_files(corpus: str) -> list[Path]:
    """The Parquet files of a corpus. Raises ConfigError if there are none."""
    place = Path(corpus)
    found = [place] if place.is_file() else sorted(place.rglob("*.parquet")) if place.is_dir() else []
    if not found:
        raise ConfigError(f"--tests {corpus}: no such Parquet file, or folder with one")
    return found


def _rows(file: Path, corpus: str) -> list[tuple[str, str, str]]:
    with pq.ParquetFile(file) as opened:
        columns = resolve_columns(opened.schema_arrow)
        if columns.path is None:
            raise ConfigError(f"--tests {corpus}: no column with paths, by which tests are told from other files")
        names = [name for name in (columns.repo_name, columns.path, columns.content) if name is not None]
        rows = []
        for batch in opened.iter_batches(batch_size=_ROWS_READ, columns=names):
            for row in batch.to_pylist():
                path, content = row[columns.path] or "", row[columns.content] or ""
                is_test = name_under_test(path) is not None
                repo_name = row[columns.repo_name] or "" if columns.repo_name is not None else ""
                rows.append((repo_name, path, str(content) if is_test else ""))
    return rows
