"""What the Flex Template's launcher runs (FLEX_TEMPLATE_PYTHON_PY_FILE). Linted and run on a local runner only."""

from jobs.beam.template import main

if __name__ == "__main__":
    raise SystemExit(main())
