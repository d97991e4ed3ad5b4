"""In place of Beam's harness: writes what it was given to $FAKE_HARNESS, then does what the option `act` says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from jobs.beam.boot import REFUSED, Endpoints
from jobs.beam.provision import prepare
from jobs.system.child_process import die_with
from model.errors import ConfigError

if __name__ == "__main__":
    die_with(int(sys.argv[1]))
    try:
        prepare(Endpoints(**json.loads(sys.argv[2])))
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(REFUSED)
    options = json.loads(Path(os.environ["PIPELINE_OPTIONS_FILE"]).read_text())
    act = options["beam:option:act:v1"]
    helper = subprocess.Popen(["sleep", "600"]).pid if act == "wait" else None
    told = {"pid": os.getpid(), "helper": helper, "options": options, "environment": dict(os.environ)}
    path = Path(os.environ["FAKE_HARNESS"])
    path.with_suffix(".new").write_text(json.dumps(told))
    path.with_suffix(".new").rename(path)
    print("a line from C\x1b[31m", flush=True)
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "wait":
        time.sleep(600)
    sys.exit(3 if act == "fail" else 0)
