"""`codemill estimate`: what generating over a corpus needs at least, on each device, before anybody pays for one.

    codemill estimate OUT                          a job's plan, with what its finished units measured
    codemill estimate --input 'corpus/*.parquet' --model codegemma-7b --price_per_hour v5e=1.20

The figures are `jobs.driver.estimates`. Cost: the footers, or the plan and its commits; no device, no JAX. With
--compile the largest slots are held to libtpu's compiler.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.options.estimate import EstimateOptions as Options
from model.errors import ConfigError


def run(options: Options, beam_args: Sequence[str] = ()) -> int:
    """Prints the estimate. Raises ConfigError where there is nothing to count or nothing fits."""
    from jobs.driver.estimates import estimate, read_input_source, read_job_source
    from jobs.errors import DoesNotFit

    if beam_args:
        raise ConfigError(f"estimate does not use Beam and takes no options after --; got {' '.join(beam_args)}")
    source = read_job_source(options.path) if options.path is not None else read_input_source(options)
    try:
        lines = estimate(options, source)
    except DoesNotFit as error:
        raise ConfigError(f"{error}; {error.advice}") from None
    for line in lines:
        print(line)
    return 0


if __name__ == "__main__":
    import sys

    from jobs.cli import main

    sys.exit(main(["estimate", *sys.argv[1:]]))
