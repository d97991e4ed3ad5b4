"""Fixtures that tests of several layers share."""

from __future__ import annotations

from tests.gcs import gcs_emulator, gcs_root  # noqa: F401 (pytest finds fixtures by name)
