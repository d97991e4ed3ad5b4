"""Tests that stand in a repository: finds, for a source file, the test file that `codemill pack` puts beside it.

A corpus is read once, its test files are kept in memory with the paths of all others, and files are paired as
`transforms.packing.beside` does, without looking at imports. Memory: the test files, up to `MAX_TESTS_MB`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import ConfigError
from transforms.packing.beside import name_under_test, pair_tests
from transforms.rows.columns import resolve_columns

MAX_TESTS_MB: Final = 1_000
_ROWS_READ: Final = 256


@dataclass(frozen=True, slots=True)
class Corpus:
    """Where tests are looked up.

    Args:
        name: What the user called it, for messages.
        files: Its Parquet files, as `open_file` takes them.
        open_file: Opens one for reading at random; a function at the top level of a module.
    """

    name: str
    files: tuple[str, ...]
    open_file: Callable[[str], IO[bytes]]


class RepositoryTests:
    """The tests of a corpus.

    Args:
        corpus: Where they are.

    Raises:
        ConfigError: A file can't be read or has no paths, or the tests are too large.
    """

    def __init__(self, corpus: Corpus):
        self._paths: dict[str, set[str]] = defaultdict(set)
        self._tests: dict[str, dict[str, str]] = defaultdict(dict)
        self._found: dict[str, dict[str, str]] = {}
        size = 0
        for file in corpus.files:
            for repo_name, path, content in _rows(file, corpus):
                self._paths[repo_name].add(path)
                if content:
                    self._tests[repo_name][path] = content
                    size += len(content)
                if size > MAX_TESTS_MB * 1_000_000:
                    raise ConfigError(
                        f"--tests {corpus.name}: its tests have more than {MAX_TESTS_MB} MB; give fewer files"
                    )

    def of(self, repo_name: str, path: str) -> str | None:
        """The tests of a file; None if there are none. Of several test files, the first by path."""
        if repo_name not in self._found:
            tests = self._tests.get(repo_name, {})
            pairs = pair_tests(tests, self._paths.get(repo_name, ()))
            self._found[repo_name] = {tested: test for test, tested in sorted(pairs.items(), reverse=True)}
        test = self._found[repo_name].get(path)
        return None if test is None else self._tests[repo_name][test]


def check_columns(schema: pa.Schema, name: str) -> None:
    """Raises ConfigError if files of this schema have no contents and paths; `name` is the corpus's."""
    try:
        has_paths = resolve_columns(schema).path is not None
    except ConfigError as error:
        raise ConfigError(f"--tests {name}: {error}") from error
    if not has_paths:
        raise ConfigError(f"--tests {name}: no column with paths, by which tests are told from other files")


def _rows(file: str, corpus: Corpus) -> Iterator[tuple[str, str, str]]:
    """Repository, path and, of tests, content of each row."""
    try:
        with corpus.open_file(file) as opened, pq.ParquetFile(opened) as parquet:
            check_columns(parquet.schema_arrow, corpus.name)
            columns = resolve_columns(parquet.schema_arrow)
            names = [name for name in (columns.repo_name, columns.path, columns.content) if name is not None]
            for batch in parquet.iter_batches(batch_size=_ROWS_READ, columns=names):
                for row in batch.to_pylist():
                    path = _text(row[columns.path])
                    content = _text(row[columns.content]) if name_under_test(path) is not None else ""
                    yield _text(row.get(columns.repo_name)), path, content
    except (pa.ArrowException, OSError) as error:
        raise ConfigError(f"--tests {corpus.name}: {file} can't be read: {' '.join(str(error).split())}") from error


def _text(value: Any) -> str:
    """A value as text; "" where it is none, so that nothing is run of which some is lost."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return ""
    return value if isinstance(value, str) else ""
