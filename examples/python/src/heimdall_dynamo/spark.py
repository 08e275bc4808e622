"""A data source for PySpark 4: ``spark.read.format("dynamodb_partiql").option("query", …)``. See `examples/spark`.

One partition reads one segment of the table, each in a Python worker of its own, and hands over Arrow batches as rows come.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import pyarrow
from pyspark.sql import types
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import to_arrow_schema

from .dbapi import Connection, connect
from .errors import ProgrammingError

_CLUSTER: dict[str, Any] = {
    "region": str,
    "profile": str,
    "role_arn": str,
    "session_name": str,
    "session_policy": str,
    "endpoint_url": str,
    "sts_endpoint_url": str,
    "ca_bundle": str,
    "max_attempts": int,
    "connect_timeout_seconds": float,
    "read_timeout_seconds": float,
    "max_capacity_units_per_second": float,
}
_BOOLEANS = {"true": True, "false": False}
_JOB: dict[str, Any] = {
    "consistent_read": lambda text: _BOOLEANS[text.lower()],
    "timeout_seconds": float,
    "max_pages": int,
    "max_consumed_capacity_units": float,
}
_OWN: dict[str, Any] = {
    "query": str,
    # A JSON list; numbers keep their digits.
    "parameters": lambda text: json.loads(text, parse_float=Decimal),
    "segments": int,
}


@dataclasses.dataclass
class Segment(InputPartition):
    """What one task reads: a segment of so many, or the whole where there is but one."""

    segment: int
    of: int


class DynamoDbPartiql(DataSource):
    """Registered once a session: ``spark.dataSource.register(DynamoDbPartiql)``."""

    # Travels with this object from where the schema is made to where it is used.
    _made_schema = False

    @classmethod
    def name(cls) -> str:
        return "dynamodb_partiql"

    def schema(self) -> types.StructType:
        """The types of the first page. Give a schema where later pages may hold other columns or wider values: they are an error here."""
        self._made_schema = True
        read = Read(self.options)
        with read.connection() as connection, connection.cursor() as cursor:
            table = cursor.execute(read.query, read.parameters, max_pages=1, on_budget="truncate").arrow()
        if not table.column_names:
            raise ProgrammingError("the first page has no rows to make a schema of", "give one with .schema(…)")
        return types.StructType([types.StructField(field.name, _spark_type(field.type)) for field in table.schema])

    def reader(self, schema: types.StructType) -> DataSourceReader:
        return Reader(Read(self.options), schema, self._made_schema)


class Reader(DataSourceReader):
    """Plans the partitions in the driver's worker, and reads one in each task's."""

    def __init__(self, read: Read, schema: types.StructType, strict: bool) -> None:
        self._read = read
        self._schema = schema
        self._strict = strict

    def partitions(self) -> list[InputPartition]:
        """One a segment; one for all where the statement cannot be read in segments (EXPLAIN says why)."""
        wanted = self._read.segments
        if wanted > 1 and not self._read.can_be_divided():
            wanted = 1
        return [Segment(segment, wanted) for segment in range(wanted)]

    def read(self, partition: InputPartition) -> Iterator[pyarrow.RecordBatch]:
        assert isinstance(partition, Segment)
        options = {"segment": partition.segment, "total_segments": partition.of} if partition.of > 1 else {}
        with self._read.connection() as connection, connection.cursor() as cursor:
            cursor.execute(self._read.query, self._read.parameters, **options)  # type: ignore[arg-type]
            yield from cursor.arrow_reader(to_arrow_schema(self._schema), strict=self._strict)


class Read:
    """The options of a read, checked. They name no secret: each worker takes credentials from AWS's default chain."""

    def __init__(self, options: Mapping[str, str]) -> None:
        known = _OWN | _JOB | _CLUSTER
        read: dict[str, Any] = {}
        for name, text in options.items():
            name = name.lower()
            if name not in known:
                raise ProgrammingError(
                    f"unknown option {name!r}; known ones are: {', '.join(known)}",
                    "credentials and proxies are no options, since Spark shows options: set them up on the workers",
                )
            try:
                read[name] = known[name](text)
            except (KeyError, ValueError):
                raise ProgrammingError(f"the option {name!r} has a value that cannot be understood") from None
        if not read.get("query"):
            raise ProgrammingError("the option 'query' is missing", "give a SELECT")
        if read.setdefault("segments", 1) < 1 or not isinstance(read.setdefault("parameters", []), list):
            raise ProgrammingError("'segments' is a number above 0, 'parameters' a JSON list")
        self.query: str = read["query"]
        self.parameters: list[Any] = read["parameters"]
        self.segments: int = read["segments"]
        self._job: dict[str, Any] = {name: value for name, value in read.items() if name in _JOB}
        self._cluster: dict[str, Any] = {name: value for name, value in read.items() if name in _CLUSTER}

    def connection(self) -> Connection:
        return connect(options=self._job, **self._cluster)  # type: ignore[arg-type]

    def can_be_divided(self) -> bool:
        """Whether the statement can be read in segments, by the plugin's EXPLAIN, which reads no item."""
        with self.connection() as connection, connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN {self.query}", self.parameters, total_segments=self.segments)
            explained: dict[str, Any] = {name: value for name, value in cursor.fetchall()}
            return explained["segments_possible"] is True


def _spark_type(arrow: pyarrow.DataType) -> types.DataType:
    if pyarrow.types.is_decimal(arrow):
        return types.DecimalType(arrow.precision, arrow.scale)
    plain: dict[pyarrow.DataType, types.DataType] = {
        pyarrow.bool_(): types.BooleanType(),
        pyarrow.binary(): types.BinaryType(),
        pyarrow.int64(): types.LongType(),
        pyarrow.float64(): types.DoubleType(),
    }
    return plain.get(arrow, types.StringType())
