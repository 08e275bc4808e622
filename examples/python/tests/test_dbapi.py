"""DB-API 2.0 as PEP 249 has it, and how jobs end: by reading on, by a cancel, by an error, by the process's end."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pyarrow
import pytest

import heimdall_dynamo
from heimdall_dynamo import dbapi


def until(holds):
    """Waits for a state."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def program(text, *arguments):
    """A Python of its own that runs a program."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-c", text, *arguments], **pipes)


def jobs():
    """The jobs under way in this process."""
    return [id for library in dbapi._libraries.values() for id in library._running]


def test_the_module_says_what_it_is():
    assert (heimdall_dynamo.apilevel, heimdall_dynamo.threadsafety, heimdall_dynamo.paramstyle) == ("2.0", 2, "qmark")
    assert issubclass(heimdall_dynamo.ProgrammingError, heimdall_dynamo.DatabaseError)
    assert issubclass(heimdall_dynamo.DatabaseError, heimdall_dynamo.Error)
    assert heimdall_dynamo.NUMBER == "decimal" and heimdall_dynamo.STRING != "bytes" and heimdall_dynamo.BINARY == "bytes"


def test_a_cursor_fetches_one_many_and_all(cursor):
    assert cursor.description is None and cursor.rowcount == -1
    assert cursor.execute("SELECT id, price FROM my_table WHERE category = ?", ["books"]) is cursor
    assert [column[:2] for column in cursor.description] == [("id", "string"), ("price", "float")]
    first = cursor.fetchone()
    assert cursor.fetchmany(5) + [first] and cursor.fetchone() is None and cursor.fetchall() == []
    assert cursor.rowcount == cursor.stats["rows"] == 2
    assert len(cursor.execute("SELECT id FROM numbered").fetchmany(3)) == 3
    assert len(list(cursor)) == 1997
    assert cursor.execute("SELECT id, none FROM numbered WHERE id = 'x'").fetchall() == []
    assert cursor.description == [("id", "null", *[None] * 5), ("none", "null", *[None] * 5)]


def test_types_are_the_results_own_once_all_rows_have_come(cursor):
    cursor.execute("SELECT raw FROM every_type")
    cursor.fetchall()
    assert cursor.description[0][1] == heimdall_dynamo.BINARY


def test_wrong_use_is_an_error_that_says_what_to_do(connection, cursor):
    for call, kind in [
        (lambda: cursor.fetchone(), heimdall_dynamo.ProgrammingError),
        (lambda: cursor.executemany("SELECT * FROM my_table", [[1]]), heimdall_dynamo.NotSupportedError),
        (lambda: cursor.execute("SELECT * FROM my_table", "text"), heimdall_dynamo.ProgrammingError),
        (lambda: cursor.execute("SELECT * FROM my_table WHERE id = ?", [1.5]), heimdall_dynamo.DataError),
        (lambda: cursor.execute("SELECT * FROM my_table WHERE id = ?", [{1, "a"}]), heimdall_dynamo.DataError),
    ]:
        with pytest.raises(kind) as error:
            call()
        assert error.value.hint or "set" in str(error.value)
    connection.close()
    with pytest.raises(heimdall_dynamo.InterfaceError):
        cursor.execute("SELECT * FROM my_table")
    with pytest.raises(heimdall_dynamo.InterfaceError):
        connection.cursor()


@pytest.mark.parametrize(
    ("statement", "options", "kind", "code"),
    [
        ("SELECT * FROM nowhere", {}, heimdall_dynamo.ProgrammingError, "NOT_FOUND"),
        ("SELECT *, FROM my_table", {}, heimdall_dynamo.ProgrammingError, "INVALID_QUERY"),
        ("SELECT * FROM my_table", {"limt": 1}, heimdall_dynamo.ProgrammingError, "INVALID_JOB"),
        ("SELECT * FROM my_table WHERE id = ?", {}, heimdall_dynamo.ProgrammingError, "INVALID_JOB"),
        ("DELETE FROM my_table WHERE id = '123'", {}, heimdall_dynamo.NotSupportedError, "NOT_READ_ONLY"),
        ("SELECT * FROM every_type", {"max_result_bytes": 10}, heimdall_dynamo.DataError, "RESULT_TOO_LARGE"),
    ],
)
def test_a_failed_job_is_an_exception_with_code_and_hint(cursor, statement, options, kind, code):
    with pytest.raises(kind) as error:
        cursor.execute(statement, **options).fetchall()
    assert error.value.code == code and error.value.document["code"] == code
    assert error.value.hint and error.value.hint in str(error.value)
    assert not error.value.retryable


def test_an_endpoint_that_nobody_serves_is_retryable():
    with heimdall_dynamo.connect(endpoint_url="http://127.0.0.1:1", region="us-east-1", max_attempts=1) as connection:
        for ask in [connection.check_health, lambda: connection.cursor().execute("SELECT * FROM t")]:
            with pytest.raises(heimdall_dynamo.OperationalError) as error:
                ask()
            assert (error.value.code, error.value.retryable) == ("UNAVAILABLE", True)


def test_explain_budgets_segments_and_a_token_to_go_on_with(cursor, paging):
    explained = dict(cursor.execute("EXPLAIN SELECT * FROM numbered").fetchall())
    assert explained["operation"] == "Scan" and explained["segments_possible"] is True
    ids = {id for id, in cursor.execute("SELECT id FROM numbered", total_segments=4)}
    assert len(ids) == 2000 and cursor.stats["segments"] == 4
    options = {"max_pages": 2, "on_budget": "truncate"}
    with heimdall_dynamo.connect(endpoint_url=paging, region="us-east-1", options=options) as connection:
        pages = connection.cursor().execute("SELECT * FROM t")
        seen = {id for id, _ in pages}
        assert pages.stats["truncated"] and pages.stats["pages"] == 2
        pages.execute("SELECT * FROM t", next_token=pages.stats["next_token"])
        assert len(seen) == 8 and not seen & {id for id, _ in pages}


def test_a_reader_gives_batches_of_a_given_schema(cursor):
    schema = pyarrow.schema([("id", pyarrow.string()), ("words", pyarrow.list_(pyarrow.string())), ("numbers", pyarrow.list_(pyarrow.float64())),
                             ("map", pyarrow.map_(pyarrow.string(), pyarrow.map_(pyarrow.string(), pyarrow.int32()))),
                             ("raw", pyarrow.binary()), ("none", pyarrow.int64())])  # fmt: skip
    table = cursor.execute("SELECT * FROM every_type").arrow_reader(schema).read_all()
    (row,) = [row for row in table.to_pylist() if row["id"] == "a-1"]
    assert sorted(row["words"]) == ["one", "two"] and sorted(row["numbers"]) == [-3, 1, 2.5]
    assert row["map"] == [("inner", [("dots.in.name", 7)])] and row["raw"] == b"\x00\x01\x02\xff" and row["none"] is None
    with pytest.raises(heimdall_dynamo.DataError, match="'mixed' holds values of the type any"):
        cursor.execute("SELECT mixed FROM every_type").arrow_reader(pyarrow.schema([("mixed", pyarrow.int64())])).read_all()
    with pytest.raises(heimdall_dynamo.DataError, match="timestamp"):
        cursor.execute("SELECT id FROM every_type").arrow_reader(pyarrow.schema([("id", pyarrow.timestamp("s"))]))


def test_the_first_row_comes_before_the_last_page_is_asked_and_close_ends_the_job(paging):
    # Whoever runs this test counts the requests for this table, and for `dropped` and `half` below.
    with heimdall_dynamo.connect(endpoint_url=paging, region="us-east-1") as connection:
        cursor = connection.cursor().execute("SELECT * FROM first")
        assert cursor.fetchone() is not None
        assert cursor.rowcount == -1 and jobs()
        cursor.close()
        assert not jobs()
        with pytest.raises(heimdall_dynamo.InterfaceError):
            cursor.fetchone()


def test_a_cursor_that_is_dropped_ends_its_job(paging):
    connection = heimdall_dynamo.connect(endpoint_url=paging, region="us-east-1")
    cursor = connection.cursor().execute("SELECT * FROM dropped")
    assert jobs()
    del cursor
    gc.collect()
    until(lambda: not jobs())


def test_closing_the_connection_ends_a_fetch_that_waits_in_another_thread(mute):
    connection = heimdall_dynamo.connect(endpoint_url=mute, region="us-east-1")
    failed = []

    def wait():
        try:
            connection.cursor().execute("SELECT * FROM t")
        except heimdall_dynamo.Error as error:
            failed.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(jobs)
    connection.close()
    thread.join(60)
    assert isinstance(failed[0], heimdall_dynamo.InterfaceError)


def test_threads_share_a_connection(connection):
    counts = []

    def read():
        counts.append(len(connection.cursor().execute("SELECT id FROM numbered").fetchall()))

    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [2000] * 8


READ_FROM_A_MUTE_ENDPOINT = """
import sys, threading, time, heimdall_dynamo
from heimdall_dynamo import dbapi

