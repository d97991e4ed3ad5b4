"""Where a process keeps compiled programs: in the folder that is named, in the user's cache, or nowhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from model.engine.settings import EngineSpec
from transforms.generation import engine as bridge
from transforms.generation.engine import engine_figures

PROGRAM = """
import os, sys
import jax, jax.numpy as jnp
from model.engine.engine import use_compile_cache
from transforms.generation.engine import _cache_folder, keep_compiled
use_compile_cache(_cache_folder(sys.argv[1] if len(sys.argv) > 1 else None))
hits = []
jax.monitoring.register_event_listener(lambda event, **_: hits.append(event) if event.endswith("/cache_hits") else None)
print(float(jax.jit(lambda x: jnp.sin(x) @ x.T)(jnp.ones((8, 8)))[0, 0]) > 0, len(hits))
keep_compiled()
"""


@pytest.fixture
def run(tmp_path):
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "JAX_PLATFORMS": "cpu"}

    def run(*argv: str) -> tuple[bool, int]:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *argv], env=environment, capture_output=True, text=True, check=True
        )
        is_right, hits = done.stdout.split()
        return is_right == "True", int(hits)

    return run


def test_another_process_finds_compiled_programs_in_the_users_cache(run):
    right, hits = run()
    assert right and hits == 0
    right, hits = run()
    assert right and hits > 0


def test_a_named_folder_is_used_as_it_is_and_none_keeps_nothing(run, tmp_path):
    assert run("none") == (True, 0)
    assert not (tmp_path / "cache").exists()
    assert run(str(tmp_path / "own"))[1] == 0
    assert run(str(tmp_path / "own"))[1] > 0
    assert not (tmp_path / "cache").exists()


class NoEngine:
    def stats(self):
        return {"compiles": 3.0}


@pytest.mark.parametrize(
    ("chosen", "cache", "keeps"),
    [(None, object(), 1.0), (None, None, 0.0), ("none", None, 0.0), ("elsewhere", None, 1.0)],
)
def test_an_engine_tells_whether_what_it_compiles_is_kept(monkeypatch, chosen, cache, keeps):
    spec = EngineSpec(model="m", compile_cache=chosen)
    assert engine_figures(spec) == {}
    monkeypatch.setattr(bridge, "_cache", cache)
    monkeypatch.setitem(bridge._engines, spec, NoEngine())
    assert engine_figures(spec) == {"compiles": 3.0, "keeps_programs": keeps}
