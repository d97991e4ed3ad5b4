"""Scoring: the log-probabilities of given tokens, computed in rows like those of prefill."""
