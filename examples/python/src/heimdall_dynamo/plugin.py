"""A plugin library for Python, by ctypes alone: one file that can be copied into a host of your own.

ctypes releases the GIL during a call, so jobs run side by side in threads. A library is never unloaded, and a process that has it
open must not fork: start worker processes with the "spawn" or "forkserver" method.
"""

from __future__ import annotations

import ctypes
import decimal
import functools
import json
import threading
import uuid
import weakref
from collections.abc import Callable, Iterator
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

MAGIC = 0x4850464D
_LEVELS = {1: "error", 2: "warn", 3: "info", 4: "debug", 5: "trace"}
_LOG = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p, c_void_p, c_size_t)
_PROGRESS = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_uint64, c_uint64)
_ROWS = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)

Document = dict[str, Any]
Log = Callable[[str, str, str], None]
Progress = Callable[[int, int, int], None]


class _Info(ctypes.Structure):
    _fields_ = [(name, c_uint32) for name in ("magic", "struct_size", "abi_major", "abi_minor")] + [
        (name, c_char_p) for name in ("name", "version", "features")
    ]


class _Buffer(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("len", c_size_t), ("capacity", c_size_t)]


class _Host(ctypes.Structure):
    _fields_ = [("struct_size", c_uint32), ("reserved", c_uint32), ("user", c_void_p), ("log", _LOG)]


class _Call(ctypes.Structure):
    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("user", c_void_p),
        ("timeout_ms", c_uint64),
        ("progress", _PROGRESS),
        ("rows", _ROWS),
        ("rows_after_bytes", c_uint64),
    ]


class PluginError(Exception):
    """A failed job: ``code``, ``hint``, ``retryable`` and the whole error ``document``; its text carries the hint."""

    def __init__(self, status: int, document: bytes) -> None:
        self.status = status
        unknown = {"code": "INTERNAL", "message": f"the library answered status {status} without an error document"}
        self.document: Document = json.loads(document)["error"] if document else unknown
        self.code: str = self.document["code"]
        self.hint: str | None = self.document.get("hint")
        self.retryable = bool(self.document.get("retryable"))
        hint = f" (hint: {self.hint})" if self.hint else ""
        super().__init__(f"{self.code}: {self.document['message']}{hint}")


