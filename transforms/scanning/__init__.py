"""Filters on what goes in and on what the model wrote.

ContentFilter   the entry point of jobs: scan, redact, scan outputs in context
Scanner         the one-pass scanner; Finding, what it reports; load_rules, the rules
load_policy     strict, default, annotate, or a user's file
"""

from __future__ import annotations

from transforms.scanning.content import ContentFilter, FilterOutcome
from transforms.scanning.findings import Finding
from transforms.scanning.policy import Policy, load_policy
from transforms.scanning.rule import Rule, RuleSet
from transforms.scanning.rules import load_rules
from transforms.scanning.scanner import Scanner

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
