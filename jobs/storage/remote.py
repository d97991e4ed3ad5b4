"""Remote storage: the file system behind a URL, whether it can be reached, and whether a bucket exists.

gcsfs repeats failed requests for up to a minute each, which is right in the middle of a job and wrong at its start,
where a name that can't be resolved or a network that drops everything is a mistake in the setup. `check_reachable`
therefore sends one request before anything else. Any answer will do, including an error: it proves that there is a
server, and later errors are repeated as usual. The request is anonymous, because the search for credentials itself
waits for servers that may not exist.

fsspec and the client libraries are imported on demand: together they take longer to import than pyarrow, and a job on
local files needs none of them.
"""

from __future__ import annotations

import importlib
import logging
import os
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

from model.errors import ConfigError

# Without this, gcsfs queries each bucket's layout before an operation, which may stall for half a minute each time
# outside Google's network. gcsfs reads the variable when it is imported.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

# gcsfs logs each request that it gives up on with a traceback and then raises the same error, which gets one line.
if "GCSFS_DEBUG" not in os.environ:
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)

FIRST_ANSWER_S = 8.0
_GCS = ("gs", "gcs")


def file_system(path: str) -> Any:
    """The fsspec file system of a URL. Listings are never cached: other processes write here too."""
    scheme = path.split("://", 1)[0]
    # An emulator has no accounts, and searching for credentials takes long if there are none.
    account = {"token": "anon"} if scheme in _GCS and os.environ.get("STORAGE_EMULATOR_HOST") else {}
    try:
        return _fsspec().filesystem(scheme, use_listings_cache=False, **account)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"{path}: storage scheme {scheme}:// is not supported ({error})") from error


def bucket_exists(path: str) -> bool | None:
    """Whether the bucket of a `gs://` URL exists: one listing of one object. None: can't tell."""
    if path.split("://", 1)[0] not in _GCS:
        return None
    files = file_system(path)
    try:
        # Listing needs fewer permissions than reading the bucket's own properties.
        files.call("GET", "b/{}/o", _bucket(path), maxResults=1)
    except FileNotFoundError:
        return False
    except Exception:  # no permission, no answer: neither says that the bucket is missing
        return None
    return True


def list_part(folder: str, first: str, last: str) -> list[str] | None:
    """Lists the names from `first` to `last` directly under a folder of a `gs://` bucket, in one request.

    There may be further ones, if the server doesn't know these bounds. None: can't do that.
    """
    if folder.split("://", 1)[0] not in _GCS:
        return None
    key = folder.split("://", 1)[1].partition("/")[2].rstrip("/") + "/"
    bounds = {"prefix": key, "delimiter": "/", "startOffset": key + first, "endOffset": f"{key}{last}!"}
    found = file_system(folder).call("GET", "b/{}/o", _bucket(folder), json_out=True, maxResults=1000, **bounds)
    if "nextPageToken" in found:
        return None
    return sorted(item["name"].removeprefix(key) for item in found.get("items", []))


def check_reachable(paths: Iterable[str], *, limit_s: float = FIRST_ANSWER_S) -> None:
    """Checks that the storage of the `gs://` URLs among `paths` answers; local paths cost nothing.

    Raises:
        ConfigError: There was no answer within `limit_s` seconds.
    """
    remote = [path for path in paths if path.split("://", 1)[0] in _GCS]
    if not remote:
        return
    base = _fsspec().filesystem("gs", token="anon").base
    first_contact = importlib.import_module("jobs.storage.first_contact")
    url = f"{base}b/{quote(_bucket(remote[0]), safe='')}?fields=name"
    contact = first_contact.FirstContact(url, limit_s)
    if fault := contact.fault():
        raise ConfigError(
            f"can't reach {remote[0]}: {urlsplit(base).netloc} does not answer ({fault}); check the network and "
            "STORAGE_EMULATOR_HOST, then run the same command again"
        )


def _bucket(path: str) -> str:
    return path.split("://", 1)[1].partition("/")[0]


def _fsspec() -> Any:
    return importlib.import_module("fsspec")
