"""What the tests ask: engines that `cargo xtask test -- python_package` starts, their addresses in the environment."""

import os
from collections.abc import Iterator

import boto3
import pytest

import heimdall_dynamo


def address(variable: str) -> str:
    if variable not in os.environ:
        pytest.exit(f"{variable} is not set: `cargo xtask test -- python_package` starts the engines and runs these tests", 2)
    return os.environ[variable]


@pytest.fixture(scope="session")
def embedded() -> str:
    """The demo's DynamoDB, and in it the table `numbered` of 2,000 items."""
    return address("HEIMDALL_TEST_EMBEDDED")


@pytest.fixture(scope="session")
def paging() -> str:
    """A table of 64 pages of 1 MB."""
    return address("HEIMDALL_TEST_PAGING")


@pytest.fixture(scope="session")
def mute() -> str:
    """An endpoint that takes requests and never answers."""
    return address("HEIMDALL_TEST_MUTE")


@pytest.fixture
def connection(embedded: str) -> Iterator[heimdall_dynamo.Connection]:
    with heimdall_dynamo.connect(endpoint_url=embedded, region="us-east-1") as connection:
        yield connection


@pytest.fixture
def cursor(connection: heimdall_dynamo.Connection) -> heimdall_dynamo.Cursor:
    return connection.cursor()


@pytest.fixture(scope="session")
def boto(embedded: str) -> "boto3.client":
    return boto3.client("dynamodb", endpoint_url=embedded, region_name="us-east-1")
