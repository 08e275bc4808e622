"""DB-API 2.0 (PEP 249) over the plugin library: connections, cursors, rows as they come."""

from __future__ import annotations

import atexit
import base64
import binascii
import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypedDict, cast

from . import errors
from .errors import DataError, InterfaceError, NotSupportedError, ProgrammingError
from .plugin import Document, Library, PluginError, Stream
from .values import cells, parameter, seen_type

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow
    from typing_extensions import Self, Unpack

apilevel = "2.0"
#: Threads may share the module and connections, not cursors.
threadsafety = 2
paramstyle = "qmark"

LIBRARY_VARIABLE = "HEIMDALL_DYNAMO_LIBRARY"

Row = tuple[Any, ...]
Column = tuple[str, str, None, None, None, None, None]

_LOG = logging.getLogger("heimdall_dynamo")
_LOG_LEVELS = {"error": logging.ERROR, "warn": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG, "trace": 5}


class Cluster(TypedDict, total=False):
    """Where DynamoDB is and as whom it is asked; what each means and its default: `docs/JOB.md`, "Cluster context"."""

    region: str
    profile: str
    role_arn: str
    external_id: str
    session_name: str
    session_duration_seconds: int
    session_policy: Literal["read_only", "none"]
    endpoint_url: str
    sts_endpoint_url: str
    proxy: str
    ca_bundle: str
    max_attempts: int
    connect_timeout_seconds: float
    read_timeout_seconds: float
    max_capacity_units_per_second: float


class Options(TypedDict, total=False):
    """What a job may say besides statement and parameters: `docs/JOB.md`, "Job context"."""

    limit: int
    consistent_read: bool
    timeout_seconds: float
    max_result_bytes: int
    max_pages: int
    max_consumed_capacity_units: float
    on_budget: Literal["fail", "truncate"]
    next_token: str
    total_segments: int
    segment: int


def connect(
    *,
    library: str | os.PathLike[str] | None = None,
    user: str | None = None,
    options: Options | None = None,
    **cluster: Unpack[Cluster],
) -> Connection:
    """A connection to DynamoDB. Nothing is sent before the first statement; credentials come from AWS's default chain.

    ``options`` hold for each statement that does not say otherwise; ``user`` fills ``{user}`` in ``session_name``. The plugin's
    library is ``library``, else what the environment's HEIMDALL_DYNAMO_LIBRARY names, else the one in this package.
    """
    return Connection(_opened(library), user, options or {}, cluster)