class Library:
    """One plugin library of this process. Its methods may be called from any thread."""

    def __init__(self, path: str, log: Log | None = None, parse_float: Callable[[str], Any] = decimal.Decimal) -> None:
        """Loads and opens the library, which reads the environment now; ``log(level, target, message)`` gets its log lines.

        ``parse_float`` makes a number of digits with a fraction or an exponent: the default keeps all 38 that DynamoDB may send.
        """
        self._parse_float = parse_float
        self._lib = ctypes.CDLL(path)
        buffer = POINTER(_Buffer)
        for name, result, arguments in [
            ("plugin_info", POINTER(_Info), []),
            ("plugin_open", c_int32, [POINTER(_Host), c_char_p, c_size_t, buffer]),
            ("run_job", c_int32, [c_char_p, c_size_t, POINTER(_Call), buffer]),
            ("cancel_job", c_int32, [c_char_p, c_size_t]),
            ("check_health", c_int32, [c_char_p, c_size_t, POINTER(_Call), buffer]),
            ("plugin_close", c_int32, [c_uint64, buffer]),
            ("free_buffer", None, [buffer]),
        ]:
            try:
                function = getattr(self._lib, name)
            except AttributeError:
                raise OSError(f"{path} is no plugin library: it exports no {name}") from None
            function.restype, function.argtypes = result, arguments
        info = self._lib.plugin_info().contents
        if info.magic != MAGIC or info.abi_major != 1:
            raise OSError(f"{path} is no plugin library of ABI 1")
        self.name: str = info.name.decode()
        self.version: str = info.version.decode()
        self.features: list[str] = info.features.decode().split()

        def on_log(_user: int, level: int, target: bytes, message: int, length: int) -> None:
            assert log is not None
            log(_LEVELS.get(level, str(level)), target.decode(), ctypes.string_at(message, length).decode())

        self._running: dict[str, tuple[_Handover, threading.Thread]] = {}
        # Kept on self: the library calls it until close.
        self._log = _LOG(on_log) if log else _LOG()
        self._answer(self._lib.plugin_open, _Host(ctypes.sizeof(_Host), 0, None, self._log), None, 0)

    def run_job(self, job: Document, timeout: float | None = None, progress: Progress | None = None) -> Document:
        """Runs a job document and gives its result document; ``timeout`` in seconds, ``progress(rows, pages, bytes)`` after each page."""
        return self._call(self._lib.run_job, job, timeout, progress)

    def stream(self, job: Document, timeout: float | None = None) -> Stream:
        """Starts a job whose lines are read as they come; the library needs the feature ``rows``."""
        if "rows" not in self.features:
            raise OSError(f"{self.name} {self.version} hands no rows over as they come")
        return Stream(self, job, timeout)

    def rows(self, job: Document, timeout: float | None = None) -> Iterator[Document]:
        """Runs a job and yields its rows as they come, each a dict of the columns known by then: a result may be larger than memory.

        A loop that takes its time holds up the job; leaving it (or closing the generator) ends the job.
        """
        names: list[str] = []
        with self.stream(job, timeout) as pages:
            for page in pages:
                for line in page.splitlines():
                    cells = json.loads(line, parse_float=self._parse_float)
                    if isinstance(cells, dict):
                        names = names + cells["columns"]
                    else:
                        yield dict(zip(names, cells))

    def check_health(self, cluster: Document, timeout: float | None = None) -> Document:
        """Asks whether a job document's ``cluster`` can be worked with."""
        return self._call(self._lib.check_health, cluster, timeout, None)

    def cancel_job(self, job_id: str) -> bool:
        """Asks the jobs under that id to stop; whether there was one."""
        encoded = job_id.encode()
        return bool(self._lib.cancel_job(encoded, len(encoded)) == 0)

    def close(self, within: float = 10.0) -> None:
        """Ends what is being streamed, lets other jobs finish for so many seconds, then cancels them and ends every thread."""
        running = list(self._running.items())
        for job_id, (handover, _) in running:
            _leave(handover, self, job_id)
        self._answer(self._lib.plugin_close, int(within * 1000))
        for _, (_, thread) in running:
            thread.join()

    def _call(
        self,
        function: Any,
        document: Document,
        timeout: float | None,
        progress: Progress | None,
        rows: Callable[[int, int, int], int] | None = None,
    ) -> Document:
        on_progress = _PROGRESS(lambda _user, *totals: progress(*totals)) if progress else _PROGRESS()
        timeout_ms = max(1, int(timeout * 1000)) if timeout is not None else 0
        call = _Call(ctypes.sizeof(_Call), 0, None, timeout_ms, on_progress, _ROWS(rows) if rows else _ROWS(), 0)
        text = json.dumps(document).encode()
        answer: Document = json.loads(self._answer(function, text, len(text), call), parse_float=self._parse_float)
        return answer

    def _answer(self, function: Any, *arguments: Any) -> bytes:
        out = _Buffer()
        passed = [byref(a) if isinstance(a, ctypes.Structure) else a for a in arguments]
        status = function(*passed, byref(out))
        try:
            document = ctypes.string_at(out.data, out.len) if out.data else b""
        finally:
            self._lib.free_buffer(byref(out))
        if status != 0:
            raise PluginError(status, document)
        return document

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Handover:
    """What a job's thread and its reader share: at most one page of lines that the reader has not taken yet."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.page: bytes | None = None
        self.left = False
        self.ended = False
        self.answer: Document | None = None
        self.error: BaseException | None = None

    def give(self, _user: int, lines: int, length: int) -> int:
        """Called by the library, on a thread of its own, which waits here until the reader has taken the page before."""
        page = ctypes.string_at(lines, length)
        with self.changed:
            self.changed.wait_for(lambda: self.page is None or self.left)
            if self.left:
                return 1
            self.page = page
            self.changed.notify_all()
            return 0

    def end(self, answer: Document | None, error: BaseException | None) -> None:
        with self.changed:
            self.answer, self.error, self.ended = answer, error, True
            self.changed.notify_all()


class Stream:
    """A job under way: iterate over its pages of whole lines (bytes, at most 1 MiB or one line each).

    Afterwards ``answer`` holds columns, their types and the stats. No more than one page waits here, and the job asks for no
    further one meanwhile. Closing a stream, leaving its ``with``, an exception in its reader such as KeyboardInterrupt, dropping
    it, and closing the library all end the job. One reader at a time.
    """

    def __init__(self, library: Library, job: Document, timeout: float | None) -> None:
        # An id of its own, so that no other job is cancelled with it.
        job_id = str(uuid.uuid4())
        job = {**job, "id": job_id}
        self._handover = handover = _Handover()

        def run() -> None:
            try:
                handover.end(library._call(library._lib.run_job, job, timeout, None, handover.give), None)
            except BaseException as error:  # Raised again where the reader is.
                handover.end(None, error)
            finally:
                library._running.pop(job_id, None)

        # A daemon: else the interpreter's end would wait for it before anything could end the job. Neither thread nor finalizer
        # refers to the stream, so that one that is dropped is collected.
        self._thread = threading.Thread(target=run, name=f"plugin-job-{job_id}", daemon=True)
        library._running[job_id] = (handover, self._thread)
        self._thread.start()
        # Must not wait: the garbage collector may call it on a thread of the library.
        self._leave = functools.partial(_leave, handover, library, job_id)
        weakref.finalize(self, self._leave)

    @property
    def answer(self) -> Document | None:
        """The job's answer, once every page has been read."""
        return self._handover.answer

    def __iter__(self) -> Stream:
        return self

    def __next__(self) -> bytes:
        handover = self._handover
        try:
            with handover.changed:
                handover.changed.wait_for(lambda: handover.page is not None or handover.ended or handover.left)
                page, handover.page = handover.page, None
                handover.changed.notify_all()
        except BaseException:  # Ctrl-C.
            self.close()
            raise
        if page is not None:
            return page
        if handover.error is not None and not handover.left:
            raise handover.error
        raise StopIteration

    def close(self) -> None:
        """Ends the job, if it has not ended, and waits for that."""
        while self._thread.is_alive():
            # Again and again: a cancel finds no job that has not begun.
            self._leave()
            self._thread.join(0.01)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _leave(handover: _Handover, library: Library, job_id: str) -> None:
    with handover.changed:
        handover.left, handover.page = True, None
        handover.changed.notify_all()
    library.cancel_job(job_id)


def rows(result: Document) -> list[Document]:
    """A result document's rows as dicts."""
    names = [column["name"] for column in result["columns"]]
    return [dict(zip(names, row)) for row in result["data"]]
