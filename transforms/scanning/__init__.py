"""Content filters for inputs and for generated text.

ContentFilter   the entry point for jobs: scans and redacts inputs, scans outputs in context
Scanner         the one-pass scanner; it reports `Finding`s; `load_rules` reads its rules
load_policy     reads a policy: strict, default, annotate, or a user's file
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
