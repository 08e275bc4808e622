"""Amazon DynamoDB for Python's DB-API 2.0: read-only PartiQL through the library of Heimdall's DynamoDB plugin.

    import heimdall_dynamo

    with heimdall_dynamo.connect(region="eu-west-1") as connection:
        cursor = connection.cursor().execute("SELECT id, price FROM my_table WHERE category = ?", ["books"])
        for id, price in cursor:            # as rows come: a result may be larger than memory
            print(id, price)
        print(cursor.stats)
"""

from .dbapi import Cluster, Connection, Cursor, Options, apilevel, connect, paramstyle, threadsafety
from .errors import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,
)
from .values import BINARY, DATETIME, NUMBER, ROWID, STRING, Binary

__all__ = [
    "BINARY",
    "Binary",
    "Cluster",
    "Connection",
    "Cursor",
    "DATETIME",
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NUMBER",
    "NotSupportedError",
    "OperationalError",
    "Options",
    "ProgrammingError",
    "ROWID",
    "STRING",
    "Warning",
    "apilevel",
    "connect",
    "paramstyle",
    "threadsafety",
]
