"""Works that ask a model: what they leave behind when they are closed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from model.engine.settings import EngineSpec
from transforms.evaluation.answering import AnswerWork
from transforms.evaluation.asker import Asker
from transforms.evaluation.choosing import ChoiceWork
from transforms.generation import engine

SPEC = EngineSpec(model="embedded", max_prompt_tokens=64, max_new_tokens=16)
GIVEN: dict[str, Any] = {"engine": SPEC, "checkpoint_sha256": "", "benchmark_version": "1"}
ASKER = Asker(tokenizer="embedded", max_prompt_tokens=64, max_new_tokens=16)


@pytest.mark.parametrize(
    "work",
    [AnswerWork(asker=ASKER, slots=1, is_text=True, **GIVEN), ChoiceWork(tokenizer="embedded", **GIVEN)],
    ids=["answers", "choices"],
)
def test_what_was_compiled_is_kept_when_the_work_is_closed(
    work: AnswerWork | ChoiceWork, monkeypatch: pytest.MonkeyPatch
) -> None:
    published: list[bool] = []
    monkeypatch.setattr(engine, "_cache", SimpleNamespace(publish=lambda: published.append(True)))
    monkeypatch.setattr(engine, "_engines", {SPEC: SimpleNamespace()})
    work.open()
    assert not published
    work.close()
    assert published
