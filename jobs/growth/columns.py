"""The columns of a further edition that another version of codemill makes: they may have fields that earlier rows lack.

before   findings: list<struct<rule not null>>
now      findings: list<struct<rule not null, line not null>>
edition  findings: list<struct<rule not null, line>>             null in earlier rows
"""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from jobs.plan.freezing import PlannedJob
from jobs.plan.job_file import read_job
from jobs.plan.schemas import fit_table, schema_from_text
from jobs.storage.folders import OutputFolder
from model.errors import ConfigError


def with_earlier_rows(planned: PlannedJob, base: OutputFolder) -> PlannedJob:
    """A plan whose schema fits the rows of the edition before as well; raises ConfigError as `grown_schema` does."""
    job = read_job(base)
    assert job is not None, "an edition grows from one that was planned"
    return replace(planned, output_schema=grown_schema(schema_from_text(job.output_schema), planned.output_schema))


def grown_schema(before: pa.Schema, now: pa.Schema) -> pa.Schema:
    """The schema of an edition, in which rows of the edition before and those made now fit.

    Args:
        before: The schema of the edition before.
        now: That of the job's rows now; its columns, order and types count.

    Raises:
        ConfigError: Rows of the edition before don't fit.
    """
    found = pa.schema(_fields(list(before), list(now)), now.metadata)
    try:
        fit_table(before.empty_table(), found)
    except (pa.ArrowException, NotImplementedError) as error:
        raise ConfigError(
            f"another version of codemill made the rows of this dataset, and they don't fit those of this one "
            f"({' '.join(str(error).split())[:200]}); grow it with that version, or choose another --output"
        ) from None
    return found


def _fields(before: list[pa.Field], now: list[pa.Field]) -> list[pa.Field]:
    known = {field.name: field for field in before}
    return [_field(known.get(field.name), field) for field in now]


def _field(before: pa.Field | None, now: pa.Field) -> pa.Field:
    if before is None:
        return now.with_nullable(True)
    return now.with_type(_type(before.type, now.type)).with_nullable(before.nullable or now.nullable)


def _type(before: pa.DataType, now: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(before) and pa.types.is_struct(now):
        return pa.struct(_fields(list(before.fields), list(now.fields)))
    for is_list, make in ((pa.types.is_list, pa.list_), (pa.types.is_large_list, pa.large_list)):
        if is_list(before) and is_list(now):
            return make(_field(before.value_field, now.value_field))
    return now
