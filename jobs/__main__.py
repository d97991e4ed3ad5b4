"""`python -m jobs infill ...`: the same as `codemill infill ...` where the command isn't installed."""

import sys

from jobs.cli import main

sys.exit(main())
