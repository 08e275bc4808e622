"""A plugin library for Python, by ctypes alone: ``Library(path)``, ``run_job(job)``, ``rows(job)`` as they come, rows as dicts.

ctypes releases the GIL during a call, so jobs run side by side in threads. Never unload the library, and do not fork
while it is open: start worker processes with the "spawn" method.
"""

import ctypes
import json
import queue
import threading
from ctypes import POINTER, byref, c_char_p, c_int32, c_size_t, c_uint32, c_uint64, c_void_p

MAGIC = 0x4850464D
_LEVELS = {1: "error", 2: "warn", 3: "info", 4: "debug", 5: "trace"}
_LOG = ctypes.CFUNCTYPE(None, c_void_p, c_int32, c_char_p, c_void_p, c_size_t)
_PROGRESS = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_uint64, c_uint64)
_ROWS = ctypes.CFUNCTYPE(c_int32, c_void_p, c_void_p, c_size_t)


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
    """A failed job: ``code``, ``hint``, ``retryable`` and the whole ``document``."""

    def __init__(self, status, document):
        self.status = status
        self.document = json.loads(document)["error"] if document else {"code": "INTERNAL", "message": "no error document"}
        self.code = self.document["code"]
        self.hint = self.document.get("hint")
        self.retryable = bool(self.document.get("retryable"))
        hint = f" ({self.hint})" if self.hint else ""
        super().__init__(f"{self.code}: {self.document['message']}{hint}")


class Library:
    """One plugin library of this process. Its methods may be called from any thread."""

    def __init__(self, path, log=None, parse_float=float):
        """Loads and opens the library; ``log(level, target, message)`` gets its log lines.

        DynamoDB's numbers have up to 38 digits: ``parse_float=decimal.Decimal`` keeps them all.
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
            function = getattr(self._lib, name)
            function.restype, function.argtypes = result, arguments
        info = self._lib.plugin_info().contents
        if info.magic != MAGIC or info.abi_major != 1:
            raise OSError(f"{path} is no plugin library of ABI 1")
        self.name, self.version = info.name.decode(), info.version.decode()
        self.features = info.features.decode().split()

        def on_log(_user, level, target, message, length):
            log(_LEVELS.get(level, str(level)), target.decode(), ctypes.string_at(message, length).decode())

        # Kept on self: the library calls it until close.
        self._log = _LOG(on_log) if log else _LOG()
        self._answer(self._lib.plugin_open, _Host(ctypes.sizeof(_Host), 0, None, self._log), None, 0)

    def run_job(self, job, timeout=None, progress=None):
        """Runs a job document (a dict) and gives its result document; ``timeout`` in seconds, ``progress(rows, pages, bytes)``."""
        return self._call(self._lib.run_job, job, timeout, progress)

    def rows(self, job, timeout=None):
        """Runs a job and yields its rows as they come, each a dict of the columns known by then: a result may be larger than memory.

        A loop that takes its time holds up the job; leaving it (or closing the generator) ends the job. The library needs the
        feature ``rows``.
        """
        if "rows" not in self.features:
            raise OSError("this library hands no rows over as they come")
        # The plugin calls on a thread of its own, and waits there until the loop has taken the lines before.
        pages, left = queue.Queue(maxsize=1), threading.Event()

        def on_rows(_user, lines, length):
            page = ctypes.string_at(lines, length)
            while not left.is_set():
                try:
                    pages.put(page, timeout=0.1)
                    return 0
                except queue.Full:
                    pass
            return 1

        def run():
            try:
                self._call(self._lib.run_job, job, timeout, None, on_rows)
                end = None
            except BaseException as error:  # Raised again where the loop is.
                end = error
            while not left.is_set():
                try:
                    pages.put(end, timeout=0.1)
                    return
                except queue.Full:
                    pass

        thread = threading.Thread(target=run)
        thread.start()
        try:
            names = []
            while isinstance(page := pages.get(), bytes):
                for line in page.splitlines():
                    line = json.loads(line, parse_float=self._parse_float)
                    if isinstance(line, dict):
                        names = names + line["columns"]
                    else:
                        yield dict(zip(names, line))
            if page is not None:
                raise page
        finally:
            left.set()
            thread.join()

    def check_health(self, cluster, timeout=None):
        """Asks whether a job document's ``cluster`` (a dict) can be worked with."""
        return self._call(self._lib.check_health, cluster, timeout, None)

    def cancel_job(self, job_id):
        """Asks the jobs under that id to stop; whether there was one."""
        job_id = job_id.encode()
        return self._lib.cancel_job(job_id, len(job_id)) == 0

    def close(self, within=10.0):
        """Lets jobs under way finish for so many seconds, then cancels them and ends every thread of the library."""
        self._answer(self._lib.plugin_close, int(within * 1000))

    def _call(self, function, document, timeout, progress, rows=None):
        on_progress = _PROGRESS(lambda _user, *totals: progress(*totals)) if progress else _PROGRESS()
        timeout_ms = max(1, int(timeout * 1000)) if timeout is not None else 0
        call = _Call(ctypes.sizeof(_Call), 0, None, timeout_ms, on_progress, _ROWS(rows) if rows else _ROWS(), 0)
        text = json.dumps(document).encode()
        return json.loads(self._answer(function, text, len(text), call), parse_float=self._parse_float)

    def _answer(self, function, *arguments):
        out = _Buffer()
        arguments = [byref(a) if isinstance(a, ctypes.Structure) else a for a in arguments]
        status = function(*arguments, byref(out))
        try:
            document = ctypes.string_at(out.data, out.len) if out.data else b""
        finally:
            self._lib.free_buffer(byref(out))
        if status != 0:
            raise PluginError(status, document)
        return document

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def rows(result):
    """A result document's rows as dicts."""
    names = [column["name"] for column in result["columns"]]
    return [dict(zip(names, row)) for row in result["data"]]
