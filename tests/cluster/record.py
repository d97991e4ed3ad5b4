"""What the cluster tests did, as JSON: parts, runs with a hash of their rows, kills, what was not run and why."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

FILE = Path(os.environ.get("CODEMILL_CLUSTER_RECORD") or "out/cluster/record.json")


class Record:
    """Collects, and writes after each entry, so that a run that is stopped leaves what it had."""

    def __init__(self, file: Path = FILE):
        self._file = file
        self._entries: dict[str, list[dict[str, Any]]] = {
            name: [] for name in ("parts", "runs", "kills", "not_run", "unreachable")
        }

    def add(self, kind: str, **entry: Any) -> None:
        """Adds an entry of one of the kinds."""
        self._entries[kind].append(entry)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(self._entries, indent=2) + "\n")

    def lines(self) -> list[str]:
        """What a reader of the terminal is told; nothing where no cluster test ran."""
        if not any(self._entries.values()):
            return []
        counts = ", ".join(f"{len(entries)} {name.replace('_', ' ')}" for name, entries in self._entries.items())
        missing = [f"NOT RUN: {entry['what']}: {entry['why']}" for entry in self._entries["not_run"]]
        missing += [f"UNREACHABLE: {entry['what']}: {entry['why']}" for entry in self._entries["unreachable"]]
        return [f"{self._file}: {counts}", *missing]
