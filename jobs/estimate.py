"""`codemill estimate`: lower bounds of time and cost for generating over a corpus, per device, before paying for one.

    codemill estimate OUT                          a job's plan, with measurements of its finished units
    codemill estimate --input 'corpus/*.parquet' --model codegemma-7b --price_per_hour v5e=1.20

`jobs.driver.estimates` computes the estimate. Cost: reading the Parquet footers, or the plan and its commits; uses no
device and no JAX. With --compile, libtpu's compiler checks that the maximum number of slots fits.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.options.estimate import EstimateOptions as Options
from jobs.terminal.escapes import print_line
from model.errors import ConfigError


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Prints the estimate. Raises ConfigError if there is nothing to count or no device fits."""
    from jobs.driver.estimates import estimate, read_input_source, read_job_source
    from jobs.errors import DoesNotFit
    from jobs.system.signals import raise_on_signals

    if beam_args:
        raise ConfigError(f"estimate does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    raise_on_signals()
    source = read_job_source(options.path) if options.path is not None else read_input_source(options)
    try:
        lines = estimate(options, source)
    except DoesNotFit as error:
        raise ConfigError(f"{error}; {error.advice}") from None
    for line in lines:
        print_line(line)
    return 0
