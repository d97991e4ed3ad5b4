"""`codemill publish`: what is published, what is refused, and that a kill at any point costs nothing."""

from __future__ import annotations

import importlib.util
import json
import shutil
import signal
import socket
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from jobs.cli import DONE, USER_ERROR, main
from jobs.publication import bucket, folder, hub
from jobs.publish import Options
from jobs.storage.failpoints import names
from model.errors import ConfigError
from tests.jobs.publication import made


@pytest.fixture
def only_pyarrow(monkeypatch):
    """As if `datasets` weren't installed, whose start takes seconds."""
    monkeypatch.setattr("jobs.publication.loading.check_with_datasets", lambda folder: None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return made.make_corpus(tmp_path_factory.mktemp("made"))


def one_line(capfd) -> str:
    said = capfd.readouterr().err
    assert said.count("\n") == 1 and "Traceback" not in said, said
    return said


# --- what is published -----------------------------------------------------------------------------


def test_a_published_folder_has_rows_pages_and_notice_and_no_job_folder(corpus, tmp_path, only_pyarrow):
    assert made.publish(corpus, tmp_path / "out") == DONE
    assert set(made.hashes(tmp_path / "out")) == {
        "data/train-00000-of-00001.parquet",
        "rejected/rejected-00000-of-00001.parquet",
        "NOTICE.parquet",
        "PUBLISHED.json",
        "README.md",
        "report.html",
        "summary.json",
    }
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    files = json.loads((tmp_path / "out" / "PUBLISHED.json").read_text())["files"]
    found = made.hashes(tmp_path / "out")
    assert {name: file["sha256"] for name, file in files.items()} == {
        name: sha256 for name, sha256 in found.items() if name != "PUBLISHED.json"
    }


def test_the_notice_names_licenses_and_holders_of_each_repository(corpus, tmp_path, only_pyarrow):
    made.publish(corpus, tmp_path / "out")
    rows = {row["repo_name"]: row for row in pq.read_table(tmp_path / "out" / "NOTICE.parquet").to_pylist()}
    assert rows["tool"]["licenses"] == ["MIT"] and rows["tool"]["rows"] == 4
    assert rows["tool"]["copyright_lines"] == ["Copyright (c) 2019 Example Authors"]
    assert rows["other"]["copyright_lines"] == ["Copyright 2020 Acme GmbH"] and rows["other"]["licenses"] == []


def test_the_card_counts_languages_and_licenses_and_shows_three_rows(corpus, tmp_path, only_pyarrow):
    made.publish(corpus, tmp_path / "my-code", "--pretty_name", "My code")
    _, head, body = (tmp_path / "my-code" / "README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(head)
    assert (fields["license"], fields["language"], fields["pretty_name"]) == ("other", ["code"], "My code")
    assert fields["source_datasets"] == ["original"]
    assert [config["config_name"] for config in fields["configs"]] == ["default", "rejected", "notice"]
    assert "| Python | 6 |" in body and "| MIT | 4 |" in body and "| none recognized | 4 |" in body
    assert body.count("```json") == 3 and "licenses weren't" not in body


def test_rows_under_one_license_make_it_that_of_the_card(tmp_path, only_pyarrow):
    tool, _ = made.make_sources(tmp_path / "src")
    assert main(["corpus", str(tool), "--output", str(tmp_path / "c"), "--quiet"]) == DONE
    made.publish(tmp_path / "c", tmp_path / "out")
    assert yaml.safe_load((tmp_path / "out" / "README.md").read_text().split("---\n")[1])["license"] == "mit"


def test_a_filtered_corpus_keeps_the_notice_of_the_repositories_that_are_left(corpus, tmp_path, only_pyarrow):
    words = ["--input", str(corpus), "--output", str(tmp_path / "clean"), "--quiet", "--workers", "1"]
    assert main(["filter", *words, "--allow_licenses", "MIT", "--no-allow_unknown_license"]) == DONE
    (row,) = pq.read_table(tmp_path / "clean" / "NOTICE.parquet").to_pylist()
    assert (row["repo_name"], row["copyright_lines"]) == ("tool", ["Copyright (c) 2019 Example Authors"])
    summary = json.loads((tmp_path / "clean" / "summary.json").read_text())
    assert summary["sources"] == [{"name": "corpus", "job": "corpus"}] and summary["models"] == []
    made.publish(tmp_path / "clean", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Rows under other licenses than `MIT` were rejected." in card
    assert "Rows without a recognized license were rejected." in card
    assert yaml.safe_load(card.split("---\n")[1])["license"] == "mit"
    assert pq.read_table(tmp_path / "out" / "NOTICE.parquet")["repo_name"].to_pylist() == ["tool"]


def test_a_row_of_another_dataset_is_named_beside_those_that_have_a_notice(corpus, tmp_path, only_pyarrow):
    (tmp_path / "more" / "data").mkdir(parents=True)
    rows = pq.read_table(corpus / "data")
    content = pa.array(["# Copyright 2021 New Authors\nx = 1\n"] * rows.num_rows, pa.large_string())
    at = rows.schema.names.index("content")
    named = rows.set_column(at, "content", content).drop(["repo_name"])
    named = named.append_column("repo_name", pa.array(["new"] * rows.num_rows))
    pq.write_table(named.select(rows.schema.names), tmp_path / "more" / "data" / "train-0.parquet")
    words = ["--output", str(tmp_path / "both"), "--quiet", "--workers", "1", "--no-quality"]
    assert main(["filter", "--input", str(corpus), str(tmp_path / "more"), *words]) == DONE
    made.publish(tmp_path / "both", tmp_path / "out")
    told = {row["repo_name"]: row for row in pq.read_table(tmp_path / "out" / "NOTICE.parquet").to_pylist()}
    assert told["new"]["copyright_lines"] == ["Copyright 2021 New Authors"]
    assert told["tool"]["copyright_lines"] == ["Copyright (c) 2019 Example Authors"]


def test_the_samples_of_three_rows_are_all_of_them(tmp_path, only_pyarrow):
    tool, _ = made.make_sources(tmp_path / "src", files=2)
    assert main(["corpus", str(tool), "--output", str(tmp_path / "c"), "--quiet"]) == DONE
    made.publish(tmp_path / "c", tmp_path / "out")
    assert (tmp_path / "out" / "README.md").read_text().count("```json") == 3


def test_a_published_copy_is_read_as_the_output_is(corpus, tmp_path, only_pyarrow):
    made.publish(corpus, tmp_path / "copy")
    for name in (corpus, tmp_path / "copy"):
        words = ["--input", str(name), "--output", str(tmp_path / f"of-{name.name}"), "--quiet", "--workers", "1"]
        assert main(["filter", *words]) == DONE
    rows = [pq.read_table(tmp_path / f"of-{name}" / "data").num_rows for name in ("corpus", "copy")]
    assert rows[0] == rows[1] > 0


def test_paths_and_hosts_in_messages_are_not_published(tmp_path, only_pyarrow, monkeypatch):
    output, host = made.make_corpus(tmp_path), "builder-7.example.net"
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    where = output / "rejected" / "rejected-00000-of-00001.parquet"
    table = pq.read_table(where)
    details = [f"can't open /home/secretive/in/a.parquet on {host}"] * table.num_rows
    at = table.schema.get_field_index("detail")
    changed = table.set_column(at, table.schema.field(at), pa.array(details, pa.large_string()))
    pq.write_table(changed, where)
    summary = json.loads((output / "summary.json").read_text())
    summary["options"]["exclude"] = [f"read /home/secretive/in/b.parquet at {host}"]
    (output / "summary.json").write_text(json.dumps(summary))
    assert made.publish(output, tmp_path / "out") == DONE
    found = pq.read_table(tmp_path / "out" / "rejected")
    assert set(found["detail"].to_pylist()) == {"can't open a.parquet on a host"}
    assert found.drop(["detail"]).equals(table.drop(["detail"]))
    for path in (tmp_path / "out").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".parquet":
                data = repr(pq.read_table(path).to_pylist()).encode()
            assert b"secretive" not in data and str(tmp_path).encode() not in data, path
            assert host.encode() not in data, path


@pytest.mark.skipif(importlib.util.find_spec("datasets") is None, reason="`datasets` isn't installed")
def test_each_configuration_loads_with_datasets(corpus, tmp_path):
    from jobs.publication.loading import check_with_datasets

    assert made.publish(corpus, tmp_path / "out") == DONE
    assert check_with_datasets(str(tmp_path / "out")) == ["default", "rejected", "notice"]


# --- what is refused -------------------------------------------------------------------------------


def test_an_output_that_is_not_finished_is_refused(corpus, tmp_path, capfd):
    shutil.copytree(corpus, tmp_path / "half")
    (tmp_path / "half" / "COMPLETED").unlink()
    assert made.publish(tmp_path / "half", tmp_path / "out") == USER_ERROR
    assert "isn't finished; run the command that makes it again" in one_line(capfd)
    assert not (tmp_path / "out").exists()


def test_an_output_without_rows_is_refused(tmp_path, capfd):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "x.bin").write_bytes(b"\0")
    main(["corpus", str(tmp_path / "src"), "--output", str(tmp_path / "empty"), "--quiet"])
    capfd.readouterr()
    assert made.publish(tmp_path / "empty", tmp_path / "out") == USER_ERROR
    assert "has no rows, so there is nothing to publish" in one_line(capfd)


def test_a_damaged_file_is_refused_before_anything_is_published(tmp_path, capfd):
    output = made.make_corpus(tmp_path)
    shard = output / "data" / "train-00000-of-00001.parquet"
    data = bytearray(shard.read_bytes())
    data[40:140] = bytes(100)
    shard.write_bytes(data)
    capfd.readouterr()
    assert made.publish(output, tmp_path / "out") == USER_ERROR
    assert "can't be read" in one_line(capfd) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("part", [slice(0, -20), slice(40, None)])
def test_a_damaged_notice_is_refused(tmp_path, capfd, part):
    output = made.make_corpus(tmp_path)
    notice = output / "NOTICE.parquet"
    notice.write_bytes(notice.read_bytes()[part])
    capfd.readouterr()
    assert made.publish(output, tmp_path / "out") == USER_ERROR
    assert "NOTICE.parquet can't be read" in one_line(capfd)
    words = ["--input", str(output), "--output", str(tmp_path / "clean"), "--quiet", "--workers", "1", "--no-quality"]
    assert main(["filter", *words]) == USER_ERROR
    assert "restore it, or remove it" in capfd.readouterr().err
    notice.unlink()
    assert main(["filter", *words]) == DONE


def test_an_output_of_an_earlier_version_is_refused(tmp_path, capfd):
    output = made.make_corpus(tmp_path)
    told = json.loads((output / "summary.json").read_text())
    (output / "summary.json").write_text(json.dumps({key: told[key] for key in told if key != "repositories"}))
    capfd.readouterr()
    assert made.publish(output, tmp_path / "out") == USER_ERROR
    assert "summary.json has no 'repositories', so an earlier codemill made it" in one_line(capfd)


@pytest.mark.parametrize(
    ("to", "why"),
    [
        ("corpus/inside", "are in each other"),
        ("other", "is not empty and no published dataset (it has a.txt)"),
        ("file", "is a file; name a folder"),
        ("hf://datasets/only-a-name", "expected hf://datasets/OWNER/NAME"),
        ("hf://me/code", "expected hf://datasets/OWNER/NAME"),
    ],
)
def test_a_place_that_can_not_be_published_to_is_refused(corpus, tmp_path, capfd, to, why):
    shutil.copytree(corpus, tmp_path / "corpus")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    assert made.publish(tmp_path / "corpus", to if "://" in to else tmp_path / to) == USER_ERROR
    assert why in one_line(capfd)
    assert (tmp_path / "other" / "a.txt").read_text() == (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["", "two words", "mit\nlicense: other", "-mit"])
def test_what_is_no_license_of_the_hub_is_refused(corpus, tmp_path, capfd, name):
    assert made.publish(corpus, tmp_path / "out", f"--license={name}") == USER_ERROR
    assert "is no identifier as the Hub has, like apache-2.0" in one_line(capfd)


def test_what_is_no_output_or_a_copy_is_refused(corpus, tmp_path, capfd, only_pyarrow):
    assert made.publish(tmp_path, tmp_path.parent / "out") == USER_ERROR
    assert "is no output of a codemill job" in one_line(capfd)
    made.publish(corpus, tmp_path / "copy")
    capfd.readouterr()
    assert made.publish(tmp_path / "copy", tmp_path / "again") == USER_ERROR
    assert "is a published copy" in one_line(capfd)


def test_a_dataset_that_does_not_load_is_not_published(corpus, tmp_path, monkeypatch):
    from model.errors import ConfigError

    def refuse(place: str) -> None:
        raise ConfigError("can't load it")

    monkeypatch.setattr("jobs.publication.loading.check_with_datasets", refuse)
    assert made.publish(corpus, tmp_path / "out") == USER_ERROR
    assert not (tmp_path / "out").exists()


# --- again, and killed -----------------------------------------------------------------------------


def test_the_same_command_again_finds_nothing_to_do(corpus, tmp_path, capfd, only_pyarrow):
    made.publish(corpus, tmp_path / "out")
    before = made.hashes(tmp_path / "out")
    capfd.readouterr()
    assert made.publish(corpus, tmp_path / "out") == DONE
    assert "nothing to do" in capfd.readouterr().out and made.hashes(tmp_path / "out") == before


def check_that_another_dataset_takes_the_place_of_a_copy(corpus, tmp_path):
    tool, _ = made.make_sources(tmp_path / "src", files=9)
    main(["corpus", str(tool), "--output", str(tmp_path / "c"), "--quiet", "--shard_mb", "1"])
    made.publish(corpus, tmp_path / "out")
    assert made.publish(tmp_path / "c", tmp_path / "out") == DONE
    assert pq.read_table(tmp_path / "out" / "data").num_rows == 10
    assert not (tmp_path / "out" / "rejected").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"src", "c", "out"}


def test_a_copy_of_another_dataset_is_replaced_as_a_whole(corpus, tmp_path, only_pyarrow):
    check_that_another_dataset_takes_the_place_of_a_copy(corpus, tmp_path)


def test_a_link_to_a_published_copy_stays_a_link_and_its_folder_is_replaced(corpus, tmp_path, only_pyarrow):
    made.publish(corpus, tmp_path / "v1")
    (tmp_path / "latest").symlink_to("v1")
    assert made.publish(corpus, tmp_path / "latest", "--pretty_name", "Latest") == DONE
    assert (tmp_path / "latest").is_symlink() and "Latest" in (tmp_path / "v1" / "README.md").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"v1", "latest"}


