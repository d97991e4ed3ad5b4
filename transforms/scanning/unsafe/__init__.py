"""Unsafe content: terms, and signals of malicious code."""
