from __future__ import annotations

import pytest

from transforms.evaluation.benchmarks import BENCHMARKS
from transforms.evaluation.published import figure_of, published_models, recognized
from transforms.evaluation.scores import Score, beside, wilson
from transforms.sandbox.toolchains import toolchains

CARD = [name for name in published_models() if name.startswith("codegemma")]


def test_the_five_models_of_the_card_have_all_twenty_figures() -> None:
    assert len(CARD) == 5
    plain = ("human_eval", "mbpp", "human_eval_infilling_single_line", "human_eval_infilling_multi_line")
    assert set(plain) <= set(BENCHMARKS)
    for model in CARD:
        found = [figure_of(model, name, "Python") for name in plain]
        found += [figure_of(model, f"babelcode_{name}", one) for name in ("human_eval", "mbpp") for one in toolchains()]
        assert len(found) == 20 and all(found)


@pytest.mark.parametrize("model", CARD)
def test_each_published_figure_is_a_count_of_solved_problems(model: str) -> None:
    for benchmark in BENCHMARKS:
        for language in toolchains():
            figure = figure_of(model, benchmark, language)
            if figure is not None:
                assert figure.problems is not None
                solved = round(figure.share * figure.problems)
                assert abs(solved / figure.problems - figure.share) < 0.00101, (benchmark, language)


def test_a_folder_named_after_a_model_is_recognized_and_one_of_ones_own_is_not() -> None:
    for model in published_models():
        assert recognized(model) == recognized(f"google--{model}") == recognized(f"{model}-Flax") == model
        assert recognized(f"{model}-mine") is None and recognized("my-" + model) is None
    assert recognized("codegemma-7b-it-F16.gguf") == "codegemma-7b-it"
    assert recognized("embedded") is None


def test_the_difference_to_a_published_share_is_wider_than_either_interval() -> None:
    ours = Score(0.5, *wilson(82, 164), 164)
    difference, low, high = beside(ours, 0.311, 164)
    assert difference == pytest.approx(0.189)
    assert low < difference < high and high - low > ours.high - ours.low
    assert low > 0, "19 points over 164 problems are told apart"


def test_equal_shares_differ_by_an_interval_around_nothing() -> None:
    difference, low, high = beside(Score(0.25, *wilson(25, 100), 100), 0.25, 100)
    assert difference == 0 and low == pytest.approx(-high)
