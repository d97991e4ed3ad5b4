"""`make flink`: a Flink cluster on this machine until Ctrl-C, with the flags of a job on it."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
import tempfile
from pathlib import Path

from tests.cluster import machines, parts


def main() -> int:
    try:
        print(f"Flink {parts.FLINK_VERSION} and {parts.RUNNER} from {parts.PARTS}; the first time this takes minutes")
        flink, job_server = parts.flink(), parts.job_server_jar()
    except parts.Unreachable as error:
        print(f"make flink: error: {error}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), tempfile.TemporaryDirectory(prefix="codemill-flink-") as name:
        folder = Path(name)
        with machines.FlinkCluster(folder, flink=flink, job_server=job_server) as cluster:
            count = cluster.overview()["taskmanagers"]
            print(f"http://localhost:{cluster.rest_port} has {count} TaskManagers; logs: {folder}")
            print(f"codemill JOB ... -- {shlex.join(cluster.beam_flags(machines.write_boot(folder)))}")
            print("Ctrl-C ends it", flush=True)
            signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
