"""Values on the way in (parameters) and out (cells), and DB-API's type objects."""

from __future__ import annotations

import base64
import decimal
import json
import numbers
from collections.abc import Mapping, Sequence, Set
from typing import Any

from .errors import DataError

Binary = bytes


class TypeObject:
    """Equal to the column types that it stands for: ``cursor.description[0][1] == NUMBER``."""

    def __init__(self, *types: str) -> None:
        self.types = frozenset(types)

    def __eq__(self, other: object) -> bool:
        return other in self.types if isinstance(other, str) else self is other

    def __hash__(self) -> int:
        return hash(self.types)

    def __repr__(self) -> str:
        return f"TypeObject({', '.join(map(repr, sorted(self.types)))})"


STRING = TypeObject("string")
BINARY = TypeObject("bytes")
NUMBER = TypeObject("long", "float", "decimal")
#: DynamoDB has no dates and no row ids: equal to no column's type.
DATETIME = TypeObject()
ROWID = TypeObject()


def parameter(value: Any) -> dict[str, Any]:
    """A Python value as DynamoDB's typed JSON.

    str → S, int and Decimal → N, bytes → B, bool → BOOL, None → NULL, list and tuple → L, dict → M, set → SS, NS or BS.
    """
    if value is None:
        return {"NULL": True}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, (numbers.Integral, decimal.Decimal)):
        return {"N": _number(value)}
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"B": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {"M": {_name(name): parameter(inner) for name, inner in value.items()}}
    if isinstance(value, Set):
        return _set(value)
    if isinstance(value, Sequence):
        return {"L": [parameter(inner) for inner in value]}
    if isinstance(value, float):
        raise DataError("a float cannot be a parameter: DynamoDB's numbers are decimal", "give a decimal.Decimal, made of a text")
    raise DataError(f"a {type(value).__name__} cannot be a parameter: DynamoDB has no type for it", "give a text or a number")


def _number(value: Any) -> str:
    if isinstance(value, decimal.Decimal) and not value.is_finite():
        raise DataError(f"{value} cannot be a parameter: DynamoDB's numbers are finite")
    return format(value, "f") if isinstance(value, decimal.Decimal) else str(int(value))


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise DataError(f"a map's name is a text, not a {type(name).__name__}")
    return name


def _set(values: Set[Any]) -> dict[str, Any]:
    typed = [parameter(value) for value in values]
    kinds = {kind for value in typed for kind in value}
    if len(kinds) != 1 or not kinds <= {"S", "N", "B"}:
        raise DataError("a set has to hold at least one value, and only texts, only numbers or only bytes")
    (kind,) = kinds
    return {f"{kind}S": sorted(value[kind] for value in typed)}


def cells(lines: bytes) -> list[Any]:
    """Whole lines as JSON values: a dict for a line of columns, a list for a row. Numbers are exact: int, or Decimal."""
    parsed: list[Any] = json.loads(b"[" + lines.rstrip(b"\n").replace(b"\n", b",") + b"]", parse_float=decimal.Decimal)
    return parsed


def seen_type(values: Sequence[Any]) -> str:
    """A column's type as far as these cells tell; ``bytes`` cannot be told from ``string``, since both are texts."""
    kinds = {_kind(value) for value in values if value is not None}
    if len(kinds) > 1 and kinds <= {"long", "float", "decimal"}:
        return "decimal" if "decimal" in kinds or not all(map(is_float, filter(None, values))) else "float"
    return kinds.pop() if len(kinds) == 1 else "any" if kinds else "null"


def _kind(value: Any) -> str:
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return "long"
    if isinstance(value, (int, decimal.Decimal)):
        return "float" if is_float(value) else "decimal"
    return "array" if isinstance(value, list) else "map"


def is_float(number: int | decimal.Decimal) -> bool:
    """Whether a number is the one that its nearest 64-bit float prints as."""
    nearest = float(number)
    return decimal.Decimal(repr(nearest)) == number


def json_text(value: Any) -> str:
    """A cell as JSON, a number with all its digits."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name, ensure_ascii=False)}:{json_text(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    return json.dumps(value, ensure_ascii=False)