def test_the_name_is_the_last_part_of_a_folder_with_an_at_sign_above(corpus, tmp_path, only_pyarrow):
    assert made.publish(corpus, tmp_path / "user@node" / "code") == DONE
    assert "pretty_name: code\n" in (tmp_path / "user@node" / "code" / "README.md").read_text()


def test_without_an_exchange_the_old_copy_is_moved_aside(corpus, tmp_path, only_pyarrow, monkeypatch):
    monkeypatch.setattr(folder, "_exchange", lambda first, second: False)
    check_that_another_dataset_takes_the_place_of_a_copy(corpus, tmp_path)


HUB_STEPS = [hub.REPOSITORY_MADE, hub.BEFORE_COMMIT, hub.AFTER_COMMIT]
FOLDER_STEPS = [
    folder.STAGED_FIRST,
    f"{folder.STAGED_FIRST}:3",
    folder.STAGED,
    folder.MOVED_ASIDE,
    folder.AFTER_SWITCH,
    folder.INSIDE_REMOVAL,
    f"{folder.INSIDE_REMOVAL}:2",
]


class Killed(BaseException):
    """Nothing of the command handles it; what a `finally` would do, no step of publishing has."""


@pytest.fixture
def dies(monkeypatch):
    """Ends the command in this process at a failpoint, or, with "", nowhere; a process for each step takes seconds."""

    def set_point(setting: str) -> None:
        point, _, nth = setting.partition(":")
        hits = [int(nth or 1)]

        def reached(name: str) -> None:
            hits[0] -= name == point
            if name == point and hits[0] == 0:
                raise Killed(name)

        for module in (folder, bucket, hub):
            monkeypatch.setattr(module, "failpoint", reached)

    return set_point


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """Another dataset, with other rows in files of the same names."""
    return made.make_corpus(tmp_path_factory.mktemp("earlier"), files=5)


