"""Reads a result's files with other people's readers and compares every value and type with the result document.

Usage: read_back.py FOLDER, in which there is a document.json and a result.ENDING for each format.
"""

import base64
import csv
import decimal
import json
import pathlib
import sys

import duckdb
import polars
import pyarrow
import pyarrow.ipc
import pyarrow.parquet

decimal.getcontext().prec = 200
folder = pathlib.Path(sys.argv[1])


def parse(text):
    """JSON in which numbers keep their digits."""
    return json.loads(text, parse_float=decimal.Decimal, parse_int=decimal.Decimal)


document = parse((folder / "document.json").read_text())
names = [column["name"] for column in document["columns"]]
types = {column["name"]: column["type"] for column in document["columns"]}
columns = {name: [row[at] for row in document["data"]] for at, name in enumerate(names)}
JSON = {"array", "map", "any"}


def is_wide(name):
    """Whether 38 digits do not hold all numbers of a column."""
    integer = fraction = 0
    for value in columns[name]:
        if value:
            digits = value.normalize().as_tuple()
            integer = max(integer, len(digits.digits) + digits.exponent)
            fraction = max(fraction, -digits.exponent)
    return integer + fraction > 38


def expected(name):
    kind, values = types[name], columns[name]
    convert = {
        "bytes": base64.b64decode,
        "long": int,
        "float": float,
        "decimal": lambda value: value,
    }.get(kind, lambda value: value)
    return [None if value is None else convert(value) for value in values]


def actual(name, values):
    """What a reader gave, with JSON and wide numbers read."""
    if types[name] in JSON or (types[name] == "decimal" and is_wide(name)):
        return [None if value is None else parse(value) for value in values]
    return list(values)


def same(reader, name, values):
    assert actual(name, values) == expected(name), (reader, name, values, expected(name))


def arrow_type(name):
    return {
        "string": pyarrow.utf8(),
        "boolean": pyarrow.bool_(),
        "bytes": pyarrow.binary(),
        "long": pyarrow.int64(),
        "float": pyarrow.float64(),
        "null": pyarrow.null(),
    }.get(types[name])


def check_pyarrow(reader, table):
    assert table.schema.names == names, (reader, table.schema)
    for name in names:
        field = table.schema.field(name)
        if types[name] in JSON:
            storage = field.type.storage_type if isinstance(field.type, pyarrow.BaseExtensionType) else field.type
            assert storage == pyarrow.utf8(), (reader, field)
            known = isinstance(field.type, pyarrow.BaseExtensionType) and field.type.extension_name
            assert known == "arrow.json" or field.metadata[b"ARROW:extension:name"] == b"arrow.json", (reader, field)
        elif types[name] == "decimal":
            wanted = pyarrow.types.is_string if is_wide(name) else lambda t: pyarrow.types.is_decimal128(t) and t.precision == 38
            assert wanted(field.type), (reader, field)
        else:
            assert field.type == arrow_type(name), (reader, field)
        assert field.metadata[b"dynamodb.type"].decode() == types[name], (reader, field.metadata)
        same(reader, name, table.column(name).to_pylist())
    assert table.num_rows == len(document["data"]), reader


check_pyarrow("pyarrow parquet", pyarrow.parquet.read_table(folder / "result.parquet"))
with pyarrow.ipc.open_file(folder / "result.arrow") as file:
    check_pyarrow("pyarrow file", file.read_all())
with pyarrow.ipc.open_stream(folder / "result.arrows") as stream:
    check_pyarrow("pyarrow stream", stream.read_all())

for reader, frame in {
    "polars parquet": polars.read_parquet(folder / "result.parquet"),
    "polars file": polars.read_ipc(folder / "result.arrow"),
    "polars stream": polars.read_ipc_stream(folder / "result.arrows"),
}.items():
    assert frame.columns == names, (reader, frame.columns)
    for name in names:
        same(reader, name, frame[name].to_list())

rows = duckdb.sql(f"SELECT * FROM '{folder}/result.parquet'")
assert rows.columns == names, rows.columns
fetched = rows.fetchall()
for at, name in enumerate(names):
    same("duckdb parquet", name, [row[at] for row in fetched])
described = duckdb.sql(f"DESCRIBE SELECT * FROM '{folder}/result.parquet'").fetchall()
for name, kind, *_ in described:
    wanted = {"string": "VARCHAR", "boolean": "BOOLEAN", "bytes": "BLOB", "long": "BIGINT", "float": "DOUBLE"}.get(types[name])
    assert wanted in (None, kind), (name, kind)


def plain(value):
    """A cell as CSV has it: text as it is, null and an empty text as nothing, the rest as JSON."""
    return "" if value is None else value


def check_csv(reader, lines):
    header, *rows = lines
    assert header == names, (reader, header)
    assert len(rows) == len(document["data"]), reader
    for at, name in enumerate(names):
        for row, value in zip(rows, columns[name]):
            cell = row[at]
            if isinstance(value, str) or value is None:
                assert cell == plain(value), (reader, name, cell, value)
            else:
                assert parse(cell) == value, (reader, name, cell, value)


with open(folder / "result.csv", newline="") as file:
    check_csv("csv", list(csv.reader(file, strict=True)))
with open(folder / "result.tsv", newline="") as file:
    check_csv("tsv", list(csv.reader(file, dialect="excel-tab", strict=True)))
# duckdb and polars tell nothing from "".
texts = [name for name in names if types[name] == "string"]
as_text = ", ".join(f"'{name}': 'VARCHAR'" for name in names)
read = duckdb.sql(f"SELECT * FROM read_csv('{folder}/result.csv', header=true, all_varchar=true, nullstr='', allow_quoted_nulls=false, parallel=false)")
for name in texts:
    at = read.columns.index(name)
    assert [row[at] for row in read.fetchall()] == columns[name], name

objects = [parse(line) for line in (folder / "result.ndjson").read_text().split("\n") if line]
wanted = [{name: cell for name, cell in zip(names, row) if cell is not None} for row in document["data"]]
assert objects == wanted, (objects, wanted)
assert [list(o) for o in objects] == [list(o) for o in wanted]
print(f"{len(names)} columns, {len(document['data'])} rows: pyarrow {pyarrow.__version__}, duckdb {duckdb.__version__}, polars {polars.__version__}")
