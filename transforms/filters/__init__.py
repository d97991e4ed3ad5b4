"""The stages of `codemill filter`, one class each, and the work that runs them over units."""