@pytest.mark.parametrize("has_copy", [False, True], ids=["first", "again"])
@pytest.mark.parametrize("can_exchange", [True, False], ids=["exchanged", "moved"])
@pytest.mark.parametrize("name", FOLDER_STEPS)
def test_killed_at_any_step_a_folder_is_the_old_or_the_new_copy_as_a_whole(
    corpus, earlier, tmp_path, only_pyarrow, monkeypatch, dies, name, can_exchange, has_copy
):
    if not can_exchange:
        monkeypatch.setattr(folder, "_exchange", lambda first, second: False)
    out, wanted = tmp_path / "a" / "out", tmp_path / "b" / "out"
    assert made.publish(corpus, wanted) == DONE
    if has_copy:
        assert made.publish(earlier, out) == DONE
    old, new = made.hashes(out), made.hashes(wanted)
    dies(name)
    if name == folder.MOVED_ASIDE and (can_exchange or not has_copy):
        assert made.publish(corpus, out) == DONE  # there is no such step
    else:
        with pytest.raises(Killed):
            made.publish(corpus, out)
        assert made.are_whole(tmp_path / "a")
        assert made.hashes(out) == {} if name == folder.MOVED_ASIDE else made.hashes(out) in (old, new)
    dies(f"{folder.STAGED_FIRST}:2")  # another dataset, over what the killed command has left
    with pytest.raises(Killed):
        made.publish(earlier, out, "--pretty_name", "Other")
    assert made.are_whole(tmp_path / "a")
    dies("")
    assert made.publish(corpus, out) == DONE
    assert made.hashes(out) == new and [path.name for path in out.parent.iterdir()] == ["out"]


