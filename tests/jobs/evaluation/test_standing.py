from __future__ import annotations

from jobs.evaluation.standing import Readings


def test_as_many_samples_vote_as_the_metric_is_named_after() -> None:
    readings = Readings()
    for task, texts in {"a": "12", "b": "1222"}.items():  # the right answer is 1
        for text in texts:
            readings.add(task, [{"metric": "exact", "extracted": text, "correct": text == "1"}])
    found = readings.scores()["exact"]
    assert set(found) == {"mean", "maj@2"}
    assert found["maj@2"]["value"] == 1
