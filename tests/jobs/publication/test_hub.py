"""The Hub: what is refused, what is replaced, and that the stand-in takes what the real client takes."""

from __future__ import annotations

import importlib.util
import inspect
import sys

import pytest

from jobs.cli import DONE, USER_ERROR
from jobs.publication.hub import HubTarget, hub_target, load_hub
from model.errors import ConfigError
from tests.jobs.publication import made


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The folder of a stand-in's repositories."""
    variables = made.use_fake_hub(tmp_path)
    monkeypatch.setenv("FAKE_HUB", variables["FAKE_HUB"])
    monkeypatch.syspath_prepend(variables["PYTHONPATH"])
    monkeypatch.delitem(sys.modules, "huggingface_hub", raising=False)
    monkeypatch.setattr("jobs.publication.loading.check_with_datasets", lambda folder: None)
    yield tmp_path / "hub"
    sys.modules.pop("huggingface_hub", None)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return made.make_corpus(tmp_path_factory.mktemp("made"))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("hf://datasets/me/code", HubTarget("me/code")),
        ("hf://datasets/me/my.code-2/", HubTarget("me/my.code-2")),
        ("hf://datasets/me/code@v2/x", HubTarget("me/code", "v2/x")),
    ],
)
def test_an_address_names_repository_and_branch(url, target):
    assert hub_target(url) == target


@pytest.mark.parametrize("url", ["hf://datasets/me", "hf://me/code", "hf://datasets/me/code/data", "hf://spaces/a/b"])
def test_other_addresses_are_refused(url):
    with pytest.raises(ConfigError, match="expected hf://datasets/OWNER/NAME"):
        hub_target(url)


def test_a_repository_is_made_filled_and_found_again(corpus, hub, capfd):
    assert made.publish(corpus, "hf://datasets/me/code", "--private") == DONE
    head = hub / "me" / "code" / "main"
    assert (head / ".gitattributes").read_text() == "private" and (head / "data").is_dir()
    assert "_job" not in {path.name for path in head.iterdir()}
    capfd.readouterr()
    assert made.publish(corpus, "hf://datasets/me/code") == DONE
    assert "nothing to do" in capfd.readouterr().out


def test_a_branch_of_its_own_is_made(corpus, hub):
    assert made.publish(corpus, "hf://datasets/me/code@v2") == DONE
    assert (hub / "me" / "code" / "v2" / "PUBLISHED.json").exists()
    assert not (hub / "me" / "code" / "main" / "PUBLISHED.json").exists()


def test_files_of_an_earlier_copy_are_deleted(corpus, hub):
    made.publish(corpus, "hf://datasets/me/code")
    (hub / "me" / "code" / "main" / "data" / "old.parquet").write_bytes(b"old")
    (hub / "me" / "code" / "main" / "PUBLISHED.json").write_bytes(b"{}")
    assert made.publish(corpus, "hf://datasets/me/code") == DONE
    assert not (hub / "me" / "code" / "main" / "data" / "old.parquet").exists()


def test_a_repository_of_something_else_is_left_alone(corpus, hub, capfd):
    (hub / "me" / "code" / "main").mkdir(parents=True)
    (hub / "me" / "code" / "main" / "train.csv").write_text("mine")
    assert made.publish(corpus, "hf://datasets/me/code") == USER_ERROR
    assert "is not empty and no published dataset (it has train.csv)" in capfd.readouterr().err
    assert [path.name for path in (hub / "me" / "code" / "main").iterdir()] == ["train.csv"]


def test_what_the_hub_refuses_is_one_line(corpus, hub, capfd):
    assert made.publish(corpus, "hf://datasets/nobody/code") == USER_ERROR
    said = [line for line in capfd.readouterr().err.splitlines() if "isn't installed" not in line]
    assert len(said) == 1 and "can't publish to hf://datasets/nobody/code: 403 Forbidden" in said[0]


def test_a_hub_that_takes_no_connection_is_one_line(corpus, hub, capfd, monkeypatch):
    refused = type("ConnectError", (Exception,), {"__module__": "httpx"})("[Errno 111] Connection refused")

    def create_repo(*words, **more):
        raise refused

    monkeypatch.setattr(load_hub().HfApi, "create_repo", create_repo)
    assert made.publish(corpus, "hf://datasets/me/code") == USER_ERROR
    assert "can't publish to hf://datasets/me/code: [Errno 111] Connection refused" in capfd.readouterr().err


@pytest.mark.skipif(importlib.util.find_spec("huggingface_hub") is None, reason="huggingface_hub isn't installed")
def test_the_stand_in_takes_what_the_real_client_takes():
    import huggingface_hub

    from tests.jobs.publication import fake_hub

    for name in ("create_repo", "create_branch", "list_repo_files", "hf_hub_download", "create_commit"):
        real = inspect.signature(getattr(huggingface_hub.HfApi, name)).parameters
        fake = inspect.signature(getattr(fake_hub.HfApi, name)).parameters
        assert set(fake) <= set(real), name
        assert list(fake)[1] == list(real)[1] == "repo_id", name
    for name in ("CommitOperationAdd", "CommitOperationDelete"):
        fields = inspect.signature(getattr(fake_hub, name)).parameters
        assert set(fields) <= set(inspect.signature(getattr(huggingface_hub, name)).parameters)
    assert issubclass(huggingface_hub.errors.HfHubHTTPError, Exception)
