"""Reads a table into Spark, a task a segment: ``spark-submit read.py ENDPOINT [QUERY]``; without an endpoint ("-"), AWS itself."""

import sys

from pyspark.sql import SparkSession

from heimdall_dynamo.spark import DynamoDbPartiql


def main(endpoint: str, query: str) -> None:
    spark = SparkSession.builder.appName("dynamodb_partiql").getOrCreate()
    spark.dataSource.register(DynamoDbPartiql)
    reader = spark.read.format("dynamodb_partiql").option("query", query).option("segments", 4)
    if endpoint != "-":
        reader = reader.option("endpoint_url", endpoint).option("region", "us-east-1")
    frame = reader.load()
    frame.printSchema()
    frame.show()
    print(frame.count(), "rows in", frame.rdd.getNumPartitions(), "partitions")
    spark.stop()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "SELECT category, id, price FROM my_table")
