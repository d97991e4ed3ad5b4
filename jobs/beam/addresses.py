"""Asks the addresses among Beam's flags whether anything answers there, before the runner waits for a minute."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from apache_beam.options.pipeline_options import PipelineOptions

from model.errors import ConfigError, one_line

# Flags with the address of a server; words such as `embed`, `[auto]` or `local[4]` have no port.
_FLAGS: Final = ("job_endpoint", "flink_master", "spark_master_url")
_TIMEOUT_S = 5.0


def check_answered(beam_args: Sequence[str]) -> None:
    """Connects to each address among Beam's flags.

    Raises:
        ConfigError: Nothing answers at one of them.
    """
    options = PipelineOptions(list(beam_args)).get_all_options()
    for name in _FLAGS:
        host, _, port = str(options.get(name) or "").rpartition("://")[2].rpartition(":")
        if host and port.isdecimal():
            _connect(f"--{name} {options[name]}", host, int(port))


def _connect(flag: str, host: str, port: int) -> None:
    try:
        socket.create_connection((host.strip("[]"), port), timeout=_TIMEOUT_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        why = f"in {_TIMEOUT_S:g} s" if isinstance(error, TimeoutError) else getattr(error, "strerror", None) or error
        raise ConfigError(
            one_line(f"{flag}: nothing answers there ({why}); start it, or correct the address")
        ) from None
