"""Removing rows from complete outputs, and from all that `_job` keeps of them: `codemill forget`."""
