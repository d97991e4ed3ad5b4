"""Answers that are texts: what is extracted from them, and whether it is the answer that is known."""
