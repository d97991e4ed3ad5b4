"""Where files lie: local folders and buckets behind a dozen functions, and what a name of theirs may do when it fails.

`from jobs import storage` gives those functions (`jobs.storage.objects`) and the errors that a user can mend.
"""

from jobs.storage.errors import clear_errors, is_local, is_unanswered, unanswered_line
from jobs.storage.objects import (
    create_if_absent,
    exists,
    file_info,
    glob,
    join,
    list_names,
    open_input,
    open_output,
    publish,
    read_bytes,
    remove,
    remove_temporaries,
    sha256_of,
    write_bytes,
)

__all__ = [
    "clear_errors",
    "create_if_absent",
    "exists",
    "file_info",
    "glob",
    "is_local",
    "is_unanswered",
    "join",
    "list_names",
    "open_input",
    "open_output",
    "publish",
    "read_bytes",
    "remove",
    "remove_temporaries",
    "sha256_of",
    "unanswered_line",
    "write_bytes",
]
