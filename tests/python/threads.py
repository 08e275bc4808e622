"""32 threads run a job each at the same time: together they take about as long as one, or the GIL was held.

threads.py LIBRARY JOB.json
"""

import json
import sys
import threading
import time

from heimdall_dynamo.plugin import Library

THREADS = 32

with open(sys.argv[2], encoding="utf-8") as file:
    job = json.load(file)
with Library(sys.argv[1], log=lambda *line: None) as plugin:
    plugin.run_job(job)
    started = time.monotonic()
    plugin.run_job(job)
    one = time.monotonic() - started

    results, pages = [], []

    def run(number):
        result = plugin.run_job({**job, "id": f"job-{number}"}, timeout=60, progress=lambda *totals: pages.append(totals))
        results.append(len(result["data"]))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    together = time.monotonic() - started
    assert len(results) == THREADS and len(set(results)) == 1, results
    assert len(pages) >= THREADS, pages
    assert together < one * THREADS / 4, f"{THREADS} jobs took {together:.2f} s, one {one:.2f} s"
    print(f"{THREADS} threads: ok, {together:.2f} s together, {one:.2f} s for one")
