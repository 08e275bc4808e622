"""A host in Python: runs a job with progress and a deadline, takes its rows as they come, cancels one, shows the error of a bad one.

python3 host.py LIBRARY JOB.json
"""

import json
import sys
import threading
import time

from heimdall_dynamo.plugin import Library, PluginError, rows


def main(library, job_file):
    with open(job_file, encoding="utf-8") as file:
        job = json.load(file)
    # json.dumps knows no Decimal, which the library makes of a fraction where nothing is said.
    with Library(library, log=lambda *line: print(*line, file=sys.stderr), parse_float=float) as plugin:
        print(plugin.name, plugin.version, plugin.features)

        result = plugin.run_job(
            job, timeout=30, progress=lambda *totals: print("progress:", *totals, file=sys.stderr)
        )
        print("rows:", json.dumps(rows(result)))

        for number, row in enumerate(plugin.rows(job), 1):
            print("row", number, "as it came:", json.dumps(row))

        def run_in_background():
            try:
                print("finished:", len(plugin.run_job({**job, "id": "slow"})["data"]))
            except PluginError as error:
                print("cancelled:", error.code)

        thread = threading.Thread(target=run_in_background)
        thread.start()
        while thread.is_alive() and not plugin.cancel_job("slow"):
            time.sleep(0.0001)
        thread.join()

        try:
            plugin.run_job({"context": {"query": "SELECT * FROM my_table", "limt": 5}})
        except PluginError as error:
            print("bad job:", error, "| hint:", error.hint)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
