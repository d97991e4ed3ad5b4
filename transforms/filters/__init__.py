"""Filters on what goes in and on what the model wrote.

ContentFilter   the entry point of jobs: scan, redact, scan outputs in context
Scanner         the one-pass scanner; Finding, what it reports; load_rules, the rules
load_policy     strict, default, annotate, or a user's file
"""

from __future__ import annotations

from transforms.filters.content import ContentFilter, FilterOutcome
from transforms.filters.findings import Finding
from transforms.filters.policy import Policy, load_policy
from transforms.filters.rules import Rule, RuleSet, load_rules
from transforms.filters.scanner import Scanner

__all__ = [
    "ContentFilter",
    "FilterOutcome",
    "Finding",
    "Policy",
    "Rule",
    "RuleSet",
    "Scanner",
    "load_policy",
    "load_rules",
]
