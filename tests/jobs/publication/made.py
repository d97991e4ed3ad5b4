"""Small finished outputs to publish, and the command as a user runs it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from jobs import corpus
from jobs.cli import main

ROOT = Path(__file__).parents[3]
MIT = (
    "Copyright (c) 2019 Example Authors <authors@mail.example.org>\n\n"
    "Permission is hereby granted, free of charge, to any person obtaining a copy. "
    "The above copyright notice and this permission notice shall be included in all copies.\n"
)


# The start of `datasets` takes seconds, and it wants the real `huggingface_hub`.
_WITHOUT_DATASETS = (
    "import sys, jobs.cli, jobs.publication.loading as loading; loading.check_with_datasets = lambda folder: None; "
    "sys.exit(jobs.cli.main())"
)


def make_sources(folder: Path, *, files: int = 3) -> list[Path]:
    """Two projects, one with a license, one without; a file that is rejected."""
    for name in ("tool", "other"):
        (folder / name).mkdir(parents=True)
        for number in range(files):
            (folder / name / f"{number}.py").write_text(f"def {name}_{number}(x):\n    return x + {number}\n")
    (folder / "tool" / "LICENSE").write_text(MIT)
    (folder / "other" / "main.c").write_text("// Copyright 2020 Acme GmbH\nint main() { return 0; }\n")
    (folder / "other" / "x.bin").write_bytes(b"\0\1")
    return [folder / "tool", folder / "other"]


def make_corpus(folder: Path, *, files: int = 3, **options) -> Path:
    """A corpus of these projects."""
    sources = make_sources(folder / "secretive-home", files=files)
    output = folder / "corpus"
    options = {"progress": "none", **options}
    assert corpus.run(corpus.Options(source=tuple(map(str, sources)), output=str(output), **options)) == 0
    return output


def publish(*words: str | Path) -> int:
    """`codemill publish` in this process."""
    return main(["publish", *map(str, words)])


def publish_apart(*words: str | Path, **variables: str) -> int:
    """`codemill publish` in a process of its own; returns its exit code, negative after a signal."""
    environment = {**os.environ, **variables}
    environment["PYTHONPATH"] = os.pathsep.join([variables.get("PYTHONPATH", ""), str(ROOT), *sys.path])
    words = (sys.executable, "-c", _WITHOUT_DATASETS, "publish", *map(str, words))
    return subprocess.run(words, env=environment, cwd=ROOT, check=False, stdout=subprocess.DEVNULL).returncode


def are_whole(folder: Path) -> bool:
    """Whether every folder below with a manifest, hidden ones too, has exactly the files that it lists."""
    for manifest in folder.rglob("PUBLISHED.json"):
        listed = {name: file["sha256"] for name, file in json.loads(manifest.read_text())["files"].items()}
        found = hashes(manifest.parent)
        del found["PUBLISHED.json"]
        if found != listed:
            return False
    return True


def use_fake_hub(folder: Path) -> dict[str, str]:
    """Puts the stand-in for `huggingface_hub` below a folder; returns the variables by which a process has it."""
    package, repositories = folder / "fake", folder / "hub"
    package.mkdir()
    repositories.mkdir()
    shutil.copyfile(Path(__file__).with_name("fake_hub.py"), package / "huggingface_hub.py")
    return {"PYTHONPATH": str(package), "FAKE_HUB": str(repositories)}


def hashes(folder: Path) -> dict[str, str]:
    """The files of a folder by name, each with the hash of its bytes."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
