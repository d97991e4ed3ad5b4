from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.errors import RecordError
from transforms.tasks.shared import code_of_answer, failed_check


@pytest.mark.parametrize("fence", ["c-sharp", "C#", "csharp", "cs", "", "text", "unheard-of"])
def test_a_fence_holds_the_code_whatever_it_calls_its_language_or_where_it_names_none(fence):
    assert code_of_answer(f"```{fence}\nclass A {{}}\n```", "csharp") == "class A {}\n"


@pytest.mark.parametrize("fence", ["python", "lua", "json", "haskell", "makefile"])
def test_a_fence_of_another_language_is_refused_though_it_has_no_span_grammar(fence):
    with pytest.raises(RecordError) as error:
        code_of_answer(f"```{fence}\nx = 1\n```", "csharp")
    assert error.value.reason == "other_language"


def test_the_fence_of_the_wanted_language_goes_before_the_others():
    answer = '```json\n{"a": 1}\n```\n\n```py\nx = 1\n```\n'
    assert code_of_answer(answer, "python") == "x = 1\n"


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), st.sampled_from([True, False, None])), st.data())
def test_an_answer_passes_only_if_every_required_check_is_true(verdicts, data):
    required = data.draw(st.lists(st.sampled_from(sorted(verdicts)), unique=True)) if verdicts else []
    failed = failed_check(verdicts, {name: f"not_{name}" for name in verdicts}, required)
    assert (failed is None) == all(verdicts[name] is True for name in required)
    if failed is not None:
        assert (failed[0] == "not_verifiable") == (False not in [verdicts[name] for name in required])
