"""The same questions to boto3 and to the package: the same answers, each value by the rules that docs/JOB.md gives for cells."""

import base64
import json
from decimal import Decimal

import pyarrow
import pytest
from boto3.dynamodb.types import Binary, TypeDeserializer, TypeSerializer

from heimdall_dynamo.values import parameter

# boto3 gives a number as a Decimal of at most 38 digits, bytes as Binary, a set as a set.
PARAMETERS = [
    "text",
    "",
    0,
    -7,
    2**63,
    12345678901234567890123456789012345678,
    Decimal("12.50"),
    Decimal("1E-130"),
    b"\x00\xff",
    True,
    False,
    None,
    ["x", 1, None, []],
    {"inner": {"deep": [Decimal("0.1")]}},
    {"S": "a map with one name"},
    {"one", "two"},
    {1, Decimal("2.5")},
    {b"\x01", b"\x02"},
]


def cell(value):
    """boto3's value as a cell."""
    if isinstance(value, Binary):
        return base64.b64encode(value.value).decode()
    if isinstance(value, (set, frozenset)):
        return sorted((cell(inner) for inner in value), key=str)
    if isinstance(value, list):
        return [cell(inner) for inner in value]
    if isinstance(value, dict):
        return {name: cell(inner) for name, inner in value.items()}
    return value


def items(boto, statement, parameters=None):
    answer = boto.execute_statement(Statement=statement, **({"Parameters": parameters} if parameters else {}))
    deserialize = TypeDeserializer().deserialize
    return [{name: deserialize(value) for name, value in item.items()} for item in answer["Items"]]


def by_id(rows):
    return {row["id"]: row for row in rows}


SETS = {"words", "numbers", "blobs"}


def test_every_attribute_type_has_boto3s_value(cursor, boto):
    cursor.execute("SELECT * FROM every_type")
    rows = cursor.fetchall()
    names = [column[0] for column in cursor.description]
    ours = by_id(dict(zip(names, row)) for row in rows)
    theirs = by_id(items(boto, "SELECT * FROM every_type"))
    assert len(names) == len(set(names)) == 17
    assert ours.keys() == theirs.keys() == {"a-1", "b-2", "c-3", "d-4", "e-5"}
    for id, row in ours.items():
        for name, value in row.items():
            value = sorted(value, key=str) if name in SETS and value else value
            assert value == cell(theirs[id].get(name)), (id, name)
    assert ours["a-1"]["digits"] == 12345678901234567890123456789012345678
    assert type(ours["a-1"]["digits"]) is int and type(ours["a-1"]["ratio"]) is Decimal


def test_columns_named_as_binary_are_boto3s_bytes(cursor, boto):
    query = "SELECT id, raw, last_of_all FROM every_type"
    rows = cursor.execute(query, binary=["raw", "last_of_all"]).fetchall()
    theirs = by_id(items(boto, query))
    for id, raw, last in rows:
        assert (raw, last) == (theirs[id].get("raw"), theirs[id].get("last_of_all"))
    assert {row[0]: row[1] for row in rows}["a-1"] == b"\x00\x01\x02\xff"


@pytest.mark.parametrize("value", PARAMETERS, ids=repr)
def test_a_parameter_is_what_boto3_makes_of_it(value):
    def plain(typed):
        (kind, inner), = typed.items()
        if kind == "B":
            return {kind: base64.b64encode(inner).decode()}
        if kind == "BS":
            return {kind: sorted(base64.b64encode(one).decode() for one in inner)}
        if kind in ("SS", "NS"):
            return {kind: sorted(inner)}
        if kind == "L":
            return {kind: [plain(one) for one in inner]}
        if kind == "M":
            return {kind: {name: plain(one) for name, one in inner.items()}}
        return {kind: str(Decimal(inner).normalize()) if kind == "N" else inner}

    ours, theirs = parameter(value), TypeSerializer().serialize(value)
    if "N" in ours:
        assert Decimal(ours["N"]) == Decimal(theirs["N"])
    else:
        assert json.dumps(ours).replace("12.50", "12.5") == json.dumps(plain(theirs))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 'dünn & "quoted"\nsecond line'),
        ("count", 42),
        ("digits", 12345678901234567890123456789012345678),
        ("ratio", Decimal("0.25")),
        ("raw", b"\x00\x01\x02\xff"),
        ("flag", True),
        ("nothing", None),
        ("words", {"one", "two"}),
        ("numbers", {1, Decimal("2.5"), -3}),
        ("blobs", {b"\x01", b"\x02"}),
        ("list", ["x", 1, None, []]),
        ("map", {"inner": {"dots.in.name": 7}}),
    ],
)
def test_a_parameter_of_each_type_finds_what_boto3s_finds(cursor, boto, name, value):
    query = f'SELECT id FROM every_type WHERE "{name}" = ?'
    ours = {id for id, in cursor.execute(query, [value])}
    theirs = {item["id"] for item in items(boto, query, [TypeSerializer().serialize(value)])}
    assert ours == theirs
    assert "a-1" in ours


def test_an_arrow_table_has_boto3s_values_in_the_types_of_the_hosts_files(cursor, boto):
    table = cursor.execute("SELECT * FROM every_type").arrow()
    theirs = by_id(items(boto, "SELECT * FROM every_type"))
    assert table.schema.names == sorted(table.schema.names), "as a result document orders them"
    kinds = {field.name: field.metadata[b"dynamodb.type"].decode() for field in table.schema}
    assert {kinds[name] for name in kinds} == {"string", "boolean", "bytes", "array", "map", "long", "float", "decimal", "null", "any"}
    wanted = {"string": pyarrow.string(), "boolean": pyarrow.bool_(), "bytes": pyarrow.binary(), "long": pyarrow.int64(),
              "float": pyarrow.float64(), "null": pyarrow.null()}  # fmt: skip
    for row in table.to_pylist():
        for name, value in row.items():
            their = theirs[row["id"]].get(name)
            if kinds[name] in ("array", "map", "any"):
                assert table.schema.field(name).metadata[b"ARROW:extension:name"] == b"arrow.json"
                value = json.loads(value, parse_float=Decimal) if value is not None else None
                value = sorted(value, key=str) if name in SETS and value else value
                assert value == cell(their), name
            elif kinds[name] == "decimal":
                assert (None if value is None else Decimal(value)) == their, name
            else:
                assert table.schema.field(name).type == wanted[kinds[name]], name
                assert value == (float(their) if isinstance(value, float) else their), name


def test_pandas_and_polars_keep_integers_and_decimals_exact(cursor):
    # 38 digits and three after the point together are too wide for Decimal128, each alone is not.
    digits = cursor.execute("SELECT digits FROM every_type WHERE id = 'a-1'").arrow()["digits"]
    assert (digits.type, digits.to_pylist()) == (pyarrow.decimal128(38, 0), [Decimal(12345678901234567890123456789012345678)])
    both = cursor.execute("SELECT digits FROM every_type WHERE digits > 0").arrow()["digits"]
    assert sorted(both.to_pylist()) == ["0.001", "12345678901234567890123456789012345678"]
    pandas = cursor.execute('SELECT "count", id FROM every_type').to_pandas()
    assert str(pandas["count"].dtype) == "Int64" and 9223372036854775807 in set(pandas["count"].dropna())
    polars = cursor.execute('SELECT "count", ratio FROM every_type').to_polars()
    assert polars["count"].max() == 9223372036854775807 and polars.shape == (5, 2)
