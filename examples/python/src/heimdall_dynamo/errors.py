"""The exceptions of DB-API 2.0, and which one an error code of the plugin becomes."""

from __future__ import annotations

from typing import Any

from .plugin import PluginError


class Warning(Exception):  # noqa: A001, the name is DB-API's.
    """Never raised; DB-API names it."""


class Error(Exception):
    """What every exception here is, with what the plugin says of a failed job."""

    #: The plugin's error code (`docs/JOB.md` lists them); None where the mistake was found before a job was made.
    code: str | None = None
    #: What to do about it.
    hint: str | None = None
    #: Whether the same job may succeed later.
    retryable: bool = False
    #: The whole error document: line and column, the field at fault, AWS's code and request id, how far the job came.
    document: dict[str, Any] | None = None

    def __init__(self, message: str = "", hint: str | None = None) -> None:
        super().__init__(f"{message} (hint: {hint})" if hint else message)
        self.hint = hint


class InterfaceError(Error):
    """Wrong use of this package: a closed cursor, a library that cannot be loaded."""


class DatabaseError(Error):
    """A failed job, of a kind that the other classes do not name."""


class DataError(DatabaseError):
    """A value that DynamoDB has no type for, or that does not fit the wanted one; a result that is too large."""


class OperationalError(DatabaseError):
    """AWS or the limits of the job: credentials, network, throttling, deadline, budget, cancel."""


class IntegrityError(DatabaseError):
    """Never raised; DB-API names it."""


class InternalError(DatabaseError):
    """A bug in the plugin, or an answer that could not be understood."""


class ProgrammingError(DatabaseError):
    """The statement, its parameters or an option is wrong, or there is no such table."""


class NotSupportedError(DatabaseError):
    """Only SELECT and EXPLAIN can be run."""


_CLASSES: dict[str, type[DatabaseError]] = {
    "INVALID_JOB": ProgrammingError,
    "INVALID_QUERY": ProgrammingError,
    "VALIDATION": ProgrammingError,
    "NOT_FOUND": ProgrammingError,
    "TABLE_NOT_ALLOWED": ProgrammingError,
    "NOT_READ_ONLY": NotSupportedError,
    "CREDENTIALS": OperationalError,
    "ASSUME_ROLE": OperationalError,
    "ACCESS_DENIED": OperationalError,
    "THROTTLED": OperationalError,
    "UNAVAILABLE": OperationalError,
    "TIMEOUT": OperationalError,
    "CANCELLED": OperationalError,
    "BUDGET_EXCEEDED": OperationalError,
    "SHUTTING_DOWN": OperationalError,
    "RESULT_TOO_LARGE": DataError,
    "BAD_RESPONSE": InternalError,
    "INTERNAL": InternalError,
}


def of(failed: PluginError) -> DatabaseError:
    """The exception for a failed job; a code that is not known here keeps its code, message and hint."""
    error = _CLASSES.get(failed.code, DatabaseError)(str(failed))
    error.code, error.hint, error.retryable, error.document = failed.code, failed.hint, failed.retryable, failed.document
    return error
