"""`python -m jobs infill ...`: the same as `codemill infill ...`, for use without the installed command."""

import sys

from jobs.cli import main

sys.exit(main())
