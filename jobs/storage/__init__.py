"""File storage: one interface to local folders and buckets, and clear errors for failures that a user can fix.

`from jobs import storage` provides the functions of `jobs.storage.objects` and the helpers of `jobs.storage.errors`.
"""

from jobs.storage.errors import (
    check_output_path,
    clear_errors,
    is_local,
    is_unanswered,
    make_folders,
    may_pass,
    unanswered_line,
    with_new_attempts,
)
from jobs.storage.objects import (
    create_if_absent,
    exists,
    file_info,
    glob,
    has_version,
    join,
    list_names,
    make_job_folder,
    open_input,
    open_output,
    publish,
    read_bytes,
    read_part,
    remove,
    remove_temporaries,
    remove_tree,
    sha256_of,
    size_of_file,
    write_bytes,
)
from jobs.storage.remote import check_reachable

__all__ = [
    "check_output_path",
    "check_reachable",
    "clear_errors",
    "create_if_absent",
    "exists",
    "file_info",
    "glob",
    "has_version",
    "is_local",
    "is_unanswered",
    "join",
    "list_names",
    "make_folders",
    "make_job_folder",
    "may_pass",
    "open_input",
    "open_output",
    "publish",
    "read_bytes",
    "read_part",
    "remove",
    "remove_temporaries",
    "remove_tree",
    "sha256_of",
    "size_of_file",
    "unanswered_line",
    "with_new_attempts",
    "write_bytes",
]
