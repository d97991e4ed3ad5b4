"""Checks that a published folder loads with `datasets`, where that is installed: each configuration, its first row.

It runs in a process of its own with a cache of its own and without network, so that nothing of it stays behind.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile

from model.errors import ConfigError, one_line

_TIMEOUT_S = 600.0
_PROGRAM = """
import sys
from datasets import get_dataset_config_names, load_dataset
folder = sys.argv[1]
for name in get_dataset_config_names(folder):
    rows = load_dataset(folder, name, split="train", streaming=True)
    next(iter(rows))
    print(name)
"""


def check_with_datasets(folder: str) -> list[str] | None:
    """Loads each configuration; returns their names, or None if `datasets` isn't installed. Raises ConfigError."""
    if importlib.util.find_spec("datasets") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="codemill-datasets-") as cache:
        environment = {
            **os.environ,
            "HF_HOME": cache,
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
            "HF_DATASETS_CACHE": os.path.join(cache, "datasets"),
        }
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", _PROGRAM, folder],
                capture_output=True,
                text=True,
                env=environment,
                stdin=subprocess.DEVNULL,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise ConfigError(
                f"`datasets` took more than {_TIMEOUT_S:.0f} s to load it; nothing was published"
            ) from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise ConfigError(f"`datasets` can't load it: {one_line(last)}; nothing was published")
    return done.stdout.split()