def really(steps: list[str]) -> list:
    """The steps for tests that start a process for each; all but the last are slow."""
    return [*(pytest.param(step, marks=pytest.mark.slow) for step in steps[:-1]), steps[-1]]


@pytest.mark.parametrize("name", really([step for step in FOLDER_STEPS if step != folder.MOVED_ASIDE]))
def test_after_a_real_sigkill_a_folder_is_a_whole_copy_and_the_same_command_ends_it(
    corpus, earlier, tmp_path, only_pyarrow, name
):
    out, wanted = tmp_path / "a" / "out", tmp_path / "b" / "out"
    assert made.publish(corpus, wanted) == DONE and made.publish(earlier, out) == DONE
    both = [made.hashes(out), made.hashes(wanted)]
    assert made.publish_apart(corpus, out, CODEMILL_FAILPOINT=f"{name}=kill") == -signal.SIGKILL
    assert made.are_whole(tmp_path) and made.hashes(out) in both
    assert made.publish(corpus, out) == DONE
    assert made.hashes(out) == both[1] and [path.name for path in out.parent.iterdir()] == ["out"]


BUCKET_STEPS = [
    bucket.BUCKET_BEGUN,
    bucket.BUCKET_WITHDRAWN,
    bucket.BUCKET_UNMARKED,
    bucket.BUCKET_BEFORE_MARKER,
    f"{bucket.BUCKET_FIRST}:3",
    bucket.INSIDE_OTHERS,
    bucket.BEFORE_MANIFEST,
    bucket.AFTER_MANIFEST,
    bucket.INSIDE_MARKERS,
]


