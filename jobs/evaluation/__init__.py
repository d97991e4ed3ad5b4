"""What `codemill evaluate` prepares before its units run, and what it reckons after them.

tables.py     reads Parquet and JSON lines
prepare.py    problems and answers -> the rows that the units read
scoring.py    verdicts -> scores.json, and the lines that are printed
"""
