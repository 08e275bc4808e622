"""Reads all pages behind a URL with boto3's typed items, makes one JSON document of them, and prints what that cost as one line of
JSON, as every client of `cargo xtask bench` does. With a number behind the URL: by a parallel Scan in so many threads."""

import base64
import json
import resource
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from botocore.config import Config


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


def plain_items(page):
    return [{name: plain(value) for name, value in item.items()} for item in page["Items"]]


def statement(client):
    items, request = [], {"Statement": "SELECT * FROM bench", "ReturnConsumedCapacity": "TOTAL"}
    while True:
        page = client.execute_statement(**request)
        items.extend(plain_items(page))
        if "NextToken" not in page:
            return items
        request["NextToken"] = page["NextToken"]


def segment(client, number, total):
    items = []
    request = {"TableName": "bench", "Segment": number, "TotalSegments": total, "ReturnConsumedCapacity": "TOTAL"}
    while True:
        page = client.scan(**request)
        items.extend(plain_items(page))
        if not page.get("LastEvaluatedKey"):
            return items
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]


def segments(client, total):
    with ThreadPoolExecutor(total) as pool:
        parts = pool.map(lambda number: segment(client, number, total), range(total))
        return [item for part in parts for item in part]


def read(client, threads):
    items = segments(client, threads) if threads else statement(client)
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
    threads = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    client = boto3.client(
        "dynamodb",
        endpoint_url=sys.argv[1],
        region_name="us-east-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="bench",
        config=Config(max_pool_connections=threads or 10),
    )
    cpu, wall = cpu_seconds(), time.monotonic()
    rows, text = read(client, threads)
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
