//! What stands at the end of every `--help`: examples and exit statuses.

pub(crate) const RUN: &str = "\
Examples:
  host-harness run \"SELECT * FROM my_table WHERE category = 'books'\" -n 10
  host-harness run 'SELECT id, price FROM my_table WHERE price > ?' -p -0.5 -o cheap.parquet
  host-harness run -f books.sql -F csv | sort
  host-harness run job.json --config host.yaml
  echo 'SELECT * FROM my_table' | host-harness run - --total-segments 8 -F ndjson | jq .id

Formats: table, vertical, json, ndjson, csv, tsv, markdown, parquet, arrow. Endings of --output that choose one: .json .ndjson .jsonl
.csv .tsv .md .parquet .arrows (stream) .arrow .feather (file).

Exit status: 0 done; 1 the job failed; 2 wrong usage, an unreadable file or config, an output that cannot be written;
130 interrupted, after the job was cancelled.";

pub(crate) const SERVE: &str = "\
Examples:
  host-harness serve --config host.yaml
  host-harness serve --config host.yaml --log-format json --plugin-dir /usr/lib/heimdall/plugins

SIGHUP reads commands, clusters and tokens again; SIGTERM and SIGINT stop the host, a second one at once.

Exit status: 0 stopped; 2 wrong usage, or a config, address, store or plugin directory that cannot be used.";

pub(crate) const CHECK: &str = "\
Examples:
  host-harness check --config host.yaml
  host-harness check --config host.yaml --health

Exit status: 0 all would work; 1 something would not, or with --health a cluster is unhealthy; 2 wrong usage or config.";

pub(crate) const PLUGINS: &str = "\
Examples:
  host-harness plugins
  host-harness plugins --plugin-dir plugins --format json | jq '.[].version'

Exit status: 0 done; 2 wrong usage, or a directory that cannot be read.";

pub(crate) const PROBE: &str = "\
Example:
  host-harness probe target/release/libdynamo_plugin.so

Exit status: 0 the library would be accepted; 1 it would not; 2 wrong usage, or an unreadable file.";

pub(crate) const EXPLAIN: &str = "\
Examples:
  host-harness explain
  host-harness explain NOT_READ_ONLY
  host-harness explain \"SELECT * FROM my_table WHERE category = 'books'\" --region eu-west-1

A statement is explained as `run 'EXPLAIN SELECT …'` does it: no item is read.

Exit status: 0 done; 1 the statement is refused; 2 wrong usage, or a code that does not exist.";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  host-harness completions bash > ~/.local/share/bash-completion/completions/host-harness
  host-harness completions zsh > ~/.zfunc/_host-harness
  host-harness completions fish > ~/.config/fish/completions/host-harness.fish

Exit status: 0 done; 2 wrong usage.";