@pytest.mark.parametrize("name", BUCKET_STEPS)
def test_killed_at_any_step_a_bucket_has_a_manifest_only_beside_all_of_its_files(
    corpus, gcs_root, tmp_path, only_pyarrow, dies, name
):
    from jobs import storage
    from jobs.plan.input_paths import expand

    to = f"{gcs_root}/out"
    for dataset in ("old", "new"):
        made.publish(corpus, tmp_path / dataset, "--pretty_name", dataset)
    hashes = [made.hashes(tmp_path / dataset) for dataset in ("old", "new")]
    assert made.publish(corpus, to, "--pretty_name", "old") == DONE
    storage.write_bytes(f"{to}/data/more.parquet", b"of an earlier copy")
    dies(name)
    with pytest.raises(Killed):
        made.publish(corpus, to, "--pretty_name", "new")
    if storage.exists(f"{to}/PUBLISHED.json"):
        assert name in (bucket.BUCKET_BEGUN, bucket.AFTER_MANIFEST, bucket.INSIDE_MARKERS)
        (whole,) = [one for one in hashes if one["PUBLISHED.json"] == storage.sha256_of(f"{to}/PUBLISHED.json")]
        assert {path: storage.sha256_of(f"{to}/{path}") for path in whole} == whole
        assert expand([to])
    else:
        with pytest.raises(ConfigError, match="hasn't finished"):
            expand([to])
    dies("")
    assert made.publish(corpus, to, "--pretty_name", "new") == DONE
    assert {path: storage.sha256_of(f"{to}/{path}") for path in hashes[1]} == hashes[1]
    assert "_publishing" not in storage.list_names(to) and "more.parquet" not in storage.list_names(f"{to}/data")


