"""Which codemill this is: the version of the package, and a hash of its code.

Two machines whose code differs may write different rows for the same input, and between two releases the version
alone doesn't tell them apart. The hash takes about 30 ms.
"""

from __future__ import annotations

import functools
import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_PACKAGES = ("jobs", "transforms", "model")
_CODE = frozenset({".py", ".toml", ".json", ".yaml"})


def package_version() -> str:
    """The version that is installed, or `(not installed)`."""
    try:
        return version("codemill")
    except PackageNotFoundError:
        return "(not installed)"


@functools.cache
def code_version() -> str:
    """Version and hash of the code that runs here, such as `0.1.0+5d41402a`."""
    digest = hashlib.sha256()
    for path in sorted(path for package in _PACKAGES for path in (_ROOT / package).rglob("*")):
        if path.suffix in _CODE:
            digest.update(str(path.relative_to(_ROOT)).encode() + b"\0" + path.read_bytes() + b"\0")
    return f"{package_version()}+{digest.hexdigest()[:8]}"
