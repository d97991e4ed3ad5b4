"""Opt-out lists as people write them."""

from __future__ import annotations

import pickle

import pytest

from model.errors import ConfigError
from transforms.opt_out.lists import OptOut, parse_entry, parse_opt_out, repository_of


def listed(*lines: str) -> OptOut:
    return parse_opt_out([("list.txt", "\n".join(lines).encode())])


@pytest.mark.parametrize(
    "line",
    [
        "own/repo",
        "Own/Repo",
        "own/repo/",
        "own/repo.git",
        "  own/repo  # asked in May",
        '"own/repo"',
        "'own/repo',",
        "- own/repo",
        "`own/repo`;",
        "<https://github.com/own/repo>",
        "github.com/own/repo",
        "www.github.com/own/repo",
        "https://github.com/own/repo",
        "https://www.github.com/own/repo/",
        "http://github.com/own/repo.git",
        "https://github.com/own/repo/tree/main/src",
        "https://github.com/own/repo?tab=readme-ov-file#usage",
        "https://someone@github.com/own/repo.git",
        "git@github.com:own/repo.git",
        "git@github.com:/own/repo",
        "ssh://git@github.com:22/own/repo.git",
        "git://github.com/own/repo.git",
        "git+https://github.com/own/repo.git",
        "https://github.com/own/repo/network/members",
        "https://github.com/own/repo/archive/main.zip",
    ],
)
@pytest.mark.parametrize(
    "repository", ["own/repo", "OWN/REPO", "https://github.com/own/repo", "git@github.com:own/repo.git"]
)
def test_a_repository_is_found_however_entry_and_row_are_written(line, repository):
    opt_out = listed("# a comment", "", line)
    assert len(opt_out) == 1
    assert opt_out.find(repository) == (0,)
    for other in ("own/repo2", "own", "owner/repo", "own/repo/sub", "repo", ""):
        assert opt_out.find(other) == ()


@pytest.mark.parametrize(
    "line", ["own", "@own", "own/*", "own/**", "https://github.com/own", "https://github.com/orgs/own", "own/"]
)
def test_an_owner_means_all_repositories_of_that_owner(line):
    opt_out = listed(line)
    assert opt_out.find("own/a") == opt_out.find("Own/b/sub") == opt_out.find("own") == (0,)
    assert opt_out.find("owner/a") == opt_out.find("other/own") == ()


def test_hosts_are_compared_where_both_sides_name_one():
    opt_out = listed("https://gitlab.com/group/sub/thing/-/tree/main", "codeberg.org/a/b", "c/d")
    assert opt_out.find("group/sub/thing") == (0,)
    assert opt_out.find("https://github.com/group/sub/thing") == ()
    assert opt_out.find("https://codeberg.org/a/b") == (1,)
    assert opt_out.find("https://github.com/c/d") == opt_out.find("https://gitlab.com/c/d") == (2,)


def test_every_entry_that_a_repository_falls_under_is_told_and_each_entry_counts_once():
    opt_out = listed("own", "own/repo", "OWN/repo.git", "other/x")
    assert [str(entry) for entry in opt_out.entries] == ["own/*", "own/repo", "other/x"]
    assert opt_out.find("own/repo") == (0, 1)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_list_is_read_as_editors_save_it(encoding, newline):
    opt_out = parse_opt_out([("list.txt", f"own/repo{newline}other/x{newline}".encode(encoding))])
    assert [str(entry) for entry in opt_out.entries] == ["own/repo", "other/x"]


@pytest.mark.parametrize(
    "line",
    [
        "two words",
        "github.com",
        "https://github.com/",
        "me@example.org",
        "https://",
        "own/re po",
        "*",
        "*/repo",
        "{}",
        "own/repo other/x",
        "a,b",
        "/",
    ],
)
def test_a_line_of_no_known_form_is_refused_with_its_number(line):
    with pytest.raises(ConfigError, match=r"^opt-out list list\.txt, line 2: .* is no repository; write owner/name"):
        listed("own/repo", line)


@pytest.mark.parametrize("data", [b"own/repo\xff\n", b"own/repo\0\n"])
def test_what_is_no_text_is_refused(data):
    with pytest.raises(ConfigError, match=r"opt-out list list\.txt is no(t UTF-8)? text"):
        parse_opt_out([("list.txt", data)])


def test_the_hash_is_that_of_the_entries_whatever_their_order_and_form():
    one, other = listed("own/repo", "a"), listed("# those who asked", "a/*", "Own/Repo.git")
    assert one.sha256 == other.sha256 != listed("own/repo").sha256
    assert pickle.loads(pickle.dumps(one)).find("a/x") == (1,)  # noqa: S301 - our own


def test_names_with_dots_and_dashes_are_no_hosts():
    assert repository_of("some.org/some-repo.js").path == "some.org/some-repo.js"
    assert str(parse_entry("a.b/c.d")) == "a.b/c.d"
    assert repository_of("git.example.org/team/thing").host == "git.example.org"
