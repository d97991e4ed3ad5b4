"""A release has one number: setup.py owns it, the changelog's newest release and the tag of its commit agree."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
(VERSION,) = re.findall(r'^    version="([^"]+)",$', (ROOT / "setup.py").read_text(encoding="utf-8"), re.M)
HEADINGS = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)


def test_the_newest_release_of_the_changelog_is_the_version_of_setup():
    released = [heading for heading in HEADINGS if heading != "Unreleased"]
    assert released[0].split(",")[0] == VERSION


def test_what_is_unreleased_stands_first_and_once():
    assert HEADINGS.count("Unreleased") <= 1 and "Unreleased" not in HEADINGS[1:]


def test_releases_are_dated_and_newest_first():
    released = [heading for heading in HEADINGS if heading != "Unreleased"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+(, \d{4}-\d\d-\d\d)?", heading) for heading in released)
    numbers = [tuple(map(int, heading.split(",")[0].split("."))) for heading in released]
    assert numbers == sorted(numbers, reverse=True) and len(numbers) == len(set(numbers))


def test_a_tag_at_this_commit_names_the_version():
    done = subprocess.run(["git", "-C", ROOT, "tag", "--points-at", "HEAD"], capture_output=True, text=True)
    tags = [tag for tag in done.stdout.split() if re.fullmatch(r"v\d.*", tag)]
    if done.returncode or not tags:
        pytest.skip("this is no commit of a release: no version tag points at it")
    assert tags == [f"v{VERSION}"]
