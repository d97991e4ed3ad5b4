"""Detects generated and vendored files by their name, folders and first lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from transforms.filters.stage import Stage, StageResult
from transforms.languages.files import is_generated, is_vendor
from transforms.rows.row import Row


@dataclass(frozen=True, kw_only=True)
class GeneratedStage(Stage):
    """Rejects generated and vendored files.

    Args:
        drop_generated, drop_vendored: Whether such files are rejected.
    """

    name: ClassVar[str] = "quality"

    drop_generated: bool = True
    drop_vendored: bool = False

    def examine(self, row: Row) -> StageResult:
        """Reasons: `generated_file`, `vendored_file`."""
        if self.drop_generated and is_generated(row.path, row.content):
            return self.result({}, "generated_file", "identified by its name or header")
        if self.drop_vendored and is_vendor(row.path):
            return self.result({}, "vendored_file", "identified by its path")
        return self.result({})
