"""A process that loads checkpoints and vocabularies, so that one that hangs, dies or takes all memory ends no test."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
LIMIT_S = 20  # a second or so, on a machine with much else to do
EXTRA_BYTES = 1 << 30

LOADER = """
import hashlib, json, resource, sys, traceback
import h5py, gguf, jax, jax.numpy as jnp, numpy as np, tensorstore
import model, model.checkpoint.placement
from model.errors import ConfigError

jax.block_until_ready(jnp.ones(8) + 1)
size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]),) * 2)
TEXT = "def f(x):\\r\\n\\treturn '\u2581 \u6f22\U0001f600\\0'  # <|fim_prefix|>" + " " * 99


def found(path, is_vocabulary):
    if is_vocabulary:
        tokenizer = model.Tokenizer.load(path)
        assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT
        return tokenizer.sha256
    gemma = model.load(path, dtype=jnp.float32)
    leaves = jax.tree.leaves(gemma.arrays())
    return hashlib.sha256(b"".join(np.asarray(leaf).tobytes() for leaf in leaves)).hexdigest()


for line in sys.stdin:
    try:
        answer = {"loaded": found(*json.loads(line))}
    except ConfigError as error:
        answer = {"refused": str(error)}
    except BaseException:
        answer = {"fault": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
"""


class Loader:
    """The process that loads; started when first asked."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def load(self, path: Path, *, is_vocabulary: bool) -> dict[str, str]:
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-c", LOADER, str(EXTRA_BYTES)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.load(Path("embedded"), is_vocabulary=True)  # the time limit isn't for starting
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        print(json.dumps([str(path), is_vocabulary]), file=process.stdin, flush=True)
        if select.select([process.stdout], [], [], 6 * LIMIT_S if str(path) == "embedded" else LIMIT_S)[0]:
            if line := process.stdout.readline():
                return json.loads(line)
            what = f"the process ended with {process.wait()}"
        else:
            what = f"nothing after {LIMIT_S} s"
        self.stop()
        return {"fault": what}

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