def tell():
    running = []
    while not running or not running[0][0].changed._waiters:
        running = [job for library in dbapi._libraries.values() for job in list(library._running.values())]
        time.sleep(0.001)
    print("waiting", flush=True)

threading.Thread(target=tell, daemon=True).start()
connection = heimdall_dynamo.connect(endpoint_url=sys.argv[1], region="us-east-1")
try:
    connection.cursor().execute("SELECT * FROM t")
except KeyboardInterrupt:
    print("interrupted", [id for library in dbapi._libraries.values() for id in library._running])
"""


def test_ctrl_c_ends_a_fetch_that_waits_and_its_job(mute):
    running = program(READ_FROM_A_MUTE_ENDPOINT, mute)
    assert running.stdout.readline() == "waiting\n"
    running.send_signal(signal.SIGINT)
    said, errors = running.communicate(timeout=60)
    assert said == "interrupted []\n", errors
    assert running.returncode == 0


def test_a_process_that_leaves_a_cursor_half_read_ends(paging):
    text = 'import sys, heimdall_dynamo as h\nc = h.connect(endpoint_url=sys.argv[1], region="us-east-1").cursor()\nprint(len(c.execute("SELECT * FROM half").fetchone()))'
    running = program(text, paging)
    said, errors = running.communicate(timeout=60)
    assert (running.returncode, said, errors) == (0, "2\n", "")


READ_ALL = """
import resource, sys, heimdall_dynamo
cursor = heimdall_dynamo.connect(endpoint_url=sys.argv[1], region="us-east-1").cursor().execute("SELECT * FROM t")
first = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = sum(1 for _ in cursor)
print(rows, cursor.stats["wire_bytes"], (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - first) * 1024)
"""


def test_memory_does_not_grow_with_the_result(paging):
    running = program(READ_ALL, paging)
    said, errors = running.communicate(timeout=300)
    rows, read, grown = map(int, said.split())
    print(f"{rows} rows, {read >> 20} MiB read, memory grew by {grown >> 20} MiB")
    assert read > 60 << 20 and grown < 30 << 20, errors


def test_a_forked_child_is_told_to_start_otherwise(connection):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            heimdall_dynamo.connect()
        except heimdall_dynamo.InterfaceError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        assert "spawn" in told.read()
    os.waitpid(child, 0)


def test_a_library_that_is_not_there_is_named(tmp_path):
    with pytest.raises(heimdall_dynamo.InterfaceError, match="there is no plugin library at .*missing.so.*HEIMDALL_DYNAMO_LIBRARY"):
        heimdall_dynamo.connect(library=tmp_path / "missing.so")
    (tmp_path / "text.so").write_text("text")
    with pytest.raises(heimdall_dynamo.InterfaceError, match="cannot be loaded"):
        heimdall_dynamo.connect(library=tmp_path / "text.so")
