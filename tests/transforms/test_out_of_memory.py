from __future__ import annotations

import pytest

from transforms.out_of_memory import OomKills, count_oom_kills


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def roots(tmp_path):
    write(tmp_path / "proc" / "vmstat", "nr_free_pages 5\noom_kill 2\n")
    return {"cgroups": str(tmp_path / "cgroup"), "proc": str(tmp_path / "proc")}


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("0::/job", "cgroup/job/memory.events"),
        ("0::/host/name/of/it", "cgroup/memory.events"),  # in a container, the group is the root
        ("4:cpu,memory:/job", "cgroup/memory/job/memory.oom_control"),
        ("4:memory:/host/name/of/it", "cgroup/memory/memory.oom_control"),
    ],
)
def test_kills_are_counted_in_the_processes_own_control_group(tmp_path, roots, line, file):
    write(tmp_path / "proc" / "self" / "cgroup", f"1:name=systemd:/\n{line}\n")
    write(tmp_path / file, "low 0\nmax 9\noom 1\noom_kill 7\noom_group_kill 0\n")
    assert count_oom_kills(**roots) == OomKills(7, str(tmp_path / file))


def test_without_a_control_group_the_whole_machine_counts(tmp_path, roots):
    assert count_oom_kills(**roots) == OomKills(2, str(tmp_path / "proc" / "vmstat"))


def test_where_nothing_counts_nothing_is_said(tmp_path):
    nothing = count_oom_kills(str(tmp_path), str(tmp_path))
    assert nothing == OomKills(0)
    assert nothing.explain_since(nothing) == ""


def test_only_a_count_that_rose_in_the_same_place_explains_a_kill():
    assert OomKills(3, "a").explain_since(OomKills(2, "a")) == "probably out of memory: a counted an OOM kill"
    assert OomKills(3, "a").explain_since(OomKills(3, "a")) == ""
    assert OomKills(3, "a").explain_since(OomKills(2, "b")) == ""
