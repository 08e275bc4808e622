"""Reads a result's JSON and NDJSON with jq and compares every value with the result document, digit for digit.

Usage: read_by_jq.py FOLDER, in which there are a document.json, a result.json and a result.ndjson.
"""

import decimal
import json
import pathlib
import sys

import jq

decimal.getcontext().prec = 200
folder = pathlib.Path(sys.argv[1])


def parse(text):
    """JSON in which numbers keep their digits."""
    return json.loads(text, parse_float=decimal.Decimal, parse_int=decimal.Decimal)


def asked(program, name):
    """What jq's program gives for a file, as jq itself writes it."""
    text = (folder / name).read_text()
    return [parse(answer) for answer in jq.compile(f"{program} | tojson").input_text(text).all()]


document = parse((folder / "document.json").read_text())
names = [column["name"] for column in document["columns"]]
objects = [{name: cell for name, cell in zip(names, row) if cell is not None} for row in document["data"]]

assert asked(".", "result.ndjson") == objects, asked(".", "result.ndjson")
assert asked(".data[]", "result.json") == document["data"], asked(".data[]", "result.json")
assert asked(".columns[].name", "result.json") == names
# A number that no float holds is found by all its digits.
long = next(cell for row in document["data"] for cell in row if isinstance(cell, decimal.Decimal) and len(cell.as_tuple().digits) == 38)
assert asked(f".. | numbers | select(tojson == \"{long}\")", "result.ndjson"), long
