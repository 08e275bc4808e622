"""Reads all pages behind a URL with boto3's typed items, makes one JSON document of them, and prints what that cost as one line of
JSON, as every client of `cargo xtask bench` does."""

import base64
import json
import resource
import sys
import time

import boto3


def plain(value):
    (kind, inner), = value.items()
    if kind == "N":
        return float(inner) if "." in inner else int(inner)
    if kind == "B":
        return base64.b64encode(inner).decode()
    if kind == "NULL":
        return None
    if kind == "NS":
        return [float(each) if "." in each else int(each) for each in inner]
    if kind == "BS":
        return [base64.b64encode(each).decode() for each in inner]
    if kind == "L":
        return [plain(each) for each in inner]
    if kind == "M":
        return {name: plain(each) for name, each in inner.items()}
    return inner


def read(client):
    items, request = [], {"Statement": "SELECT * FROM bench", "ReturnConsumedCapacity": "TOTAL"}
    while True:
        page = client.execute_statement(**request)
        items.extend({name: plain(value) for name, value in item.items()} for item in page["Items"])
        if "NextToken" not in page:
            break
        request["NextToken"] = page["NextToken"]
    names = sorted({name for item in items for name in item})
    columns = [{"name": name, "type": "any"} for name in names]
    data = [[item.get(name) for name in names] for item in items]
    return len(items), json.dumps({"columns": columns, "data": data}, separators=(",", ":"), ensure_ascii=False)


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_bytes():
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main():
    client = boto3.client(
        "dynamodb",
        endpoint_url=sys.argv[1],
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="bench",
    )
    cpu, wall = cpu_seconds(), time.monotonic()
    rows, text = read(client)
    cost = {
        "cpu_s": cpu_seconds() - cpu,
        "wall_s": time.monotonic() - wall,
        "peak_bytes": peak_bytes(),
        "wire_bytes": 0,
        "rows": rows,
        "result_bytes": len(text.encode()),
    }
    print(json.dumps(cost))


main()
