"""Secrets in paths, repository names and other text columns: reported, and redacted where the policy says so."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import ConfigError
from transforms.filters.columns import filter_columns, filter_names
from transforms.row_pool import CRASHED
from transforms.rows.columns import ColumnMap
from transforms.scanning import ContentFilter
from transforms.scanning.policy import Policy, load_policy
from transforms.scanning.validators.recipes import fill

COLUMNS = ColumnMap(content="content", path="file", repo_name="repo")
DEFAULT = load_policy("default")


def secret(seed: int = 0) -> str:
    return fill("ghp_{crctoken}", random.Random(seed))


def mail(seed: int = 0) -> str:
    return fill("{lower:9}@gmail.com", random.Random(seed))


def opened(**columns: str) -> ContentFilter:
    policy = Policy("test", DEFAULT.actions, columns=columns)
    content_filter = ContentFilter(policy)
    content_filter.open()
    return content_filter


def filtered(content_filter, table, **more):
    return filter_columns(
        content_filter, table, COLUMNS, lambda asked: [filter_names(content_filter, item) for item in asked], **more
    )


def table(paths, kind=None, **more):
    columns = {"content": ["x"] * len(paths), "file": pa.array(paths, kind or pa.string())}
    return pa.table({**columns, "repo": ["o/r"] * len(paths), **more})


def test_findings_in_a_path_are_reported_with_their_column_and_change_nothing():
    rows = table([f"a/{secret()}/x.py", "a/b.py", None])
    result = filtered(opened(), rows)
    assert result.table.equals(rows)
    assert [(f.column, f.type, f.action, f.placeholder) for f in result.findings[0]] == [
        ("file", "api_token", "keep", "")
    ]
    assert list(result.findings) == [0] and result.counts == {"found_in/file/api_token/keep": 1}


def test_a_redacted_path_stays_unique_and_equal_paths_stay_equal():
    paths = [f"home/{mail(seed)}/x.py" for seed in (1, 2, 1)]
    first, second, third = filtered(opened(path="redact"), table(paths)).table["file"].to_pylist()
    assert first == third != second and mail(1) not in first
    assert first.startswith("home/<EMAIL_") and first.endswith(">/x.py")


@pytest.mark.parametrize(
    "kind",
    [
        pa.string(),
        pa.large_string(),
        pa.string_view(),
        pa.binary(),
        pa.large_binary(),
        pa.dictionary(pa.int32(), pa.string()),
        pa.dictionary(pa.int8(), pa.large_string()),
    ],
    ids=str,
)
def test_a_redacted_column_keeps_its_type_and_its_other_cells(kind):
    before = table([f"{secret()}.py", "b.py", None, ""]).cast(
        pa.schema([("content", pa.string()), ("file", kind), ("repo", pa.string())])
    )
    after = filtered(opened(path="redact"), pa.concat_tables([before, before])).table
    assert after.schema == before.schema
    cells = [cell.decode() if isinstance(cell, bytes) else cell for cell in after["file"].to_pylist()]
    assert cells[1:4] == ["b.py", None, ""] and cells[:4] == cells[4:]
    assert secret() not in cells[0] and cells[0].startswith("<KEY_")


def test_text_that_is_not_utf8_stays_as_it_is():
    bad = pa.StringArray.from_buffers(
        2, pa.py_buffer(b"\0\0\0\0\2\0\0\0\x2a\0\0\0"), pa.py_buffer(b"\xff\xfe" + secret().encode())
    )
    rows = pa.table({"content": ["x", "x"], "file": bad, "repo": ["o/r"] * 2})
    after = filtered(opened(path="redact"), rows).table["file"].cast(pa.binary()).to_pylist()
    assert after[0] == b"\xff\xfe" and after[1].startswith(b"<KEY_")


def test_each_column_has_its_own_action_by_name_role_or_star():
    token = secret()
    rows = table([token], note=[token], repo_url=[token], count=[1], licenses=[[token]])
    after = filtered(opened(**{"file": "off", "path": "redact", "note": "keep", "*": "redact"}), rows)
    cells = after.table.to_pylist()[0]
    assert cells["file"] == cells["note"] == token and cells["repo_url"].startswith("<KEY_")
    assert cells["licenses"] == [token]  # nested columns are not scanned
    assert after.counts == {"found_in/note/api_token/keep": 1, "found_in/repo_url/api_token/redact": 1}
    assert filtered(opened(), rows, unscanned=("note",)).counts.keys() == {
        "found_in/file/api_token/keep",
        "found_in/repo_url/api_token/keep",
    }


def test_the_content_is_not_scanned_here_and_no_filter_changes_nothing():
    rows = pa.table({"content": [secret()], "file": [secret()], "repo": ["o/r"]})
    assert filter_columns(None, rows, COLUMNS, lambda asked: []).table is rows
    assert filtered(opened(**{"*": "redact"}), rows).table["content"].to_pylist() == [secret()]


def test_a_crash_while_scanning_a_column_is_no_silent_pass():
    with pytest.raises(RuntimeError, match="column file crashed"):
        filter_columns(opened(), table(["a.py"]), COLUMNS, lambda asked: [CRASHED] * len(asked))


KEEPS_UNIQUE = opened(path="redact")


@given(st.lists(st.tuples(st.sampled_from(["a/", "b ", "x=", ""]), st.integers(0, 40)), min_size=2, max_size=8))
def test_redacted_names_are_clean_and_differ_where_the_names_differ(parts):
    names = {f"{before}{mail(seed)}/{before}{secret(seed)}.py" for before, seed in parts}
    redacted = {KEEPS_UNIQUE.filter_name(name, "redact")[0] for name in names}
    assert len(redacted) == len(names)
    for name in redacted:
        assert "@" not in name and KEEPS_UNIQUE.filter_name(name, "redact") == (name, ())


def test_a_policy_says_what_becomes_of_columns(tmp_path):
    path = tmp_path / "p.yaml"
    path.write_text('columns: {path: redact, repo_name: off, "*": keep}\n')
    policy = load_policy(str(path))
    assert [policy.column_action(*asked) for asked in (("file", "path"), ("repo", "repo_name"), ("note",))] == [
        "redact",
        "off",
        "keep",
    ]
    assert policy.hash != Policy(policy.name, policy.actions).hash
    for wrong, said in (("columns: {path: drop}", "column path is 'drop'"), ("columns: [path]", "must map columns")):
        path.write_text(wrong)
        with pytest.raises(ConfigError, match=said):
            load_policy(str(path))
