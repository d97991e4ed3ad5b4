"""The child of `transforms.bounded`: limits its own memory, then answers one call a line until its input ends."""

from __future__ import annotations

import importlib
import json
import resource
import signal
import sys
import time
from collections.abc import Mapping
from typing import Any, Final

from model.errors import RecordError

# Functions by the name under which `bounded.call` asks for them: module and attribute. Only these can be called.
FUNCTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "check_template": ("transforms.tasks.templates", "fault_of"),
    "render": ("transforms.tasks.templates", "render_here"),
    "check_pattern": ("transforms.tasks.patterns", "fault_of"),
    "search": ("transforms.tasks.patterns", "search_here"),
    "check_schema": ("transforms.tasks.schemas", "fault_of"),
    "is_valid": ("transforms.tasks.schemas", "is_valid_here"),
    "same_formula": ("transforms.evaluation.texts.algebra", "same_here"),
    "check_rule_file": ("transforms.scanning.rule_check", "fault_of"),
}


def main() -> None:
    """Answers calls from standard input on standard output."""
    memory = int(sys.argv[1]) << 20
    # libtpu has its process ignore the signal that ends what computes for too long, and a child inherits that.
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGPROF})
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    output = sys.stdout.buffer
    sys.stdout = sys.stderr  # nothing that is called may print into the answers
    for line in sys.stdin.buffer:
        began = time.process_time()
        answer = _answer(json.loads(line), memory)
        output.write(json.dumps({**answer, "cpu_s": time.process_time() - began}).encode() + b"\n")
        output.flush()


def _answer(request: Mapping[str, Any], memory: int) -> dict[str, Any]:
    module, attribute = FUNCTIONS[request["call"]]
    function = getattr(importlib.import_module(module), attribute)
    # The default action of SIGPROF ends the process, also in the middle of a call in C.
    signal.setitimer(signal.ITIMER_PROF, request["cpu_s"])
    try:
        return {"value": function(*request["arguments"])}
    except RecordError as error:
        return {"error": [error.reason, error.detail]}
    except MemoryError:
        return {"limit": f"it needs more than {memory >> 20} MB of memory"}
    except RecursionError:
        return {"limit": "it calls itself too deeply"}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    main()