@pytest.mark.parametrize("name", really([step for step in BUCKET_STEPS if step != bucket.INSIDE_OTHERS]))
def test_after_a_real_sigkill_a_bucket_goes_on(corpus, gcs_root, tmp_path, only_pyarrow, name):
    from jobs import storage

    to = f"{gcs_root}/out"
    made.publish(corpus, tmp_path / "out")
    assert made.publish_apart(corpus, to, CODEMILL_FAILPOINT=f"{name}=kill") == -signal.SIGKILL
    assert storage.exists(f"{to}/PUBLISHED.json") == (name in (bucket.AFTER_MANIFEST, bucket.INSIDE_MARKERS))
    assert made.publish(corpus, to) == DONE
    for path, sha256 in made.hashes(tmp_path / "out").items():
        assert storage.sha256_of(f"{to}/{path}") == sha256
    assert "_publishing" not in storage.list_names(to)


def test_what_another_interrupted_command_has_put_into_a_bucket_is_not_taken_for_ones_own(
    corpus, gcs_root, tmp_path, only_pyarrow
):
    from jobs import storage

    to, killed = f"{gcs_root}/out", {"CODEMILL_FAILPOINT": f"{bucket.BEFORE_MANIFEST}=kill"}
    for name in ("Aaa", "Bbb"):  # cards of one size
        assert made.publish_apart(corpus, to, "--pretty_name", name, **killed) == -signal.SIGKILL
    assert made.publish(corpus, to, "--pretty_name", "Aaa") == DONE
    assert b"pretty_name: Aaa" in storage.read_bytes(f"{to}/README.md")


def test_no_file_is_copied_before_it_goes_to_a_bucket(corpus, gcs_root, monkeypatch):
    from jobs import storage

    checked = []

    def copy(source: str, target: str) -> None:
        raise AssertionError(f"{source} is copied to {target}")

    monkeypatch.setattr(storage, "publish", copy)
    monkeypatch.setattr("jobs.publish._check_loads", lambda place: checked.append(made.hashes(Path(place))))
    assert made.publish(corpus, f"{gcs_root}/out") == DONE
    (found,) = checked
    assert {name: storage.sha256_of(f"{gcs_root}/out/{name}") for name in found} == found and len(found) == 7


@pytest.mark.parametrize("name", HUB_STEPS)
def test_killed_while_it_publishes_to_the_hub_the_next_one_is_whole(corpus, tmp_path, name):
    variables = made.use_fake_hub(tmp_path)
    to, head = "hf://datasets/me/code", tmp_path / "hub" / "me" / "code" / "main"
    assert made.publish_apart(corpus, to, **variables, CODEMILL_FAILPOINT=f"{name}=kill") == -signal.SIGKILL
    assert (head / "PUBLISHED.json").exists() == (name == hub.AFTER_COMMIT)
    assert made.publish_apart(corpus, to, **variables) == DONE
    files = json.loads((head / "PUBLISHED.json").read_text())["files"]
    found = made.hashes(head)
    assert {path: file["sha256"] for path, file in files.items()} == {
        path: found[path] for path in found if path not in ("PUBLISHED.json", ".gitattributes")
    }


def test_every_step_has_a_failpoint_that_is_tried():
    tried = {step.partition(":")[0] for step in [*FOLDER_STEPS, *BUCKET_STEPS, *HUB_STEPS]}
    assert set(names("publish.")) == tried


def test_without_the_extra_the_hub_is_refused_with_what_to_install(corpus, capfd, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "huggingface_hub", None)
    assert made.publish(corpus, "hf://datasets/me/code") == USER_ERROR
    assert "pip install 'codemill[hub]'" in one_line(capfd)


def test_options_after_two_dashes_are_refused(corpus, tmp_path, capfd):
    assert made.publish(corpus, tmp_path / "out", "--", "--runner", "X") == USER_ERROR
    assert "does not use Beam" in one_line(capfd)
    assert Options(path="a", to="b").private is False
