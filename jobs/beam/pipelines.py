"""Opens every Beam pipeline of the project: for units, merges and grouping."""

from __future__ import annotations

from collections.abc import Sequence

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from jobs.beam.log import quiet_beam
from jobs.beam.runners import names_a_runner
from model.errors import ConfigError, one_line

_INVALID = "Pipeline has validations errors:"  # before what Beam has against the values of its flags


def open_pipeline(beam_args: Sequence[str] = ()) -> beam.Pipeline:
    """Returns a pipeline on the runner that `beam_args` (Beam's own flags) name.

    Without `--runner` it is explicitly `FnApiRunner`, because `DirectRunner` chooses between several engines.

    Raises:
        ConfigError: The runner refuses the value of a flag.
    """
    quiet_beam()
    options = PipelineOptions(list(beam_args))
    # The workers need nothing from this process's main module, and pickling it fails in surprising ways.
    options.view_as(SetupOptions).save_main_session = False
    try:
        return beam.Pipeline(runner=None if names_a_runner(beam_args) else FnApiRunner(), options=options)
    except ValueError as error:
        said = str(error).partition(_INVALID)[2].split()
        if not said:
            raise
        raise ConfigError(one_line(f"Beam's flags after --: {' '.join(said)}")) from error
