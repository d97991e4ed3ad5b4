"""The report: what it shows of the rows, and that nothing in it is more than text."""

from __future__ import annotations

from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.finalize import plots
from jobs.finalize.figures import Figures, read_figures
from jobs.finalize.report import html_report
from jobs.terminal.wording import counted
from jobs.viewing.places import Rows, shards_in
from tests.jobs.finalize.test_summary import some_summary
from transforms.rows.rejections import REJECTED_SCHEMA

COLUMNS = {"content": "content", "path": "path", "language": None}
MARKUP = "<script>alert(1)</script>\u202e"


class Parts(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes |= {name for name, _ in attrs}


def row(number: int, **more) -> dict:
    return {
        "path": f"a{number}.py",
        "prefix": "x = ",
        "generated_middle": f"{number} {MARKUP}",
        "original_middle": "0",
        "suffix": "\n",
        "content": "x = 0\n",
        "checks": {"parses": True, "exact_match": number % 2 == 0, "edit_similarity": number / 10},
        "lineage": {"mean_logprob": -number / 10, "completion_tokens": number},
    } | more


@pytest.fixture
def figures(tmp_path) -> Figures:
    (tmp_path / "data").mkdir()
    (tmp_path / "rejected").mkdir()
    pq.write_table(pa.Table.from_pylist([row(n) for n in range(10)]), tmp_path / "data/a.parquet", row_group_size=4)
    base = {"kind": "target", "uri": "u", "row_group": 0, "stage": "judge", "reason": "does_not_parse", "detail": ""}
    records = [base | {"row": 1, "answer": f"no {MARKUP}"}, base | {"row": 2, "answer": "second"}]
    pq.write_table(pa.Table.from_pylist(records, REJECTED_SCHEMA), tmp_path / "rejected/a.parquet")
    kept, rejected = shards_in(str(tmp_path / "data")), shards_in(str(tmp_path / "rejected"))
    return read_figures(kept, rejected, COLUMNS, has_answers=True)


def reported(figures: Figures | None = None, **changes) -> str:
    summary = some_summary(**changes)
    example = {"path": f"b{MARKUP}.py", "uri": "u", "row_group": 0, "row": 1, "target": "block:1:2", "detail": MARKUP}
    for entry in summary["rejected"]:
        entry |= {"example": example, "languages": {"Go": 2, MARKUP: 1}, "target_kinds": {"block": 2, "line": 1}}
    return html_report(summary, figures)


def test_a_sample_of_each_combination_of_verdicts_is_a_diff_in_place(figures):
    assert [sample.title for sample in figures.kept] == ["a0.py", "a1.py"]
    page = reported(figures)
    assert '<div class="minus">x = 0</div><div class="plus">x = 1 &lt;script&gt;' in page
    assert "ok exact_match" in page and "NO exact_match" in page


def test_an_example_of_each_reason_tells_its_place_and_shows_the_answer_that_was_kept(figures):
    page = reported(figures)
    assert "judge/does_not_parse" in page and "block:1:2" in page
    assert "no &lt;script&gt;" in page and "second" not in page


def test_reasons_without_an_example_on_the_page_are_counted(monkeypatch):
    monkeypatch.setattr("jobs.finalize.report._MAX_EXAMPLES", 1)
    found = len(some_summary()["rejected"])
    assert found > 1 and f"and {counted(found - 1, 'more reason')}, in summary.json" in reported()


def test_lengths_scores_and_languages_are_plotted_as_svg(figures):
    page = reported(figures)
    for caption in ("tokens generated", "mean log-probability", "edit similarity to the original"):
        assert f"<figcaption>{caption}, of 10 rows</figcaption><svg" in page
    assert "<figcaption>languages</figcaption><svg" in page
    assert figures.languages == {"Python": 10} and len(figures.distributions["tokens generated"]) == 10
    assert "Of all 10 rows." in page


def test_rejections_are_broken_down_by_language_and_kind_of_target():
    page = reported()
    assert "Rejected, by language" in page and "Rejected, by kind of target" in page and "<td>Go</td>" in page


def test_throughput_is_plotted_where_more_than_one_moment_is_known():
    timeline = {"bin_s": 2.0, "rows": [4, 0, 8], "tokens_out": [0, 0, 0]}
    page = reported(timeline=timeline)
    assert "source rows per second" in page and "tokens generated per second" not in page
    assert "Throughput" not in reported(timeline=timeline | {"rows": [4]})


def test_the_pipeline_is_named_with_this_step_in_bold():
    steps = [{"name": "clean", "job": "filter", "reads": []}, {"name": "infill", "job": "infill", "reads": ["clean"]}]
    page = reported(pipeline={"step": "infill", "steps": steps})
    assert "clean (filter) → <strong>infill</strong>" in page


def test_nothing_in_the_page_runs_or_loads(figures):
    page = reported(figures, pipeline={"step": MARKUP, "steps": [{"name": MARKUP, "job": "filter", "reads": []}]})
    found = Parts(page)
    assert not {"script", "img", "iframe", "link", "object", "foreignobject"} & set(found.tags)
    assert not {name for name in found.attributes if name.startswith("on") or name in ("href", "src", "xlink:href")}
    assert "\u202e" not in page and "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_the_same_figures_give_the_same_page(figures):
    assert reported(figures) == reported(figures)


def test_a_plot_follows_the_pages_width_and_escapes_labels():
    svg = plots.bars("<b>", {MARKUP: 3, "Go": 1}, of="rejected")
    assert '<svg viewBox="0 0 480 ' in svg and "<script>" not in svg and "&lt;b&gt;" in svg


@pytest.mark.parametrize(
    "values",
    [
        [0.5, 0.5],
        [1, 1, 1],
        [-3.5, 2.25, 0.0],
        list(range(1000)),
        [5, 10**7],
        list(range(1000, 1300)),
        [10**6, 10**6 + 9],
        [-0.0001, -0.0002, -0.00015],
    ],
)
def test_a_histogram_counts_every_value_in_few_bins_with_labels_of_their_own(values):
    found = plots.histogram(values)
    assert sum(count for _, count in found) == len(values) and len(found) <= 8
    assert len({label for label, _ in found}) == len(found)


def test_a_row_in_which_the_default_policy_finds_something_is_no_sample(tmp_path):
    (tmp_path / "data").mkdir()
    address = "jane.roe" + "@" + "corp-mail.dev"
    rows = [row(0, suffix=f"  # ask {address}\n"), row(1), row(3, path=f"{address}/a.py")]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data/a.parquet")
    found = read_figures(
        shards_in(str(tmp_path / "data")), shards_in(str(tmp_path / "none")), COLUMNS, has_answers=False
    )
    assert [sample.title for sample in found.kept] == ["a1.py"]


@pytest.mark.parametrize(
    "columns",
    [
        {"content": "body", "path": "langs", "language": "langs"},
        {"content": None, "path": "gone", "language": "body"},
        {},
    ],
)
def test_columns_of_any_type_and_name_are_no_obstacle(tmp_path, columns):
    (tmp_path / "data").mkdir()
    rows = [
        {"body": f"x{n}", "langs": ["C"], "checks": [1], "lineage": {"mean_logprob": float("nan")}} for n in range(5)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "data/a.parquet", row_group_size=2)
    found = read_figures(
        shards_in(str(tmp_path / "data")), shards_in(str(tmp_path / "none")), columns, has_answers=True
    )
    assert found.rows_read == 5 and len(found.kept) == 1
    assert "Samples of kept rows" in html_report(some_summary(), found)


def test_values_that_are_no_length_or_score_are_no_obstacle(tmp_path):
    (tmp_path / "data").mkdir()
    values = [1.7e308, -1.7e308, float("inf"), float("nan"), None, 1.0, 3.0]
    pq.write_table(pa.table({"cluster_size": values}), tmp_path / "data/a.parquet")
    found = read_figures(shards_in(str(tmp_path / "data")), Rows([]), {}, has_answers=False)
    assert found.distributions == {"rows in the cluster": [1.0, 3.0]}
    assert "rows in the cluster, of 2 rows" in html_report(some_summary(), found)


def test_what_is_read_is_bounded_and_spread_over_all_files(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.finalize.figures.MAX_GROUPS", 4)
    (tmp_path / "data").mkdir()
    for number in range(9):
        table = pa.Table.from_pylist([row(number), row(number)])
        pq.write_table(table, tmp_path / f"data/{number}.parquet", row_group_size=1)
    rows = shards_in(str(tmp_path / "data"))
    found = read_figures(rows, Rows([]), COLUMNS, has_answers=False)
    assert found.distributions["tokens generated"] == [0, 3, 6] and (found.rows_read, found.rows_all) == (3, 18)
