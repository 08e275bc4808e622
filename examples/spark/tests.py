"""The data source in local mode with four workers at once: its rows are those of the one job. ``tests.py ENDPOINT``

`cargo xtask test -- spark` starts the engine and runs this.
"""

import os
import sys

from pyspark.errors import AnalysisException
from pyspark.sql import SparkSession

import heimdall_dynamo
from heimdall_dynamo.spark import DynamoDbPartiql

ENDPOINT = sys.argv[1]


def session():
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    quiet = {"spark.ui.enabled": "false", "spark.sql.shuffle.partitions": "4", "spark.log.level": "ERROR"}
    builder = SparkSession.builder.master("local[4]")
    for name, value in quiet.items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    spark.dataSource.register(DynamoDbPartiql)
    return spark


def reader(spark, query, **options):
    options = {"query": query, "endpoint_url": ENDPOINT, "region": "us-east-1", **options}
    return spark.read.format("dynamodb_partiql").options(**options)


def one_job(query):
    """The rows of the one job as dicts, as Arrow has them."""
    connection = heimdall_dynamo.connect(endpoint_url=ENDPOINT, region="us-east-1")
    return connection.cursor().execute(query).arrow().to_pylist()


def sorted_rows(rows):
    return sorted(({name: bytes(v) if isinstance(v, bytearray) else v for name, v in row.items()} for row in rows), key=str)


def check_rows(spark):
    frame = reader(spark, "SELECT * FROM numbered", segments=8, consistent_read="true").load()
    rows = [row.asDict() for row in frame.collect()]
    assert frame.rdd.getNumPartitions() == 8
    assert sorted_rows(rows) == sorted_rows(one_job("SELECT * FROM numbered"))
    workers = frame.rdd.mapPartitions(lambda _: [os.getpid()]).collect()
    assert len(set(workers)) > 1, workers
    print(f"numbered: rows equal, {len(rows)} in 8 partitions, {len(set(workers))} worker processes")


def check_types(spark):
    # `mixed` aside: a text of a mixed column is itself here, and JSON in an Arrow table.
    columns = 'id, text, "count", digits, ratio, raw, flag, words, "list", "map", nothing'
    query = f"SELECT {columns} FROM every_type"
    frame = reader(spark, query, segments=3).load()
    assert sorted_rows(row.asDict() for row in frame.collect()) == sorted_rows(one_job(query))
    print("every_type: rows equal,", frame.schema.simpleString())
    given = "id string, words array<string>, `map` map<string, map<string, bigint>>, missing double"
    (row,) = reader(spark, "SELECT * FROM every_type", segments=3).schema(given).load().where("id = 'a-1'").collect()
    assert (sorted(row.words), row.map, row.missing) == (["one", "two"], {"inner": {"dots.in.name": 7}}, None)


def check_what_cannot_be_divided(spark):
    frame = reader(spark, "SELECT id FROM numbered WHERE id = ?", segments=4, parameters='["7"]').load()
    assert [row.id for row in frame.collect()] == ["7"] and frame.rdd.getNumPartitions() == 1
    print("a Query is read in one partition")


def check_schemas(spark):
    frame = reader(spark, "SELECT * FROM numbered", segments=2).schema("id string").load()
    assert frame.columns == ["id"] and frame.count() == 2000
    try:
        reader(spark, "SELECT * FROM numbered WHERE id = 'none'").load()
    except AnalysisException as error:
        assert "give one with .schema" in str(error)
    else:
        raise AssertionError("no schema, and no error")


def check_no_secret_reaches_the_plan(spark):
    frame = reader(spark, "SELECT id FROM numbered WHERE id <> ?", parameters='["a secret value"]').load()
    plan = frame._jdf.queryExecution().toString()
    assert "secret" not in plan and ENDPOINT not in plan, plan
    try:
        reader(spark, "SELECT id FROM numbered", secret_access_key="x").load()
    except AnalysisException as error:
        assert "unknown option 'secret_access_key'" in str(error) and "credentials and proxies are no options" in str(error)
    else:
        raise AssertionError("a secret was taken as an option")
    print("the plan holds no option")


def main():
    spark = session()
    check_rows(spark)
    check_types(spark)
    check_what_cannot_be_divided(spark)
    check_schemas(spark)
    check_no_secret_reaches_the_plan(spark)
    spark.stop()


if __name__ == "__main__":
    main()
