"""A part of a corpus on its way from a worker to the driver: its bytes in a slot, the rest in a message.

Kept rows are nearly always an encoded row group, which the driver writes as it is. Few rows, and rejected ones, are
tables in Arrow's IPC format.
"""

from __future__ import annotations

import pyarrow as pa

from jobs.collecting.chunks import LostFile, StoredPart
from jobs.collecting.messages import PartDone
from jobs.collecting.slots import Slot
from transforms.corpus.origin import Origin
from transforms.corpus.rows import Part, rejected_part
from transforms.rows.rejections import Rejection
from transforms.rows.row_groups import EncodedGroup


def store(part: Part, chunk: int, number: int, slot: Slot) -> PartDone:
    """Writes a part's rows into a slot, which has this number, and returns the message."""
    kept, group = part.kept, None
    if isinstance(kept, EncodedGroup):
        data, group = kept.data, (kept.num_rows, kept.entry)
    else:
        data = _as_bytes(kept)
    places = slot.write([data, _as_bytes(part.rejected)])
    return PartDone(chunk, number, places, group, part.counts, part.num_files, part.attribution)


def restore(origin: Origin, found: StoredPart | LostFile) -> Part:
    """The part that a worker has stored, or that a lost file is."""
    if isinstance(found, LostFile):
        rejection = Rejection("decode", found.reason, found.detail)
        return rejected_part(origin, found.index, found.path, rejection, found.data)
    told = found.told
    kept = _as_table(found.kept) if told.group is None else EncodedGroup(told.group[0], found.kept, told.group[1])
    return Part(kept, _as_table(found.rejected), told.counts, told.num_files, told.attribution)


def _as_bytes(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def _as_table(data: bytes) -> pa.Table:
    return pa.ipc.open_stream(data).read_all()
