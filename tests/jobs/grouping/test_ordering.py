"""What is refused before a repository is put in order."""

from __future__ import annotations

import pytest

from jobs.grouping import ordering
from model.errors import ConfigError


def test_a_repository_that_memory_does_not_hold_is_refused_in_a_line_that_says_what_fits(monkeypatch):
    monkeypatch.setattr(ordering, "available_memory", lambda: 512_000_000)
    ordering.check_memory(256_000)
    with pytest.raises(ConfigError) as refused:
        ordering.check_memory(365_000)
    assert str(refused.value) == (
        "a repository of 365,000 files needs about 0.7 GB to be put in order, but 0.5 GB are available, enough for "
        "256,000 files; give the job more memory, or split the repository under several names"
    )


def test_a_large_repository_is_measured_before_its_files_are_read(monkeypatch):
    monkeypatch.setattr(ordering, "available_memory", lambda: 0)
    writing = ordering._Writing(None, ordering.GroupSettings(), (), "scratch", lambda number, part: "")  # type: ignore[arg-type]
    repository = ordering.Repository("entries", 0, 7, 10_000_000)
    with pytest.raises(ConfigError, match="a repository of 7 files"):
        writing.write_large(0, [ordering.Block((repository,))])
