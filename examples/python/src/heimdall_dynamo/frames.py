"""Rows as Arrow, which pandas and polars read; needs pyarrow. The types are those of the host's Arrow and Parquet files."""

from __future__ import annotations

import base64
import decimal
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from .errors import DataError
from .values import is_float, json_text, seen_type

Rows = list[list[Any]]
Convert = Callable[[Any], Any]

_PLAIN = {
    "string": pa.string(),
    "boolean": pa.bool_(),
    "bytes": pa.binary(),
    "long": pa.int64(),
    "float": pa.float64(),
    "null": pa.null(),
}
_JSON = {b"ARROW:extension:name": b"arrow.json"}


def table(columns: Sequence[dict[str, str]], order: Sequence[int], pages: list[Callable[[], Rows]]) -> pa.Table:
    """All rows as one table, the columns in a result document's order; each page is read twice, and dropped after the second time."""
    columns = [dict(column, at=at) for at, column in enumerate(columns)]  # type: ignore[arg-type]
    decimals = [at for at, column in enumerate(columns) if column["type"] == "decimal"]
    sizes = _decimal_sizes(decimals, pages)
    schema = pa.schema([field(columns[at]["name"], columns[at]["type"], sizes.get(at)) for at in order])
    batches = []
    while pages:
        batches.append(batch(schema, list(order), pages.pop(0)(), exact=False))
    return pa.Table.from_batches(batches, schema)


def inferred(names: Sequence[str], rows: Rows) -> pa.Schema:
    """A schema as far as these rows tell."""
    fields = []
    for at, name in enumerate(names):
        values = [row[at] for row in rows if at < len(row)]
        kind = seen_type(values)
        fields.append(field(name, kind, _decimal_size(values) if kind == "decimal" else None))
    return pa.schema(fields)


def batches(schema: pa.Schema, names: list[str], pages: Iterable[Rows], strict: bool) -> Iterator[pa.RecordBatch]:
    """A batch for each page; ``names`` grows as columns come. What the schema lacks is an error where it is strict, else left out."""
    for rows in pages:
        extra = [name for name in names if name not in schema.names]
        if extra and strict:
            raise DataError(f"the column {extra[0]!r} came after the first rows, which made the schema", "give a schema")
        positions = [names.index(name) if name in names else -1 for name in schema.names]
        yield batch(schema, positions, rows, exact=strict)


def batch(schema: pa.Schema, positions: list[int], rows: Rows, exact: bool) -> pa.RecordBatch:
    """Rows as a batch of this schema; ``positions`` says where in a row each column's cell is."""
    arrays = []
    for column, at in zip(schema, positions):
        convert = _json_or(column, exact)
        try:
            values = [None if not 0 <= at < len(row) or row[at] is None else convert(row[at]) for row in rows]
            arrays.append(pa.array(values, column.type))
        except (TypeError, ValueError, ArithmeticError, pa.ArrowException) as error:
            seen = seen_type([row[at] for row in rows if at < len(row)])
            raise DataError(
                f"the column {column.name!r} holds values of the type {seen}, and not all of them fit {column.type}",
                "give a schema in which it is wider, a string for instance",
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema) if arrays else pa.RecordBatch.from_struct_array(
        pa.array([{}] * len(rows), pa.struct([]))
    )


def field(name: str, kind: str, size: tuple[int, int] | None) -> pa.Field:
    """The field of a column of this type; ``size`` of a decimal: the most digits before and after the point."""
    metadata = {b"dynamodb.type": kind.encode()}
    if kind in ("array", "map", "any"):
        return pa.field(name, pa.string(), metadata=metadata | _JSON)
    if kind == "decimal":
        integer, fraction = size or (38, 0)
        fits = integer + fraction <= 38
        return pa.field(name, pa.decimal128(38, fraction) if fits else pa.string(), metadata=metadata)
    return pa.field(name, _PLAIN[kind], metadata=metadata)


def _decimal_sizes(columns: list[int], pages: list[Callable[[], Rows]]) -> dict[int, tuple[int, int]]:
    sizes = dict.fromkeys(columns, (0, 0))
    if columns:
        for page in pages:
            rows = page()
            for at in columns:
                integer, fraction = _decimal_size([row[at] for row in rows if at < len(row)])
                sizes[at] = (max(sizes[at][0], integer), max(sizes[at][1], fraction))
    return sizes


def _decimal_size(numbers: Iterable[Any]) -> tuple[int, int]:
    """The most digits before and after the point, zeros at the end aside."""
    integer = fraction = 0
    for number in numbers:
        if number:
            _, digits, exponent = decimal.Decimal(number).as_tuple()
            assert isinstance(exponent, int)
            zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
            integer = max(integer, len(digits) + exponent)
            fraction = max(fraction, -(exponent + zeros))
    return integer, fraction


def _json_or(column: pa.Field, exact: bool) -> Convert:
    is_json = (column.metadata or {}).get(b"ARROW:extension:name") == b"arrow.json"
    return json_text if is_json else converter(column.type, exact)


def converter(wanted: pa.DataType, exact: bool = False) -> Convert:
    """What makes a cell one of this Arrow type, or raises; ``exact``: no number becomes a float that is another number."""
    is_ = pa.types
    if is_.is_string(wanted) or is_.is_large_string(wanted):
        return lambda value: value if isinstance(value, str) else json_text(value)
    if is_.is_binary(wanted) or is_.is_large_binary(wanted):
        return lambda value: base64.b64decode(_of(str, value), validate=True)
    if is_.is_boolean(wanted):
        return lambda value: _of(bool, value)
    if is_.is_integer(wanted):
        return lambda value: _of(int, value)
    if is_.is_floating(wanted):
        return _exact_float if exact else lambda value: float(_number(value))
    if is_.is_decimal(wanted):
        return lambda value: decimal.Decimal(_number(value))
    if is_.is_null(wanted):
        return _of_null
    if is_.is_list(wanted) or is_.is_large_list(wanted):
        inner = converter(wanted.value_type, exact)
        return lambda value: [_some(inner, element) for element in _of(list, value)]
    if is_.is_map(wanted):
        item = converter(wanted.item_type, exact)
        return lambda value: [(name, _some(item, element)) for name, element in _of(dict, value).items()]
    if is_.is_struct(wanted):
        fields = {part.name: converter(part.type, exact) for part in wanted}
        return lambda value: {name: _some(part, _of(dict, value).get(name)) for name, part in fields.items()}
    raise DataError(f"DynamoDB has no values of the type {wanted}", "take it as a string or a number, and convert it afterwards")


def _some(convert: Convert, value: Any) -> Any:
    return None if value is None else convert(value)


def _of(kind: type, value: Any) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(f"not of the type {kind.__name__}")
    return value


def _of_null(_value: Any) -> Any:
    raise TypeError("not null")


def _number(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, (int, decimal.Decimal)):
        raise TypeError("not a number")
    return value


def _exact_float(value: Any) -> float:
    if not is_float(_number(value)):
        raise ValueError("a float does not hold all digits")
    return float(value)

