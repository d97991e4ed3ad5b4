"""Fixtures that tests of several layers share."""

from __future__ import annotations

from hypothesis import settings

from tests.gcs import gcs_emulator, gcs_root  # noqa: F401 (pytest finds fixtures by name)

# No test asserts how long something takes: a loaded machine is no fault of the code.
settings.register_profile("codemill", deadline=None)
settings.load_profile("codemill")