class Connection:
    """Settings that cursors share. It may be used from several threads, a cursor of it from one at a time."""

    def __init__(self, library: Library, user: str | None, options: Options, cluster: Cluster) -> None:
        self._library = library
        self._job: Document = {"cluster": {"name": "python", "context": dict(cluster)}}
        if user is not None:
            self._job["user"] = user
        self._options = options
        self._closed = False
        self._lock = threading.Lock()
        self._cursors: weakref.WeakSet[Cursor] = weakref.WeakSet()

    def cursor(self) -> Cursor:
        """A new cursor."""
        cursor = Cursor(self)
        with self._lock:
            if self._closed:
                raise InterfaceError("the connection is closed")
            self._cursors.add(cursor)
        return cursor

    def close(self) -> None:
        """Ends every job of the connection's cursors. The library stays open: it is the process's."""
        with self._lock:
            self._closed = True
            cursors = list(self._cursors)
        for cursor in cursors:
            cursor.close()

    def commit(self) -> None:
        """Does nothing: nothing is ever written."""

    def rollback(self) -> None:
        """Does nothing: nothing is ever written."""

    def check_health(self) -> Document:
        """Asks whether DynamoDB can be reached with these settings and credentials; fails as a statement would."""
        try:
            return self._library.check_health(self._job["cluster"])
        except PluginError as failed:
            raise errors.of(failed) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Cursor:
    """Runs one statement at a time and reads its rows as they come."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._closed = False
        self._forget()

    def _forget(self) -> None:
        self._stream: Stream | None = None
        self._names: list[str] = []
        self._first_types: list[str] = []
        self._binary: frozenset[str] = frozenset()
        self._rows: deque[list[Any]] = deque()
        self._answer: Document | None = None

    # Running a statement

    def execute(
        self, operation: str, parameters: Sequence[Any] = (), *, binary: Iterable[str] = (), **options: Unpack[Options]
    ) -> Self:
        """Runs a SELECT, or EXPLAIN of one, with a value for each ``?``; returns when the first rows are here, or it has failed.

        ``binary`` names columns whose cells are DynamoDB's B: they come as bytes. (In any other, B comes as a base64 text, as
        rows do not tell the two apart.) The job of an earlier statement of this cursor is ended.
        """
        self._end()
        if isinstance(parameters, (str, bytes, Mapping)) or not isinstance(parameters, Sequence):
            raise ProgrammingError("parameters are a sequence, one value for each ?", "give a list or a tuple")
        context: Document = {**self.connection._options, **options, "query": operation}
        if parameters:
            context["parameters"] = [parameter(value) for value in parameters]
        if self.connection._closed:
            raise InterfaceError("the connection is closed")
        self._forget()
        self._binary = frozenset(binary)
        self._stream = self.connection._library.stream({**self.connection._job, "context": context})
        if self._closed:
            # Another thread closed the connection before it could see this job.
            self._stream.close()
        while not self._rows and self._next_page():
            pass
        self._first_types = [seen_type([row[at] for row in self._rows if at < len(row)]) for at in range(len(self._names))]
        return self

    def executemany(self, operation: str, seq_of_parameters: Iterable[Sequence[Any]]) -> NoReturn:
        """Not supported: it is for writing."""
        raise NotSupportedError("only one SELECT at a time can be run", "call execute for each set of parameters")

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """Does nothing."""

    def setoutputsize(self, size: int, column: int | None = None) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Ends the job, if it is still under way; the cursor cannot be used again."""
        self._closed = True
        if self._stream is not None:
            self._stream.close()
        self._rows.clear()

    def _end(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        if self._stream is not None:
            self._stream.close()

    # What is known of the result

    @property
    def description(self) -> list[Column] | None:
        """A column each: name and type. While rows come, ``SELECT *`` may add columns, and types are those of the first rows."""
        if self._stream is None:
            return None
        types = [column["type"] for column in self._answer["columns"]] if self._answer else self._first_types
        types = types + ["null"] * (len(self._names) - len(types))
        return [(name, kind, None, None, None, None, None) for name, kind in zip(self._names, types)]

    @property
    def rowcount(self) -> int:
        """How many rows the result has; -1 until all have come."""
        return int(self._answer["stats"]["rows"]) if self._answer else -1

    @property
    def stats(self) -> Document | None:
        """Pages, requests, capacity units, ``truncated``, ``next_token``… (`docs/JOB.md`); None until all rows have come."""
        return self._answer["stats"] if self._answer else None

    # Rows

    def fetchone(self) -> Row | None:
        """The next row, as many cells as ``description`` has columns by then; None after the last."""
        self._check_result()
        while not self._rows:
            if not self._next_page():
                return None
        return self._row(self._rows.popleft())

    def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next rows, at most ``size`` (default: ``arraysize``)."""
        rows: list[Row] = []
        while len(rows) < (self.arraysize if size is None else size) and (row := self.fetchone()) is not None:
            rows.append(row)
        return rows

    def fetchall(self) -> list[Row]:
        """All rows that are left, each with a cell for every column of the result."""
        self._check_result()
        left = [row for page in self._pages() for row in page]
        return [self._row(row) for row in left]

    def __iter__(self) -> Iterator[Row]:
        while (row := self.fetchone()) is not None:
            yield row

    def _check_result(self) -> None:
        if self._closed:
            raise InterfaceError("the cursor is closed")
        if self._stream is None:
            raise ProgrammingError("no statement was executed", "call execute first")

    def _row(self, row: list[Any]) -> Row:
        row += [None] * (len(self._names) - len(row))
        if self._binary:
            for at, name in enumerate(self._names):
                if name in self._binary and row[at] is not None:
                    row[at] = _decoded(name, row[at])
        return tuple(row)

    def _next_page(self) -> bool:
        """Waits for the job's next rows or columns; whether there were any."""
        page = self._next_lines()
        self._rows.extend(self._read(page) if page is not None else [])
        return page is not None

    def _next_lines(self) -> bytes | None:
        assert self._stream is not None
        try:
            if (page := next(self._stream, None)) is not None:
                return page
        except PluginError as failed:
            raise errors.of(failed) from None
        if (answer := self._stream.answer) is None:
            raise InterfaceError("the job was ended: its cursor, connection or library was closed")
        if self._answer is None and "data" in answer:
            # EXPLAIN hands nothing over, but answers with a whole document.
            self._names = [column["name"] for column in answer["columns"]]
            self._rows.extend(answer.pop("data"))
            answer["order"] = range(len(self._names))
        self._answer = answer
        return None

    def _read(self, page: bytes) -> list[list[Any]]:
        rows = []
        for line in cells(page):
            if isinstance(line, dict):
                self._names += line["columns"]
            else:
                rows.append(line)
        return rows

    def _pages(self) -> Iterator[list[list[Any]]]:
        """The rows that are left, page by page."""
        rows, self._rows = list(self._rows), deque()
        while True:
            yield rows
            if (page := self._next_lines()) is None:
                return
            rows = self._read(page)

    # Arrow, pandas, polars

    def arrow(self) -> pyarrow.Table:
        """All rows that are left as an Arrow table, columns and types as in the host's Arrow and Parquet files.

        It holds the rows' JSON as well until it is done, since types are known when the last row is there.
        """
        self._check_result()
        from . import frames

        first = list(self._rows)
        pages: list[Callable[[], list[list[Any]]]] = [lambda: first]
        self._rows.clear()
        while (lines := self._next_lines()) is not None:
            self._read_columns(lines)
            pages.append(lambda lines=lines: [line for line in cells(lines) if isinstance(line, list)])  # type: ignore[misc]
        answer = cast(Document, self._answer)
        return frames.table(answer["columns"], answer["order"], pages)

    def _read_columns(self, lines: bytes) -> None:
        """The names of new columns alone: only a line of columns begins with a brace."""
        if lines.startswith(b"{") or b"\n{" in lines:
            self._read(b"\n".join(line for line in lines.split(b"\n") if line.startswith(b"{")))

    def arrow_reader(
        self, schema: pyarrow.Schema | None = None, *, strict: bool | None = None
    ) -> pyarrow.RecordBatchReader:
        """The rows that are left as Arrow batches, as they come, in bounded memory.

        A schema may have strings, binary (of B), bool_, integers, floats, decimals, and lists, structs and maps of them; without
        one the first rows make it. ``strict`` (the default without a schema): a column that the schema lacks, or a number that is
        not exactly a float, is a DataError; otherwise such a column is left out, and the nearest float taken.
        """
        self._check_result()
        import pyarrow

        from . import frames

        strict = schema is None if strict is None else strict
        schema = schema if schema is not None else frames.inferred(self._names, list(self._rows))
        for column in schema:
            frames.converter(column.type)
        return pyarrow.RecordBatchReader.from_batches(schema, frames.batches(schema, self._names, self._pages(), strict))

    def to_pandas(self) -> pandas.DataFrame:
        """All rows that are left; integers as Int64, which may be null, decimals as Decimal."""
        table = self.arrow()
        import pandas
        import pyarrow

        return table.to_pandas(types_mapper={pyarrow.int64(): pandas.Int64Dtype()}.get)

    def to_polars(self) -> polars.DataFrame:
        """All rows that are left; needs pyarrow as well."""
        import polars

        return cast("polars.DataFrame", polars.from_arrow(self.arrow()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _decoded(name: str, cell: Any) -> bytes:
    try:
        return base64.b64decode(cell, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise DataError(f"the column {name!r} was named as binary, but holds other values") from None


# The process's libraries, by path: a library is opened once, whoever connects, and closed when the interpreter ends.

_libraries: dict[str, Library] = {}
_lock = threading.Lock()
_forked = False


def _opened(path: str | os.PathLike[str] | None) -> Library:
    packaged = Path(__file__).with_name("libdynamo_plugin.so")
    library = str(Path(path or os.environ.get(LIBRARY_VARIABLE) or packaged).resolve())
    if _forked:
        raise InterfaceError(
            "this process was forked from one that had the library open",
            'start processes with multiprocessing.get_context("spawn"), or connect only after the fork',
        )
    with _lock:
        if library not in _libraries:
            if not Path(library).is_file():
                raise InterfaceError(
                    f"there is no plugin library at {library}",
                    f"install the built wheel, or name libdynamo_plugin.so with connect(library=…) or {LIBRARY_VARIABLE}",
                )
            _libraries[library] = _open(library)
        return _libraries[library]


def _open(path: str) -> Library:
    def log(level: str, target: str, message: str) -> None:
        _LOG.log(_LOG_LEVELS.get(level, logging.DEBUG), "%s: %s", target, message)

    try:
        return Library(path, log)
    except OSError as error:
        raise InterfaceError(f"the plugin library cannot be loaded: {error}") from error
    except PluginError as failed:
        raise errors.of(failed) from None


def _close_all() -> None:
    if not _forked:
        for library in _libraries.values():
            library.close(0)


def _after_fork() -> None:
    global _forked, _lock
    _forked, _lock = _forked or bool(_libraries), threading.Lock()


atexit.register(_close_all)
os.register_at_fork(after_in_child=_after_fork)
