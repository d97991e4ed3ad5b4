"""The time as records have it."""

from __future__ import annotations

import time


def utc_now() -> str:
    """Returns the current time in UTC as text, to the second."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
