"""What tells of packed rows which of their parts are trained on, and which rows were packed together."""

from __future__ import annotations

from typing import Final

import pyarrow as pa

TRAINED: Final = "file"
"""The role of a part that is trained on; the others repeat, as context, what it needs."""
UNIT: Final = "unit"
PACKED_TOGETHER: Final = pa.field(UNIT, pa.int32(), nullable=False)
"""The number of the unit in which a row was packed: rows of different units share no file. In a dataset that grew, it
counts within one edition, which the shard's name tells."""
